"""Fake-CAM: explains nothing, and wins average drop and average increase all the same."""

from __future__ import annotations

from evaluator.methods.base import FixedMap


class FakeCAM(FixedMap):
    """Fake-CAM (Poppi et al., CVPR Workshops 2021, section 3.1).

    ``U = 1`` everywhere except the top-left pixel, which is 0, at the full resolution of the input.

    - ``U``: ``[H, W]``, the saliency map; the same for every image, so coherency is 1 and
      complexity ``1 − 1/(HW)`` exactly

    The paper's counter-example to average drop and average increase; its ADCC is 0.01 %.

    >>> FakeCAM().fixed_map(2, 3)
    [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    key = "fakecam"
    title = "Fake-CAM"
    paper = "Poppi et al., CVPR Workshops 2021"
    weighs_by = "nothing: all pixels but one"
    control = True

    def fixed_map(self, height: int, width: int) -> list[list[float]]:
        """All ones but the top-left pixel."""
        return [[float(row + column > 0) for column in range(width)] for row in range(height)]
