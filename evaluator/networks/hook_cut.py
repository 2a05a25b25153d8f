"""Cut of a classifier by hooks, where its graph cannot be cut: control flow, foreign code.

The trunk is the whole network with a hook that takes the layer's output; the head is the whole
network, on the same images, with a hook that puts another output in its place. A head costs a
forward; what it computes before the layer comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from evaluator.errors import UsageError
from evaluator.networks.forward_record import (
    RECORDED_IMAGES,
    ForwardRecord,
    first_tensor,
    logits_of,
)
from evaluator.networks.graph_cut import Split, layers_with_maps, no_layer
from evaluator.networks.map_layout import map_layout, no_map


def split_by_hooks(
    model: nn.Module, layer: str | None, record: ForwardRecord, prefix: int | None = None
) -> Split:
    """Cut a model at the output of one of its modules.

    Without a layer: at the last module that gives a map.

    Raises:
        UsageError: no such layer, or its output is no map.
    """
    maps = layers_with_maps(record, prefix)
    if layer is None and not maps:
        raise UsageError(
            "this network has no feature map",
            "name a layer that gives tokens or a map: -b NAME:layer=…",
        )
    name = layer or maps[-1]
    calls = [call for call in record.calls if call.name == name]
    if name not in dict(model.named_modules()):
        raise no_layer(name, model, [call.name for call in record.calls])
    if not calls:
        raise UsageError(
            f"layer '{name}' is not called by itself",
            f"for example layer={maps[-1]}" if maps else "",
        )
    shape = calls[-1].shape
    layout = map_layout(shape, prefix) if shape and shape[0] == RECORDED_IMAGES else None
    if layout is None:
        raise no_map(name, shape, prefix, maps)
    return Split(
        HookedTrunk(model, name, len(calls)),
        HookedHead(model, name, len(calls)),
        None,
        name,
        layout,
        "hooks",
    )


class HookedTrunk(nn.Module):
    """``images → (output of the layer, images, logits)``."""

    def __init__(self, model: nn.Module, layer: str, calls: int) -> None:
        super().__init__()
        self.model = model
        self._layer, self._calls = layer, calls

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The last call of the layer counts."""
        taken: list[Tensor] = []

        def take(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            assert tensor is not None, "the recorded forward has one"
            taken.append(tensor.clone())  # what follows may overwrite it

        logits = _run(self.model, self._layer, take, images)
        return taken[-1], images, logits


class HookedHead(nn.Module):
    """``(output of the layer, images) → logits``."""

    def __init__(self, model: nn.Module, layer: str, calls: int) -> None:
        super().__init__()
        self.model = model
        self._layer, self._calls = layer, calls

    def forward(self, activation: Tensor, images: Tensor) -> Tensor:
        """Logits; layers before the target layer take no part in the gradient."""
        turn = 0

        def put(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            nonlocal turn
            turn += 1
            if turn < self._calls:
                return output
            changed = activation.clone()  # what follows may overwrite it
            return (
                type(output)((changed, *output[1:]))
                if isinstance(output, list | tuple)
                else changed
            )

        return _run(self.model, self._layer, put, images)


def _run(
    model: nn.Module, layer: str, hook: Callable[[nn.Module, Any, Any], Any], images: Tensor
) -> Tensor:
    handle = model.get_submodule(layer).register_forward_hook(hook)
    try:
        logits: Tensor = logits_of(model(images.clone()))
    finally:
        handle.remove()
    return logits
