"""Torchvision's networks: what they are shown, and their files; transformers, and a cut inside a
residual block, against whole networks and against pytorch-grad-cam.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from evaluator.backbones import BackboneSpec, families, known_backbone
from evaluator.catalog import method
from evaluator.crop import centre_square
from evaluator.errors import UsageError
from evaluator.measuring.inputs import Normaliser
from evaluator.measuring.saliency import low_map, min_max, upsample
from evaluator.measuring.views import BatchView
from evaluator.networks.backbone_loading import Backbone, load_backbone
from evaluator.networks.families import torchvision
from evaluator.networks.network import Network
from evaluator.records import Preprocessing
from tests.evaluator.networks.families.support import loaded
from tests.networks import random_images
from tests.peers import logit_targets, up_to_scale

LAYERS = {
    "vit_b_16": "encoder.layers.encoder_layer_11.ln_1",
    "swin_t": "features.7.1.norm1",
    "resnet18": "layer3.0.bn2",
}
SEED = "random:0"


class Case(NamedTuple):
    """A network whole and cut, and images of its side."""

    model: nn.Module
    backbone: Backbone
    images: Tensor
    view: BatchView


@pytest.fixture(scope="module", params=LAYERS)
def case(request: pytest.FixtureRequest) -> Case:
    spec = BackboneSpec(request.param, SEED, layer=LAYERS[request.param])
    backbone = load_backbone(spec)
    model = families()["torchvision"].build(spec).model.eval().requires_grad_(False)
    images = random_images(2, seed=4, side=224)
    network = Network(backbone, device=torch.device("cpu"), precision="fp32", batch_size=1)
    seen = network.observe(2, lambda start, stop: images[start:stop])
    return Case(
        model,
        backbone,
        images,
        BatchView(network, lambda: images, seen, torch.tensor([3, 800]), [b"a", b"b"]),
    )


class Whole(NamedTuple):
    """Output of a layer, and the gradient of the targets' logits with respect to it, of the whole
    network.
    """

    activation: Tensor
    gradient: Tensor
    logits: Tensor


def whole(case: Case, layer: str) -> Whole:
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append(output.detach().clone().requires_grad_())
        return kept[-1].clone()

    handle = case.model.get_submodule(layer).register_forward_hook(keep)
    logits = case.model(case.images)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits.gather(1, case.view.targets[:, None]).sum(), kept[-1])
    return Whole(kept[-1].detach(), gradient, logits.detach())


@pytest.mark.slow
def test_activation_gradient_and_logits_are_the_whole_network_s(case: Case) -> None:
    facts = case.backbone.facts
    expected = whole(case, facts.layer)
    to_map = case.backbone.layout.to_map
    assert facts.cut == "graph"
    assert not facts.gap_linear
    assert case.view.logits.std() > 1e-3, "seeded logits must differ"
    assert torch.allclose(case.view.logits, expected.logits, atol=1e-5)
    assert torch.allclose(case.view.activation, to_map(expected.activation)[0], atol=1e-5)
    scale = expected.gradient.abs().max()
    assert scale > 0
    assert torch.allclose(
        case.view.gradient / scale, to_map(expected.gradient)[0] / scale, atol=1e-5
    )
    assert len(case.view.context(torch.tensor([0]))) == (2 if facts.tokens is not None else 1), (
        "one side, and prefix tokens"
    )


@pytest.mark.slow
def test_switching_a_channel_off_is_what_a_hook_does(case: Case) -> None:
    facts = case.backbone.facts

    def without(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        values, rest = case.backbone.layout.to_map(output.clone())
        changed = values.clone()
        changed[:, 5] = 0
        return case.backbone.layout.to_raw(changed, rest)

    handle = case.model.get_submodule(facts.layer).register_forward_hook(without)
    expected = case.model(case.images)
    handle.remove()
    ablated = case.view.activation.clone()
    ablated[:, 5] = 0
    found = case.view.head(ablated, torch.tensor([0, 1]))
    assert not torch.allclose(found, case.view.logits, atol=1e-6)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("gradcam", "GradCAM"), ("hirescam", "HiResCAM")])
def test_maps_are_those_of_pytorch_grad_cam(case: Case, name: str, kind: str) -> None:
    """At the layer's resolution to 1e-5; its resizing (OpenCV, then scaled again) leaves 0.02 and a
    correlation of 0.99999.
    """
    if case.backbone.facts.key == "resnet18":
        pytest.skip("it keeps no copy of what the residual sum then overwrites")
    theirs = peer(case, kind)
    combined = method(name).combine(case.view)
    assert up_to_scale(combined, theirs.low) < 1e-5
    ours = min_max(upsample(low_map(combined).values, 224, 224))
    for mine, other in zip(ours.numpy(), theirs.resized, strict=True):
        assert np.abs(mine - other).max() < 0.021
        assert np.corrcoef(mine.ravel(), other.ravel())[0, 1] >= 0.99999


class Peer(NamedTuple):
    """Its maps before and after it resizes them."""

    low: Tensor
    resized: Any


def peer(case: Case, kind: str) -> Peer:
    import pytorch_grad_cam

    def to_map(raw: Tensor) -> Tensor:
        return case.backbone.layout.to_map(raw)[0]

    layer = case.model.get_submodule(case.backbone.facts.layer)
    explainer = getattr(pytorch_grad_cam, kind)(case.model, [layer], reshape_transform=to_map)
    kept: list[Tensor] = []
    original = explainer.get_cam_image

    def keep(*arguments: Any) -> Any:
        kept.append(torch.as_tensor(original(*arguments)))
        return kept[0].numpy()

    explainer.get_cam_image = keep
    with explainer:
        resized = explainer(case.images.clone().requires_grad_(), logit_targets(case.view.targets))
    return Peer(kept[0], resized)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["maxvit_t", "convnext_tiny", "swin_v2_t", "vit_b_32"])
def test_other_transformers_are_cut_by_their_graph(key: str) -> None:
    facts = load_backbone(BackboneSpec(key, SEED)).facts
    assert facts.cut == "graph"
    side = 8 if key == "swin_v2_t" else 7  # of 256 and of 224 pixels
    assert (facts.height, facts.width) == (side, side)
    assert ("filled" in facts.weights) == (key == "vit_b_32")


# -- what they are shown
# --------------------------------------------------------------------------------------------------

PAPER = ("vgg16", "resnet18", "resnet50", "resnet101", "resnext50_32x4d", "resnext101_32x8d")
NAMES = [known.key for known in families()["torchvision"].names()]


def picture(width: int = 700, height: int = 640) -> Image.Image:
    """An image of blobs, which interpolations tell apart."""
    coarse = np.random.default_rng(0).integers(0, 256, (64, 70, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def shown(image: Image.Image, wanted: Preprocessing) -> Tensor:
    """What the network sees of it, as in a run."""
    pixels = torch.from_numpy(np.array(centre_square(image, wanted)))
    return Normaliser(wanted, torch.device("cpu"))(pixels[None])


def published(key: str) -> Any:
    return models.get_model_weights(key)["IMAGENET1K_V1"]


def test_every_name_is_shown_what_its_published_weights_want() -> None:
    """To the last pixel; the paper's six are shown what the paper showed them."""
    image = picture()
    expected: dict[Any, Tensor] = {}
    for key in NAMES:
        wanted = known_backbone(key).preprocessing
        assert wanted is not None
        if key in PAPER:
            assert wanted == Preprocessing(side=224, resize=224)
            continue
        if wanted not in expected:
            expected[wanted] = shown(image, wanted)
        theirs = published(key).transforms()
        if (str(theirs), wanted) not in expected:
            expected[str(theirs), wanted] = theirs(image)[None]
        difference = (expected[wanted] - expected[str(theirs), wanted]).abs().max()
        assert difference < 1e-5, f"{key}: {wanted}, {theirs}"
    assert len(NAMES) == 78


@pytest.mark.parametrize("key", ["resnet50", "efficientnet_b1", "regnet_y_16gf", "vit_b_16"])
def test_a_file_is_known_by_its_content_as_one_of_torchvisions(key: str) -> None:
    entries = models.get_model_weights(key)
    for entry in entries:
        begin = entry.url.rsplit("-", 1)[-1].removesuffix(".pth")
        assert torchvision._published_as(entries, begin + "0" * 56) == entry
        seen, theirs = torchvision._preprocessing(entry), entry.transforms()
        image = picture()
        assert (shown(image, seen) - theirs(image)[None]).abs().max() < 1e-5
    assert torchvision._published_as(entries, "0" * 64) is None


def made(key: str, classes: int, folder: Path, **options: Any) -> tuple[nn.Module, Path]:
    """A network of seeded weights that somebody has trained, and its file."""
    torch.manual_seed(5)
    if key in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    model = models.get_model(key, num_classes=classes, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    file = folder / f"{key}-mine.pth"
    torch.save(model.state_dict(), file)
    return model, file


def logits(backbone: Backbone, images: Tensor) -> Tensor:
    seen = backbone.trunk_output(backbone.trunk(images))
    return backbone.logits(seen.activation, seen.context)


@pytest.mark.long
@pytest.mark.parametrize("auxiliary", [True, False], ids=["auxiliary heads", "none"])
@pytest.mark.parametrize("key", ["googlenet", "inception_v3"])
def test_a_file_of_an_inception_normalises_its_input_as_the_published_one_does(
    tmp_path: Path, key: str, auxiliary: bool
) -> None:
    """As torchvision's builder leaves it, who then trains it further: with ``transform_input``."""
    model, file = made(key, 7, tmp_path, aux_logits=auxiliary, transform_input=True)
    image = picture()
    backbone = loaded(f"{key}:weights={file}")
    seen = shown(image, backbone.facts.preprocessing)
    assert torch.allclose(seen, published(key).transforms()(image)[None], atol=1e-5)
    with torch.no_grad():
        expected = model(seen)
        assert torch.allclose(logits(backbone, seen), expected, atol=1e-4)
        model.transform_input = False  # type: ignore[assignment]  # nn.Module's stubs
        assert not torch.allclose(model(seen), expected, atol=1e-2)
    assert (backbone.facts.transform_input, backbone.facts.class_count) == (True, 7)


@pytest.mark.long
def test_who_trained_without_it_says_so(tmp_path: Path) -> None:
    model, file = made("googlenet", 7, tmp_path, aux_logits=False)
    backbone = loaded(f"googlenet:weights={file},transform_input=no")
    images = random_images(1, side=224)
    with torch.no_grad():
        assert torch.allclose(logits(backbone, images), model(images), atol=1e-4)
    assert backbone.facts.transform_input is False
    assert families()["torchvision"].build(BackboneSpec("googlenet", SEED)).transform_input is True
    with pytest.raises(UsageError, match="resnet18 has no transform_input"):
        loaded("resnet18:weights=random:0,transform_input=yes")


@pytest.mark.long
def test_auxiliary_heads_for_other_classes_are_left_out(tmp_path: Path) -> None:
    """Whoever replaced the last layer alone has a file with two numbers of classes."""
    model, file = made("googlenet", 1000, tmp_path, aux_logits=True, transform_input=True)
    model.fc = nn.Linear(1024, 4)
    torch.save(model.state_dict(), file)
    backbone = loaded(f"googlenet:weights={file}")
    images = random_images(1, side=224)
    with torch.no_grad():
        assert torch.allclose(logits(backbone, images), model(images), atol=1e-4)


def test_a_file_of_ones_own_is_shown_what_the_published_one_is(tmp_path: Path) -> None:
    for key, usual in (
        ("resnet18", Preprocessing()),
        ("mnasnet0_75", Preprocessing(resize=232)),
    ):
        _, file = made(key, 3, tmp_path)
        facts = loaded(f"{key}:weights={file}").facts
        assert (facts.preprocessing, facts.weights) == (usual, file.name)
    assert load_backbone(BackboneSpec(key, SEED)).facts.preprocessing == usual


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_an_mnasnet_asks_for_the_version_of_its_tensors(tmp_path: Path, suffix: str) -> None:
    model, file = made("mnasnet0_5", 3, tmp_path)
    if suffix == ".safetensors":
        save_file(model.state_dict(), file.with_suffix(suffix))
    backbone = loaded(f"mnasnet0_5:weights={file.with_suffix(suffix)},side=64")
    images = random_images(2, side=64)
    with torch.no_grad():
        assert torch.allclose(logits(backbone, images), model(images), atol=1e-4)


def test_a_vit_is_shown_the_side_that_its_file_is_for() -> None:
    model = models.vit_b_32(image_size=96, num_classes=2)
    assert torchvision._built_in_side("vit_b_32", model.state_dict()) == 96
    assert torchvision._built_in_side("resnet18", {}) is None


def test_a_file_that_is_called_as_torchvisions_and_is_another_is_named(tmp_path: Path) -> None:
    _, file = made("resnet18", 1000, tmp_path)
    called = file.rename(tmp_path / "resnet18-f37072fd.pth")
    weights = loaded(f"resnet18:weights={called}").facts.weights
    assert weights.startswith("resnet18-f37072fd.pth (not torchvision's file: its sha256 begins ")
