"""Numbers that are measured of a GAN as it trains, for a run's metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from training import values
from training.gan.after_step import AfterStep
from training.storage.folder import RunFolder
from training.storage.tensorboard import Events


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What to measure, and how often.

    Attributes:
        every: steps between two measurements, 1 or more; the last step has one in any
            case.
        names: what the names of its numbers begin with.
        of: from the GAN to numbers by name. It must leave the GAN as it is: a run
            that is measured is the same as one that isn't.
        by: the options that change the numbers, by their names; values of plain JSON.
    """

    every: int
    names: str
    of: Callable[[Any], Mapping[str, float]]
    by: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        values.integer("every", self.every)

    def steps_in(self, folder: RunFolder) -> set[int]:
        """Returns the steps at which a run's metrics hold this."""
        return {
            entry["step"]
            for entry in folder.metrics()
            if any(name.startswith(self.names) for name in entry)
        }


class Measure(AfterStep):
    """Writes a measurement to `metrics.jsonl` and TensorBoard.

    Args:
        folder: the run's folder.
        events: TensorBoard's files.
        measurement: what to write.
        last_step: is measured in any case.
    """

    def __init__(
        self,
        folder: RunFolder,
        events: Events,
        measurement: Measurement,
        last_step: int,
    ):
        super().__init__(measurement.every, last_step)
        self._folder = folder
        self._events = events
        self._measurement = measurement

    def after(self, step: int, due: bool, logs: Any) -> None:
        if not due:
            return
        found = dict(self._measurement.of(self.model))
        self._folder.append_metrics({"step": step, **found})
        self._events.scalars(step, found)
