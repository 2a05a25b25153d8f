"""The bases of methods: a name, a paper, options, and a formula over what a view shows of a pass.

Torch is imported for type checking only: listing the methods must not cost two seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class ChannelMasks(NamedTuple):
    """One chunk of masks on their way through the network.

    Attributes:
        values: ``[n, 1, H, W]`` in [0, 1], the upsampled min-max of one activation channel each.
        rows: ``[n]`` the image of the batch that each mask belongs to.
        step: which of the ``passes`` this is, counted from 0.
    """

    values: Tensor
    rows: Tensor
    step: int


class Attention(NamedTuple):
    """Self-attention of every block of a transformer on n images, first block first.

    Attributes:
        weights: ``[n, heads, N, N]`` each, rows (queries) sum to 1; N = P + h·w tokens.
        gradients: ``∂s_c/∂weights``, the same shapes; empty unless asked for.
        prefix: P, tokens before those of the map, the class token first; 0 where there is none.
        height, width: of the map of tokens, row by row, that of the target layer.
        read: ``[N]``, adding up to 1: how much of what the classifier reads each token is. All of
            the class token, or equal parts of the tokens whose mean it takes.
    """

    weights: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    prefix: int
    height: int
    width: int
    read: Tensor

    def gathered(self, blocks: Sequence[Tensor]) -> Tensor:
        """Attention of the tokens that are read to the positions of the map, through all blocks.

        ``[n, h, w]``.

        The rows that are read of ``(1 + M_last) … (1 + M_first)``, multiplied from the left: a
        vector at a time.

        Args:
            blocks: ``M`` ``[n, N, N]`` of every block, first block first.
        """
        rows = self.read.expand(len(blocks[0]), 1, -1)
        for block in reversed(blocks):
            rows = rows + rows @ block
        return rows[:, 0, self.prefix :].reshape(-1, self.height, self.width)


BlockScore = Literal["", "read", "mean"]
"""Of which logit the gradients of attention are: the network's, or one for each block."""


class View(Protocol):
    """One pass over B images, with K channels at the target layer and C classes, for a method."""

    @property
    def activation(self) -> Tensor:
        """``A``, ``[B, K, h, w]``: the output of the target layer."""

    @property
    def normalised_activation(self) -> Tensor:
        """``[B, K, h, w]`` in [0, 1]: min-max of every channel; a constant channel is all zeros."""

    @property
    def live_channels(self) -> Tensor:
        """``[B, K]`` bool: the channels that are not constant over the map."""

    @property
    def logits(self) -> Tensor:
        """``s``, ``[B, C]``: the network's output before softmax or sigmoid."""

    @property
    def targets(self) -> Tensor:
        """``c``, ``[B]``: the class that is explained, fixed on the clean image."""

    @property
    def gradient(self) -> Tensor:
        """``g = ∂s_c/∂A``, ``[B, K, h, w]``, by autograd through the head alone.

        On GAP + linear heads ``[B, K, 1, 1]``, in closed form: ``W[c, k] / (hw)`` at every
        position.
        """

    @property
    def gap_linear(self) -> bool:
        """Whether the head is global average pooling and one linear layer."""

    @property
    def class_weights(self) -> Tensor:
        """``W[c]``, ``[B, K]``: the target's row of the linear layer, only where ``gap_linear``."""

    def gradient_of(self, class_weights: Tensor) -> Tensor:
        """``∂(Σ_d w_d s_d)/∂A``: the gradient of another function of the logits than the target's.

        Args:
            class_weights: ``w``, ``[B, C]``, constants.

        Returns:
            ``[B, K, h, w]``; on GAP + linear heads ``[B, K, 1, 1]``, in closed form, as
            ``gradient``.
        """

    def hessian_product(self, vector: Tensor) -> Tensor:
        """``H·v``, ``H = ∂²s_c/∂A²``, by a second backward pass through the head alone.

        Args:
            vector: ``v``, ``[B, K, h, w]``.

        Returns:
            ``[B, K, h, w]``; zeros where the head has no curvature (linear layers, ReLU,
            max-pooling), on GAP + linear heads ``[B, K, 1, 1]``.
        """

    def head(self, activation: Tensor, rows: Tensor) -> Tensor:
        """``[n, K, h, w]`` → logits ``[n, C]`` through what follows the target layer.

        Args:
            activation: changed ones.
            rows: ``[n]``, the image of the batch that each is a change of: what the classifier uses
                besides the target layer stays as it is on that image.
        """

    def masked_confidence(self, masks: Tensor) -> Tensor:
        """``softmax(head(A ⊙ m))_c`` for every mask: the head is run, the trunk is not.

        On GAP + linear heads one product of matrices; elsewhere the head runs on as many masked
        activations at once as the network takes images.

        Args:
            masks: ``[M, h, w]``, the same for all images and channels.

        Returns:
            ``[B, M]``.
        """

    def channel_scores(
        self,
        mask: Callable[[ChannelMasks], Tensor] | None = None,
        *,
        passes: int = 1,
        logits: bool = False,
    ) -> Tensor:
        """Mean score of the target class on the image under each channel's mask.

        One forward for every channel that is not constant, and for every pass; constant channels
        cost nothing and score 0.

        Args:
            mask: changes the masks of a chunk (noise, scaling); ``None`` leaves them.
            passes: how often every channel is scored; the mean is returned.
            logits: score by ``s_c`` instead of the confidence in the class.

        Returns:
            ``[B, K]``.
        """

    def attention(
        self,
        combine: Callable[[Attention], Tensor],
        *,
        gradients: bool = False,
        score: BlockScore = "",
    ) -> Tensor:
        """Apply ``combine`` to every block's attention, only where ``needs_attention``.

        One more forward for each image.

        The images come in batches, so that the attention of all of them is never there at once.

        Args:
            combine: attention of n images → ``[n, …]``.
            gradients: those of the target's logit with respect to the weights too: a backward pass.
            score: with it the gradients of a block are those of the logit that what follows the
                last block gives for this block's tokens: as they are (``read``), or with their mean
                in the place of each (``mean``).

        Returns:
            ``[B, …]``.
        """

    def baseline_confidence(self) -> Tensor:
        """``[B]``, confidence in the target on the all-zero (normalised) image."""

    def noise(self, name: str, step: int, channels: int | None = None) -> Tensor:
        """Standard normal noise ``[B, channels, H, W]``, by image, name and step alone.

        Args:
            channels: ``None`` for those of the network's images.
        """

    def uniform(self, name: str, count: int) -> Tensor:
        """Random numbers in [-1, 1), ``[B, count]``, a function of the image and the name."""

    def perturbed(self, name: str, step: int, sigma: float) -> View:
        """The pass over ``x + σ·noise(name, step)``, same targets: one forward per image."""

    def towards(self, targets: Tensor) -> View:
        """The same pass with other classes ``[B]`` to explain; no forward."""

    @property
    def image(self) -> ImageView:
        """The same images for a method that asks the whole network."""


Reference = Literal["zero", "black", "blur"]
"""An image that shows nothing: zero once normalised (the protocol's removed state), black pixels,
or the image blurred as RISE's insertion starts.
"""


class BiasGradient(NamedTuple):
    """A layer with a bias on n images: their product is the bias's share of the logit.

    Attributes:
        gradient: ``∂s_c`` by the layer's output, ``[n, K, h, w]``, or ``[n, …, K]`` of a linear
            layer.
        bias: ``[K]``.
    """

    gradient: Tensor
    bias: Tensor


class Shown(NamedTuple):
    """What an image is of the data set's.

    Attributes:
        path: bytes relative to the data folder.
        explanation: whether it is its explanation image ``x ⊙ U``.
    """

    path: bytes
    explanation: bool


class WholeNetwork(NamedTuple):
    """A network as its maker built it, for classes of other libraries.

    Attributes:
        model: images ``[n, C, H, W]`` → logits.
        layer: its target layer; ``name``: dotted.
        as_map: an output of the layer → ``[n, K, h, w]``: tokens to their places.
    """

    model: Any
    layer: Any
    name: str
    as_map: Callable[[Tensor], Tensor]


class ImageView(Protocol):
    """B images ``[C, H, W]`` and the whole network, for an ``ImageMethod``.

    Changed images are made chunk by chunk, so that they never exist all at once, and go through the
    network in its batches, which are halved where memory runs out; ``make`` is then called for that
    chunk again. Every pass is counted. All of them compute as passes that measure do.
    """

    @property
    def images(self) -> Tensor:
        """``x``, ``[B, C, H, W]``, normalised."""

    @property
    def targets(self) -> Tensor:
        """``c``, ``[B]``: the class that is explained, fixed on the clean image."""

    @property
    def logits(self) -> Tensor:
        """``s``, ``[B, classes]``, of these images."""

    @property
    def activation(self) -> Tensor:
        """``A``, ``[B, K, h, w]``: the output of the target layer on these images."""

    @property
    def shown(self) -> Sequence[Shown]:
        """``B``: which images of the data set these are."""

    def noise(self, name: str, step: int) -> Tensor:
        """Standard normal noise ``[B, C, H, W]``, by image, name and step alone."""

    def uniform(self, name: str, count: int) -> Tensor:
        """Random numbers in [-1, 1), ``[B, count]``, a function of the image and the name."""

    def reference(self, kind: str) -> Tensor:
        """The images that show nothing, ``[B, C, H, W]``: see ``Reference``."""

    def scores(
        self,
        make: Callable[[int, int], Tensor],
        count: int,
        rows: Tensor,
        *,
        logits: bool = False,
    ) -> Tensor:
        """Confidence in the target on changed images: one forward each.

        Args:
            make: ``(start, stop)`` → those of them, ``[stop − start, C, H, W]``.
            count: how many there are.
            rows: ``[count]``, the image of the batch that each is a change of.
            logits: ``s_c`` instead of the confidence.

        Returns:
            ``[count]``, float64.
        """

    def gradient(
        self,
        make: Callable[[int, int], Tensor],
        count: int,
        rows: Tensor,
        *,
        weights: Tensor | None = None,
        each: Callable[[Tensor, int, int], Tensor] | None = None,
    ) -> Tensor:
        """``∂s_c/∂x`` at changed images: a forward and a backward each.

        Args:
            make, count, rows: as in ``scores``.
            weights: ``[count]``: their weighted sum for each image is returned, and no more than a
                batch of gradients is held at once.
            each: ``(gradients, start, stop)`` → what is kept of them, ``[stop − start, …]``.

        Returns:
            ``[count, C, H, W]``; with ``weights`` ``[B, C, H, W]``.
        """

    def upsample(self, values: Tensor, height: int = 0, width: int = 0) -> Tensor:
        """Maps ``[n, h, w]`` at another size, bilinear (``align_corners=False``), differentiable.

        Args:
            height, width: without, those of the images.
        """

    def layers(self, names: Sequence[str] | None = None) -> dict[str, tuple[Tensor, Tensor]]:
        """``A`` and ``∂s_c/∂A`` of several layers by one forward and backward for each image.

        Args:
            names: modules by dotted name; without, the last layer of every resolution up to the
                target layer, finest first.

        Returns:
            Name → two tensors ``[B, K, h, w]``.
        """

    def biases(self, combine: Callable[[Tensor, Sequence[BiasGradient]], Tensor]) -> Tensor:
        """What input and biases add to the logit, by one forward and backward for each image.

        In batches, so that the gradients of all layers and images are never there at once. A batch
        normalisation that runs as part of its convolution counts with the bias of that.

        Args:
            combine: ``x ⊙ ∂s_c/∂x`` ``[n, C, H, W]`` and all layers with a bias, in order, of n
                images → ``[n, …]``.

        Returns:
            ``[B, …]``.
        """

    def relevance(self, composite: str) -> Tensor:
        """Relevance of each value of the images for the target's logit, by LRP with zennit.

        A forward and a backward for each image.

        Args:
            composite: one of ``COMPOSITES``.

        Returns:
            ``[B, C, H, W]``.

        Raises:
            NoRelevance: zennit is not installed, or it has no rules for the network.
        """

    def each(self, explain: Callable[[WholeNetwork, Tensor, Tensor], Tensor]) -> Tensor:
        """What other libraries make of every image alone; seeded by the image.

        Args:
            explain: network, image ``[1, C, H, W]``, which may be differentiated, and target
                ``[1]`` → its map ``[1, h, w]`` or ``[1, C, h, w]``.

        Returns:
            ``[B, …]``.
        """

    def differentiable(self, images: Tensor, rows: Tensor) -> Tensor:
        """Logits ``[n, classes]`` that can be differentiated by images ``[n, C, H, W]``.

        Counted as a forward and a backward for each. The caller keeps ``n`` small:
        ``differentiable`` is not batched.

        Args:
            rows: ``[n]``, the image of the batch that each is a change of.
        """


@dataclass(frozen=True)
class Method(ABC):
    """A CAM method. Its dataclass fields are its options; their defaults are the protocol's."""

    key: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    weighs_by: ClassVar[str]
    """In a few words, for listings: how α is found."""
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Allowed values of the options that are words."""
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}
    """Smallest and largest value of options that are numbers; without an entry they are above 0 and
    below 10,000.
    """
    needs_gap_linear: ClassVar[bool] = False
    needs_attention: ClassVar[bool] = False
    """Whether it looks into self-attention (``View.attention``): for transformers whose blocks
    attend over all tokens.
    """
    masks_channels: ClassVar[bool] = False
    """Whether every channel costs forwards (Score-CAM and kin): such methods are evaluated after
    the cheap ones.
    """
    beyond_paper: ClassVar[bool] = False
    """Not among the rows of Table 2."""
    control: ClassVar[bool] = False
    """Explains nothing and is there to be compared with: measured and shown as any other, but not
    ranked.
    """

    optimises: ClassVar[str] = ""
    """What a metric measures and the method optimises, in a few words: ``the drop``. Tables say it:
    its value there is what it was made for.
    """
    extra: ClassVar[str] = ""
    """The extra of camtui whose library it needs: then no group of methods names it."""
    estimated: ClassVar[bool] = False
    """Whether ``forwards`` is an estimate: the count depends on more than it is told."""

    explains: ClassVar[str] = "any"
    """Which images it has maps of: ``any``; ``images`` of the data set alone, so that coherency and
    ADCC are missing; ``explanations``: those and their explanation images.
    """

    formula = "combine"
    map_type = "<f4"

    @abstractmethod
    def combine(self, view: View) -> Tensor:
        """``L = Σ_k α_k A_k`` before ReLU, ``[B, h, w]``."""

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """Network forwards per image beyond the clean pass, masked pass included (for the ETA)."""
        return 1

    @property
    def needs(self) -> str:
        """Its requirements on a network, in a few words; empty where it has none."""
        if self.needs_attention:
            return "attention blocks over all tokens"
        return "a GAP + linear head" if self.needs_gap_linear else ""

    def noisy_passes(self, gap_linear: bool) -> Sequence[tuple[str, int]]:
        """``name`` and ``step`` of every ``view.perturbed`` in order: the noise is drawn ahead."""
        return ()

    def map_identity(self, gap_linear: bool) -> str:
        """Identity of the map: methods with the same one have equal maps and are computed once."""
        return self.name

    @property
    def name(self) -> str:
        """The key with the options that differ from their defaults: ``scorecam:variant=cic``."""
        changed = [
            f"{f.name}={getattr(self, f.name)}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        ]
        return ":".join([self.key, ",".join(changed)]) if changed else self.key

    @property
    def options(self) -> dict[str, Any]:
        """Every option with its value, defaults included."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


class FixedMap(Method):
    """A method whose map does not depend on the image; made at full resolution, never upsampled."""

    formula = "fixed_map"

    @abstractmethod
    def fixed_map(self, height: int, width: int) -> list[list[float]]:
        """The saliency map, rows of pixels in [0, 1]."""

    def combine(self, view: View) -> Tensor:
        """Never called: there is nothing to weigh."""
        raise NotImplementedError(f"{self.key} has a fixed map")


MOST_SIDE = 4096
"""Longest side of an image method's map: no input is larger by far."""


class ImageMethod(Method):
    """A method that explains the image by the whole network: gradients, masks, several layers.

    Its map may be as fine as the input. It is averaged by area to the protocol's ``map_side``,
    scaled to [0, 1] and rounded to float16: that map is measured, stored and drawn.

    Attributes:
        sign: how channels become one map: ``positive``: ``relu(Σ_C ·)``; ``absolute``: ``Σ_C |·|``.
            A class may make it an option.
    """

    formula = "explain"
    map_type = "<f2"
    sign: str = "positive"

    @abstractmethod
    def explain(self, view: ImageView) -> Tensor:
        """The map, ``[B, h, w]`` or ``[B, C, h, w]``, no side longer than the input's."""

    @abstractmethod
    def cost(self) -> int:
        """Forwards that one map takes beyond the clean pass; a backward counts as two."""

    def combine(self, view: View) -> Tensor:
        """``[B, h, w]``: ``explain``, with its channels as one map."""
        found = self.explain(view.image)
        if getattr(found, "ndim", 0) != 4:
            return found
        return found.abs().sum(1) if self.sign == "absolute" else found.sum(1).relu()

    def forwards(self, channels: int, gap_linear: bool) -> int:
        """Of the map, the masked pass and the second map."""
        return 1 + 2 * self.cost()


SIGNS = ("positive", "absolute")
"""Values of the option ``sign``."""

REFERENCES: tuple[Reference, ...] = ("zero", "black", "blur")
"""Values of an option that names a reference."""


COMPOSITES = ("gamma-box", "plus-flat", "alpha2-beta1-flat")
"""Rules of LRP by layer, as zennit composes them: for convolutions and the first layer, with ε for
linear layers.
"""


def versions(view: ImageView, count: int) -> Tensor:
    """``rows`` of ``count`` changes of every image: all images once, then all again."""
    return view.targets.new_tensor(range(len(view.targets))).repeat(count)


def min_max(maps: Tensor) -> Tensor:
    """Scale each of ``[n, …]`` to [0, 1]; one that is constant is 0."""
    flat = maps.flatten(1)
    low = flat.amin(1, keepdim=True)
    spread = flat.amax(1, keepdim=True) - low
    return guarded_ratio(flat - low, spread.expand_as(flat)).view_as(maps)


def weighted_sum(weights: Tensor, activation: Tensor) -> Tensor:
    """``L = Σ_k α_k A_k``: activation ``[B, K, h, w]`` → ``[B, h, w]``.

    Args:
        weights: ``[B, K]`` or ``[B, K, 1, 1]``; or ``[B, K, h, w]`` where positions are weighted
            one by one.
    """
    if weights.shape == activation.shape:
        return (weights * activation).sum(1)
    weights = weights.view(len(weights), 1, -1).to(activation.dtype)
    return weights.bmm(activation.flatten(2)).view(len(activation), *activation.shape[2:])


def sum_of_positions(values: Tensor, activation: Tensor) -> Tensor:
    """Sum over the positions, ``Σ_ij``: ``[B, K, h, w]`` → ``[B, K]``.

    Values ``[B, K, 1, 1]`` stand for every position of the activation.
    """
    repeated = activation.shape[2:].numel() // values.shape[2:].numel()
    return values.sum((2, 3)) * repeated


def guarded_ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """``numerator / denominator``, and 0 where the denominator is 0."""
    zero = denominator == 0
    return (numerator / denominator.masked_fill(zero, 1)).masked_fill(zero, 0)
