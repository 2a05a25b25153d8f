"""Cut of a network at its target layer, by its graph or by hooks; the default target layer."""

from __future__ import annotations

from torch import nn

from evaluator.errors import UsageError
from evaluator.networks.forward_record import Call, ForwardRecord
from evaluator.networks.graph_cut import Split, split_graph
from evaluator.networks.hook_cut import split_by_hooks
from evaluator.networks.map_layout import MapLayout, map_layout
from evaluator.networks.tracing import CannotCut


def split_at(
    model: nn.Module,
    layer: str | None,
    record: ForwardRecord,
    *,
    prefix: int | None = None,
    kind: str | None = None,
) -> Split:
    """Cut a model in two.

    Args:
        model: in evaluation mode.
        layer: dotted name of the target layer; ``None`` for the first norm of a transformer's last
            block, else for the last feature map.
        record: a forward of the model.
        prefix: tokens before the map's, where they are known.
        kind: ``graph`` or ``hooks``; ``None`` for the graph where it can be cut.

    Raises:
        UsageError: no such layer; or its output is no map; or the graph must be cut and cannot.
    """
    layer = layer or last_norm(record, prefix)
    reason = ""
    if kind != "hooks":
        try:
            return split_graph(model, layer, record, prefix)
        except CannotCut as error:
            reason = str(error)
            if kind == "graph":
                raise UsageError(
                    f"this network's graph cannot be cut: {error}", "leave cut=graph out"
                ) from error
    return split_by_hooks(model, layer, record, prefix)._replace(reason=reason)


def last_norm(record: ForwardRecord, prefix: int | None = None) -> str | None:
    """The first norm of a transformer's last block, which the peers take; ``None`` for others.

    A network with a convolution behind its last attention is taken for a convolutional one.
    """
    attentions = [place for place, call in enumerate(record.calls) if is_attention(call.module)]
    if not attentions or any(
        isinstance(call.module, nn.Conv2d) for call in record.calls[attentions[-1] :]
    ):
        return None
    block = record.calls[attentions[-1]].name.rpartition(".")[0]
    norms = [
        call
        for call in record.calls
        if call.name.rpartition(".")[0] == block and _is_norm_of_tokens(call, prefix)
    ]
    return norms[0].name if norms else None


def is_attention(module: nn.Module) -> bool:
    """Whether a module is self-attention, by its class."""
    return isinstance(module, nn.MultiheadAttention) or "attention" in type(module).__name__.lower()


def _is_norm_of_tokens(call: Call, prefix: int | None) -> bool:
    if "norm" not in type(call.module).__name__.lower() or not call.shape:
        return False
    layout = map_layout(call.shape, prefix)
    return layout is not None and type(layout) is not MapLayout
