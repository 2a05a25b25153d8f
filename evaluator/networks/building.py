"""Shared by the families: seeded weights, loading of weights, number of classes of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from evaluator.errors import BackboneUnavailable, UsageError
from evaluator.records import Preprocessing, Score
from evaluator.text import printable

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
        parted: where the target layer is no module of the network, makes one of the same answers in
            which it is, for classes of other libraries, which hook modules.
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
    parted: Callable[[nn.Module], nn.Module] | None = None


def refuse_without_layers(model: nn.Module) -> None:
    """Refuse networks whose layers cannot be looked into, or through which no gradient leads.

    Raises:
        UsageError: TorchScript, quantised layers, or layers that have no weights yet.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise UsageError(
            "the network is TorchScript, whose layers cannot be looked into",
            "give the nn.Module that it was made from, with its weights",
        )
    for name, module in model.named_modules():
        kind = f"'{name}' ({type(module).__name__})" if name else type(module).__name__
        weights = tuple(module.parameters(recurse=False))
        if any(isinstance(one, UninitializedParameter) for one in weights):
            raise UsageError(
                f"the network is not whole: layer {kind} has no weights before its first pass",
                "run it once on an image where it is built",
            )
        if hasattr(module, "_packed_params") or not all(
            one.is_floating_point() or one.is_complex() for one in weights
        ):
            raise UsageError(
                f"the network is quantised: layer {kind} holds whole numbers, through which no "
                "gradient leads",
                "give the network as it was before it was quantised",
            )


IN_FLOAT32 = "it is computed in float32"


def in_float32(built: Built) -> Built:
    """The same with its parameters and buffers in float32, in which everything is computed.

    Returns:
        With a remark that says so; the very same where its parameters are in float32 already.

    Raises:
        UsageError: float32 does not hold them exactly.
    """
    model = built.model
    kinds = {str(one.dtype).removeprefix("torch.") for one in model.parameters()} - {"float32"}
    if not kinds:
        return built
    for name, one in (*model.named_parameters(), *model.named_buffers()):
        if one.dtype == torch.float64 and not torch.equal(
            one.float().double().nan_to_num(), one.nan_to_num()
        ):
            raise UsageError(
                f"the network is computed in float32, which does not hold its {name} exactly: it "
                "is float64",
                "round it where it is built: network.float()",
            )
    model.float()
    told = f"its weights are {' and '.join(sorted(kinds))}; {IN_FLOAT32}"
    return built._replace(remarks=(*built.remarks, told))


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


def filled(model: nn.Module, state: dict[str, Tensor], key: str, file: str = "") -> nn.Module:
    """The model with these weights, every one of them.

    Args:
        state: tensors by name, ``file``: that they come from.
        key: the network's, for people.

    Raises:
        BackboneUnavailable: they do not fit.
    """
    source = f" of {file}" if file else ""
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise BackboneUnavailable(
            f"the weights{source} do not fit {key}: {first[0].strip()}", "camtui backbones"
        ) from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        examples = [f"missing {name}" for name in missing[:1]]
        examples += [f"unexpected {name}" for name in unexpected[:1]]
        raise BackboneUnavailable(
            f"the weights{source} do not fit {key}: {len(missing)} tensors missing, "
            f"{len(unexpected)} unexpected ({printable(', '.join(examples), 160)})",
            "give the weights of this very network, or -b the network they belong to",
        )
    return model


def empty_copy(build: Callable[[], nn.Module]) -> nn.Module:
    """The network without memory for its weights: it tells their names and dimensions."""
    with torch.device("meta"):
        return build()


def class_count(empty: nn.Module, state: dict[str, Tensor]) -> int | None:
    """Number of classes of a file: the rows of the network's last weight (a file may sort them)."""
    last = [name for name, weight in empty.named_parameters() if weight.ndim in (2, 4)][-1]
    return state[last].shape[0] if last in state else None
