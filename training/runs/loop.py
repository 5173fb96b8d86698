"""A run whose folder this process holds: from its newest checkpoint to its end."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from training.devices import strategies
from training.gan.model import GAN
from training.runs import advice
from training.runs.build import create_gan
from training.runs.callbacks import saving
from training.runs.callbacks.finiteness import Guard, NonFiniteError
from training.runs.callbacks.measurements import Measure, Measurement
from training.runs.callbacks.spectra import Spectra
from training.runs.interruption import Interruption
from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage import tensorboard
from training.storage.checkpoints import Checkpoint, Checkpoints
from training.storage.folder import RunFolder
from training.terminal import ProgressLine

# Rollbacks from one checkpoint. A learning rate that is too large makes a NaN with any
# random numbers: without an end such a run would go back for ever.
_ROLLBACKS = 3


@dataclasses.dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        folder: the run's folder.
        step: the step that was reached.
        finished: whether that was the last one.
        exit_code: 0, or 130 or 143 after Ctrl-C or SIGTERM, in the last step too; 143
            if another worker got it.
        chief: whether this process is the one that wrote the files.
    """

    folder: RunFolder
    step: int
    finished: bool
    exit_code: int
    chief: bool = True


@dataclasses.dataclass
class HeldRun:
    """A run whose folder is held: what its parts have in common."""

    folder: RunFolder
    preset: Preset
    options: RunOptions
    source: Any
    strategy: tf.distribute.Strategy
    interruption: Interruption
    say: Callable[[str], None]
    measurements: Sequence[Measurement] = ()

    def __post_init__(self) -> None:
        self.checkpoints = Checkpoints(self.folder.checkpoints, self.options.keep)
        self.worker, self.workers = strategies.position(self.strategy)
        self.chief = self.worker == 0

    def finish(self, gan: GAN) -> RunResult:
        """Trains from the newest whole checkpoint to the last step or an interruption.

        Args:
            gan: as it is before the first step, for no rollback.
        """
        checkpoint = self._newest()
        done = 0 if checkpoint is None else checkpoint.step
        if done >= self.preset.steps:
            self._tell(
                f"{self.folder.path} is finished: {done} of {self.preset.steps} steps."
            )
            return RunResult(self.folder, done, True, 0, self.chief)
        if checkpoint is not None:
            self._tell(
                f"Carrying on from step {done} of {self.preset.steps} in "
                f"{self.folder.path}."
            )
        self._tell(advice.batches(self.preset, gan.discriminator_steps, self.strategy))
        self._tell(advice.precision(self.preset))
        base = 0 if checkpoint is None else checkpoint.metadata.get("rollbacks", 0)
        rollbacks = base
        while True:
            if rollbacks > 0:
                gan = self._with_other_numbers(rollbacks)
            try:
                self._train(gan, checkpoint, rollbacks)
                break
            except NonFiniteError as error:
                if self.options.on_nan != "rollback":
                    raise
                newest = self._newest()
                if newest is not None and newest is not checkpoint:
                    base = newest.metadata.get("rollbacks", 0)
                checkpoint = newest
                if rollbacks - base >= _ROLLBACKS:
                    raise NonFiniteError(
                        f"{error} Going back didn't help, {_ROLLBACKS} times in a row."
                    ) from error
                rollbacks += 1
                step = 0 if checkpoint is None else checkpoint.step
                self._tell(
                    f"{error} Going back to step {step}, and on with other random "
                    f"numbers: {rollbacks - base} of {_ROLLBACKS} times."
                )
        finished = gan.step >= self.preset.steps
        if not finished and not gan.stop_training:
            raise RuntimeError(
                f"The data ended at step {gan.step} of {self.preset.steps}. A "
                "checkpoint of an earlier step may be there; the data must repeat "
                "without end."
            )
        code = self.interruption.exit_code
        if not finished and code == 0:
            # Another worker was told to stop: this one isn't done either.
            code = 128 + signal.SIGTERM
        return RunResult(self.folder, gan.step, finished, code, self.chief)

    def _newest(self) -> Checkpoint | None:
        checkpoint = self.checkpoints.latest()
        if checkpoint is None and self.checkpoints.steps():
            # From step 0 it would write over all that the run has left.
            raise RuntimeError(
                f"No checkpoint in {self.checkpoints.folder} is whole. To train from "
                "the beginning, take another `--run`, or move the damaged files away."
            )
        step = 0 if checkpoint is None else checkpoint.step
        if not strategies.equal(self.strategy, step):
            raise RuntimeError(
                f"Workers found different checkpoints in {self.folder.checkpoints}; "
                f"worker {self.worker} that of step {step}. `run` must lie on a file "
                "system that all workers see."
            )
        return checkpoint

    def _with_other_numbers(self, rollbacks: int) -> GAN:
        # Made anew rather than changed: a process that is started after a rollback
        # does the same, so its steps are the same.
        with self.strategy.scope():
            return create_gan(self._seeded(rollbacks), self.source, self.options)

    def _seeded(self, rollbacks: int) -> Preset:
        seed = (self.preset.seed + rollbacks * 1_000_003) % 2**31
        return dataclasses.replace(self.preset, seed=seed)

    def _train(self, gan: GAN, checkpoint: Checkpoint | None, rollbacks: int) -> None:
        from training.data import make_dataset

        if checkpoint is not None:
            checkpoint.restore(saving.state(gan))
        last = self.preset.steps
        images_per_step = self.preset.batch_size * gan.discriminator_steps
        dataset = make_dataset(
            self.source,
            batch_size=images_per_step,
            seed=self._seeded(rollbacks).seed,
            start=gan.step * images_per_step,
            worker_index=self.worker,
            num_workers=self.workers,
        )
        writer = None
        if self.chief:
            # What comes after the checkpoint will be written again.
            self.folder.truncate_metrics(gan.step)
            tensorboard.truncate(self.folder.logs, gan.step)
            writer = tensorboard.Events(self.folder.logs)
        progress = ProgressLine(last)
        try:
            gan.fit(
                dataset,
                batch_size=self.preset.batch_size,
                steps_per_epoch=last - gan.step,
                verbose=0,
                callbacks=self._callbacks(
                    writer, progress, images_per_step, checkpoint, rollbacks
                ),
            )
        finally:
            progress.end()
            if writer is not None:
                writer.close()

    def _callbacks(
        self,
        writer: tensorboard.Events | None,
        progress: ProgressLine,
        images_per_step: int,
        checkpoint: Checkpoint | None,
        rollbacks: int,
    ) -> list[keras.callbacks.Callback]:
        folder, options, last = self.folder, self.options, self.preset.steps
        around: list[keras.callbacks.Callback] = [
            Guard(1, last),
            saving.Log(
                folder, writer, progress, options.log_every, last, images_per_step
            ),
        ]
        score = None
        if writer is not None:
            around.append(
                saving.Samples(
                    folder, writer, options.sample_every, last, options.samples
                )
            )
            around += [Measure(folder, writer, one, last) for one in self.measurements]
            if options.spectra_every is not None:
                around.append(
                    Spectra(folder.spectra, options.spectra_every, writer, last)
                )
            if options.score_every is not None:
                score = self._score(writer, options.score_every)
                around.append(score)
        about = {"rollbacks": rollbacks}
        if options.score_every is not None:
            around.append(
                saving.KeepBest(
                    self.checkpoints, options.score_every, last, score, about
                )
            )
        # The checkpoint last: what was written before it needn't be written again.
        around.append(
            saving.Save(
                folder,
                self.checkpoints,
                writer,
                options.checkpoint_every,
                last,
                self.interruption,
                checkpoint,
                about,
            )
        )
        return around

    def _score(self, writer: tensorboard.Events, every: int) -> Any:
        from training.evaluation.in_training import score_callback

        return score_callback(
            self.folder,
            writer,
            every,
            self.preset.steps,
            self.options.score_images,
            self.options.inception,
        )

    def _tell(self, text: str | None) -> None:
        if self.chief and text is not None:
            self.say(text)
