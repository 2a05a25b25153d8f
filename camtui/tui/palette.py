"""The palette behind ``:``: the commands of the command line, and the screens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from camtui.tui.messages import RunAction


class RunCommands(Provider):
    """The commands of the palette: all that can be done now, by name."""

    def _commands(self) -> list[tuple[str, str, Callable[[], object]]]:
        commands: list[tuple[str, str, str]] = [
            ("table", "the averages: method × backbone", "open_screen('grid')"),
            ("worst", "the worst images of the chosen cell", "open_screen('cell')"),
            ("image", "the worst image of the chosen cell", "open_screen('image')"),
            ("ls", "all runs", "open_screen('runs')"),
            ("compare", "two runs: mark them in the list, then =", "open_screen('runs')"),
            ("logs", "what the driver and its workers printed", "open_log('log file')"),
            ("errors", "images without a value, and why", "open_log('errors')"),
            ("show", "the plan and every version", "open_log('plan')"),
            ("timings", "what an image costs in each stage", "open_log('timings')"),
            ("stop", "stop the run (asks first)", "stop"),
            ("resume", "go on with the run (asks first)", "resume"),
            ("retry", "try the failed images again (asks first)", "retry"),
            ("export", "write a table or the data to a file", "export"),
            ("copy", "the view, to the terminal's clipboard", "copy_view"),
            ("theme", "dark, light, and Textual's own", "theme"),
            ("help", "every key", "help"),
            ("detach", "leave the dashboard; a run that is under way goes on", "detach"),
        ]
        return [
            (name, more, partial(self.app.post_message, RunAction(action)))
            for name, more, action in commands
            if self.app.check_action(action, ())
        ]

    async def discover(self) -> Hits:
        """List all commands."""
        for name, more, act in self._commands():
            yield DiscoveryHit(name, act, text=name, help=more)

    async def search(self, query: str) -> Hits:
        """List the commands that match a query."""
        matcher = self.matcher(query)
        for name, more, act in self._commands():
            # a command's own name before the words about it
            score = max(2 * matcher.match(name), matcher.match(more))
            if score > 0:
                yield Hit(score, Content(name), act, text=name, help=more)
