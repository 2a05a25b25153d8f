"""Download of published weights before a run: ``python -m evaluator.networks.fetching KEY …``.

A process of its own, because it needs torch and whoever asks does not. It prints one line of JSON:
``{"error": …}`` for the first network whose weights can neither be found nor fetched, or do not
fit; else ``{}``.
"""

from __future__ import annotations

import json
import sys

from evaluator.backbone_spec import BackboneSpec
from evaluator.backbones import family_of
from evaluator.errors import CamtuiError


def main(keys: list[str]) -> dict[str, object]:
    """Build each network once with its published weights; what went wrong first, or nothing."""
    for key in keys:
        try:
            family_of(key).build(BackboneSpec(key))
        except CamtuiError as error:
            told = {
                "kind": error.kind,
                "message": error.message,
                "hint": error.hint,
                "exit_code": error.exit_code,
            }
            return {"error": told}
    return {}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
