"""Timm's networks by name: preprocessing as timm has it, weights from a file, attention; one
against the built-in network.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from evaluator.errors import UsageError
from evaluator.networks.families.efficientnet_lite import EfficientNetLite
from evaluator.networks.families.timm import Timm, _preprocessing
from evaluator.networks.weights import read_weights_file
from evaluator.plan import validated_plan
from tests.evaluator.networks.families.support import loaded, spec_of
from tests.networks import random_images
from tests.shared import needs_sample

timm = pytest.importorskip("timm")


def test_preprocessing_and_layer_are_timm_s() -> None:
    facts = loaded("timm/vit_tiny_patch16_224:weights=random:1").facts
    seen = facts.preprocessing
    assert (seen.side, seen.resize, seen.interpolation, seen.mean) == (
        224,
        248,
        "bicubic",
        (0.5, 0.5, 0.5),
    )
    assert (facts.layer, facts.tokens, facts.attention, facts.cut) == (
        "blocks.11.norm1",
        1,
        12,
        "graph",
    )


@pytest.mark.parametrize(
    ("name", "layer", "tokens"),
    [
        ("deit_tiny_distilled_patch16_224", "blocks.11.norm1", 2),
        ("swin_tiny_patch4_window7_224", "layers.3.blocks.1.norm1", None),
        ("resnet18", "layer4.1.act2", None),
    ],
)
def test_layers_of_other_networks(name: str, layer: str, tokens: int | None) -> None:
    facts = loaded(f"timm/{name}:weights=random:0,side=64").facts
    assert (facts.layer, facts.tokens) == (layer, tokens)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("cait_xxs24_224", "blocks_token_only.1.norm1", (192, 14, 14)),
        ("convit_tiny", "blocks.11.norm1", (192, 14, 14)),
        ("gmlp_ti16_224", "norm", (128, 14, 14)),
        ("mixer_s32_224", "norm", (512, 7, 7)),
        ("resmlp_12_224", "norm.addcmul", (384, 14, 14)),
        ("twins_svt_small", "blocks.3.3.norm1", (512, 7, 7)),
        ("xcit_nano_12_p16_224", "cls_attn_blocks.1.norm1", (128, 14, 14)),
    ],
)
def test_the_default_layer_is_a_map_that_a_gradient_reaches(
    name: str, layer: str, shape: tuple[int, int, int]
) -> None:
    """Of networks whose last maps are axes of an attention, behind the class token, or no
    four-dimensional ones.
    """
    backbone = loaded(f"timm/{name}:weights=random:0")
    facts = backbone.facts
    assert (facts.layer, (facts.channels, facts.height, facts.width)) == (layer, shape)
    assert facts.remarks == ()
    seen = backbone.trunk_output(backbone.trunk(random_images(1, side=224)))
    gradient = backbone.gradient(seen.activation, torch.tensor([3]), seen.context)
    assert gradient.count_nonzero() > 0


def test_the_classes_of_a_file_are_its_own(tmp_path: Path) -> None:
    model = timm.create_model("resnet10t", num_classes=7)
    save_file(model.state_dict(), tmp_path / "seven.safetensors")
    backbone = loaded(f"timm/resnet10t:weights={tmp_path}/seven.safetensors,side=64")
    images = random_images(2, side=64)
    with torch.no_grad():
        expected = model.eval()(images)
    seen = backbone.trunk_output(backbone.trunk(images))
    assert torch.allclose(backbone.logits(seen.activation, seen.context), expected, atol=1e-4)
    assert (backbone.facts.class_count, backbone.facts.classes, backbone.facts.weights) == (
        7,
        (),
        "seven.safetensors",
    )


def test_what_timm_does_to_images_and_camtui_does_not_is_said() -> None:
    key = "timm/convnextv2_nano.fcmae_ft_in22k_in1k_384"
    squashed = Timm().build(spec_of(f"{key}:weights=random:0"))
    assert squashed.weights == "random:0 (centre crop; timm's own is squash)"
    model = timm.create_model("test_resnet")
    spec = spec_of("timm/test_resnet")
    assert _preprocessing(model, spec)[1] == ""
    model.pretrained_cfg["interpolation"] = "random"
    with pytest.raises(UsageError, match="by 'random', which is none of nearest") as caught:
        _preprocessing(model, spec)
    assert "interpolation=bicubic" in caught.value.hint
    chosen = spec_of("timm/test_resnet:interpolation=lanczos")
    assert _preprocessing(model, chosen)[0].interpolation == "lanczos"
    model.pretrained_cfg["input_size"] = (3, 64, 96)
    with pytest.raises(UsageError, match="takes images of 64 × 96"):
        _preprocessing(model, chosen)


@pytest.mark.parametrize("key", ["timm/hf-hub:somebody/net", "timm/local-dir:/tmp/net"])
def test_a_plan_does_not_choose_where_timm_looks(key: str) -> None:
    plan = {"data": "/", "backbones": [{"key": key, "weights": "random:0"}], "methods": ["gradcam"]}
    with pytest.raises(UsageError, match=r"somebody/net|local-dir"):
        validated_plan(plan)


def test_a_name_that_timm_does_not_have() -> None:
    with pytest.raises(UsageError, match="timm cannot build 'resnet5O'") as caught:
        loaded("timm/resnet5O:weights=random:0")
    assert "did you mean 'resnet50'?" in caught.value.hint
    assert spec_of("timm/resnet50.a1_in1k").name == "timm/resnet50.a1_in1k"


def renamed(name: str) -> str:
    """A tensor of the demo's package as timm calls it, but for the blocks, whose stages timm counts
    anew.
    """
    for pattern, other in (
        (r"^_conv_stem\.", "conv_stem."),
        (r"^_bn0\.", "bn1."),
        (r"^_conv_head\.", "conv_head."),
        (r"^_bn1\.", "bn2."),
        (r"^_fc\.", "classifier."),
    ):
        name = re.sub(pattern, other, name)
    return name


def as_timm(state: dict[str, torch.Tensor], model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The package's tensors under timm's names: blocks in their order, tensors of a block in
    theirs.
    """
    ours = [name for name in state if not name.endswith("num_batches_tracked")]
    theirs = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    own = [name for name in ours if not name.startswith("_blocks.")]
    found = {renamed(name): state[name] for name in own}
    blocks, others = ([name for name in names if "blocks." in name] for names in (ours, theirs))
    assert len(blocks) == len(others)
    found |= {other: state[name] for name, other in zip(blocks, others, strict=True)}
    return {name: tensor.contiguous() for name, tensor in found.items()}


@needs_sample
@pytest.mark.slow
def test_lite0_is_the_built_in_one(tmp_path: Path) -> None:
    """The same weights, once the state dict is renamed: logits to 1e-5 of their scale."""
    file = EfficientNetLite().local_weights("efficientnet_lite0")
    assert file is not None
    model = timm.create_model("tf_efficientnet_lite0")
    save_file(as_timm(read_weights_file(str(file))[0], model), tmp_path / "lite0.safetensors")
    theirs, ours = (
        loaded(f"timm/tf_efficientnet_lite0:weights={tmp_path}/lite0.safetensors"),
        loaded("efficientnet_lite0"),
    )
    images = random_images(4, side=224)
    with torch.no_grad():
        seen = [one.trunk_output(one.trunk(images)) for one in (theirs, ours)]
        logits = [
            one.logits(each.activation, each.context)
            for one, each in zip((theirs, ours), seen, strict=True)
        ]
    assert (logits[0] - logits[1]).abs().max() < 1e-5 * max(1.0, float(logits[1].abs().max()))
