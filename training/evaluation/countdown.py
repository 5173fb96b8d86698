"""A line on the terminal with the time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from training.terminal import duration


class Countdown:
    """Shows `label done/total, time left`, written over on a terminal.

    Elsewhere, such as in a file, a line is written each tenth of the way.

    Args:
        label: What is counted.
        stream: Where to; standard error if `None`.
    """

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._start = time.perf_counter()
        self._tenth = 0

    def __call__(self, done: int, total: int, *_: float) -> None:
        """Shows that `done` of `total` are done."""
        passed = time.perf_counter() - self._start
        left = duration(passed / max(done, 1) * (total - done))
        line = f"{self._label} {done}/{total}, {left} left"
        if self._stream.isatty():
            end = "\n" if done >= total else ""
            self._stream.write(f"\r{line:<60}{end}")
        elif done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            self._stream.write(line + "\n")
        self._stream.flush()
