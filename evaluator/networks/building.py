"""Shared by the families: seeded weights, loading of weights, number of classes of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from evaluator.errors import BackboneUnavailable
from evaluator.records import Preprocessing, Score

if TYPE_CHECKING:
    from evaluator.networks.graph_cut import Split
    from evaluator.networks.maps import Chooser
    from evaluator.networks.tracing import ForwardRecord


class Built(NamedTuple):
    """A whole classifier before it is cut.

    Attributes:
        weights: for people: ``IMAGENET1K_V1``, ``random:0``, a file name.
        classes: class names by index, empty where unknown.
        preprocessing: the network's own, before what the user asks for.
        layer: the target layer, ``None`` for the general rule.
        cut: ``(model, layer, record, by)`` → the family's own way to cut there, ``None`` for the
            general one; ``by`` as in ``target_layer.split_at``.
        score: what turns outputs into confidence, ``None`` for softmax.
        tokens: prefix tokens, where only the builder knows them.
        source: sha256 of the code or file that built it.
        transform_input: see ``LoadedBackbone``.
        remarks: sentences about the network, as ``LoadedBackbone`` has them.
        output: which of several outputs are the logits, by place or name; ``None`` where the
            builder does not say.
    """

    model: nn.Module
    weights: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    layer: str | None = None
    cut: Callable[[nn.Module, str | None, ForwardRecord, Chooser], Split | None] | None = None
    score: Score | None = None
    tokens: int | None = None
    source: str = ""
    transform_input: bool | None = None
    remarks: tuple[str, ...] = ()
    output: str | None = None


def is_random(weights: str) -> bool:
    """Whether weights are drawn: ``random:SEED``."""
    return weights.startswith("random:")


def seed_of(weights: str) -> int:
    """The seed of ``random:SEED``, 0 for any other weights."""
    return int(weights.removeprefix("random:")) if is_random(weights) else 0


def seeded(weights: str, build: Callable[[], Any]) -> Any:
    """Call ``build`` under the seed; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(weights))
        return build()


HEAD_SIGMA = 0.05
"""Standard deviation of the seeded weights that take the place of a classification layer of zeros.
"""


def fill_zero_heads(model: nn.Module, weights: str) -> str:
    """Fill linear layers of zeros, such as torchvision's ViT's last: every logit would be equal.

    Returns:
        A remark behind the name of the weights; empty where there was no such layer.
    """
    empty = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and not module.weight.any()
    ]
    generator = torch.Generator().manual_seed(seed_of(weights))
    for module in empty:
        nn.init.normal_(module.weight, std=HEAD_SIGMA, generator=generator)
    return f" (its head of zeros filled, σ {HEAD_SIGMA})" if empty else ""


def redraw(model: nn.Module, seed: int = 0) -> None:
    """Draw every weight anew, on the CPU: what is left is the architecture alone.

    Convolutions and linear layers get normal weights by He et al. (ICCV 2015) and biases of zero,
    normalisations and other modules begin as torch's own ``reset_parameters`` has it, and what is
    no module's is drawn with the mean and the standard deviation that it has.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn: set[int] = set()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in model.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
                drawn.update(map(id, module.parameters(recurse=False)))
            if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
        for parameter in model.parameters():
            if id(parameter) not in drawn and parameter.is_floating_point():
                mean, spread = parameter.mean(), parameter.std(correction=0)
                parameter.normal_(generator=generator).mul_(spread).add_(mean)


def filled(model: nn.Module, state: dict[str, Tensor], key: str) -> nn.Module:
    """The model with these weights, every one of them.

    Raises:
        BackboneUnavailable: they do not fit.
    """
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise BackboneUnavailable(
            f"the weights do not fit {key}: {first[0].strip()}", "camtui backbones"
        ) from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise BackboneUnavailable(
            f"the weights do not fit {key}: {len(missing)} tensors missing, {len(unexpected)} "
            "unexpected "
            f"(such as {(missing or unexpected)[0]})",
            "give the weights of this very network, or -b the network they belong to",
        )
    return model


def class_count(build: Callable[[], nn.Module], state: dict[str, Tensor]) -> int | None:
    """Number of classes of a file: the rows of the network's last weight (a file may sort them)."""
    with torch.device("meta"):
        last = [name for name, weight in build().named_parameters() if weight.ndim in (2, 4)][-1]
    return state[last].shape[0] if last in state else None
