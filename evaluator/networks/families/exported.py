"""Programs of ``torch.export`` in ``.pt2`` files: networks with weights, without code."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluator.backbones import Family, KnownBackbone, Parts, check_option
from evaluator.errors import BackboneUnavailable, UsageError
from evaluator.records import Preprocessing, for_channels
from evaluator.references import Reference, as_reference, as_spec
from evaluator.text import printable

if TYPE_CHECKING:
    from torch import nn

    from evaluator.backbones import BackboneSpec
    from evaluator.networks.building import Built
    from evaluator.networks.graph_cut import Split
    from evaluator.networks.maps import Chooser
    from evaluator.networks.tracing import ForwardRecord, Traced

SUFFIX = ".pt2"
_EXPORT = (
    "torch.export.export(model, (images,), "
    'dynamic_shapes=({0: torch.export.Dim("batch")},)), images two or more'
)


class Exported(Family):
    """Programs, allowed as the user's own code is: loading one can run code (pickles).

    >>> Exported().split("net.pt2:layer=features").options
    'layer=features'
    """

    key = "exported"
    title = "programs of torch.export"
    spelled = "FILE.pt2"
    rank = 2

    def split(self, text: str) -> Parts | None:
        """The path ends at ``.pt2``."""
        spec = as_spec(text)
        return (
            Parts(spec.reference.text, spec.tail) if spec and _is_exported(spec.reference) else None
        )

    def known(self, key: str) -> KnownBackbone | None:
        """Nothing before it is loaded."""
        spec = as_spec(key)
        if spec is None or spec.tail or not _is_exported(spec.reference):
            return None
        return KnownBackbone(
            key,
            spec.reference.short,
            self.key,
            gap_linear=False,
            attention=False,
            preprocessing=None,
        )

    def canonical(self, key: str) -> str:
        """The absolute path."""
        file = Path(as_reference(key).source)
        if not file.is_file():
            raise UsageError(
                f"no such file: {printable(file)}", "-b FILE.pt2 takes what torch.export.save wrote"
            )
        return as_reference(key).text

    def shown(self, key: str) -> str:
        """The file's name."""
        return as_reference(key).short

    def build(self, spec: BackboneSpec) -> Built:
        """The program as a module; its weights are in the file."""
        import torch

        from evaluator import user_code
        from evaluator.backbones import DEFAULT_WEIGHTS
        from evaluator.networks.building import Built
        from evaluator.networks.tracing import choose_output, of_program

        reference = as_reference(spec.key)
        source, name = user_code.permitted(reference), printable(reference.short)
        if spec.weights != DEFAULT_WEIGHTS:
            raise UsageError(f"{name} brings its own weights", f"-b {name} without weights=")
        try:
            program = torch.export.load(BytesIO(source.contents[0]))
        except Exception as error:  # what a damaged or foreign archive raises is anybody's guess
            raise BackboneUnavailable(
                f"{name} is no program of torch.export: {printable(error, 120)}", _EXPORT
            ) from error
        batch, channels, side = _input(program, name)
        if not isinstance(batch, torch.SymInt):
            raise UsageError(
                f"{name} was exported for a batch of {batch}, and batches vary", _EXPORT
            )
        usual = for_channels(Preprocessing(side=side, resize=side), channels)
        outputs = next(node for node in program.graph.nodes if node.op == "output").args[0]
        chosen = choose_output(
            tuple(node.meta["val"] for node in outputs), spec.output, spec.class_names()
        )
        traced = of_program(program.module(), chosen)
        return Built(
            traced.whole, f"in {name}", (), usual, cut=partial(_cut, traced), source=source.sha256
        )


def _is_exported(reference: Reference) -> bool:
    return reference.source.endswith(SUFFIX)


def _input(program: Any, name: str) -> tuple[Any, int, int]:
    """The batch as the program has it, channels and side of the images.

    Raises:
        UsageError: it takes something else than images.
    """
    inputs = [
        node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
    ]
    shape: tuple[Any, ...] = tuple(inputs[0].meta["val"].shape) if len(inputs) == 1 else ()
    if len(shape) != 4 or shape[2] != shape[3] or not check_option("channels", shape[1]):
        given = " × ".join(map(str, shape)) or f"{len(inputs)} inputs"
        raise UsageError(
            f"{name} takes {given}, images of batch × channels × side × side were expected", _EXPORT
        )
    return shape[0], int(shape[1]), int(shape[2])


def _cut(
    traced: Traced, model: nn.Module, layer: str | None, record: ForwardRecord, by: Chooser
) -> Split:
    """By the program's own graph, whose nodes remember the modules that they came from."""
    from evaluator.networks.graph_cut import split_traced
    from evaluator.networks.tracing import CannotCut

    try:
        return split_traced(traced, model, layer, record, by=by)
    except CannotCut as error:
        raise UsageError(
            f"this program cannot be cut: {error}", "choose another layer: -b FILE.pt2:layer=NAME"
        ) from error
