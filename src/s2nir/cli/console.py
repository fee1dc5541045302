"""What commands say to people: tables and progress by rich on a terminal, plain text elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..report import printable, table


class Console:
    """Answers go to stdout, messages and progress to stderr; with `as_json` stdout is left to the JSON object."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.warned: list[str] = []

    def warn(self, message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
        """In the place of `warnings.showwarning`: each sentence once."""
        if str(message) not in self.warned:
            self.warned.append(str(message))
            self.message(f"warning: {message}")

    def message(self, words: str) -> None:
        """A line on stderr."""
        print(_lines(words), file=sys.stderr, flush=True)

    def say(self, words: str) -> None:
        """A line or page of the answer."""
        if not self.as_json:
            print(_lines(words))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
        """A table of the answer; the first column holds names, the others what is said of them."""
        if self.as_json:
            return
        if not sys.stdout.isatty():
            print("\n".join([title, *(f"  {row}" for row in table(head, rows))]))
            return
        from rich import box
        from rich.console import Console as Rich
        from rich.table import Table
        from rich.text import Text

        shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        for i, name in enumerate(head):
            numeric = i > 0 and all(row[i][:1].isdigit() for row in rows)
            shown.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            shown.add_row(*(Text(printable(cell)) for cell in row))
        Rich().print(shown)

    @contextlib.contextmanager
    def progress(self, words: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar on stderr, where that is a terminal; gives what to call with the number that is done."""
        if not sys.stderr.isatty():
            yield lambda done: None
            return
        from rich.console import Console as Rich
        from rich.progress import Progress

        with Progress(console=Rich(stderr=True), transient=True) as bar:
            task = bar.add_task(words, total=total)
            yield lambda done: bar.update(task, completed=done)

    @contextlib.contextmanager
    def steps(self) -> Iterator[tuple[Callable[[str], None], Callable[[int, int], None]]]:
        """For work of many pieces: gives what to call with a line on each, and with (done, all) within one."""
        if not sys.stderr.isatty():
            yield self.message, lambda done, total: None
            return
        from rich.console import Console as Rich
        from rich.progress import Progress, TimeElapsedColumn

        with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=Rich(stderr=True),
                      transient=True) as bar:
            task = bar.add_task("", total=None)

            def step(words: str) -> None:
                bar.console.print(_lines(words), markup=False, highlight=False)
                bar.update(task, description=words.split(":")[0][:40], completed=0, total=None)

            yield step, lambda done, total: bar.update(task, completed=done, total=total)


def _lines(words: str) -> str:
    return "\n".join(printable(line) for line in words.split("\n"))
