"""``camtui metrics``: the metrics there are."""

from __future__ import annotations

from camtui.cli.command_decorator import command
from camtui.cli.console import narrate, print_json
from camtui.cli.options import JsonOption
from evaluator.catalog import ROW_METRICS, known_metrics


@command
def metrics(json: JsonOption = False) -> None:
    """List the metrics: what each measures, and which direction is better.

    Example: camtui metrics --json
    """
    listed = [
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
        print_json({"metrics": listed})
        return
    for key, metric in known_metrics().items():
        print(f"{key:<18} {metric.title} {metric.arrow}: {metric.definition}")
        asked = "" if key in ROW_METRICS else f"; on request: --metric {key}"
        print(f"{'':<18} {metric.paper}{asked}")
    narrate("in every run, or on request with --metric; --metric all for every one")
