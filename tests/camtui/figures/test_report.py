"""One page with all, which fetches and runs nothing."""

from __future__ import annotations

import contextlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from camtui.export.records import plan_toml
from camtui.figures.report import ReportOptions, write_report
from camtui.format import half_width, percent, with_interval
from camtui.format.terms import method_title
from evaluator.records import Failure, UnitResult
from evaluator.store.reader import RunReader
from evaluator.store.writer import RunWriter
from tests.camtui.figures.conftest import run
from tests.camtui.judging.runs import judged_run, ordered
from tests.synthetic import make_run

EVIL = "<script>alert(1)</script>\x1b[2J&amp;"


class Page(HTMLParser):
    """Tags, and the cells of every table row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


def page(reader: RunReader, **contents: int) -> tuple[str, list[str]]:
    stream = io.StringIO()
    missing = write_report(
        stream,
        reader,
        plan_toml(reader),
        ReportOptions(contents.get("images", 2), bool(contents.get("charts", 1))),
    )
    return stream.getvalue(), missing


def shown_rows(rows: list[list[str]]) -> dict[str, list[str]]:
    """The first table's rows by method, intervals and signs cut off."""
    return {
        row[0]: [cell.split(" ±")[0].rstrip("=") for cell in row[1:]]
        for row in rows[1:4]
        if len(row) > 3
    }


def expected_rows(reader: RunReader) -> dict[str, list[str]]:
    """Of the first network, each map once, by ADCC, the control last."""
    metrics = [
        "adcc",
        "average_drop",
        "average_increase",
        "deletion",
        "insertion",
        "coherency",
        "complexity",
    ]
    summaries = {summary.cell: summary for summary in reader.averages.summaries()}
    first = next(cell.backbone for cell in reader.cells())
    cells = {cell.method: cell for cell in reader.cells() if cell.backbone == first}
    order = sorted(
        ("gradcam", "scorecam"), key=lambda m: -summaries[cells[m].id].means["adcc"].value
    )
    names = {"gradcam": "Grad-CAM = CAM"}
    found = {}
    for method in (*order, "fakecam"):
        s = summaries[cells[method].id]
        values = [percent(s.means[key].value) for key in metrics]
        found[names.get(method, method_title(method))] = [*values, str(s.n)]
    return found


def test_the_tables_numbers_are_read_back_from_the_page(reader: RunReader) -> None:
    text, missing = page(reader)
    assert missing == []
    shown = shown_rows(Page(text).rows)
    assert shown == expected_rows(reader)
    assert list(shown)[-1] == "Fake-CAM"
    assert '<tr class="control"><td class="text"><span class="value">Fake-CAM' in text


def test_the_page_fetches_nothing_and_runs_nothing(reader: RunReader) -> None:
    parsed = Page(page(reader)[0])
    assert not {tag for tag, _ in parsed.tags} & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "a",
    }
    sources = [attributes["src"] or "" for tag, attributes in parsed.tags if tag == "img"]
    ranks, charts, images = 1, 5 * 2, 2 * 3 * 2
    assert len(sources) == ranks + charts + images
    assert all(source.startswith("data:image/") for source in sources)
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert any(
        "default-src 'none'" in (attributes.get("content") or "") for _, attributes in parsed.tags
    )


def test_the_answer_stands_first(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "run.db", images=200, methods=["fakecam", "gradcam", "gradcampp", "scorecam"]
    )
    with RunReader(path) as stored:
        text, _ = page(stored, charts=0, images=0)
        cells = {(one.backbone, one.method): one.id for one in stored.cells()}
        best, behind = (cells["vgg16", method] for method in ("scorecam", "gradcampp"))
        ahead = stored.averages.paired("adcc", best, behind)
        means = {one.cell: one.means["adcc"] for one in stored.averages.summaries()}
    assert ahead is not None
    assert ahead.p is not None
    assert ahead.p < 0.01
    answer = text[text.index('id="answer"') : text.index('id="averages"')]
    assert (
        f"<b>VGG-16: Score-CAM</b> is best, ADCC {with_interval(means[best])}, "
        f"{percent(ahead.value)} {half_width(ahead)} points ahead of Grad-CAM++. <b>Certain</b>"
    ) in answer
    assert "On 200 images of data, of which the predicted class is explained." in answer


def test_an_answer_that_is_not_certain_names_the_ties(tmp_path: Path) -> None:
    path = make_run(tmp_path / "run.db", images=20, methods=["gradcampp", "smoothgradcampp"])
    with RunReader(path) as stored:
        text, _ = page(stored, charts=0, images=0)
        first = next(iter(stored.cells())).backbone
        means = {
            one.method: stored.averages.summaries()[place].means["adcc"].value
            for place, one in enumerate(stored.cells())
            if one.backbone == first
        }
    other = method_title(min(means, key=lambda method: means[method]))
    assert f"<b>Not certain</b>: not separated from {other}." in text


def test_of_many_ties_the_answer_names_four(tmp_path: Path) -> None:
    methods = [
        "gradcampp",
        "smoothgradcampp",
        "layercam",
        "eigencam",
        "fem",
        "finercam",
        "ablationcam",
    ]
    with RunReader(make_run(tmp_path / "run.db", images=20, methods=methods)) as stored:
        text, _ = page(stored, charts=0, images=0)
    (first, *_) = re.findall("not separated from (.*?)\\.", text)
    assert first.count(", ") == 3
    assert first.endswith(" and 2 others")


def test_a_few_images_have_no_best_method(tmp_path: Path) -> None:
    with RunReader(make_run(tmp_path / "run.db", images=6)) as stored:
        assert "No method is best: fewer than 10 images" in page(stored, charts=0, images=0)[0]


def test_best_typical_and_worst_images_are_those_of_the_best_method(reader: RunReader) -> None:
    text = page(reader, charts=0, images=1)[0]
    cells = {(one.backbone, one.method): one.id for one in reader.cells()}
    means = {one.cell: one.means for one in reader.averages.summaries()}
    both = [cells["vgg16", method] for method in ("gradcam", "scorecam")]
    cell = max(both, key=lambda one: means[one]["adcc"].value)
    values = sorted(row.adcc for row, _, _ in reader.rows.of_cell(cell) if row.adcc is not None)
    typical = values[::-1][(len(values) - 1) // 2]
    part = text[text.index("<h3>VGG-16, ") :]
    for words, value in (("best", values[-1]), ("typical", typical), ("worst", values[0])):
        assert f"<figcaption>{words}: {percent(value)} · " in part


def test_a_failed_image_is_one_line(tmp_path: Path) -> None:
    with RunReader(make_run(tmp_path / "run.db", images=20, methods=["gradcam", "cam"])) as stored:
        rows = Page(page(stored, charts=0, images=0)[0]).rows
    assert [row[1] for row in rows if "truncated" in row[-1]] == ["3 of 4"], "no CAM on VGG-16"


def test_hostile_names_are_text(home: Path) -> None:
    path = make_run(
        home / "runs" / "evil.db",
        name=EVIL,
        paths=[EVIL.encode() + b".png"] * 1,
        methods=["gradcam"],
        images=4,
    )
    text, missing = page(RunReader(path))
    assert "<script" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[2J&amp;amp;" in text
    assert len(missing) > 0  # there are no files of it
    assert "Left out" in text


def test_the_page_without_charts_says_so(
    reader: RunReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Convergence" not in page(reader, charts=0)[0]
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    text, missing = page(reader)
    assert any("matplotlib" in line for line in missing)
    assert "camtui[figures]" in text


def test_the_page_holds_the_plan_that_makes_the_run_again(reader: RunReader) -> None:
    from html import unescape

    found = re.search("<pre>(.*?)</pre>", page(reader)[0], re.DOTALL)
    assert found
    assert unescape(found[1]) == plan_toml(reader)


def test_report_command(home: Path) -> None:
    target = home / "report.html"
    assert run("report", "pics", "-o", str(target)) == (0, f"wrote {target}\n")
    assert run("report", "pics", "-o", str(target))[0] == 2


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(0, "<p>No image failed.</p>"), (3, "</tbody></table>"), (130, "100 of 130 shown")],
)
def test_failures_are_listed_up_to_a_hundred(failures: int, expected: str, tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "run.db",
        images=200,
        backbones=["resnet18"],
        methods=["gradcam"],
        failures=False,
        partial={"resnet18/gradcam": 60},
    )
    with contextlib.closing(RunWriter(path)) as writer:
        writer.rows.commit(
            UnitResult(
                failures=tuple(
                    Failure(1, 60 + n, "", "missing", "no such file") for n in range(failures)
                )
            )
        )
    with RunReader(path) as stored:
        text, _ = page(stored, charts=0)
    assert expected in text
    assert text.count("missing: no such file") == min(failures, 100)


def test_a_run_that_failed_says_why(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "run.db", backbones=["resnet18"], methods=["gradcam"], failures=False
    )
    with contextlib.closing(RunWriter(path)) as writer:
        writer.set_state("failed", "workers die before they compute anything")
    with RunReader(path) as stored:
        assert (
            "The run failed: workers die before they compute anything" in page(stored, charts=0)[0]
        )


def test_a_run_with_truth_says_how_its_metrics_judge_and_one_without_says_nothing(
    tmp_path: Path,
) -> None:
    with judged_run(tmp_path / "a.db", ordered()) as reader:
        text, _ = page(reader, images=0, charts=False)
    assert '<section id="how-the-metrics-judge">' in text
    assert "<h3>Agreement with truth</h3>" in text
    assert ["Deletion ↓", "1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]", "40"] in Page(text).rows
    other, _ = page(RunReader(make_run(tmp_path / "b.db", images=4)), images=0, charts=False)
    assert "how-the-metrics-judge" not in other
