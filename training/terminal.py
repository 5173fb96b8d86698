"""Lines on the terminal that say how far something is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from typing import TextIO


class ProgressLine:
    """One line that is written over on a terminal, one line each elsewhere.

    Args:
        last_step: the run's number of steps.
        stream: where to; standard output if None.
    """

    def __init__(self, last_step: int, stream: TextIO | None = None):
        self._last_step = last_step
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._width = 0

    def show(self, step: int, values: Mapping[str, float], seconds: float) -> None:
        """Shows a step.

        Args:
            step: the step.
            values: the losses and `images_per_second`.
            seconds: how long a step takes.
        """
        line = (
            f"step {step}/{self._last_step}"
            f"  G {values['generator_loss']:.3f}"
            f"  D {values['discriminator_loss']:.3f}"
            f"  {values['images_per_second']:.0f} images/s"
            f"  {duration(seconds * (self._last_step - step))} left"
        )
        if self._terminal:
            self._write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._write(line + "\n")

    def end(self) -> None:
        """Ends the line, so that what is printed next begins a new one."""
        if self._terminal and self._width:
            self._write("\n")

    def _write(self, text: str) -> None:
        # A terminal that was closed, or a reader that ended, must not end the run.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


class Countdown:
    """Shows `label done/total, time left`, written over on a terminal.

    Elsewhere, such as in a file, a line is written each tenth of the way.

    Args:
        label: what is counted.
        stream: where to; standard error if None.
        patience: seconds before anything is shown.
    """

    def __init__(
        self, label: str, stream: TextIO | None = None, patience: float = 0.0
    ) -> None:
        self._label = label
        self._stream = stream or sys.stderr
        self._start = time.perf_counter()
        self._tenth = 0
        self._patience = patience

    def __call__(self, done: int, total: int, *_: float) -> None:
        """Shows that `done` of `total` are done."""
        passed = time.perf_counter() - self._start
        if passed < self._patience:
            return
        left = duration(passed / max(done, 1) * (total - done))
        line = f"{self._label} {done}/{total}, {left} left"
        if self._stream.isatty():
            end = "\n" if done >= total else ""
            self._stream.write(f"\r{line:<60}{end}")
        elif done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            self._stream.write(line + "\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """Returns a duration as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
