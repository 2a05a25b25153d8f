"""Whatever code of the user's leaves set in torch is put back and named; what it may set for itself
is put back without a word.
"""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.modules.module as module_hooks
from PIL import ImageFile
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from evaluator.networks.device import disable_tf32
from evaluator.networks.global_state import ForeignCode, in_own_settings

BACKENDS: Any = torch.backends
_KEPT: list[object] = []
"""Contexts that were entered and are never left."""


class _Doubles(TorchFunctionMode):
    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        return found * 2 if function is torch.matmul else found


class _DoublesBelow(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        return found * 2 if function is torch.ops.aten.mm.default else found


def _entered(context: Any) -> Callable[[], None]:
    def enter() -> None:
        made = context()
        made.__enter__()
        _KEPT.append(made)

    return enter


def _set(owner: Any, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


CHANGES: dict[str, tuple[Callable[[], object], str]] = {
    "dtype": (
        lambda: torch.set_default_dtype(torch.float64),
        "torch's default dtype from float32 to float64",
    ),
    "device": (lambda: torch.set_default_device("meta"), "torch's default device"),
    "device context": (_entered(lambda: torch.device("meta")), "torch's function modes"),
    "autocast": (_entered(lambda: torch.autocast("cpu", torch.bfloat16)), "torch's autocast"),
    "autocast alone": (lambda: torch.set_autocast_enabled("cpu", True), "torch's autocast"),
    "no grad": (_entered(torch.no_grad), "torch's grad mode from True to False"),
    "grad mode": (lambda: torch.set_grad_enabled(False), "torch's grad mode from True to False"),
    "inference": (
        _entered(torch.inference_mode),
        "torch's inference mode from False to True",
    ),
    "matmul precision": (
        lambda: torch.set_float32_matmul_precision("medium"),
        "torch's float32 matmul precision from highest to medium",
    ),
    "TF32": (_set(BACKENDS.cuda.matmul, "allow_tf32", True), "torch's float32 matmul precision"),
    "TF32 of cuDNN": (_set(BACKENDS.cudnn, "allow_tf32", True), "torch's float32 precision"),
    "precision of oneDNN": (
        _set(BACKENDS.mkldnn.matmul, "fp32_precision", "bf16"),
        "torch's float32 precision",
    ),
    "precision of all": (_set(BACKENDS, "fp32_precision", "tf32"), "torch's float32 precision"),
    "threads": (lambda: torch.set_num_threads(7), "torch's number of threads from"),
    "denormals": (
        lambda: torch.set_flush_denormal(True),
        "torch's flushing of denormals from False to True",
    ),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        "torch's deterministic algorithms",
    ),
    "benchmark": (_set(BACKENDS.cudnn, "benchmark", True), "cuDNN (benchmark)"),
    "cuDNN": (_set(BACKENDS.cudnn, "enabled", False), "cuDNN (enabled)"),
    "oneDNN": (_set(BACKENDS.mkldnn, "enabled", False), "oneDNN (enabled)"),
    "attention": (lambda: BACKENDS.cuda.enable_math_sdp(False), "torch's plain attention"),
    "fast path": (
        lambda: BACKENDS.mha.set_fastpath_enabled(False),
        "the fast path of torch's attention",
    ),
    "anomalies": (lambda: torch.autograd.set_detect_anomaly(True), "torch's anomaly detection"),
    "function mode": (_entered(_Doubles), "torch's function modes"),
    "dispatch mode": (_entered(_DoublesBelow), "torch's dispatch modes"),
    "hook on all modules": (
        lambda: module_hooks.register_module_forward_hook(lambda _m, _i, output: output * 2),
        "torch's hooks on all modules",
    ),
    "saved tensors": (
        _entered(lambda: torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x * 2)),
        "torch's saved-tensor hooks",
    ),
    "Pillow": (_set(ImageFile, "LOAD_TRUNCATED_IMAGES", True), "Pillow's limits"),
}


@pytest.fixture(autouse=True)
def _as_in_a_run() -> Iterator[None]:
    """With TF32 off, as for every network; and nothing left behind, also by a test that fails."""
    with ForeignCode(alone=False):
        disable_tf32()
        yield


def _computed() -> list[Any]:
    """Numbers, dtypes and gradients that the settings above have a say in."""
    generator = torch.Generator().manual_seed(0)
    made = torch.randn(8, 8, generator=generator)
    layer = torch.nn.Linear(8, 8, bias=False)
    layer.weight.data = made
    leaf = made.clone().requires_grad_()
    out = layer(torch.matmul(leaf, leaf))
    (gradient,) = torch.autograd.grad((out * out).sum(), leaf)
    tiny = torch.full((64,), 1e-310, dtype=torch.float64) * 1.0
    return [out.tolist(), gradient.tolist(), made.dtype, out.dtype, made.device, tiny.tolist()]


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_is_put_back_and_named(name: str) -> None:
    change, words = CHANGES[name]
    before, threads = _computed(), torch.get_num_threads()
    for _ in range(2):  # and nothing adds up
        with ForeignCode() as code:
            change()
        assert words in code.changed
        with ForeignCode() as nothing:
            pass
        assert nothing.changed == ""
    assert torch.get_num_threads() == threads
    assert _computed() == before


def test_it_is_put_back_behind_an_exception_too() -> None:
    code = ForeignCode()

    def raises() -> None:
        with code:
            torch.set_default_dtype(torch.float64)
            raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        raises()
    assert code.changed
    assert torch.get_default_dtype() == torch.float32


def test_several_changes_are_all_named() -> None:
    with ForeignCode() as code:
        for change, _ in CHANGES.values():
            change()
    assert len(code.changed.split(", ")) > 15
    with ForeignCode() as nothing:
        pass
    assert nothing.changed == ""


def test_what_it_puts_back_itself_is_no_change() -> None:
    with ForeignCode() as code:
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad(), torch.inference_mode():
            torch.ones(2, 2) @ torch.ones(2, 2)
        with torch.device("meta"), sdpa_kernel(SDPBackend.MATH):
            torch.ones(2)
    assert code.changed == ""


def test_what_code_may_set_for_itself_is_put_back_without_a_word(tmp_path: Path) -> None:
    def drawn() -> list[float]:
        return [float(torch.rand(1)), float(np.random.rand()), random.random()]

    filters, folder, errors = list(warnings.filters), Path.cwd(), np.geterr()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = drawn()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    first = []
    for seed in (2, 3):
        with ForeignCode() as code:
            first.append(drawn())
            torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
            drawn()
            np.seterr(all="raise")
            warnings.simplefilter("error")
            os.environ["CAMTUI_TEST_OF_STATE"] = "1"
            os.chdir(tmp_path)
        assert code.changed == ""
    assert first[0] == first[1], "every call begins at one seed"
    assert drawn() == expected
    assert np.geterr() == errors
    assert list(warnings.filters) == filters
    assert "CAMTUI_TEST_OF_STATE" not in os.environ
    assert Path.cwd() == folder


def test_what_it_asks_for_is_computed_in_the_settings_before() -> None:
    @in_own_settings
    def product() -> tuple[Tensor, bool]:
        made = torch.matmul(torch.ones(2, 2), torch.ones(2, 2))
        return made, torch.is_inference_mode_enabled()

    with ForeignCode() as code:
        with torch.autocast("cpu", torch.bfloat16), torch.inference_mode(), _Doubles():
            asked, inference = product()
            own = torch.matmul(torch.ones(2, 2), torch.ones(2, 2))
        again, _ = product()
    assert (asked.dtype, inference, asked.is_inference()) == (torch.float32, False, False)
    assert torch.equal(asked, again)
    assert (own.dtype, own.is_inference(), float(own[0, 0])) == (torch.bfloat16, True, 4.0)
    assert code.changed == ""
