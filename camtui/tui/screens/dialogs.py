"""Questions before anything happens to a run; the answer at hand is always No."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from camtui.format import Field, TableColumn
from camtui.tui.widgets.fields import Line, TextLines
from camtui.tui.widgets.table import CursorMoved, LineTable, RowOpened
from evaluator.text import printable


class Choice(NamedTuple):
    """An answer: its key, and its words."""

    key: str
    words: str


class Answers(LineTable):
    """The answers to a question."""

    BINDINGS = [Binding("enter", "open", "choose")]


class Question(ModalScreen[str]):
    """A question with answers below each other; the first is ``no``, and Escape means it too."""

    BINDINGS = [Binding("escape", "no", "no"), Binding("y", "yes", "yes"), Binding("n", "no", "no")]

    def __init__(
        self, question: str, choices: Sequence[Choice], refuse: str = "No, leave it as it is"
    ) -> None:
        super().__init__()
        self._question = printable(question)
        self._choices = [Choice("", refuse), *choices]

    def compose(self) -> ComposeResult:
        """Compose the question, the answers, the keys."""
        with Vertical(id="dialog"):
            yield Static(self._question, id="question", markup=False)
            yield Answers(id="answers")
            yield TextLines(id="answer-keys")

    def on_mount(self) -> None:
        """Put the cursor on No."""
        lines = [Line(choice.key, (Field(choice.words),)) for choice in self._choices]
        table = self.query_one("#answers", LineTable)
        table.show([TableColumn("answer", "", numeric=False)], lines)
        table.focus()
        self.on_cursor_moved(CursorMoved("answers", "", ""))

    def on_cursor_moved(self, message: CursorMoved) -> None:
        """Say in words what the keys would answer."""
        words = "yes" if message.row else "no"
        first = "yes" if len(self._choices) == 2 else self._choices[1].words
        keys = [("Enter", words), ("y", first), ("Esc", "no")]
        fields = [(Field(f"  {key}", "key"), Field(f" {means}", "dim")) for key, means in keys]
        self.query_one("#answer-keys", TextLines).show([[], [one for two in fields for one in two]])

    def on_row_opened(self, message: RowOpened) -> None:
        """Give the answer under the cursor."""
        self.dismiss(str(message.row))

    def action_no(self) -> None:
        """Answer No: nothing happens."""
        self.dismiss("")

    def action_yes(self) -> None:
        """Give the first answer that is not No."""
        self.dismiss(self._choices[1].key)


class PathInput(Input):
    """A line to type a path on."""

    BINDINGS = [Binding("enter", "submit", "write")]  # Input's own is not shown


class AskForPath(ModalScreen[str]):
    """A dialog for a place to write to; empty or Escape for nowhere."""

    BINDINGS = [Binding("escape", "no", "leave")]

    def __init__(self, question: str, suggestion: str) -> None:
        super().__init__()
        self._question, self._suggestion = printable(question), suggestion

    def compose(self) -> ComposeResult:
        """Compose the question and a line to type on."""
        with Vertical(id="dialog"):
            yield Static(self._question, id="question", markup=False)
            yield PathInput(self._suggestion, id="path", select_on_focus=False)
            yield TextLines(id="answer-keys")

    def on_mount(self) -> None:
        """Say in words what the keys do."""
        words = [Field("  Enter", "key"), Field(" write", "dim")]
        words += [Field("  Esc", "key"), Field(" leave", "dim")]
        self.query_one("#answer-keys", TextLines).show([[], words])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        self.dismiss(event.value.strip())

    def action_no(self) -> None:
        """Answer No: nothing happens."""
        self.dismiss("")
