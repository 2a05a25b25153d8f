"""The legend behind ``?``: the meaning of signs, short words and colours, screen by screen."""

from __future__ import annotations

from collections.abc import Mapping

LegendEntry = tuple[str, str]
"""As it is shown, and what it means."""

HEADER: tuple[LegendEntry, ...] = (
    ("part 1 of 2", "the stretch of work that is under way, and how many images of it are done"),
    ("images/s", "images a second through all methods of this part, or seconds for one image"),
    ("ETA", "time left of the whole run, from what has been timed so far"),
    ("busy ▁▅█", "how busy the devices were over the last minute, 0 to 100 %"),
    ("heartbeat", "how long ago the driver last wrote; more than 10 s is too long"),
)
"""The two lines at the top of every screen."""

_VALUES: tuple[LegendEntry, ...] = (
    ("↑ ↓", "higher is better, lower is better"),
    ("±", "half of the 95 % interval, in points"),
    ("*", "best of its backbone, of 10 images or more; controls are not ranked"),
    ("=", "not separated from the best: paired t test, 5 % over all of them (Holm)"),
    ("~", "not every image yet: an average over those that are done"),
    ("····", "nothing computed yet"),
    ("–", "undefined: y, the confidence in the explained class, is 0 on every image"),
    ("n/a", "the method does not apply to this network"),
)

SCREENS: Mapping[str, tuple[LegendEntry, ...]] = {
    "GridScreen": (
        *_VALUES,
        ("drop inc", "average drop, average increase"),
        ("coh compl", "coherency, complexity"),
        ("del ins", "deletion, insertion"),
        ("0▕▂▅█▏100", "how many images have which value"),
        ("━━──●──", "ADCC: the dot, its 95 % interval on both sides"),
        ("▶", "the cursor"),
    ),
    "CellScreen": (
        *_VALUES,
        ("true → predicted", "the label and what the network said; one name where they agree"),
        ("confidence → masked", "in the explained class, on the image and on the explanation map"),
        ("solid, dotted", "ADCC after the first n images, and its 95 % interval"),
    ),
    "ImageScreen": (
        ("worst by … 1/38", "place of this image among those of its cell"),
        ("input", "what the network saw: resized and cropped"),
        ("saliency map", "0 and 1 have the same colours in every picture"),
        ("explanation map", "the image weighted by the map, as the network saw it again"),
        ("α", "how strong the map is in the overlay"),
        ("▶", "with all methods: the one that was opened"),
        ("*", "with all methods: the best value on this image; controls are not ranked"),
    ),
    "RunsScreen": (
        ("+", "marked for comparing"),
        ("done", "share of all rows that are there"),
        ("ADCC↑ best", "the best average of the run, controls left out, and whose it is"),
        ("took", "time under way"),
        (
            "a: 1 → 2",
            "where the run under the cursor was asked for otherwise than the one that is open",
        ),
    ),
    "LogScreen": (
        ("INFO WARNING ERROR", "how grave an event is"),
        ("reason", "why an image has no value in a cell"),
    ),
    "CompareScreen": (
        (
            "change",
            "second minus first, over the images that both have, with half of its 95 % interval",
        ),
        ("tie", "not separated: paired t test, 5 % over all that are listed (Holm)"),
        ("untested", "fewer than 10 images in common"),
    ),
}


def legend_of(screen: str) -> tuple[LegendEntry, ...]:
    """Return the marks of a screen by the name of its class, the header's last."""
    return (*SCREENS.get(screen, ()), *HEADER)
