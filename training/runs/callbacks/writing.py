"""What a run writes as it trains: numbers and pictures."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from training.gan.after_step import AfterStep, numbers
from training.runs.callbacks.finiteness import spectral_norms
from training.runs.run import Run
from training.storage import pictures
from training.storage.tensorboard import Events
from training.terminal import ProgressLine


class Log(AfterStep):
    """Writes losses, σ and speed to `metrics.jsonl`, TensorBoard and the terminal.

    Losses are means over the steps since the last entry.

    Args:
        run: the run.
        events: TensorBoard's files; None in workers other than the chief, which write
            nothing.
        progress: the line on the terminal.
    """

    def __init__(self, run: Run, events: Events | None, progress: ProgressLine):
        super().__init__(run.options.log_every, run.preset.steps)
        self._folder = run.folder
        self._events = events
        self._progress = progress
        self._batch_size = run.preset.batch_size

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        self._start = (self.model.step, time.perf_counter())

    def after(self, step: int, due: bool, logs: Any) -> None:
        if not due:
            return
        now = time.perf_counter()
        seconds = (now - self._start[1]) / (step - self._start[0])
        self._start = (step, now)
        values = numbers(logs)
        values.update(spectral_norms(self.model.discriminator))
        images = self._batch_size * self.model.discriminator_steps
        values["images_per_second"] = images / seconds
        if self._events is not None:
            self._folder.append_metrics({"step": step, **values})
            self._events.scalars(step, values)
            self._progress.show(step, values, seconds)
        self.model.reset_metrics()


class Samples(AfterStep):
    """Writes a grid of samples of the same latents each time.

    Args:
        run: the run.
        events: TensorBoard's files.
    """

    def __init__(self, run: Run, events: Events):
        super().__init__(run.options.sample_every, run.preset.steps)
        self._folder = run.folder
        self._events = events
        self._count = run.options.samples

    def after(self, step: int, due: bool, logs: Any) -> None:
        if not due:
            return
        labels = None
        if self.model.num_classes is not None:
            # A column a class, as far as the square goes.
            columns = math.ceil(math.sqrt(self._count))
            labels = np.arange(self._count) % columns % self.model.num_classes
        pixels = pictures.to_uint8(self.model.generate(self._count, labels=labels))
        grid = pictures.grid(pixels)
        pictures.write_png(self._folder.samples / f"step-{step:08d}.png", grid)
        self._events.image(step, "samples", grid)
