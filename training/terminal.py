"""The line on the terminal that says how far something is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TextIO


def say_error(text: str) -> None:
    """Writes `error: text` to standard error.

    What a terminal would obey or break the line at, as names and options may hold it,
    is shown as Python writes it.
    """
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    print(f"error: {shown}", file=sys.stderr)


class ProgressLine:
    """One line that is written over on a terminal, one line each elsewhere.

    Args:
        stream: where to; standard output if None.
    """

    def __init__(self, stream: TextIO | None = None):
        self._stream = stream or sys.stdout
        self._width = 0
        self.terminal = self._stream.isatty()

    def show(self, text: str) -> None:
        """Shows a text in place of the last one."""
        if self.terminal:
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._write(text + "\n")

    def end(self) -> None:
        """Ends the line, so that what is printed next begins a new one."""
        if self._width:
            self._write("\n")
            self._width = 0

    def _write(self, text: str) -> None:
        # A terminal that was closed, or a reader that ended, must not end the run.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def countdown(
    label: str, stream: TextIO | None = None, patience: float = 0.0
) -> Callable[..., None]:
    """Returns what shows `label done/total, time left` when called with both numbers.

    On a terminal at each call, elsewhere at each tenth of the way. What it is called
    with beside the two numbers (a loss) isn't shown.

    Args:
        label: what is counted.
        stream: where to; standard error if None.
        patience: seconds before anything is shown.
    """
    line = ProgressLine(stream or sys.stderr)
    start = time.perf_counter()
    tenth = 0

    def show(done: int, total: int, *_: float) -> None:
        nonlocal tenth
        passed = time.perf_counter() - start
        if passed < patience or not (line.terminal or done * 10 // total > tenth):
            return
        tenth = done * 10 // total
        left = duration(passed / max(done, 1) * (total - done))
        line.show(f"{label} {done}/{total}, {left} left")
        if done >= total:
            line.end()

    return show


def duration(seconds: float) -> str:
    """Returns a duration as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
