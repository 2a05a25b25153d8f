"""The answering side of a child process: one JSON request in, JSON lines out.

The terminal's side never holds torch and never runs the user's code: it starts
``python -m MODULE`` for that and asks (``camtui.launch.ask``). The module ends in ``serve``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from evaluator.errors import CamtuiError

Answers = Iterable[dict[str, Any]]
"""What a request is answered with: dictionaries that JSON can hold, each sent when it is there."""


def serve(answer: Callable[[dict[str, Any]], Answers]) -> None:
    """Answer the request on standard input, each answer a line of JSON on standard output.

    A ``CamtuiError`` ends the answers with ``{"error": {…}}``; any other exception ends the
    process. Whatever else prints to standard output, the user's code or a network, prints to
    standard error instead.

    Example:
        ``echo '{"of": 3}' | python -m evaluator.some_module``, which ends in
        ``serve(lambda request: ({"square": n * n} for n in range(request["of"])))``
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request: dict[str, Any] = json.load(sys.stdin)
    try:
        for one in answer(request):
            print(json.dumps(one), file=answers, flush=True)
    except CamtuiError as error:
        print(json.dumps({"error": error.to_dict()}), file=answers, flush=True)
