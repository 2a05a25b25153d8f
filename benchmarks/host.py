"""What a worker's main thread and the driver could keep up with.

If the networks' forwards cost nothing.

``python benchmarks/host.py --data ../shared/imagenet-sample``. A real session evaluates units of
256 images under the gradient methods; its network is a stub that answers from memory, and what a
GPU would compute (normalising, masking) is left out. Counted is the processor time of the main
thread, from collecting the images to the pickled result: decoding and noise are in the loaders'
threads, whose time is printed beside it. The driver is real, with eight workers in processes of
their own that only make up rows; counted is its processor time. On a machine with enough cores
these are ceilings; on fewer, what they would be.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from machine import machine_line, write_json
from scaling import METHODS, measured
from torch import Tensor, nn

from evaluator.execution.local import LocalExecutor
from evaluator.execution.worker import evaluated
from evaluator.images import find_images
from evaluator.interfaces import Done, SessionSettings
from evaluator.measuring import session as session_module
from evaluator.measuring.inputs import Field, Loader, Noise, NoiseAhead
from evaluator.measuring.session import EvaluationSession
from evaluator.networks.network import MakeImages, Network, Observation
from evaluator.plan import validated_plan
from evaluator.records import ImageRef, Preprocessing, Unit
from tests.evaluator.execution.support import make_data
from tests.fake_session import DOTTED
from tests.networks import as_backbone

FAMILY = ("fakecam", "gradcam", "gradcampp", "layercam", "smoothgradcampp")
UNIT = 256
SIDE = 224


class Tiny(nn.Module):
    """A classifier with a map of 7 × 7, of which only the head is ever run."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.AvgPool2d(32), nn.Conv2d(3, 12, 1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.pool(self.features(images)), 1))  # type: ignore[no-any-return]  # a module's call


class Costless(Network):
    """Answers from memory; the images are never made."""

    def observe(self, count: int, make: MakeImages) -> Observation:
        self.forwards += count
        generator = torch.Generator().manual_seed(count)
        activation = torch.rand(UNIT, 12, 7, 7, generator=generator)
        logits = torch.rand(UNIT, 10, generator=generator)
        again = -(-count // UNIT)
        return Observation(
            activation.repeat(again, 1, 1, 1)[:count], logits.repeat(again, 1)[:count]
        )


class Unmade:
    """In place of the normaliser: images that nobody looks at."""

    def __init__(self, wanted: Preprocessing, device: torch.device) -> None: ...

    def __call__(self, pixels: Tensor) -> Tensor:
        return torch.zeros(1).expand(len(pixels), 3, SIDE, SIDE)


class Timed(NamedTuple):
    """Milliseconds of a processor for a unit of 256 images.

    Of the main thread, and of all threads together.
    """

    main: float
    every: float


def main_thread(data: Path, turns: int, loaders: int) -> Timed:
    """What a unit costs the worker's main thread once its images are decoded.

    Its noise is drawn.
    """
    images = some_images(data)
    plan = validated_plan({"data": str(data), "backbones": ["resnet18"], "methods": list(FAMILY)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_module, "load_backbone", lambda *_: as_backbone(Tiny(), side=SIDE))
        patch.setattr(session_module, "Network", Costless)
        patch.setattr(session_module, "Normaliser", Unmade)
        patch.setattr(torch, "empty", without_pinning(torch.empty))
        session = EvaluationSession(SessionSettings(plan, str(data), threads=1, loaders=loaders))
        session._noise = NoiseAhead(session._loader.threads)  # as on CUDA
        session.load(0)
        assert session._loaded is not None
        session._loaded.pipeline._noise = session._noise
        main, every = [], []
        for turn in range(turns + 1):
            unit = Unit(turn, 1, 0, tuple(range(len(FAMILY))), FAMILY, images)
            whole = time.process_time()
            session.prefetch(unit)
            wait_for(session)
            begun = time.thread_time()
            pickle.dumps(Done(1, turn, evaluated(unit, session)), pickle.HIGHEST_PROTOCOL)
            main.append(time.thread_time() - begun)
            every.append(time.process_time() - whole)
        session.close()
    return Timed(1000 * float(np.median(main[1:])), 1000 * float(np.median(every[1:])))


def as_it_was(data: Path) -> float:
    """Milliseconds of the main thread for what it did itself before.

    Stacking, copying to pinned memory, two fields of noise.
    """
    images = some_images(data)
    loader = Loader(data, threads=2)
    pixels = list(loader.collect(images, Preprocessing(SIDE, SIDE)).pixels.numpy())
    loader.close()
    keys = tuple(b"%d" % image.id for image in images)
    took = []
    for _ in range(3):
        begun = time.thread_time()
        torch.from_numpy(np.stack(pixels)).clone()
        for step in range(2):
            Noise().of(Field(keys, "smoothgradcampp", step, (3, SIDE, SIDE))).clone()
        took.append(time.thread_time() - begun)
    return 1000 * float(np.median(took))


def some_images(data: Path) -> tuple[ImageRef, ...]:
    """256 images, some of them twice where there are fewer."""
    refs = find_images(data, seed=0).images
    return tuple(refs[place % len(refs)]._replace(id=place) for place in range(UNIT))


def wait_for(session: EvaluationSession) -> None:
    """Until the loaders have nothing to do: with enough cores they are ahead of the main thread."""
    while session._loader.threads._work_queue.qsize():
        time.sleep(0.01)


def without_pinning(empty: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``torch.empty`` on a machine without CUDA."""

    def made(*sizes: Any, **options: Any) -> Tensor:
        options.pop("pin_memory", None)
        return empty(*sizes, **options)

    return made


def driver_rows(images: int, workers: int) -> float:
    """Rows for each second of the driver's processor time, with so many workers."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        devices = tuple(f"cuda:{number}" for number in range(workers))
        data = make_data(Path(folder) / "data", images)
        found = measured(
            data, images, lambda settings: LocalExecutor(settings, devices, DOTTED), "cuda:0"
        )
    return found.rows / found.cpu


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of images")
    parser.add_argument("--turns", type=int, default=5, help="units to measure")
    parser.add_argument("--loaders", type=int, default=2, help="threads that decode and draw noise")
    parser.add_argument(
        "--images", type=int, default=30_720, help="for the driver, three rows each"
    )
    parser.add_argument("--workers", type=int, default=8, help="of the driver")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine_line())
    now, before = main_thread(options.data, options.turns, options.loaders), as_it_was(options.data)
    print(
        f"main thread  {now.main:6.1f} ms a unit of {UNIT}: {1000 * UNIT / now.main:7.0f} "
        "images/s a worker"
    )
    print(
        f"  before     {now.main + before:6.1f} ms, with stacking, pinning and noise: "
        f"{1000 * UNIT / (now.main + before):.0f}"
    )
    print(
        f"loaders      {(now.every - now.main) / UNIT:6.2f} ms an image: decoding, hashing, "
        "two fields of noise"
    )
    rows = driver_rows(options.images, options.workers)
    print(
        f"driver       {rows:6.0f} rows for each second of its processor, {options.workers} "
        f"workers, {METHODS}"
    )
    write_json(options, [{**now._asdict(), "before": now.main + before, "driver_rows": rows}])


if __name__ == "__main__":
    main()
