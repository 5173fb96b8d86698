"""What a run writes as it trains: numbers and pictures."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from training.evaluation import sheets
from training.gan import draws
from training.gan.after_step import AfterStep, numbers
from training.runs.callbacks.finiteness import spectral_norms
from training.runs.run import Run
from training.storage import pictures
from training.storage.tensorboard import Events
from training.terminal import ProgressLine, duration

_ROWS = 20  # more rows than these are no longer looked at
_WAYS = 8
_NEIGHBOURS = 10_000  # real images that are looked through, a second of time


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
        self._steps = run.preset.steps

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
            left = duration(seconds * (self._steps - step))
            self._progress.show(
                f"step {step}/{self._steps}"
                f"  G {values['generator_loss']:.3f}"
                f"  D {values['discriminator_loss']:.3f}"
                f"  {values['images_per_second']:.0f} images/s"
                f"  {left} left"
            )
        self.model.reset_metrics()


class Samples(AfterStep):
    """Writes a grid of samples of the same latents each time.

    By the average of G's weights where there is one. Of up to 20 classes each has a row
    with its name. TensorBoard also gets ways between latents, and samples above the
    real images next to them.

    Args:
        run: the run.
        events: TensorBoard's files.
    """

    def __init__(self, run: Run, events: Events):
        super().__init__(run.options.sample_every, run.preset.steps)
        self._folder = run.folder
        self._events = events
        self._count = run.options.samples
        self._source = run.source
        self._names = getattr(run.source, "class_names", None)

    def after(self, step: int, due: bool, logs: Any) -> None:
        if not due:
            return
        generator = self.model.averaged_generator() or self.model.generator
        classes = self.model.num_classes
        names: list[str] | None = None
        count, labels, rows = self._count, None, 0
        if classes is not None:
            names = list(self._names or map(str, range(classes)))
            columns = math.ceil(math.sqrt(count))
            labels = np.arange(count) % columns % classes
            if classes <= _ROWS:
                each = max(1, count // classes)
                count, rows = each * classes, classes
                labels = np.arange(classes).repeat(each)
            labels = labels.astype(np.int32)
        at = draws.samples(0)
        latents = draws.latents(
            at, max(count, 2 * _WAYS), self.model.latent_dim
        ).numpy()
        images = sheets.images_of(generator, latents[:count], labels)
        if rows:
            grid = pictures.named_rows(np.split(images, rows), names or [])
        else:
            grid = pictures.grid(images)
        pictures.write_png(self._folder.samples / f"step-{step:08d}.png", grid)
        self._events.image(step, "samples", grid)
        ways, ends = sheets.interpolation(generator, latents[: 2 * _WAYS], _WAYS, names)
        self._events.image(step, "interpolation", pictures.named_rows(ways, ends))
        spread = images[:: max(1, len(images) // _WAYS)][:_WAYS]
        pairs, _ = sheets.beside_nearest(spread, self._source, _NEIGHBOURS)
        self._events.image(step, "nearest", pairs)
