"""Every method and metric on a CUDA device that is not there: no devices mixed, the CPU's rows, and
how often the host waits.

It proves placement and synchronisation. What CUDA's kernels give, how fast and in how much memory:
``pytest -m gpu``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest

from evaluator.measuring import saliency
from evaluator.records import Precision
from tests.evaluator.placement import (
    CURVES_OF,
    ITERATED,
    KINDS,
    ONCE,
    Bench,
    Cost,
    bench,
    costs,
    everything,
    make_images,
    methods_for,
    table,
)
from tests.evaluator.pretend_gpu import DevicesMixed, PretendGpu

README = Path(__file__).parents[2] / "benchmarks" / "README.md"
NUMBERS = ("y", "o", "average_drop", "average_increase", "coherency", "complexity", "adcc")

PINNED = {
    # two waits more: which channels are live
    "scorecam": Cost(3, 0),
    "iscam": Cost(3, 0),
    "sscam": Cost(3, 0),
    "reciprocam": Cost(1, 4),
    # image methods: gradients wait twice more
    "gradientshap": Cost(3, 2),
    "ig": Cost(3, 6),
    "inputxgradient": Cost(3, 2),
    "lrp": Cost(1, 15),
    "occlusion": Cost(1, 2),
    "opticam": Cost(1, 6),
    "polycam": Cost(1, 16),
    "rise": Cost(1, 6),
    "saliency": Cost(3, 2),
    "smoothgrad": Cost(3, 2),
    "gradattention": Cost(1, 2),
    "legrad": Cost(1, 2),
    "rollout": Cost(1, 2),
    "pointing_game": Cost(3, 0),
    # which classes are explained, for each pass that is shared
    "class_sensitivity": Cost(3, 1),
    "average_sensitivity": Cost(21, 10),
    "max_sensitivity": Cost(21, 10),
    "efficient_mprt": Cost(3, 78),  # the network with random weights moves to the device
    "entropy": Cost(1, 2),
    "saco": Cost(1, 2),
    "morf_lerf": Cost(2, 10),
    "road": Cost(50, 6),
    "arcc": Cost(50, 6),
}
"""What a unit of three images costs where that is not one wait, for its result, and no copy; for
``ITERATED`` the most.
"""


AS_BUILT = ("lrp",)
"""Go through the network as its maker built it, whose pooling sums in no fixed order on CUDA."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("images"))


@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        ("gap", "fp32"),
        ("gap", "mixed"),
        ("gap", "bf16"),
        ("vgg-like", "fp32"),
        ("vgg-like", "mixed"),
        ("torchvision", "fp32"),
    ],
)
def test_every_method_and_metric_gives_the_cpus_numbers(
    root: Path, kind: str, precision: Precision
) -> None:
    as_built = [spec for spec in methods_for(kind) if spec in AS_BUILT]
    with bench(root, kind, precision, "cpu") as (made, _):
        rows, measurements = everything(made, as_built)
    with bench(root, kind, precision, "cuda:0") as (made, gpu):

        def look() -> None:
            assert gpu.operations["aten.convolution.default"] > 0
            assert gpu.operations["aten._adaptive_avg_pool2d_backward.default"] == 0, (
                "its sum is in no fixed order on CUDA"
            )

        found_rows, found_measurements = everything(made, as_built, look)
    assert rows.keys() == found_rows.keys()
    assert measurements.keys() == found_measurements.keys()
    exact = (
        precision == "fp32" and kind != "torchvision"
    )  # whose attention is another kernel here than on a CPU
    near = 1e-5 if exact else 2e-2
    if (kind, precision) == ("gap", "fp32"):
        ordered = {key for key in rows if methods_for(kind)[key[0]] not in AS_BUILT}
        assert {key: rows[key] for key in ordered} == {key: found_rows[key] for key in ordered}, (
            "the same kernels on the same values: the same bits"
        )
        alike = {key: one for key, one in measurements.items() if key[2] not in ITERATED}
        assert alike == {
            key: one for key, one in found_measurements.items() if key[2] not in ITERATED
        }
    for key, row in rows.items():
        assert found_rows[key].target == row.target
        for name in NUMBERS:
            assert getattr(found_rows[key], name) == pytest.approx(getattr(row, name), abs=near)
    for place, measurement in measurements.items():
        assert found_measurements[place].value == pytest.approx(measurement.value, abs=near)


@pytest.mark.long
def test_what_a_unit_costs_is_pinned_and_in_the_readme(root: Path) -> None:
    found: dict[str, dict[str, Cost]] = {}
    for kind in KINDS:
        with bench(root, kind, "mixed", "cuda:0") as (made, gpu):
            found[kind] = costs(made, gpu)
    by_the_layers = ("efficient_mprt", "lrp", "polycam")  # of the network; by the image:
    at_most = (*ITERATED, *by_the_layers)
    for kind, measured in found.items():
        expected = {key: PINNED.get(key, ONCE) for key in measured}
        assert {
            key: one for key, one in measured.items() if one != expected[key] and key not in at_most
        } == {}, kind
        assert all(measured[key] <= expected[key] for key in at_most if key in measured)
    text = README.read_text(encoding="utf-8")
    assert "\n".join(table(found)) in text, "meant? python -m tests.evaluator.placement"


class Mutant(NamedTuple):
    """A fault that somebody might make: in a function, some text in place of another."""

    function: str
    text: str
    fault: str


MUTANTS = [
    Mutant("measuring.views:BatchView.channel_scores", ", device=self.activation.device", ""),
    Mutant("measuring.views:BatchView.noise", "to_device(drawn, self._network.device)", "drawn"),
    Mutant("networks.network:Network.baseline_confidence", ", device=self.device", ""),
    Mutant("measuring.saliency:_weights", ", device=device)[None]", ")[None]"),
    Mutant("measuring.pipeline:Pipeline._fixed_map", ", device=self.network.device", ""),
    Mutant("measuring.curve_tracing:CurveTracer._inner", ", device=images.device", ""),
    Mutant("measuring.curve_tracing:CurveTracer.__init__", ", device=network.device", ""),
    Mutant(
        "measuring.optional_metrics:_column",
        "to_device(torch.tensor(values, dtype=torch.float64), network.device)",
        "torch.tensor(values, dtype=torch.float64)",
    ),
    Mutant(
        "measuring.pipeline:Pipeline.outcomes",
        "argmax(1)",
        "argmax(1) + 0 * clean_pass.logits.argmax().item()",
    ),
    Mutant(
        "metrics.coherency:coherency",
        "constant = spread < 1e-12",
        "constant = spread < 1e-12 + 0 * spread.sum().item()",
    ),
    Mutant(
        "measuring.saliency:low_map",
        "combination.relu()",
        "combination.relu().cpu().to(combination.device)",
    ),
    Mutant(
        "networks.network:Network.scores",
        "logits.double()",
        "logits.cpu().double().to(logits.device)",
    ),
    Mutant(
        "measuring.saliency:stored_saliency",
        "to_device(low, device)",
        "low.to(device)",
    ),
    Mutant(
        "measuring.inputs:Normaliser.__call__",
        "to_device(pixels, self._device)",
        "pixels.to(self._device)",
    ),
]


def in_use(made: Bench, gpu: PretendGpu) -> Cost:
    """What a few units cost, that together use most of the evaluator."""
    made.rows(["gradcam", "smoothgradcampp", "scorecam:variant=cic"])
    rows = made.rows(CURVES_OF).rows
    made.requested(rows, CURVES_OF, ["deletion", "average_gain"])
    return Cost(gpu.waits.total(), gpu.copies.total())


@contextmanager
def bench_or_refusal(root: Path) -> Iterator[Cost | None]:
    """What those units cost; ``None`` where the device refused them."""
    try:
        with bench(root, "gap", "fp32", "cuda:0") as (made, gpu):
            found = in_use(made, gpu)
    except (DevicesMixed, RuntimeError, TypeError):
        found = None
    yield found


@pytest.fixture(scope="module")
def usual(root: Path) -> Cost:
    with bench(root, "gap", "fp32", "cuda:0") as (made, gpu):
        return in_use(made, gpu)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.function)
def test_faults_of_placement_and_synchronisation_are_caught(
    root: Path, usual: Cost, mutant: Mutant
) -> None:
    with mutated(mutant), bench_or_refusal(root) as found:
        assert found != usual, "nobody would notice"


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """The function with the fault in it."""
    name, _, path = mutant.function.partition(":")
    module = importlib.import_module(f"evaluator.{name}")
    source = inspect.getsource(module)
    function = _function(module, path)
    good = function.__code__
    text = inspect.getsource(function)
    assert text.count(mutant.text) >= 1, mutant
    faulty = source.replace(text, text.replace(mutant.text, mutant.fault, 1))
    function.__code__ = next(_codes(compile(faulty, str(module.__file__), "exec"), path))
    saliency._weights.cache_clear()
    try:
        yield
    finally:
        function.__code__ = good
        saliency._weights.cache_clear()


def _function(module: Any, path: str) -> FunctionType:
    found = functools.reduce(getattr, path.split("."), module)
    plain = inspect.unwrap(found)
    assert isinstance(plain, FunctionType)
    return plain


def _codes(code: CodeType, path: str) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            if one.co_qualname == path:
                yield one
            yield from _codes(one, path)
