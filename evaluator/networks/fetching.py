"""Download of published weights before a run: ``python -m evaluator.networks.fetching``.

A process of its own, because it needs torch and whoever asks does not.
"""

from __future__ import annotations

from typing import Any

from evaluator.backbone_spec import BackboneSpec
from evaluator.backbones import family_of
from evaluator.child import Answers, serve


def fetched(request: dict[str, Any]) -> Answers:
    """Build each network of ``{"backbones": [KEY …]}`` once with its published weights.

    Raises:
        CamtuiError: the weights can neither be found nor fetched, or do not fit.
    """
    for key in request["backbones"]:
        family_of(key).build(BackboneSpec(key))
        yield {"backbone": key}


if __name__ == "__main__":
    serve(fetched)
