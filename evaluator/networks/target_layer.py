"""Cutting a built network at its target layer: by its graph, else by hooks.

And the target layer where none is named.
"""

from __future__ import annotations

from torch import nn

from evaluator.errors import UsageError
from evaluator.networks.hooks import split_by_hooks
from evaluator.networks.map_view import MapView, map_view
from evaluator.networks.probing import Call, Probe
from evaluator.networks.splitting import Split, split_graph
from evaluator.networks.tracing import CannotCut


def split_at(
    model: nn.Module,
    layer: str | None,
    probe: Probe,
    *,
    prefix: int | None = None,
    kind: str | None = None,
) -> Split:
    """Cut a model in two.

    Args:
        model: in evaluation mode. layer: dotted name of the target layer; ``None`` for the first
        norm of a transformer's last block, else for the last
            feature map.
        probe: of the model.
        prefix: tokens before the map's, where they are known.
        kind: ``graph`` or ``hooks``; ``None`` for the graph where it can be cut.

    Raises:
        UsageError: no such layer; or its output is no map; or the graph must be cut and cannot.
    """
    layer = layer or last_norm(probe, prefix)
    if kind != "hooks":
        try:
            return split_graph(model, layer, probe, prefix)
        except CannotCut as error:
            if kind == "graph":
                raise UsageError(
                    f"this network's graph cannot be cut: {error}", "leave cut=graph out"
                ) from error
    return split_by_hooks(model, layer, probe, prefix)


def last_norm(probe: Probe, prefix: int | None = None) -> str | None:
    """The first normalisation of a transformer's last block, which the peers take.

    ``None`` for other networks.

    A network with a convolution behind its last attention is taken for a convolutional one.
    """
    attentions = [place for place, call in enumerate(probe.calls) if attends(call.module)]
    if not attentions or any(
        isinstance(call.module, nn.Conv2d) for call in probe.calls[attentions[-1] :]
    ):
        return None
    block = probe.calls[attentions[-1]].name.rpartition(".")[0]
    norms = [
        call
        for call in probe.calls
        if call.name.rpartition(".")[0] == block and _is_norm_of_tokens(call, prefix)
    ]
    return norms[0].name if norms else None


def attends(module: nn.Module) -> bool:
    """Whether a module is self-attention, by its class."""
    return isinstance(module, nn.MultiheadAttention) or "attention" in type(module).__name__.lower()


def _is_norm_of_tokens(call: Call, prefix: int | None) -> bool:
    if "norm" not in type(call.module).__name__.lower() or not call.shape:
        return False
    view = map_view(call.shape, prefix)
    return view is not None and type(view) is not MapView
