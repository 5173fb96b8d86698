"""What happens around the steps of a run. The order in `fit`'s list matters."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from training.devices import strategies
from training.runs.callbacks.after_step import AfterStep, numbers
from training.runs.callbacks.finiteness import check_finite, spectral_norms
from training.runs.interruption import Interruption
from training.storage import pictures
from training.storage.checkpoints import Checkpoint, Checkpoints
from training.storage.files import replacing
from training.storage.folder import RunFolder
from training.storage.tensorboard import Events
from training.terminal import ProgressLine

# Steps between two questions to the other workers whether one was told to stop.
_AGREE_EVERY = 5


class Log(AfterStep):
    """Writes losses, σ and speed to `metrics.jsonl`, TensorBoard and the terminal.

    Losses are means over the steps since the last entry.

    Args:
        folder: the run's folder.
        events: TensorBoard's files; None in workers other than the chief, which write
            nothing.
        progress: the line on the terminal.
        every: steps between entries.
        last_step: gets an entry in any case.
        images_per_step: real images in a step.
    """

    def __init__(
        self,
        folder: RunFolder,
        events: Events | None,
        progress: ProgressLine,
        every: int,
        last_step: int,
        images_per_step: int,
    ):
        super().__init__(every, last_step)
        self._folder = folder
        self._events = events
        self._progress = progress
        self._images_per_step = images_per_step

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
        values["images_per_second"] = self._images_per_step / seconds
        if self._events is not None:
            self._folder.append_metrics({"step": step, **values})
            self._events.scalars(step, values)
            self._progress.show(step, values, seconds)
        self.model.reset_metrics()


class Samples(AfterStep):
    """Writes a grid of samples of the same latents each time.

    Args:
        folder: the run's folder.
        events: TensorBoard's files.
        every: steps between grids.
        last_step: gets a grid in any case.
        count: images in a grid.
    """

    def __init__(
        self, folder: RunFolder, events: Events, every: int, last_step: int, count: int
    ):
        super().__init__(every, last_step)
        self._folder = folder
        self._events = events
        self._count = count

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


class Save(AfterStep):
    """Writes checkpoints and both networks' files, and carries on from a checkpoint.

    The checkpoint comes last: one that is there says that all files of its step are.

    Args:
        folder: the run's folder.
        checkpoints: its checkpoints.
        events: flushed before each, so that no point before a checkpoint is lost; None
            in workers other than the chief, which write nothing.
        every: steps between checkpoints.
        last_step: gets a checkpoint in any case.
        interruption: asks for a checkpoint at the step at hand, the last one.
        start: the checkpoint that the run was restored from, or None.
        metadata: what each checkpoint says beside its arrays, plain JSON.
    """

    def __init__(
        self,
        folder: RunFolder,
        checkpoints: Checkpoints,
        events: Events | None,
        every: int,
        last_step: int,
        interruption: Interruption,
        start: Checkpoint | None,
        metadata: Mapping[str, Any] | None = None,
    ):
        super().__init__(every, last_step)
        self._folder = folder
        self._checkpoints = checkpoints
        self._events = events
        self._interruption = interruption
        self._start = start
        self._metadata = dict(metadata or {})

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        # `fit` has just reset the losses' means, which the checkpoint holds too.
        if self._start is not None:
            self._start.restore(state(self.model))

    def after(self, step: int, due: bool, logs: Any) -> None:
        stopping = self._stopping(step)
        if due or stopping:
            values = snapshot(self.model, step)
            if self._events is not None:
                self._write(step, values, self._events)
        if stopping:
            self.model.stop_training = True

    def _stopping(self, step: int) -> bool:
        strategy = self.model.distribute_strategy
        wish = self._interruption.signal is not None
        if strategies.position(strategy)[1] == 1:
            return wish
        # Workers get a signal at different steps, and have to stop at the same one.
        return step % _AGREE_EVERY == 0 and strategies.agreed(strategy, wish)

    def _write(self, step: int, values: dict[str, Any], events: Events) -> None:
        events.flush()
        with replacing(self._folder.generator) as temporary:
            self.model.generator.save(temporary)
        with replacing(self._folder.discriminator) as temporary:
            self.model.discriminator.save(temporary)
        averaged = self.model.averaged_generator()
        if averaged is not None:
            with replacing(self._folder.averaged_generator) as temporary:
                averaged.save(temporary)
        # Were it first, a process that is killed in between would leave a finished run
        # with an old generator.
        self._checkpoints.save(step, values, self._metadata)


class KeepBest(AfterStep):
    """Keeps the checkpoint of the step at which G scored best, beside the newest.

    Comes after the score's callback and before `Save`, so that a run that is killed
    between the two scores the step again.

    Args:
        checkpoints: the run's checkpoints.
        every: steps between two scores.
        last_step: is scored in any case.
        score: has `best_step`, the newest step that scored better than all before;
            None in workers other than the chief.
        metadata: what the checkpoint says beside its arrays, plain JSON.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        every: int,
        last_step: int,
        score: Any,
        metadata: Mapping[str, Any] | None = None,
    ):
        super().__init__(every, last_step)
        self._checkpoints = checkpoints
        self._score = score
        self._metadata = dict(metadata or {})

    def after(self, step: int, due: bool, logs: Any) -> None:
        if not due:
            return
        best = self._score is not None and self._score.best_step == step
        # Workers can't know the chief's score, and each has its part in a checkpoint.
        if strategies.agreed(self.model.distribute_strategy, best):
            values = snapshot(self.model, step)
            if self._score is not None:
                self._checkpoints.save_best(step, values, self._metadata)


def state(gan: Any) -> dict[str, list[keras.Variable]]:
    """Returns all that a GAN's next step depends on, in groups."""
    return {
        "generator": gan.generator.variables,
        "discriminator": gan.discriminator.variables,
        "generator_optimizer": gan.generator_optimizer.variables,
        "discriminator_optimizer": gan.discriminator_optimizer.variables,
        "metrics": [v for metric in gan.metrics for v in metric.variables],
    }


def snapshot(gan: Any, step: int) -> dict[str, Any]:
    """Returns what a checkpoint of a GAN holds. All workers have to ask.

    Raises:
        NonFiniteError: if a weight is not finite.
    """
    check_finite(gan, step)
    values: dict[str, Any] = dict(state(gan))
    # Sums over the workers, to which each has to contribute.
    values["metrics"] = [np.asarray(x.numpy()) for x in values["metrics"]]
    return values
