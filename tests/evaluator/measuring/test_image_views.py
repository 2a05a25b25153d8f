"""What an image method sees, and the rows that come of it: alone, in a batch, in halved batches."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluator.catalog import method
from evaluator.errors import NoGradient, UsageError
from evaluator.measuring.pipeline import Batch, Pipeline, Scores
from evaluator.measuring.saliency import averaged, image_map, upsample
from evaluator.methods.base import ImageMethod, ImageView, versions
from tests.agreement import IMAGES, VALUES, keys_of, small_bench
from tests.attention import transformer_bench
from tests.evaluator.methods.image_maps import image_method, view_of
from tests.networks import NETWORKS, SIDE, Bench, bench, normalising, random_images

METHODS = (
    "saliency",
    "inputxgradient",
    "smoothgrad:n=3",
    "smoothgrad:form=variance,n=3",
    "ig:n=3",
    "gradientshap:n=3",
    "occlusion:stride=60,window=60",
    "rise:n=20",
    "layercam:layers=stages",
    "refinecam",
    "fullgrad",
    "polycam:variant=plus",
    "opticam:steps=2",
    "lrp",
)
NEXT = 1e-3
"""Two values of float16 next to each other below 1."""


def rows(made: Bench, spec: str, images: Tensor, first: int = 0) -> Scores:
    """The rows of one method; of images with the keys from ``first`` on."""
    asked = method(spec)
    keys = keys_of(first + len(images))[first:]
    return made.pipeline.rows(Batch(images, keys), [asked])[asked.name]


def map_of(stored: bytes | None) -> Tensor:
    assert stored is not None
    return torch.from_numpy(np.frombuffer(stored, "<f2").astype(np.float32))


def assert_alike(found: Scores, expected: Scores, place: int, other: int) -> None:
    for name in VALUES:
        assert getattr(found, name)[place] == pytest.approx(
            getattr(expected, name)[other], abs=1e-4
        ), name
    maps = map_of(found.maps[place]), map_of(expected.maps[other])
    assert (maps[0] - maps[1]).abs().max() <= NEXT


# -- rows
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", METHODS)
@pytest.mark.parametrize("network", ["gap", "vgg-like"])
def test_alone_and_in_halved_batches_are_the_same_rows(network: str, spec: str) -> None:
    images = random_images(IMAGES, seed=1)
    whole = rows(small_bench(network), spec, images)
    assert not any(whole.degenerate)
    for place in range(IMAGES):
        alone = rows(small_bench(network), spec, images[place : place + 1], place)
        assert_alike(alone, whole, 0, place)
    halved = rows(bench(NETWORKS[network](), batch_size=3), spec, images)
    for place in range(IMAGES):
        assert_alike(halved, whole, place, place)


def test_gradients_are_the_same_to_the_bit_whatever_they_are_computed_with() -> None:
    """Images of one unit, halved and alone: full batches of gradients, 4 of 16."""
    images, made = random_images(5, seed=1, side=64), bench(Wide(), side=64)
    assert made.network.batch_sizes["fp32"] == 16
    whole = _gradients_of(made, images)
    for parts in ([3, 2], [1] * 5):
        found = [_gradients_of(made, part) for part in torch.split(images, parts)]
        for name, expected in whole.items():
            assert torch.equal(torch.cat([one[name] for one in found]), expected), name


def _gradients_of(made: Bench, images: Tensor) -> dict[str, Tensor]:
    view = view_of(made, images).image
    which = versions(view, 3)

    def make(start: int, stop: int) -> Tensor:
        return view.images[which[start:stop]]

    return {
        "gradient": view.gradient(make, len(which), which, weights=which.new_ones(len(which))),
        "layers": next(iter(view.layers().values()))[1],
        "biases": view.biases(lambda of_input, _layers: of_input),
    }


@pytest.mark.parametrize("spec", METHODS)
def test_the_same_twice_to_the_byte(spec: str) -> None:
    images = random_images(2, seed=1)
    assert rows(small_bench("gap"), spec, images) == rows(small_bench("gap"), spec, images)


@pytest.mark.parametrize("spec", ["smoothgrad:n=3", "gradientshap:n=3", "rise:n=20"])
def test_what_is_drawn_depends_on_the_image_s_key_and_the_second_map_has_its_own(spec: str) -> None:
    made, images = small_bench("gap"), random_images(1, seed=1)
    first, second = rows(made, spec, images), rows(made, spec, images, first=1)
    assert first.maps != second.maps
    even = Constant()
    same = made.pipeline.rows(Batch(images, keys_of(1)), [even])["constant"]
    drawn = Draws()
    other = made.pipeline.rows(Batch(images, keys_of(1)), [drawn])["draws"]
    assert (same.coherency[0] or 0) > 0.99 > (other.coherency[0] or 0)


class Constant(ImageMethod):
    """The same map for every image."""

    key = "constant"
    title = paper = weighs_by = ""

    def explain(self, view: ImageView) -> Tensor:
        ramp = view.images.new_tensor(range(view.images.shape[3]))
        return ramp.expand(len(view.images), view.images.shape[2], -1)

    def cost(self) -> int:
        return 0


class Draws(Constant):
    key = "draws"

    def explain(self, view: ImageView) -> Tensor:
        return view.noise("draws", 0)


def test_the_row_is_that_of_the_rounded_map_which_is_stored() -> None:
    made, images = small_bench("vgg-like"), random_images(2, seed=1)
    found = rows(made, "saliency", images)
    for place in range(2):
        assert len(found.maps[place] or b"") == 2 * SIDE * SIDE
        values = map_of(found.maps[place]).view(1, SIDE, SIDE)
        assert (float(values.min()), float(values.max())) == (0, 1)
        assert torch.equal(values, values.half().float())
        masked = images[place, None] * values
        logits = made.network.forward(masked, channel_scoring=False).logits
        confidence = logits.double().softmax(1)[0, found.target[place]]
        assert found.o[place] == pytest.approx(float(confidence), abs=1e-7)
        assert found.complexity[place] == pytest.approx(float(values.double().mean()), abs=1e-9)


def test_methods_with_maps_of_different_sizes_share_a_unit() -> None:
    made, images = small_bench("gap"), random_images(3, seed=1)
    asked = [method(spec) for spec in ("gradcam", "saliency", "fakecam", "inputxgradient")]
    found = made.pipeline.rows(Batch(images, keys_of(3)), asked)
    alone = {
        one.name: made.pipeline.rows(Batch(images, keys_of(3)), [one])[one.name] for one in asked
    }
    assert found == alone
    assert len(found["gradcam"].maps[0] or b"") == 4 * 8 * 8


@pytest.mark.parametrize(("side", "stored"), [(8, 8), (16, 16), (SIDE, SIDE), (56, SIDE)])
def test_the_side_of_a_map_is_the_protocol_s_or_the_image_s(side: int, stored: int) -> None:
    made, images = small_bench("gap"), random_images(2, seed=1)
    pipeline = Pipeline(made.network, map_side=side)
    found = pipeline.rows(Batch(images, keys_of(2)), [method("saliency")])["saliency"]
    assert len(found.maps[0] or b"") == 2 * stored * stored
    assert not found.problem(0)


# -- maps
# --------------------------------------------------------------------------------------------------


def test_averages_by_area_by_hand() -> None:
    values = torch.tensor([[[1.0, 2.0, 3.0]] * 3])
    assert torch.allclose(averaged(values, 2), torch.tensor([[[4 / 3, 8 / 3]] * 2]))
    fine = random_images(2, side=64)[:, 0]
    expected = nn.functional.avg_pool2d(fine, 4)
    assert (averaged(fine, 16) - expected).abs().max() < 1e-6
    narrow = torch.tensor([[[1.0], [3.0]]])
    assert torch.equal(averaged(narrow, 2), torch.tensor([[[1.0, 1.0], [3.0, 3.0]]]))


def test_what_speaks_against_the_class_is_gone_before_it_is_averaged() -> None:
    values = torch.tensor([[[4.0, -9.0, 2.0, 2.0]] * 4])
    values[0, :, 2:] = 1
    found = image_map(values, 2)
    assert found.values.tolist() == [[[1.0, 0.0]] * 2]
    assert found.degenerate.tolist() == [False]
    assert image_map(-values.abs(), 2).degenerate.tolist() == [True]
    assert image_map(values / 1e12, 2).values.tolist() == found.values.tolist(), "no underflow"
    values[0, 0, 0] = float("nan")
    assert image_map(values, 2).values.isnan().all()


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((IMAGES, 33, 32), "not \\[4, 32, 32\\]"),
        ((1, 8, 8), "not \\[4, 8, 8\\]"),
        ((IMAGES,), "32"),
    ],
)
def test_a_map_that_does_not_fit_is_the_method_s_fault(shape: tuple[int, ...], told: str) -> None:
    class Odd(Constant):
        key = "odd"

        def explain(self, view: ImageView) -> Tensor:
            return torch.zeros(shape)

    with pytest.raises(Exception, match=told):
        small_bench("gap").pipeline.rows(
            Batch(random_images(IMAGES), keys_of(IMAGES)), [Odd(), method("gradcam")]
        )


# -- the view
# --------------------------------------------------------------------------------------------------


def shown(view: ImageView, count: int) -> tuple[Callable[[int, int], Tensor], int, Tensor]:
    """``count`` darker versions of every image."""
    which = versions(view, count)
    light = torch.linspace(0.2, 1, len(which))

    def make(start: int, stop: int) -> Tensor:
        return view.images[which[start:stop]] * light[start:stop, None, None, None]

    return make, len(which), which


@pytest.mark.parametrize("network", [*NETWORKS, "transformer"])
def test_scores_and_gradients_are_the_whole_network_s(network: str) -> None:
    made = transformer_bench("torchvision") if network == "transformer" else small_bench(network)
    images = random_images(2, seed=1, side=made.network.side)
    view = view_of(made, images).image
    make, count, which = shown(view, 3)
    before = made.network.forwards
    gradients = view.gradient(make, count, which)
    assert made.network.forwards - before == 3 * count
    scores = view.scores(make, count, which, logits=True)
    confidences = view.scores(make, count, which)
    assert made.network.forwards - before == 5 * count
    leaf = make(0, count).requires_grad_()
    backbone = made.network.backbone
    with torch.enable_grad():
        seen = backbone.trunk_output(backbone.trunk(leaf))
        logits = backbone.logits(seen.activation, seen.context)
    targets = view.targets[which]
    chosen = logits.gather(1, targets[:, None])[:, 0]
    (expected,) = torch.autograd.grad(chosen.sum(), leaf)
    assert expected.abs().amax((1, 2, 3)).min() > 0
    assert (gradients - expected).abs().max() < 1e-5
    assert (scores - chosen.detach()).abs().max() < 1e-5
    softmax = logits.detach().double().softmax(1).gather(1, targets[:, None])[:, 0]
    assert (confidences - softmax).abs().max() < 1e-6


def test_a_weighted_sum_is_one_for_each_image() -> None:
    view = view_of(small_bench("vgg-like"), random_images(3, seed=1)).image
    make, count, which = shown(view, 4)
    weights = torch.linspace(-1, 2, count)
    each = view.gradient(make, count, which)
    sums = view.gradient(make, count, which, weights=weights)
    squares = view.gradient(make, count, which, weights=weights, each=lambda g, _a, _b: g**2)
    for image in range(3):
        mine = which == image
        share = weights[mine, None, None, None]
        assert (sums[image] - (share * each[mine]).sum(0)).abs().max() < 1e-6
        assert (squares[image] - (share * each[mine] ** 2).sum(0)).abs().max() < 1e-6


def test_batches_of_gradients_are_halved_for_themselves_until_they_fit() -> None:
    made = bench(NETWORKS["gap"](), batch_size=16)
    view = view_of(made, random_images(3, seed=1)).image
    make, count, which = shown(view, 3)
    expected = view.gradient(make, count, which)
    sizes: list[int] = []

    def tight(start: int, stop: int) -> Tensor:
        if stop - start > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        sizes.append(stop - start)
        return make(start, stop)

    before = made.network.forwards
    found = view.gradient(tight, count, which)
    assert sizes == [1] * count
    assert (found - expected).abs().max() < 1e-6
    assert made.network.forwards - before == 3 * count, "what did not fit is not counted"
    assert made.network.batch_sizes["fp32"] == 16
    assert made.network.shrunk == [
        f"out of memory on cpu: gradients at once now {size}" for size in (2, 1)
    ]
    with pytest.raises(torch.OutOfMemoryError):
        view.gradient(lambda _a, _b: tight(0, 2), 1, which)


def test_references_show_nothing() -> None:
    made = normalising(small_bench("gap"), (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    images = random_images(2, seed=1)
    view = view_of(made, images).image
    assert view.reference("zero").abs().max() == 0
    pixels = view.reference("black") * torch.tensor([0.5, 0.6, 0.7])[:, None, None]
    assert (pixels + torch.tensor([0.1, 0.2, 0.3])[:, None, None]).abs().max() < 1e-6
    blur = view.reference("blur")
    assert blur.shape == images.shape
    assert 0 < blur.std() < images.std()
    with pytest.raises(UsageError, match="no reference 'grey'"):
        view.reference("grey")


def test_a_method_that_overwrites_its_images_harms_nobody() -> None:
    class Overwrites(Constant):
        key = "overwrites"

        def explain(self, view: ImageView) -> Tensor:
            view.images.zero_()
            return super().explain(view)

    made, images = small_bench("gap"), random_images(2, seed=1)
    asked = [Overwrites(), method("saliency")]
    found = made.pipeline.rows(Batch(images.clone(), keys_of(2)), asked)["saliency"]
    assert found == rows(made, "saliency", images)


def test_logits_can_be_differentiated_and_are_counted() -> None:
    made = small_bench("smooth")
    view = view_of(made, random_images(2, seed=1)).image
    leaf, before = view.images.clone().requires_grad_(), made.network.forwards
    logits = view.differentiable(leaf, torch.tensor([0, 1]))
    assert (logits.detach() - view.logits).abs().max() < 1e-5
    (found,) = torch.autograd.grad(logits.gather(1, view.targets[:, None]).sum(), leaf)
    assert made.network.forwards - before == 3 * 2
    assert (found - image_method("saliency").explain(view)).abs().max() < 1e-5


class Detached(nn.Module):
    """A network that lets no gradient reach its image."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3, stride=2)
        self.fc = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images.detach()).mean((2, 3)))  # type: ignore[no-any-return]  # nn.Module.__call__ is Any


def test_a_network_that_detaches_its_image_says_so() -> None:
    view = view_of(bench(Detached()), random_images(1)).image
    make, count, which = shown(view, 1)
    with pytest.raises(NoGradient, match="no gradient reaches the image"):
        view.gradient(make, count, which)


class Wide(nn.Module):
    """Wide enough for kernels that are chosen by the size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 96, 3, stride=2), nn.ReLU()
        )
        self.fc = nn.Linear(96, 500)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)))  # type: ignore[no-any-return]  # nn.Module.__call__ is Any


# -- several layers
# --------------------------------------------------------------------------------------------------


class Pyramid(nn.Module):
    """Three resolutions, 32, 16 and 8, the last in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1))
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.SiLU())
        self.features = nn.Sequential(
            nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU(inplace=True)
        )
        self.fc = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        found = self.features(self.second(self.act(self.first(images))))
        return self.fc(found.mean((2, 3)))  # type: ignore[no-any-return]  # nn.Module.__call__ is Any


def pyramid() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Pyramid().eval().requires_grad_(False)


@pytest.mark.parametrize("batch_size", [16, 4])
@pytest.mark.parametrize("names", [None, ["second.1", "first.2"], ["features", "act"]])
def test_layers_and_their_gradients_come_from_one_pass(
    names: list[str] | None, batch_size: int
) -> None:
    made = bench(pyramid(), batch_size)
    view = view_of(made, random_images(2, seed=1)).image
    before = made.network.forwards
    found = view.layers(names)
    assert made.network.forwards - before == 3 * 2
    assert list(found) == (names or ["act", "second.2", "features"])
    model = deepcopy(pyramid())
    for name, (activation, gradient) in found.items():
        expected = observed(model, name, view.images, view.targets)
        assert (activation - expected[0]).abs().max() < 1e-5
        assert (gradient - expected[1]).abs().max() < 1e-5
        assert gradient.abs().max() > 0


def observed(model: nn.Module, name: str, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """``A`` and its gradient of one layer by a hook."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output)
        return output.clone()

    handle = model.get_submodule(name).register_forward_hook(keep)
    logits = model(images.clone().requires_grad_())
    handle.remove()
    (gradient,) = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), kept[0])
    return kept[0].detach(), gradient


def test_the_last_layer_of_a_network_cut_by_hooks_or_of_tokens_is_its_target() -> None:
    made = transformer_bench("torchvision")
    view = view_of(made, random_images(2, seed=1, side=made.network.side))
    (found,) = view.image.layers().values()
    assert (found[0] - view.activation).abs().max() < 1e-5
    assert (found[1] - view.gradient).abs().max() < 1e-5
    with pytest.raises(UsageError, match="no layer nothing"):
        view.image.layers(["nothing"])


def test_upsampled_maps_are_what_the_network_is_shown() -> None:
    made, images = small_bench("gap"), random_images(1, seed=1)
    pipeline = Pipeline(made.network, map_side=8)
    found = pipeline.rows(Batch(images, keys_of(1)), [method("saliency")])["saliency"]
    pixels = upsample(map_of(found.maps[0]).view(1, 8, 8), SIDE, SIDE)
    assert found.complexity[0] == pytest.approx(float(pixels.double().mean()), abs=1e-7)
