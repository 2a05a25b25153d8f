"""Adding a method, a metric or a family of networks is one file: dropped into a copy of the
packages, found and computed.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.evaluator.execution.support import ROOT, make_data
from tests.fake_session import DOTTED

METHOD = '''"""Mean-CAM: the mean of all channels."""

from evaluator.methods.base import Method


class MeanCAM(Method):
    key = "meancam"
    title = "Mean-CAM"
    paper = "nobody, 2026"
    weighs_by = "one for every channel"

    def combine(self, view):
        return view.activation.mean(1)
'''

IMAGE_METHOD = '''"""Negative saliency: what would lower the logit."""

from evaluator.methods.base import ImageMethod, versions


class Negative(ImageMethod):
    key = "negative"
    title = "Negative saliency"
    paper = "nobody, 2026"
    weighs_by = "gradient that would lower the logit"

    def explain(self, view):
        count = len(view.images)
        make = lambda start, stop: view.images[start:stop]
        return -view.gradient(make, count, versions(view, 1))

    def cost(self):
        return 3
'''

CURVE = '''"""Fading: deletion that halves pixels instead of removing them."""

from evaluator.metrics.base import Metric

METRIC = Metric(
    key="fading", title="Fading", short="fade", paper="nobody, 2026", better="lower",
    definition="area under p_c while the most salient pixels are halved", curve=True,
)


def frame(images, empty, ranks, pixels):
    return (images / 2).where((ranks < pixels[:, None, None])[:, None], images)


def ends(whole, empty):
    return whole, whole
'''

ROW_FUNCTION = '''"""Keeping: confidence that the masked image keeps, less what it shows."""

from evaluator.metrics.base import Metric

METRIC = Metric(
    key="keeping", title="Keeping", short="keep", paper="nobody, 2026", better="higher",
    definition="o_c · (1 − mean(U))",
)


def measure(explained):
    return explained.masked * (1 - explained.saliency.mean())
'''

FAMILY = '''"""Mini: one small network by name."""

from evaluator.backbones import Family, KnownBackbone
from evaluator.records import Preprocessing

USUAL = Preprocessing(32, 32)


class Mini(Family):
    key = "mini"
    title = "a small network"
    spelled = "mini"

    def known(self, key):
        if key != "mini":
            return None
        return KnownBackbone("mini", "Mini", "mini", preprocessing=USUAL, listed=True)

    def names(self):
        return (self.known("mini"),)

    def build(self, spec):
        from evaluator.networks.building import Built, seeded
        from tests.networks import gap_network

        return Built(seeded(spec.weights, gap_network), "made up", tuple("abcdefghij"), USUAL)
'''

SOURCE = '''"""Lines: a text file whose lines are images in base 64."""

import base64

from evaluator.sources.archive import Archive, Member, read_at


class Lines(Archive):
    endings = (b".lines",)

    def members(self, descriptor, size, *, sizes):
        place = 0
        for number, line in enumerate(read_at(descriptor, size, 0).splitlines(keepends=True)):
            yield Member(b"%03d.png" % number, -1, (place, len(line)), label=str(number))
            place += len(line)

    def content(self, descriptor, size, place):
        return base64.b64decode(read_at(descriptor, place[1], place[0]))
'''

CYCLE = """
import asyncio, sys
from pathlib import Path
from camtui.tui.app import Dashboard

async def metrics_shown():
    dashboard = Dashboard(Path(sys.argv[1]))
    async with dashboard.run_test(size=(120, 30)) as pilot:
        while dashboard.screen.snapshot is None:
            await pilot.pause(0.05)
        for _ in range(10):
            await pilot.press("m")
            print(dashboard.screen.options.metric)

asyncio.run(metrics_shown())
"""

COMPUTED = """
import json
from evaluator.catalog import method
from evaluator.measuring.curve_tracing import CurveTracer
from evaluator.measuring.pipeline import Batch
from evaluator.measuring.optional_metrics import measured
from evaluator.measuring.saliency import MapOfImage
from evaluator.records import StoredMap
from tests.networks import bench, gap_network, random_images

made, images = bench(gap_network()), random_images(1, seed=1)
asked = [method(key) for key in ("gradcam", "meancam", "negative", "saliency")]
rows = made.pipeline.rows(Batch(images, [b"key"]), asked)
new = rows["meancam"]
whole = [rows[key].maps[0] for key in ("negative", "saliency")]
assert len(whole[0]) == 2 * 32 * 32 and whole[0] != whole[1]
stored = MapOfImage(0, "meancam", StoredMap(new.target[0], new.y[0], new.o[0], new.maps[0]))
tracer = CurveTracer(made.network, steps=4, insertion_start="zero")
curves = tracer.trace(images, [stored], ["fading"])
kept = measured("keeping", [stored], made.network)
expected = new.o[0] * (1 - new.complexity[0])
print(json.dumps([rows["gradcam"].adcc[0], new.adcc[0], curves["fading"][0], kept[0], expected]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of both packages with a file more for each of what can be added, and a run of the fake
    evaluator with all of them.
    """
    home = tmp_path_factory.mktemp("adding")
    for package in ("camtui", "evaluator"):
        shutil.copytree(
            ROOT / package, home / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (home / "evaluator/methods/meancam.py").write_text(METHOD)
    (home / "evaluator/methods/negative.py").write_text(IMAGE_METHOD)
    (home / "evaluator/metrics/fading.py").write_text(CURVE)
    (home / "evaluator/metrics/keeping.py").write_text(ROW_FUNCTION)
    (home / "evaluator/networks/families/mini.py").write_text(FAMILY)
    (home / "evaluator/sources/lines.py").write_text(SOURCE)
    make_data(home / "pictures", 2)
    what = "-b resnet50 -m gradcam,meancam,negative --metric fading,keeping --device cpu -q"
    camtui(home, "run", "--data", f"{home}/pictures", *what.split())
    return home


def camtui(home: Path, *words: str) -> str:
    """What a command of the copy prints."""
    return python(home, "-m", "camtui", *words)


def python(home: Path, *words: str, **more: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": f"{home}:{ROOT}",
        "CAMTUI_HOME": str(home),
        "CAMTUI_DRIVER": json.dumps({"session": DOTTED}),
        **more,
    }
    done = subprocess.run(
        [sys.executable, *words],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_listings_name_them(copy: Path) -> None:
    assert "meancam" in [
        method["key"] for method in json.loads(camtui(copy, "methods", "--json"))["methods"]
    ]
    assert "one for every channel" in camtui(copy, "methods")
    assert "gradient that would lower the logit" in camtui(copy, "methods")
    assert "fading" in camtui(copy, "metrics")
    assert "keeping" in camtui(copy, "metrics")
    assert "fading" in camtui(copy, "figure", "--help")
    assert "keeping" not in camtui(copy, "figure", "--help"), "it has no curve to draw"


def test_tables_and_exports_carry_them(copy: Path) -> None:
    table = camtui(copy, "table", "--sort", "fading", "-f", "md")
    assert "Fading ↓" in table
    assert "Keeping ↑" in table
    assert "meancam" in table
    rows = list(csv.DictReader(io.StringIO(camtui(copy, "export", "--per-image", "-f", "csv"))))
    assert {row["method"] for row in rows} == {"gradcam", "meancam", "negative"}
    for metric in ("fading", "keeping"):
        assert all(0 < float(row[metric]) <= 1 for row in rows)
        assert len({row[metric] for row in rows}) == 6
    assert "fading" in camtui(copy, "worst", "--by", "fading")
    for schema, words in (("summary", ("-f", "json")), ("images", ("-f", "json", "--per-image"))):
        document = json.loads(camtui(copy, "export", *words))
        jsonschema.Draft202012Validator(json.loads(camtui(copy, "schema", schema))).validate(
            document
        )
        assert '"fading"' in json.dumps(document)
    camtui(copy, "export", "-f", "csv", "-o", "run.csv")
    assert "pixels are halved" in (copy / "datapackage.json").read_text()
    camtui(copy, "figure", "pictures", "fading", "-o", "fading.svg")


def test_the_dashboard_comes_past_them(copy: Path) -> None:
    assert {"fading", "keeping"} <= set(
        python(copy, "-c", CYCLE, str(copy / "runs/pictures.db")).split()
    )


def test_the_groups_and_the_cost_know_the_image_method(copy: Path) -> None:
    planned = "run --data pictures -b resnet50 -m image --dry-run --json --name other"
    document = camtui(copy, *planned.split())
    assert "negative" in document
    assert "meancam" not in document


def test_they_are_computed(copy: Path) -> None:
    plain, new, curve, kept, expected = json.loads(python(copy, "-c", COMPUTED))
    assert plain != new
    assert len(curve) == 5
    assert curve[0] == pytest.approx(curve[-1])
    assert len(set(curve)) > 2
    assert kept == pytest.approx(expected, rel=1e-12)


@pytest.mark.long
def test_a_family_of_networks_is_listed_and_evaluated(copy: Path) -> None:
    listed = {
        one["key"]: one for one in json.loads(camtui(copy, "backbones", "--json"))["backbones"]
    }
    assert listed["mini"]["title"] == "Mini"
    found = json.loads(camtui(copy, "backbones", "--check", "mini", "--json"))
    assert (found["channels"], found["height"], found["class_count"], found["cut"]) == (
        12,
        8,
        10,
        "graph",
    )
    (copy / "real").mkdir()
    for number in range(2):
        (copy / f"real/{number}.ppm").write_bytes(
            b"P6 40 40 255\n" + bytes((number + place * 7) % 256 for place in range(4800))
        )
    run = f"run --data {copy}/real -b mini -m gradcam --device cpu -F -q".split()
    python(copy, "-m", "camtui", *run, CAMTUI_DRIVER="{}")
    rows = list(
        csv.DictReader(io.StringIO(camtui(copy, "export", "real", "--per-image", "-f", "csv")))
    )
    assert {row["backbone"] for row in rows} == {"mini"}
    assert all(0 < float(row["y"]) <= 1 for row in rows)


def test_a_source_is_read(copy: Path) -> None:
    lines = [base64.b64encode(b"x" * (number + 1)) for number in range(3)]
    (copy / "photos.lines").write_bytes(b"\n".join(lines))
    found = """
import json
from pathlib import Path
from evaluator.images import find_images
from evaluator.sources import read_image
root = Path("photos.lines")
images = find_images(root, seed=0).images
seen = {one.path.decode(): [one.label, read_image(root, one.path).decode()] for one in images}
print(json.dumps(seen))
"""
    assert json.loads(python(copy, "-c", found)) == {
        f"{number:03}.png": [number, "x" * (number + 1)] for number in range(3)
    }
    run = ["run", "photos.lines", "-b", "resnet50", "-m", "gradcam", "--device", "cpu", "-q"]
    camtui(copy, *run)
    exported = csv.DictReader(
        io.StringIO(camtui(copy, "export", "photos", "--per-image", "-f", "csv"))
    )
    assert {row["image"] for row in exported} == {"000.png", "001.png", "002.png"}
