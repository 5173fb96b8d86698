"""The line on the terminal that says how far a run is."""

from __future__ import annotations

import sys
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
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Ends the line, so that what is printed next begins a new one."""
        if self._terminal and self._width:
            self._stream.write("\n")
            self._stream.flush()


def duration(seconds: float) -> str:
    """Returns a duration as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
