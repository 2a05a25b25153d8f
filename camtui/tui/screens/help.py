"""The help screen: the keys of a screen, then of all others, from their bindings; its marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import wrap

from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.screen import ModalScreen

from camtui.format import Field, TableColumn
from camtui.tui.theme import DEFAULTS
from camtui.tui.widgets.fields import Line
from camtui.tui.widgets.keybar import KeyBar, keys_by_word
from camtui.tui.widgets.table import LineTable

LegendEntry = tuple[str, str]
"""As it is shown, and what it means."""

HEADER: tuple[LegendEntry, ...] = (
    ("stage 1 of 2", "the stage that is under way, and how many images of it are done"),
    ("images/s", "images a second through all methods of this stage, or seconds for one image"),
    ("ETA", "time left of the whole run, from what has been timed so far"),
    ("busy ▁▅█", "how busy the devices were over the last minute, 0 to 100 %"),
    ("last write", "how long ago the driver last wrote; more than 10 s is too long"),
)
"""The two lines at the top of every screen."""

_VALUES: tuple[LegendEntry, ...] = (
    ("drop↓ coh↑", "lower is better; higher is better"),
    ("±", "half of the 95 % interval, in points"),
    ("*", "best of its network, of 10 images or more; controls are not ranked"),
    ("=", "not separated from the best: paired t test, 5 % over all of them (Holm)"),
    ("~", "not every image yet: an average over those that are done"),
    ("····", "nothing computed yet"),
    ("–", "undefined: y, the confidence in the explained class, is 0 on every image"),
    ("n/a", "the method does not apply to this network"),
    ("below a rule, dim", "controls: measured, not ranked"),
    ("1–9 of 18 ▲0 ▼9", "the rows in sight, and how many are above and below"),
)

SCREENS: Mapping[str, tuple[LegendEntry, ...]] = {
    "GridScreen": (
        *_VALUES,
        ("drop inc", "average drop, average increase"),
        ("coh compl", "coherency, complexity"),
        ("del ins", "deletion, insertion"),
        ("0▕▂▅█▏100", "how many images have which value"),
        ("├──●──┤", "the dot is the average, its 95 % interval on both sides"),
        ("▶", "the cursor"),
    ),
    "CellScreen": (
        *_VALUES,
        ("true → predicted", "the label and what the network said; one name where they agree"),
        ("confidence → masked", "in the explained class, on the image and on the masked one"),
        ("solid, dotted", "the average after the first n images, and its 95 % interval"),
    ),
    "ImageScreen": (
        ("worst by … 1/38", "place of this image among those of the method"),
        ("input", "what the network saw: resized and cropped"),
        ("saliency map", "0 and 1 have the same colours in every picture"),
        ("masked", "the image weighted by the map, as the network saw it again"),
        ("α", "how opaque the overlay is where the map is 1; where it is 0 the image stays"),
        ("pixels removed", "played: the most salient go first; shown: they come first"),
        ("▶", "with all methods: the cursor, at first on the best, then where it was left"),
        ("*", "with all methods: the best value on this image; controls are not ranked"),
        ("= cam, xgradcam", "with all methods: these have the same map by construction"),
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
        ("reason", "why an image has no value under a method"),
    ),
    "CompareScreen": (
        (
            "change",
            "second minus first, over the images that both have, with half of its 95 % interval",
        ),
        ("tie", "not separated: paired t test, 5 % over all that are listed (Holm)"),
        ("untested", "fewer than 10 images in common"),
        ("├──●──┤", "the change and its 95 % interval, in points; │ is no change"),
    ),
    "ChangedScreen": (("change", "the second run minus the first, in points"),),
    "TwoScreen": (
        (
            "difference",
            "of the maps: blue where the first is higher, orange where the second is; "
            "without colours, light where they differ",
        ),
        ("up to", "the largest difference, which has the full colour; maps lie between 0 and 1"),
    ),
}


Section = tuple[str, type[DOMNode]]
"""A title, and the class whose keys work there."""

TWO_COLUMNS = 100
"""Width of the terminal from which the help has two columns."""

_FIRST = 22
"""Width of the column of keys and marks."""


class HelpScreen(ModalScreen[None]):
    """The keys of the screen that it was asked on, then of every other; what its marks mean."""

    BINDINGS = [Binding("escape,question_mark,q", "close", "close")]

    def __init__(self, asked_on: str, everywhere: type[DOMNode]) -> None:
        """Explain a screen, named by its class; ``everywhere``: whose keys work on each of them."""
        super().__init__()
        self._asked_on, self._sections = asked_on, key_sections(everywhere)

    def compose(self) -> ComposeResult:
        """Compose the list and its own keys."""
        yield LineTable(id="help", can_open=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the help, the cursor on its first line."""
        self._show()
        self.query_one("#help", LineTable).focus()

    def on_resize(self) -> None:
        """Lay the help out for another width."""
        self._show()

    def _show(self) -> None:
        """List the keys of the screen that it was asked on, the others, then the marks.

        In two columns where there is room.
        """
        width = self.app.size.width
        columns = 2 if width >= TWO_COLUMNS else 1
        room = max(20, (width - 3) // columns - _FIRST - 2)
        ascii_only = getattr(self.app, "settings", DEFAULTS).ascii
        here = [one for one in self._sections if one[1].__name__ == self._asked_on]
        others = [one for one in self._sections if one not in here]
        blocks = help_lines([*here, *others], room, ascii_only=ascii_only)
        blocks.append(legend_lines(self._asked_on, room))
        first = TableColumn("keys", "", width=_FIRST, numeric=False)
        whole = TableColumn("meaning", "", numeric=False)
        shown = [first, whole]
        if columns == 2:
            beside = TableColumn("meaning", "", width=room, numeric=False)
            shown = [first, beside, replace(first, key="keys2"), replace(whole, key="meaning2")]
            blocks = [in_two_columns(block) for block in blocks]
        lines = [line for block in blocks for line in block]
        self.query_one("#help", LineTable).show(shown, lines)

    def action_close(self) -> None:
        """Close the help."""
        self.dismiss()


def key_sections(everywhere: type[DOMNode]) -> list[Section]:
    """List the places where keys work, in the order of the help; ``everywhere`` comes first."""
    from camtui.tui.screens.cell import CellScreen
    from camtui.tui.screens.compare import ChangedScreen, CompareScreen
    from camtui.tui.screens.grid import GridScreen
    from camtui.tui.screens.image import ImageScreen
    from camtui.tui.screens.log import LogScreen
    from camtui.tui.screens.runs import RunsScreen
    from camtui.tui.screens.two import TwoScreen
    from camtui.tui.widgets.gallery import Tiles

    return [
        ("everywhere", everywhere),
        ("in lists", LineTable),
        ("grid", GridScreen),
        ("method", CellScreen),
        ("image", ImageScreen),
        ("all methods", Tiles),
        ("two at once", TwoScreen),
        ("runs", RunsScreen),
        ("log", LogScreen),
        ("compare", CompareScreen),
        ("changed images", ChangedScreen),
    ]


def own_bindings(kind: type[DOMNode]) -> list[Binding]:
    """Return the bindings that a class of the dashboard declares, and those of its bases here."""
    ours = [one for one in kind.__mro__ if one.__module__.startswith("camtui.")]
    declared = [one for base in ours for one in base.__dict__.get("BINDINGS", ())]
    return [one for found in BindingsMap(declared).key_to_bindings.values() for one in found]


def legend_lines(screen: str, room: int) -> list[Line]:
    """Explain each mark of a screen, wrapped to the room there is."""
    lines = [Line(("marks", ""), (Field("marks on this screen", "strong"), Field("")))]
    for mark, meaning in (*SCREENS.get(screen, ()), *HEADER):
        lines += _entry(("marks", mark), Field(f"  {mark}", "accent"), meaning, room)
    return lines


def help_lines(
    sections: Sequence[Section], room: int, *, ascii_only: bool = False
) -> list[list[Line]]:
    """List each thing that can be done, under the place where it works: a block for each."""
    blocks: list[list[Line]] = []
    for title, kind in sections:
        lines = [Line((title, ""), (Field(title, "strong"), Field("")))]
        bindings = own_bindings(kind)
        more = {one.description: one.tooltip for one in reversed(bindings) if one.tooltip}
        for word, names in keys_by_word(bindings, ascii_only=ascii_only).items():
            keys = " ".join(names)
            meaning = f"{word}: {more[word]}" if word in more else word
            lines += _entry((title, keys, word), Field(f"  {keys}", "key"), meaning, room)
        blocks.append(lines)
    return blocks


def in_two_columns(block: Sequence[Line]) -> list[Line]:
    """Set the second half of a block beside its first; its title stays above both."""
    title, *rest = block
    half = (len(rest) + 1) // 2
    while half < len(rest) and not rest[half].fields[0].text:  # an entry stays whole
        half += 1
    blank = (Field(""), Field(""))
    return [
        title,
        *(
            Line(left.key, (*left.fields, *(rest[place].fields if place < len(rest) else blank)))
            for place, left in enumerate(rest[:half], half)
        ),
    ]


def _entry(key: tuple[str, ...], first: Field, text: str, room: int) -> list[Line]:
    """Format a key or a mark and its meaning, over as many lines as it takes."""
    parts = wrap(text, room) or [""]
    heads = [first, *[Field("")] * (len(parts) - 1)]
    return [
        Line((*key, place), (head, Field(part)))
        for place, (head, part) in enumerate(zip(heads, parts, strict=True))
    ]
