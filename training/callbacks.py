"""What happens around the steps of a run. The order in `fit`'s list matters."""

from __future__ import annotations

import math
import time
from typing import Any

import keras
import numpy as np

from sn_keras import SpectralNormalization
from training import images, strategies
from training.checkpoints import Checkpoint, Checkpoints
from training.events import Events
from training.files import replacing
from training.interruption import Interruption
from training.progress import ProgressLine
from training.run_folder import RunFolder

# Steps between two questions to the other workers whether one was told to stop.
_AGREE_EVERY = 5


class NonFiniteError(RuntimeError):
    """A loss or a weight is NaN or infinite."""


class _AfterStep(keras.callbacks.Callback):
    """Calls `after(step, logs)` after a step; `every` and the last step are `due`.

    Under `steps_per_execution` several steps pass between two calls: due is whoever
    passed a multiple of `every` since the last one.
    """

    def __init__(self, every: int, last_step: int):
        super().__init__()
        self._every = every
        self._last_step = last_step
        self._seen = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._seen = self.model.step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        step = self.model.step
        due = step // self._every > self._seen // self._every or step == self._last_step
        self._seen = step
        self.after(step, due, logs)

    def after(self, step: int, due: bool, logs: Any) -> None:
        raise NotImplementedError


class Guard(_AfterStep):
    """Ends a run whose loss is not finite, before anything is written."""

    def after(self, step: int, due: bool, logs: Any) -> None:
        losses = _numbers(logs)
        if all(math.isfinite(value) for value in losses.values()):
            return
        sigmas = spectral_norms(self.model.discriminator)
        found = {**losses, **sigmas}
        listed = ", ".join(f"{name} = {value:.6g}" for name, value in found.items())
        raise NonFiniteError(
            f"The loss is not finite at step {step}: {listed}. The last checkpoint is "
            "from before that. A smaller learning rate, or a normalizer or penalty "
            "for D, may help."
        )


class Log(_AfterStep):
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
        values = _numbers(logs)
        values.update(spectral_norms(self.model.discriminator))
        values["images_per_second"] = self._images_per_step / seconds
        if self._events is not None:
            self._folder.append_metrics({"step": step, **values})
            self._events.scalars(step, values)
            self._progress.show(step, values, seconds)
        self.model.reset_metrics()


class Samples(_AfterStep):
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
        pixels = images.to_uint8(self.model.generate(self._count, labels=labels))
        grid = images.grid(pixels)
        images.write_png(self._folder.samples / f"step-{step:08d}.png", grid)
        self._events.image(step, "samples", grid)


class Save(_AfterStep):
    """Writes checkpoints and `generator.keras`, and carries on from a checkpoint.

    Args:
        folder: the run's folder.
        checkpoints: its checkpoints.
        events: flushed before each, so that no point before a checkpoint is lost; None
            in workers other than the chief, which write nothing.
        every: steps between checkpoints.
        last_step: gets a checkpoint in any case.
        interruption: asks for a checkpoint at the step at hand, the last one.
        start: the checkpoint that the run was restored from, or None.
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
    ):
        super().__init__(every, last_step)
        self._folder = folder
        self._checkpoints = checkpoints
        self._events = events
        self._interruption = interruption
        self._start = start

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        # `fit` has just reset the losses' means, which the checkpoint holds too.
        if self._start is not None:
            self._start.restore(state(self.model))

    def after(self, step: int, due: bool, logs: Any) -> None:
        stopping = self._stopping(step)
        if due or stopping:
            check_finite(self.model, step)
            values: dict[str, Any] = dict(state(self.model))
            # Sums over the workers, to which each has to contribute.
            values["metrics"] = [np.asarray(x.numpy()) for x in values["metrics"]]
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
        self._checkpoints.save(step, values)
        with replacing(self._folder.generator) as temporary:
            self.model.generator.save(temporary)
        averaged = self.model.averaged_generator()
        if averaged is not None:
            with replacing(self._folder.averaged_generator) as temporary:
                averaged.save(temporary)


def state(gan: Any) -> dict[str, list[keras.Variable]]:
    """Returns all that a GAN's next step depends on, in groups."""
    return {
        "generator": gan.generator.variables,
        "discriminator": gan.discriminator.variables,
        "generator_optimizer": gan.generator_optimizer.variables,
        "discriminator_optimizer": gan.discriminator_optimizer.variables,
        "metrics": [v for metric in gan.metrics for v in metric.variables],
    }


def check_finite(gan: Any, step: int) -> None:
    """Raises a `NonFiniteError` that names the first weight that isn't finite."""
    for variable in gan.generator.variables + gan.discriminator.variables:
        value = keras.ops.convert_to_numpy(variable.value)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise NonFiniteError(
                f"The weight {variable.path} is not finite at step {step}. The last "
                "checkpoint is from before that."
            )


def spectral_norms(model: keras.Model) -> dict[str, float]:
    """Returns the σ that each spectrally normalized layer divides by.

    Returns:
        `{"sigma/layer": σ}`, with the kernel's name after the layer's where it has
        several.
    """
    found = {}
    for layer in model._flatten_layers():
        if isinstance(layer, SpectralNormalization):
            sigma = layer.sigma()
            by_kernel = sigma if isinstance(sigma, dict) else {"": sigma}
            for kernel, value in by_kernel.items():
                name = f"sigma/{layer.name}/{kernel}".rstrip("/")
                found[name] = float(value)
    return found


def _numbers(logs: Any) -> dict[str, float]:
    return {name: float(np.mean(value)) for name, value in logs.items()}
