"""Checkpoints and generators: what a run leaves, and carries on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from training.devices import strategies
from training.gan.after_step import AfterStep
from training.runs.callbacks.finiteness import check_finite
from training.runs.run import Run
from training.storage.checkpoints import Checkpoint
from training.storage.files import replacing
from training.storage.stamps import write_step
from training.storage.tensorboard import Events

# Steps between two questions to the other workers whether one was told to stop.
_AGREE_EVERY = 5


class Save(AfterStep):
    """Writes checkpoints and both networks' files, and carries on from a checkpoint.

    The checkpoint comes last: one that is there says that all files of its step are.

    Args:
        run: the run. Its interruption asks for a checkpoint at the step at hand, the
            last one.
        events: flushed before each, so that no point before a checkpoint is lost; None
            in workers other than the chief, which write nothing.
        start: the checkpoint that the run was restored from, or None.
        metadata: what each checkpoint says beside its arrays, plain JSON.
    """

    def __init__(
        self,
        run: Run,
        events: Events | None,
        start: Checkpoint | None,
        metadata: Mapping[str, Any],
    ):
        super().__init__(run.options.checkpoint_every, run.preset.steps)
        self._run = run
        self._events = events
        self._start = start
        self._metadata = metadata
        self._asked = -1

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
        wish = self._run.interruption.signal is not None
        if self._run.position[1] == 1:
            return wish
        # Workers get a signal at different steps, and have to stop at the same one.
        asked, self._asked = self._asked, step // _AGREE_EVERY
        return self._asked > asked and strategies.agreed(self._run.strategy, wish)

    def _write(self, step: int, values: dict[str, Any], events: Events) -> None:
        folder = self._run.folder
        events.flush()
        folder.sync()  # after a power cut a checkpoint's lines are there as it is
        with replacing(folder.generator) as temporary:
            self.model.generator.save(temporary)
            write_step(temporary, step)
        with replacing(folder.discriminator) as temporary:
            self.model.discriminator.save(temporary)
        averaged = self.model.averaged_generator()
        if averaged is not None:
            with replacing(folder.averaged_generator) as temporary:
                averaged.save(temporary)
                write_step(temporary, step)
        # Were it first, a process that is killed in between would leave a finished run
        # with an old generator.
        self._run.checkpoints.save(step, values, self._metadata)


class KeepBest(AfterStep):
    """Keeps the checkpoint of the step at which G scored best, beside the newest.

    Comes after the score's callback and before `Save`, so that a run that is killed
    between the two scores the step again.

    Args:
        run: the run, which is scored every `score_every` steps.
        score: has `best_step`, the newest step that scored better than all before;
            None in workers other than the chief.
        metadata: what the checkpoint says beside its arrays, plain JSON.
    """

    def __init__(self, run: Run, score: Any, metadata: Mapping[str, Any]):
        super().__init__(run.options.score_every or 1, run.preset.steps)
        self._run = run
        self._score = score
        self._metadata = metadata

    def after(self, step: int, due: bool, logs: Any) -> None:
        if not due:
            return
        best = self._score is not None and self._score.best_step == step
        # Workers can't know the chief's score, and each has its part in a checkpoint.
        if strategies.agreed(self._run.strategy, best):
            values = snapshot(self.model, step)
            if self._score is not None:
                self._run.checkpoints.save_best(step, values, self._metadata)


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
