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
from camtui.format import percent
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
        ReportOptions(contents.get("worst", 2), bool(contents.get("charts", 1))),
    )
    return stream.getvalue(), missing


def shown_rows(rows: list[list[str]]) -> dict[str, list[str]]:
    """The first table's rows by method, intervals cut off."""
    return {
        row[0]: [cell.split(" ±")[0].rstrip("=") for cell in row[1:]]
        for row in rows[1:5]
        if len(row) > 3
    }


def expected_rows(reader: RunReader) -> dict[str, list[str]]:
    metrics = [
        "average_drop",
        "average_increase",
        "deletion",
        "insertion",
        "coherency",
        "complexity",
    ]
    summaries = {summary.cell: summary for summary in reader.averages.summaries()}
    first = next(cell.backbone for cell in reader.cells())
    found = {cell.method: summaries[cell.id] for cell in reader.cells() if cell.backbone == first}
    return {
        method_title(method): [
            percent(s.means["adcc"].value),
            str(s.n),
            *(percent(s.means[key].value) for key in metrics),
        ]
        for method, s in found.items()
    }


def test_the_tables_numbers_are_read_back_from_the_page(reader: RunReader) -> None:
    text, missing = page(reader)
    assert missing == []
    assert shown_rows(Page(text).rows) == expected_rows(reader)


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
    assert len(sources) == 5 + 2 * 2
    assert all(source.startswith("data:image/") for source in sources)
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    assert any(
        "default-src 'none'" in (attributes.get("content") or "") for _, attributes in parsed.tags
    )


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
        text, _ = page(reader, worst=0, charts=False)
    assert '<section id="how-the-metrics-judge">' in text
    assert "<h3>Agreement with truth</h3>" in text
    assert ["Deletion ↓", "1.00 [1.00, 1.00]", "1.00 [1.00, 1.00]", "40"] in Page(text).rows
    other, _ = page(RunReader(make_run(tmp_path / "b.db", images=4)), worst=0, charts=False)
    assert "how-the-metrics-judge" not in other
