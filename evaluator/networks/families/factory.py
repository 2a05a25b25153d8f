"""The user's own networks: a callable returns one, alone or with facts about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evaluator.backbones import Family, KnownBackbone, Parts, check_option
from evaluator.errors import UsageError
from evaluator.records import Preprocessing
from evaluator.references import Reference, as_reference, as_spec, installed
from evaluator.text import did_you_mean, printable

if TYPE_CHECKING:
    from torch import nn

    from evaluator.backbones import BackboneSpec
    from evaluator.networks.building import Built

FACTS = (
    "classes",
    "layer",
    "side",
    "resize",
    "interpolation",
    "mean",
    "std",
    "channels",
    "score",
    "tokens",
    "output",
)
"""Facts that a factory may give in a dict beside its network."""

_USUAL = ("side", "resize", "interpolation", "mean", "std", "channels")


class Factory(Family):
    """Networks that the user's code builds, where the user has allowed it (``user_code.allow``).

    >>> Factory().split("./net.py:build:layer=features,side=64").options
    'layer=features,side=64'
    """

    key = "factory"
    title = "your own code"
    spelled = "FILE.py:callable, package.module:callable"
    rank = 9

    def split(self, text: str) -> Parts | None:
        """A reference ends at the first colon behind the callable's name."""
        if spec := as_spec(text):
            return (
                None
                if spec.reference.source.endswith(".pt2")
                else Parts(spec.reference.text, spec.tail)
            )
        return super().split(text)

    def known(self, key: str) -> KnownBackbone | None:
        """Nothing before it is built."""
        reference = _reference(key)
        if reference is None:
            return None
        return KnownBackbone(key, reference.short, self.key, preprocessing=None)

    def canonical(self, key: str) -> str:
        """The reference, with the absolute path of its file."""
        reference = _reference(key)
        assert reference is not None, "the family was asked first"
        if reference.file and not reference.file.is_file():
            raise UsageError(
                f"no such file: {printable(reference.file)}",
                "-b FILE.py:callable builds your own network",
            )
        return reference.text

    def shown(self, key: str) -> str:
        """``mynet.py:build``."""
        reference = _reference(key)
        return reference.short if reference else key

    def build(self, spec: BackboneSpec) -> Built:
        """Call it under the seed of ``random:SEED`` or 0: every worker builds the same network."""
        from evaluator import user_code
        from evaluator.backbones import DEFAULT_WEIGHTS
        from evaluator.networks.building import Built, fill_zero_heads, filled, is_random, seeded
        from evaluator.networks.global_state import ForeignCode
        from evaluator.networks.weights import read_weights_file

        reference = _reference(spec.key) or as_reference(spec.key)
        with ForeignCode(alone=False) as code:
            build = user_code.load(reference)
            with user_code.user_errors(
                reference, f"{printable(reference.short)} cannot build its network"
            ):
                model, facts = _unpacked(seeded(spec.weights, lambda: _built(build)), reference)
        remarks = (
            (f"{printable(reference.short)} changes {code.changed}: put back",)
            if code.changed
            else ()
        )
        usual, weights = (
            Preprocessing(**_preprocessing(facts)),
            f"weights as {printable(reference.short)} makes them",
        )
        if is_random(spec.weights):
            weights = spec.weights + fill_zero_heads(model, spec.weights)
        elif spec.weights != DEFAULT_WEIGHTS:
            state, weights = read_weights_file(spec.weights, model.state_dict())
            filled(model, state, reference.short, weights)
        return Built(
            model,
            weights,
            tuple(facts.get("classes", ())),
            usual,
            layer=facts.get("layer"),
            score=facts.get("score"),
            tokens=facts.get("tokens"),
            output=str(facts["output"]) if "output" in facts else None,
            source=user_code.permitted(reference).sha256,
            remarks=remarks,
        )


def _reference(key: str) -> Reference | None:
    if spec := as_spec(key):
        return None if spec.tail or spec.reference.source.endswith(".pt2") else spec.reference
    registered = installed("backbone").get(key)
    return registered.reference if registered else None


def _built(build: Any) -> Any:
    """A network that stands in the module as it is, or what a callable returns."""
    from torch import nn

    return build if isinstance(build, nn.Module) or not callable(build) else build()


def _unpacked(made: Any, reference: Reference) -> tuple[nn.Module, dict[str, Any]]:
    """The network and its facts.

    Raises:
        UsageError: something else was returned, or a fact that is none.
    """
    from torch import nn

    model, facts = made if isinstance(made, tuple) and len(made) == 2 else (made, {})
    name = printable(reference.short)
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"{name} gives a {type(model).__name__}, an nn.Module was expected",
            'return the network, or (network, {"classes": […], "side": 224})',
        )
    if not isinstance(facts, dict):
        raise UsageError(
            f"{name} gives a {type(facts).__name__} beside the network, a dict of facts was "
            "expected",
            _KNOWN,
        )
    for fact, value in facts.items():
        if fact not in FACTS:
            raise UsageError(
                f"{name} says '{printable(fact, 40)}' of its network",
                f"{did_you_mean(str(fact), FACTS)}{_KNOWN}",
            )
        if not (
            _are_names(value) if fact == "classes" else check_option(fact, _as_list(fact, value))
        ):
            raise UsageError(
                f"{name} says {fact} = {printable(repr(value), 60)}",
                f"as in -b {name}:{fact}=…: docs/networks.md",
            )
    return model, {fact: value for fact, value in facts.items() if value is not None}


_KNOWN = f"it may say {', '.join(FACTS)}"


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _as_list(fact: str, value: Any) -> Any:
    """One mean for all channels may stand without brackets."""
    return [value] if fact in ("mean", "std") and isinstance(value, int | float) else value


def _preprocessing(facts: dict[str, Any]) -> dict[str, Any]:
    found = {fact: facts[fact] for fact in _USUAL if fact in facts}
    side, channels = found.get("side", Preprocessing().side), found.get("channels", 3)
    for fact in ("mean", "std"):
        values = tuple(_as_list(fact, found.get(fact, getattr(Preprocessing(), fact))))
        if len(values) not in (1, channels) and fact in found:
            raise UsageError(
                f"{fact} has {len(values)} numbers, and the images have {channels} channels",
                f"give {channels}",
            )
        found[fact] = values if len(values) == channels else (sum(values) / len(values),) * channels
    return {"resize": side, **found}
