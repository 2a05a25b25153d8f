"""The names that a method, a metric or a backbone is written with, camtui's own too.

Importing this module does not import torch. A file with one class is a method;
``camtui new method NAME`` writes one with its test, ``camtui check FILE.py:NAME`` looks for what
commonly goes wrong, and ``camtui run … -m FILE.py:NAME`` evaluates it.

A **method** is a class with a key, a title, a paper and ``combine``, which returns the map before
ReLU, ``[B, h, w]``; its fields are its options:

>>> from dataclasses import dataclass
>>> from camtui.extend import Method, weighted_sum
>>> @dataclass(frozen=True)
... class MyCAM(Method):
...     key = "mycam"
...     title = "My-CAM"
...     paper = "Doe, 2026"
...     weighs_by = "the mean gradient to a power"
...     power: float = 1.0
...
...     def combine(self, view):
...         return weighted_sum(view.gradient.mean((2, 3)).relu() ** self.power, view.activation)
>>> MyCAM(power=2.0).name
'mycam:power=2.0'

A **view** is one pass over a batch of images, as ``combine`` sees it: ``activation``, ``gradient``,
``logits``, ``targets``, and functions that ask the network for more. ``trial_view`` makes one of a
small network:

>>> from evaluator.measuring.trial import trial_view
>>> view = trial_view(images=4)
>>> view.activation.shape, view.logits.shape, view.targets.shape
(torch.Size([4, 6, 8, 8]), torch.Size([4, 10]), torch.Size([4]))
>>> MyCAM().combine(view).shape
torch.Size([4, 8, 8])
>>> view.channel_scores().shape
torch.Size([4, 6])

A **fixed map** is the same for every image and is written at full resolution:

>>> from camtui.extend import FixedMap
>>> class LeftHalf(FixedMap):
...     key = "lefthalf"
...     title = "Left half"
...     paper = "Doe, 2026"
...     weighs_by = "1 on the left"
...     control = True
...
...     def fixed_map(self, height, width):
...         return [[float(x < width / 2) for x in range(width)] for y in range(height)]
>>> LeftHalf().fixed_map(1, 4)
[[1.0, 1.0, 0.0, 0.0]]

An **image method** explains the image by the whole network: gradients at the pixels, masks, several
layers. It has ``explain`` in place of ``combine``, which returns a map of any size up to the
input's, with or without channels, and ``cost``, the forwards of one map (a backward counts as two).
``scores`` and ``gradient`` take changed images chunk by chunk; ``versions`` says whose they are:

>>> from camtui.extend import ImageMethod, versions
>>> class Halves(ImageMethod):
...     key = "halves"
...     title = "Halves"
...     paper = "Doe, 2026"
...     weighs_by = "what each half alone keeps of the confidence"
...
...     def explain(self, view):
...         left = view.images.new_zeros(2, 1, *view.images.shape[2:])
...         left[0, :, :, : left.shape[3] // 2] = 1
...         left[1] = 1 - left[0]
...         rows = versions(view, 2)
...         half = rows.new_tensor([0, 1]).repeat_interleave(len(view.images))
...
...         def shown(start, stop):
...             return view.images[rows[start:stop]] * left[half[start:stop]]
...
...         scores = view.scores(shown, len(rows), rows).float().view(2, -1, 1, 1)
...         return (scores * left).sum(0)
...
...     def cost(self):
...         return 2
>>> Halves().combine(trial_view(images=4)).shape
torch.Size([4, 32, 32])

``pixel_gradient`` is the gradient at the image itself, ``stepwise_noise`` noise for the
``versions``. An option ``sign`` takes ``SIGNS``, one that names an image that shows nothing
``REFERENCES`` (``view.reference``).

>>> from camtui.extend import pixel_gradient
>>> pixel_gradient(trial_view(images=4).image).shape
torch.Size([4, 3, 32, 32])

A **metric** is a constant and a function in one module. ``measure`` sees what a run has stored of B
images, and returns ``[B]``:

>>> from camtui.extend import Explained, Metric
>>> METRIC = Metric(
...     key="kept", title="Kept", short="kept", paper="Doe, 2026", better="higher",
...     definition="o_c / (y_c + o_c)",
... )
>>> def measure(explained):
...     return guarded_ratio(explained.masked, explained.clean + explained.masked)
>>> from camtui.extend import guarded_ratio
>>> from evaluator.measuring.trial import trial_explained
>>> measure(trial_explained(images=4)).shape
torch.Size([4])

``explained.probe`` asks the network again, where ``METRIC`` says how often: ``altered=2`` for two
versions of each image.

>>> def robust(explained):
...     probe = explained.probe
...     darker = lambda place, first, last: (
...         probe.images[place] * torch.tensor([0.9, 0.8])[first:last, None, None, None]
...     )
...     return (probe.confidence(darker, 2).mean(1) / explained.clean).clamp(max=1)
>>> import torch
>>> robust(trial_explained(images=4)).shape
torch.Size([4])

A metric with ``curve=True`` has ``frame`` and ``ends`` instead: what the network is shown along a
curve, and its two known points. ``Frame`` says what ``frame`` is called with; ``area_under_curve``,
``inner_steps`` and ``pixel_ranks`` are what camtui uses itself.

>>> from camtui.extend import area_under_curve, pixel_ranks
>>> pixel_ranks(torch.tensor([[[0.1, 0.9], [0.5, 0.2]]])).tolist()
[[[3, 0], [1, 2]]]
>>> area_under_curve(torch.tensor([[1.0, 0.5, 0.0]])).tolist()
[0.5]

Helpers for formulas: ``weighted_sum`` of the channels, ``sum_of_positions`` where a gradient may
stand for every position, ``guarded_ratio`` that is 0 where the denominator is, ``min_max`` of each
map,
``first_right_singular_vector`` and ``high_power`` for principal directions.

>>> from camtui.extend import sum_of_positions
>>> sum_of_positions(torch.ones(1, 2, 1, 1), torch.zeros(1, 2, 3, 3)).tolist()
[[9.0, 9.0]]

``slow``: a method may carry its formula a second time, for one image, with loops and autograd
through the whole network; ``camtui check`` then compares the two
(``evaluator.measuring.trial.Seen`` says what it is given):

>>> class Checked(MyCAM):
...     key = "checked"
...
...     def slow(self, seen):
...         activation, gradient, _ = seen.passed(seen.x)
...         return sum(g.mean().relu() * a for g, a in zip(gradient, activation))

A **backbone** is a function that returns an ``nn.Module``, or one and a dictionary of facts about
it; it needs nothing from here.
"""

from __future__ import annotations

from evaluator.methods.base import (
    COMPOSITES,
    REFERENCES,
    SIGNS,
    Attention,
    BiasGradient,
    BlockScore,
    ChannelMasks,
    FixedMap,
    ImageMethod,
    ImageView,
    Method,
    View,
    guarded_ratio,
    min_max,
    sum_of_positions,
    versions,
    weighted_sum,
)
from evaluator.methods.eigencam import first_right_singular_vector, high_power
from evaluator.methods.saliency import pixel_gradient
from evaluator.methods.smoothgrad import stepwise_noise
from evaluator.metrics.base import Explained, Metric, Probe, Saliency
from evaluator.metrics.curves import Frame, Step, area_under_curve, inner_steps, pixel_ranks

API_VERSION = 1
"""Rises when a name goes or means something else; new names do not raise it."""

__all__ = [
    "API_VERSION",
    "COMPOSITES",
    "REFERENCES",
    "SIGNS",
    "Attention",
    "BiasGradient",
    "BlockScore",
    "ChannelMasks",
    "Explained",
    "FixedMap",
    "Frame",
    "ImageMethod",
    "ImageView",
    "Method",
    "Metric",
    "Probe",
    "Saliency",
    "Step",
    "View",
    "area_under_curve",
    "first_right_singular_vector",
    "guarded_ratio",
    "high_power",
    "inner_steps",
    "min_max",
    "pixel_gradient",
    "pixel_ranks",
    "stepwise_noise",
    "sum_of_positions",
    "versions",
    "weighted_sum",
]
