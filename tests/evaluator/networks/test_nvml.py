"""NVML's figures with an NVML that refuses: a stub in place of the driver's library, with the real
package's errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pynvml
import pytest
import torch

from evaluator.interfaces import DeviceFigures
from evaluator.networks import device
from evaluator.networks.device import (
    NvmlFigures,
    device_figures,
    driver_version,
    is_mig,
    nvml_figures,
)

REFUSED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


class NvmlDriver:
    """Answers like NVML; what is in ``refuses`` raises the real package's error."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, uuids: tuple[str, ...] = ("GPU-a",)
    ) -> None:
        self.refuses: set[str] = set()
        self._uuids = uuids
        answers = {
            "nvmlInit": lambda: None,
            "nvmlSystemGetDriverVersion": lambda: "580.65.06",
            "nvmlDeviceGetHandleByUUID": self._handle,
            "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda handle: f"card of {handle}",
            "nvmlDeviceGetUtilizationRates": self._utilisation,
            "nvmlDeviceGetPowerUsage": lambda handle: 250_000,
            "nvmlDeviceGetTemperature": lambda handle, sensor: 61,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(pynvml, name, self._asked(name, answer))

    def _asked(self, name: str, answer: object) -> object:
        def asked(*arguments: object) -> object:
            if name in self.refuses:
                raise REFUSED
            return answer(*arguments)  # type: ignore[operator]  # each is a function

        return asked

    def _handle(self, uuid: str) -> str:
        if uuid not in self._uuids:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def _utilisation(self, handle: str) -> SimpleNamespace:
        if handle.startswith("MIG-"):
            raise REFUSED
        return SimpleNamespace(gpu=87)


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    device._handles.cache_clear()
    yield
    device._handles.cache_clear()


def test_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    NvmlDriver(monkeypatch)
    assert nvml_figures("a") == NvmlFigures(87.0, 250.0, 61.0)
    assert not is_mig("a")
    assert driver_version() == "580.65.06"


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ("nvmlDeviceGetUtilizationRates", NvmlFigures(None, 250.0, 61.0)),
        ("nvmlDeviceGetPowerUsage", NvmlFigures(87.0, None, 61.0)),
        ("nvmlDeviceGetTemperature", NvmlFigures(87.0, 250.0, None)),
        ("nvmlDeviceGetHandleByUUID", NvmlFigures()),
        ("nvmlInit", NvmlFigures()),
    ],
)
def test_a_figure_that_is_refused_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, refused: str, expected: NvmlFigures
) -> None:
    NvmlDriver(monkeypatch).refuses.add(refused)
    assert nvml_figures("a") == expected


def test_a_slice_has_the_power_and_temperature_of_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    NvmlDriver(monkeypatch, uuids=("MIG-b",))
    assert nvml_figures("b") == NvmlFigures(None, 250.0, 61.0)
    assert is_mig("b")


def test_a_driver_without_nvml_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    NvmlDriver(monkeypatch).refuses.add("nvmlSystemGetDriverVersion")
    assert driver_version() == ""


def test_figures_of_a_cuda_device_survive_nvml_and_a_lost_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = torch.device("cuda:0")
    driver = NvmlDriver(monkeypatch)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30, 80))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="a"))
    assert device_figures(device) == DeviceFigures(87.0, 50, 80, 250.0, 61.0)
    driver.refuses.add("nvmlDeviceGetUtilizationRates")
    assert device_figures(device) == DeviceFigures(None, 50, 80, 250.0, 61.0)

    def lost(_: torch.device) -> tuple[int, int]:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lost)
    assert device_figures(device) == DeviceFigures()
