"""``camtui metrics``: the metrics there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from camtui.cli.command import Command, command_app
from camtui.cli.console import print_json, print_line, print_message
from camtui.cli.options import JsonOption
from evaluator.catalog import ROW_METRICS, known_metrics
from evaluator.metrics import all_metrics
from evaluator.metrics.base import Metric
from evaluator.plan import options_of_metric
from evaluator.references import installed
from evaluator.text import printable

if TYPE_CHECKING:
    from camtui.payloads import InstalledPayload, MetricPayload, MetricsPayload


app = command_app()


@app.command(cls=Command)
def metrics(json: JsonOption = False) -> None:
    """List the metrics: what each measures, and what is better.

    Those that installed packages register stand behind camtui's own; their code is not imported.

    Example: camtui metrics --json
    """
    others = [one for key, one in sorted(installed("metric").items()) if key not in all_metrics()]
    listed: list[MetricPayload] = [
        {
            "key": key,
            "title": metric.title,
            "definition": metric.definition,
            "paper": metric.paper,
            "better": metric.better,
            "always": key in ROW_METRICS,
            "curve": metric.curve,
        }
        for key, metric in known_metrics().items()
    ]
    if json:
        registered: list[InstalledPayload] = [
            {"key": one.name, "reference": one.reference.text, "package": one.package}
            for one in others
        ]
        payload: MetricsPayload = {"metrics": listed, "installed": registered}
        print_json(payload)
        return
    for key, metric in known_metrics().items():
        print_line(f"{key:<20} {metric.title} {metric.arrow}: {metric.definition}", 21)
        asked = "" if key in ROW_METRICS else f"; optional: --metric {key}"
        print_line(f"{'':<20} {metric.paper}{asked}{_options(metric)}", 21)
    for one in others:
        print(f"{printable(one.name):<20} {printable(one.reference.text)}")
        print_line(
            f"{'':<20} of the installed package {printable(one.package)}; optional: --metric "
            f"{printable(one.name)}",
            21,
        )
    print_message(
        "in every run, or optional, with --metric; --metric all for every one; options: "
        "--metric KEY:NAME=VALUE",
        0,
    )


def _options(metric: Metric) -> str:
    parts = [
        f"{name}={'|'.join(option.choices) or option.default}"
        for name, option in options_of_metric(metric).items()
    ]
    return f"; options {', '.join(parts)}" if parts else ""
