"""A method, a metric and an installed package's method, outside the repository, over the real
command line; whose code runs.

The source of each leaves a mark when it is imported: a line with the process in a file.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from camtui.cli.app import app
from evaluator.store.reader import RunReader
from tests.camtui.cli.support import typed
from tests.evaluator.execution.support import ROOT
from tests.shared import SAMPLE

pytestmark = pytest.mark.long

METHOD = """
from dataclasses import dataclass
from os import getpid

from camtui.extend import Explained, Method, Metric, View, weighted_sum

with open({mark!r}, "a") as stream:
    print(getpid(), file=stream)


@dataclass(frozen=True)
class {cls}(Method):
    key = "{key}"
    title = "{title}"
    paper = "nobody, 2026"
    weighs_by = "as Grad-CAM"
    power: float = 1.0

    def combine(self, view):
        return weighted_sum(view.gradient.mean((2, 3)) * self.power, view.activation)


METRIC = Metric(
    key="kept", title="Kept", short="kept", paper="nobody, 2026", better="lower",
    definition="o_c * (1 - mean U)",
)


def measure(explained):
    return explained.masked * (1 - explained.saliency.mean())
"""

NETWORK = """
from os import getpid
from torch import nn

with open({mark!r}, "a") as stream:
    print(getpid(), file=stream)


def build():
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=8), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5),
    )
"""

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "plugin-of-mine"
version = "1.2"

[project.entry-points."camtui.methods"]
plugcam = "plugin_of_mine.cams:PlugCAM"

[project.entry-points."camtui.metrics"]
plugkept = "plugin_of_mine.cams:METRIC"

[project.entry-points."camtui.backbones"]
plugnet = "plugin_of_mine.nets:build"
"""


class Place:
    """A home, a folder of sources, an installed package, and the command line with them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, folder / "mark"
        self.home, self.site = folder / "home", folder / "site"
        self.own = folder / "of mine"
        self.own.mkdir()
        self.file = self.own / "mein cam.py"
        self.file.write_text(
            METHOD.format(mark=str(self.mark), cls="MyCAM", key="mycam", title="My-CAM"),
            encoding="utf-8",
        )
        self.data = folder / "photos"
        self.data.mkdir()
        for number, picture in enumerate(sorted(SAMPLE.rglob("*.*"))[:6]):
            shutil.copy(picture, self.data / f"{number}.jpg")

    def environment(self, home: Path | None = None) -> dict[str, str]:
        return os.environ | {
            "CAMTUI_HOME": str(home or self.home),
            "PYTHONPATH": f"{self.site}:{ROOT}",
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
        }

    def camtui(
        self, *words: str, code: int = 0, home: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "camtui", *words],
            cwd=self.own,
            env=self.environment(home) | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def marks(self) -> int:
        return len(self.mark.read_text().splitlines()) if self.mark.exists() else 0

    @property
    def db(self) -> Path:
        return self.home / "runs" / "photos.db"

    def ask(self, *words: str) -> list[str]:
        return ["run", "--data", str(self.data), "-b", "synthetic_gap", *words, "--device", "cpu"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run with all three: begun, killed, resumed and grown."""
    place = Place(tmp_path_factory.mktemp("own"))
    _install(place)
    reference = "./mein cam.py:MyCAM"
    place.camtui(
        "run", "--data", str(place.data), "-b", "synthetic_gap", "-m", reference, "--dry-run"
    )
    words = ["-m", f"gradcam,{reference},plugcam", "--metric", "./mein cam.py:METRIC"]
    words += ["--batch-size", "1", "-d", "--json"]
    pid = json.loads(place.camtui(*place.ask(*words)).stdout)["pid"]
    os.kill(pid, signal.SIGKILL)
    place.camtui("resume", "photos", "--no-watch", "-q")
    place.camtui(*place.ask("-m", "mycam:power=2", "--no-watch", "-q"))
    (place.own / "net.py").write_text(NETWORK.format(mark=str(place.mark)))
    ask = f"run --data {place.data} -b ./net.py:build,plugnet -m gradcam --metric plugkept -n 2"
    place.camtui(*f"{ask} --name nets --device cpu --no-watch -q".split())
    return place


def _install(place: Place) -> None:
    """Build the package's wheel and unpack it where Python finds it."""
    project = place.folder / "project"
    (project / "plugin_of_mine").mkdir(parents=True)
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "plugin_of_mine/__init__.py").write_text("")
    source = METHOD.format(mark=str(place.mark), cls="PlugCAM", key="plugcam", title="Plug-CAM")
    source = source.replace('key="kept"', 'key="plugkept"')
    (project / "plugin_of_mine/cams.py").write_text(source)
    (project / "plugin_of_mine/nets.py").write_text(NETWORK.format(mark=str(place.mark)))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place.folder)]
    done = subprocess.run(build, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = place.folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place.site)


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Commands in this process; nothing of the user's is imported."""
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(place.site))
    monkeypatch.chdir(place.own)
    before = place.marks()
    assert before >= 4, "described, computed, computed again"
    yield place
    assert place.marks() == before
    assert not [name for name in sys.modules if name.startswith(("plugin_of_mine", "mein cam"))]


def test_rows_are_there_and_right(here: Place) -> None:
    rows = list(
        csv.DictReader(io.StringIO(typed("export", "photos", "--per-image", "-f", "csv").stdout))
    )
    assert {row["method"] for row in rows} == {"gradcam", "mycam", "plugcam", "mycam:power=2.0"}
    assert len(rows) == 4 * 6
    by_method = {(row["method"], row["image"]): row for row in rows}
    for (_, image), row in by_method.items():
        own = by_method["gradcam", image]
        for column in ("average_drop", "coherency", "complexity", "adcc", "kept"):
            assert float(row[column]) == pytest.approx(float(own[column]), abs=1e-5)
        assert float(row["kept"]) == pytest.approx(
            float(row["o"]) * (1 - float(row["complexity"])), abs=1e-6
        )


def test_tables_say_their_names(here: Place) -> None:
    table = typed("table", "photos", "--sort", "kept").stdout
    assert "kept↓" in table
    assert {"mycam", "plugcam", "mycam:power=2.0"} <= set(table.split())
    assert "My-CAM (power=2.0)" in typed("table", "photos", "-f", "latex").stdout
    assert (
        "Plug-CAM" in typed("table", "photos", "-f", "md").stdout
        or "plugcam" in typed("table", "photos", "-f", "md").stdout
    )
    assert typed("worst", "photos", "--by", "kept", "--cell", "mycam:power=2.0").exit_code == 0
    shown = typed("show", "photos").stdout
    assert f"mycam: {here.file}:MyCAM (sha256 " in shown
    assert "plugcam: plugin_of_mine.cams:PlugCAM (sha256 " in shown
    assert ", plugin-of-mine 1.2)" in shown


def test_pictures_and_pages(here: Place, tmp_path: Path) -> None:
    for words in (
        ("figure", "photos", "ranks", "-o", str(tmp_path / "a.svg")),
        ("image", "photos", "synthetic_gap/mycam", "0.jpg", "-o", str(tmp_path / "b.png")),
        ("report", "photos", "-o", str(tmp_path / "c.html")),
        ("export", "photos", "-f", "csv", "-o", str(tmp_path / "d.csv")),
    ):
        done = typed(*words)
        assert done.exit_code == 0, (words, done.stderr)
    assert "My-CAM" in (tmp_path / "c.html").read_text()
    assert "o_c * (1 - mean U)" in (tmp_path / "datapackage.json").read_text()


def test_the_dashboard_shows_them(here: Place) -> None:
    from camtui.tui.app import Dashboard

    async def seen() -> str:
        dashboard = Dashboard(here.db)
        async with dashboard.run_test(size=(140, 40)) as pilot:
            while getattr(dashboard.screen, "snapshot", None) is None:
                await pilot.pause(0.05)
            shown = set()
            for _ in range(10):
                await pilot.press("m")
                shown.add(dashboard.screen.options.metric)  # type: ignore[attr-defined]  # the grid's
            assert "kept" in shown
            return dashboard.export_screenshot()

    picture = asyncio.run(seen())
    assert "mycam" in picture or "My-CAM" in picture


def test_the_plan_is_taken_back_by_reference(here: Place, tmp_path: Path) -> None:
    text = typed("show", "photos", "--config").stdout
    values = tomllib.loads(text)
    assert f"{here.file}:MyCAM:power=2.0" in values["methods"]
    assert f"{here.file}:METRIC" in values["metrics"]
    assert "code" not in values


def test_listings_and_completion(here: Place) -> None:
    listed = json.loads(typed("methods", "--json").stdout)["installed"]
    assert listed == [
        {
            "key": "plugcam",
            "reference": "plugin_of_mine.cams:PlugCAM",
            "package": "plugin-of-mine 1.2",
        }
    ]
    assert "of the installed package plugin-of-mine 1.2" in typed("methods").stdout
    from camtui import completion

    assert completion.methods("plug") == ["plugcam"]


def test_metrics_and_backbones_of_an_installed_package(here: Place) -> None:
    package = "plugin-of-mine 1.2"
    listed = json.loads(typed("metrics", "--json").stdout)["installed"]
    assert listed == [
        {"key": "plugkept", "reference": "plugin_of_mine.cams:METRIC", "package": package}
    ]
    listed = json.loads(typed("backbones", "--json").stdout)["installed"]
    assert listed == [
        {"key": "plugnet", "reference": "plugin_of_mine.nets:build", "package": package}
    ]
    assert f"of the installed package {package}" in typed("backbones").stdout
    rows = list(csv.DictReader(io.StringIO(typed("export", "nets", "-f", "csv").stdout)))
    values = {row["backbone"]: float(row["plugkept"]) for row in rows}
    assert values["plugin_of_mine.nets:build"] == values["net.py:build"] > 0, "one network"


# -- whose code runs
# --------------------------------------------------------------------------------------------------

READING = """watch photos
status photos
wait photos
stop photos
logs photos
table photos
worst photos
errors photos
show photos
compare photos photos
judge photos
ranks photos photos
export photos
report photos -o {out}/r.html
figure photos ranks -o {out}/f.svg
image photos synthetic_gap/mycam 0.jpg -o {out}/i.png
masked photos synthetic_gap/mycam -o {out}/masked
ls
copy photos {out}/copy.db
bundle photos -o {out}/bundle
verify photos
merge photos photos -o {out}/merged.db
methods
metrics
backbones
doctor photos
schema
rm photos --yes"""
"""Every command that reads a run, as it reads this one; ``rm`` comes last."""

NAMES_CODE = {"run", "resume", "retry"}
OF_NO_RUN = {"check", "new", "bench", "synth", "reproduce"}
"""They look at what is typed and at nothing else."""


@pytest.fixture
def elsewhere(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Place, Path]:
    """Somebody else's home, with the run's file and nothing allowed."""
    home = tmp_path / "home"
    (home / "runs").mkdir(parents=True)
    for name in ("photos.db", "nets.db"):
        shutil.copy(place.db.with_name(name), home / "runs" / name)
    for name, value in place.environment(home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(place.site))
    monkeypatch.chdir(tmp_path)
    return place, home


def test_no_reading_command_runs_code_of_a_run(
    elsewhere: tuple[Place, Path], tmp_path: Path
) -> None:
    place, _ = elsewhere
    before = place.marks()
    commands = set(typer.main.get_group(app).commands)
    assert (
        commands == {line.split()[0] for line in READING.splitlines()} | NAMES_CODE | OF_NO_RUN
    ), "a new command reads a run, or it does not: say which"
    for line in READING.splitlines():
        for run, out in (("photos", tmp_path / "photos"), ("nets", tmp_path / "nets")):
            out.mkdir(exist_ok=True)
            words = [word.replace("photos", run).format(out=out) for word in line.split()]
            done = typed(*words)
            assert not isinstance(done.exception, Exception), (words, done.exception)
            assert place.marks() == before, words


@pytest.mark.parametrize(
    ("words", "again"),
    [
        ("resume photos", "camtui resume photos --allow-code"),
        ("retry photos", "camtui retry photos --allow-code"),
        ("resume nets", "camtui resume nets --allow-code"),
        ("run --data {data} -b synthetic_gap -m gradcam --name nets", "--allow-code"),
        ("run --data {data} -b synthetic_gap -m gradcam", "--allow-code"),
        ("run --data {data} -b synthetic_gap -m mycam:power=3", "--allow-code"),
        ("run --config {tmp}/plan.toml --name other", "--allow-code"),
    ],
)
def test_going_on_is_refused_with_the_words_to_allow_it(
    words: str, again: str, elsewhere: tuple[Place, Path], tmp_path: Path
) -> None:
    place, home = elsewhere
    text = typed("show", "photos", "--config").stdout
    (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
    before, held = place.marks(), (home / "runs" / "photos.db").read_bytes()
    done = typed(*words.format(tmp=tmp_path, data=place.data).split())
    assert done.exit_code == 2, done.stderr
    assert "code that you have not named here" in done.stderr
    assert again in done.stderr
    assert place.marks() == before
    assert (home / "runs" / "photos.db").read_bytes() == held
    assert not (home / "runs" / "other.db").exists()


def test_the_driver_does_not_believe_the_file(elsewhere: tuple[Place, Path]) -> None:
    """A request that allows nothing, as if the file had been changed behind the command's back."""
    from evaluator.execution.driver import carry_out
    from evaluator.execution.request import RunRequest

    place, home = elsewhere
    before, told = place.marks(), list[dict[str, Any]]()
    assert carry_out(RunRequest(home / "runs" / "photos.db", "photos", None), told.append) == 2
    assert told[0]["error"]["kind"] == "not-allowed"
    assert place.marks() == before


def test_allowing_it_once_is_enough_and_another_source_is_another_one(
    elsewhere: tuple[Place, Path], tmp_path: Path
) -> None:
    place, home = elsewhere
    db = home / "runs" / "photos.db"
    assert typed("resume", "photos", "--allow-code", "--no-watch", "-q").exit_code == 0
    assert typed("resume", "photos", "--no-watch", "-q").exit_code == 0
    source = place.file.read_text(encoding="utf-8")
    try:
        place.file.write_text(source.replace("* self.power", "* self.power ** 2"), encoding="utf-8")
        before, held = place.marks(), db.read_bytes()
        for words in (
            ("resume", "photos"),
            ("resume", "photos", "--allow-code"),
            ("retry", "photos"),
        ):
            done = typed(*words)
            assert done.exit_code == 4, done.stderr
            assert "mein cam.py:MyCAM has changed: sha256" in done.stderr
        assert place.marks() == before
        ask = place.ask("-m", f"{place.file}:MyCAM", "--no-watch")
        again = typed(*ask)
        assert again.exit_code == 4, again.stderr
        assert "source of" in again.stderr
        assert db.read_bytes() == held
        assert typed("table", "photos").exit_code == 0
    finally:
        place.file.write_text(source, encoding="utf-8")


def test_another_source_of_a_backbone_is_another_one(elsewhere: tuple[Place, Path]) -> None:
    place, home = elsewhere
    db, file = home / "runs" / "nets.db", place.own / "net.py"
    assert typed("resume", "nets", "--allow-code", "--no-watch", "-q").exit_code == 0
    source = file.read_text(encoding="utf-8")
    try:
        file.write_text(source.replace("nn.Linear(12, 5)", "nn.Linear(12, 6)"), encoding="utf-8")
        before, held = place.marks(), db.read_bytes()
        for words in (
            ("resume", "nets"),
            ("resume", "nets", "--allow-code"),
            ("retry", "nets", "--allow-code"),
        ):
            done = typed(*words)
            assert done.exit_code == 4, done.stderr
            assert "net.py:build has changed: sha256" in done.stderr
        assert place.marks() == before
        assert db.read_bytes() == held
        assert typed("table", "nets").exit_code == 0
    finally:
        file.write_text(source, encoding="utf-8")


def test_rows_know_their_source(here: Place) -> None:
    with RunReader(here.db) as reader:
        codes = {one.key: one for one in reader.plan().code}
    assert set(codes) == {"mycam", "plugcam", "kept"}
    assert codes["plugcam"].package == "plugin-of-mine 1.2"
    assert set(codes["mycam"].facts["specs"]) == {"mycam", "mycam:power=2.0"}


FAULTY = """
import time
from camtui.extend import Method, Metric

class Fine(Method):
    key, title, paper, weighs_by = "fine", "Fine", "nobody", "nothing"
    def combine(self, view):
        return view.activation.mean(1)

class Raises(Fine):
    key = "raises"
    def combine(self, view):
        raise ValueError("not today")

class Hangs(Fine):
    key = "hangs"
    def combine(self, view):
        while True:
            time.sleep(0.05)

class Nonsense(Fine):
    key = "nonsense"
    def combine(self, view):
        return "a map"

class Overwrites(Fine):
    key = "overwrites"
    def combine(self, view):
        return view.activation.zero_().mean(1)

METRIC = Metric(
    key="broken", title="Broken", short="brk", paper="nobody", better="lower", definition="nothing"
)

def measure(explained):
    return explained.nothing
"""


def test_faults_cost_their_own_cells(place: Place) -> None:
    """A method that raises, hangs, returns nonsense or overwrites, and a metric that raises: one
    run, everything else whole.
    """
    (place.own / "faulty.py").write_text(FAULTY)
    names = ("Raises", "Hangs", "Nonsense", "Overwrites", "Fine")
    methods = ",".join(["gradcam", *(f"./faulty.py:{name}" for name in names)])
    metrics = "./faulty.py:METRIC,average_gain"
    words = ["-m", methods, "--metric", metrics, "-n", "3", "--name", "faulty", "--no-watch", "-q"]
    driver = json.dumps({"hang_seconds": 6.0})
    place.camtui(*place.ask(*words), code=5, CAMTUI_DRIVER=driver)  # cells without a value
    with RunReader(place.home / "runs" / "faulty.db") as reader:
        cells = {cell.id: cell.method for cell in reader.cells()}
        rows = {cells[one.cell]: one.n for one in reader.averages.summaries()}
        told = {
            (cells[one.cell], one.metric): (one.reason, one.detail) for one in reader.failures()
        }
    faulty = dict.fromkeys(("raises", "hangs", "nonsense", "overwrites"), 0)
    assert rows == {"gradcam": 3, "fine": 3, **faulty}
    line = {name: FAULTY.splitlines().index(f"class {name}(Fine):") + 3 for name in names[:-1]}
    assert told["raises", ""] == (
        "method-raised",
        f"faulty.py:{line['Raises'] + 1}: ValueError: not today",
    )
    assert told["hangs", ""][0] == "hangs"
    assert told["hangs", ""][1].startswith(
        f"faulty.py:{line['Hangs'] + 2}: no end and no forward pass in 3 s"
    )
    shape = f"faulty.py:{line['Nonsense']}: Nonsense.combine returned str, not a tensor [3, 8, 8]"
    assert told["nonsense", ""] == ("wrong-shape", shape)
    assert told["overwrites", ""][0] == "overwrites"
    for method in ("gradcam", "fine"):
        assert told[method, "broken"][0] == "metric-raised"
        assert "faulty.py:" in told[method, "broken"][1]
        assert "AttributeError" in told[method, "broken"][1]
    shown = place.camtui("errors", "faulty").stdout
    assert f"faulty.py:{line['Raises'] + 1}: ValueError: not today" in shown


STATEFUL = """
import torch
from torch import nn
from camtui.extend import Explained, Method, Metric, weighted_sum

{at_import}

class Fine(Method):
    key, title, paper, weighs_by = "fine", "Fine", "nobody", "nothing"
    def combine(self, view):
        return weighted_sum(view.gradient.mean((2, 3)), view.activation)

class Sets(Fine):
    key = "sets"
    def combine(self, view):
        torch.set_default_dtype(torch.float64)
        torch.autocast("cpu", torch.bfloat16).__enter__()
        return super().combine(view)

METRIC = Metric(
    key="careless", title="Careless", short="crl", paper="nobody", better="lower",
    definition="nothing"
)

def measure(explained):
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(7)
    return explained.masked

def build():
    {while_building}
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=8), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5),
    )
"""


def test_state_of_torch_that_is_left_costs_only_who_left_it(tmp_path: Path) -> None:
    """A run with code that sets torch's state at import, while a network is built, in a method and
    in a metric, beside one without: the others' rows are the same bytes.
    """
    place = Place(tmp_path)
    quiet = {"at_import": "", "while_building": "pass"}
    loud = {
        "at_import": "torch.set_default_dtype(torch.float64); torch.set_num_threads(5)",
        "while_building": "torch.set_grad_enabled(False); torch.backends.mkldnn.enabled = False",
    }
    found: dict[str, dict[str, Any]] = {}
    for name, values in (("quiet", quiet), ("loud", loud)):
        (place.own / f"{name}.py").write_text(STATEFUL.format(**values))
        methods = f"./{name}.py:Sets,gradcam,smoothgradcampp,./{name}.py:Fine"
        metrics = f"./{name}.py:METRIC,deletion,average_gain,road"
        if name == "quiet":
            methods, metrics = methods.partition(",")[2], metrics.partition(",")[2]
        command = place.ask("-m", methods, "--metric", metrics, "--name", name, "--no-watch", "-q")
        command[command.index("-b") + 1] += f",./{name}.py:build"
        place.camtui(*command, code=5 if name == "loud" else 0)  # cells without a value
        with RunReader(place.home / "runs" / f"{name}.db") as reader:
            cells = {
                one.id: (one.backbone.rpartition(":")[2], one.method) for one in reader.cells()
            }
            found[name] = {
                "rows": {
                    (*cells[row.cell], row.image): row._replace(cell=0)
                    for row in reader.rows.every_row()
                },
                "measured": {
                    (*cells[one.cell], one.image, one.metric): (one.value, one.curve)
                    for one in reader.rows.every_measurement()
                },
                "failures": {
                    (*cells[one.cell], one.metric, one.reason, one.detail)
                    for one in reader.failures()
                },
                "notes": [one.text for one in reader.events()],
            }
    assert len(found["quiet"]["rows"]) == 2 * 3 * 6
    assert found["loud"]["rows"] == found["quiet"]["rows"]
    assert len(found["quiet"]["measured"]) == 3 * len(found["quiet"]["rows"])
    assert found["loud"]["measured"] == found["quiet"]["measured"]
    assert not found["quiet"]["failures"]
    changes = {
        (method, metric): (reason, detail)
        for _, method, metric, reason, detail in found["loud"]["failures"]
    }
    assert set(changes) == {
        ("sets", ""),
        ("gradcam", "careless"),
        ("smoothgradcampp", "careless"),
        ("fine", "careless"),
    }
    assert {reason for reason, _ in changes.values()} == {"global-state"}
    assert changes["sets", ""][1].endswith(
        "Sets.combine changes torch's default dtype from float32 to float64, torch's autocast"
    )
    assert "measure changes torch's number of threads from 1 to 7" in changes["fine", "careless"][1]
    notes = "\n".join(found["loud"]["notes"])
    assert "its import changes torch's default dtype from float32 to float64" in notes
    assert "loud.py:build changes torch's grad mode from True to False" in notes
