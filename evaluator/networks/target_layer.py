"""Cut of a network at its target layer, by its graph or by hooks; the default target layer."""

from __future__ import annotations

from torch import nn

from evaluator.errors import UsageError
from evaluator.networks.forward_record import Call, ForwardRecord
from evaluator.networks.graph_cut import Split, split_traced
from evaluator.networks.hook_cut import split_by_hooks
from evaluator.networks.map_checks import Chooser
from evaluator.networks.map_layout import MapLayout, map_layout
from evaluator.networks.tracing import CannotCut, traced


def split_at(
    model: nn.Module,
    layer: str | None,
    record: ForwardRecord,
    *,
    prefix: int | None = None,
    kind: str | None = None,
    by: Chooser = "us",
) -> Split:
    """Cut a model in two.

    Without a layer, at the first of these that is a map of the image and that the logits depend on
    (see ``map_checks``): the first norm of a transformer's last block, of the block before it, and
    so on; the last feature map before the classifier's pooling, the one before it, and so on.

    Args:
        model: in evaluation mode.
        layer: dotted name of the target layer; ``NAME#k`` the k-th call of one that is called
            several times.
        record: a forward of the model.
        prefix: tokens before the map's, where they are known.
        kind: ``graph`` or ``hooks``; ``None`` for the graph where it can be cut.
        by: who vouches for the layer.

    Raises:
        UsageError: no such layer; or it is called several times; or its output is no map of the
            image; or the graph must be cut and cannot.
    """
    first = first_norms(record, prefix) if layer is None else ()
    reason = ""
    if kind != "hooks":
        try:
            whole = traced(model, record.output)
            return split_traced(whole, model, layer, record, prefix, first=first, by=by)
        except CannotCut as error:
            reason = str(error)
            if kind == "graph":
                raise UsageError(
                    f"this network's graph cannot be cut: {error}", "leave cut=graph out"
                ) from error
    split = split_by_hooks(model, layer, record, prefix, first=first, by=by)
    return split._replace(reason=reason)


def first_norms(record: ForwardRecord, prefix: int | None = None) -> list[str]:
    """The first norm of every block of a transformer, which the peers take, from the last block.

    A network with a convolution behind its last attention is taken for a convolutional one.
    """
    attentions = [place for place, call in enumerate(record.calls) if _attends(call)]
    if not attentions or any(
        isinstance(call.module, nn.Conv2d) for call in record.calls[attentions[-1] :]
    ):
        return []
    found: dict[str, str] = {}
    for call in record.calls:
        if _is_norm_of_tokens(call, prefix):
            found.setdefault(call.name.rpartition(".")[0], call.name)
    blocks = [record.calls[place].name.rpartition(".")[0] for place in reversed(attentions)]
    blocks.sort(key=lambda block: not block)  # attention that pools stands in no block
    return [found[block] for block in dict.fromkeys(blocks) if block in found]


def _attends(call: Call) -> bool:
    """Whether a module is self-attention, by its class or its name."""
    named = (type(call.module).__name__, call.name.rpartition(".")[2])
    return is_attention(call.module) or any("attn" in name.lower() for name in named)


def is_attention(module: nn.Module) -> bool:
    """Whether a module is self-attention, by its class."""
    return isinstance(module, nn.MultiheadAttention) or "attention" in type(module).__name__.lower()


def _is_norm_of_tokens(call: Call, prefix: int | None) -> bool:
    if "norm" not in type(call.module).__name__.lower() or not call.shape:
        return False
    layout = map_layout(call.shape, prefix)
    return layout is not None and type(layout) is not MapLayout
