"""A run whose folder this process holds: from its newest checkpoint to its end."""

from __future__ import annotations

import dataclasses
import signal
from typing import Any

import keras
import tensorflow as tf

from training.devices import strategies
from training.gan.model import GAN
from training.runs import checks, summary
from training.runs.build import create_gan
from training.runs.callbacks.finiteness import Finite, Guard, NonFiniteError
from training.runs.callbacks.measurements import Measure
from training.runs.callbacks.saving import KeepBest, Save, state
from training.runs.callbacks.spectra import Spectra
from training.runs.callbacks.writing import Log, Samples
from training.runs.preset import Preset
from training.runs.run import Run, RunResult
from training.storage import tensorboard
from training.storage.checkpoints import Checkpoint
from training.terminal import ProgressLine

# Rollbacks from one checkpoint. A learning rate that is too large makes a NaN with any
# random numbers: without an end such a run would go back for ever.
_ROLLBACKS = 3


def finish(run: Run, gan: GAN) -> RunResult:
    """Trains from the newest whole checkpoint to the last step or an interruption.

    Args:
        run: the run, whose folder is ready.
        gan: as it is before the first step, for no rollback.
    """
    checkpoint, last = _newest(run), run.preset.steps
    done = 0 if checkpoint is None else checkpoint.step
    if done >= last:
        run.tell(f"{run.folder.path} is finished: {done} of {last} steps.")
        return RunResult(run.folder, done, True, 0, run.chief)
    if checkpoint is not None:
        run.tell(f"Carrying on from step {done} of {last} in {run.folder.path}.")
    run.tell(summary.at_start(run, gan))
    base = 0 if checkpoint is None else checkpoint.metadata.get("rollbacks", 0)
    rollbacks = base
    while True:
        if rollbacks > 0:
            gan = _with_other_numbers(run, rollbacks)
        try:
            _train(run, gan, checkpoint, rollbacks)
            break
        except NonFiniteError as error:
            if run.options.on_nan != "rollback":
                raise
            newest = _newest(run)
            if newest is not None and newest is not checkpoint:
                base = newest.metadata.get("rollbacks", 0)
            checkpoint = newest
            if rollbacks - base >= _ROLLBACKS:
                raise NonFiniteError(
                    f"{error} Going back didn't help, {_ROLLBACKS} times in a row."
                ) from error
            rollbacks += 1
            step = 0 if checkpoint is None else checkpoint.step
            run.tell(
                f"{error} Going back to step {step}, and on with other random "
                f"numbers: {rollbacks - base} of {_ROLLBACKS} times."
            )
    finished = gan.step >= last
    if not finished and not gan.stop_training:
        raise RuntimeError(
            f"The data ended at step {gan.step} of {last}. A checkpoint of an earlier "
            "step may be there; the data must repeat without end."
        )
    code = run.interruption.exit_code
    if not finished and code == 0:
        # Another worker was told to stop: this one isn't done either.
        code = 128 + signal.SIGTERM
    return RunResult(run.folder, gan.step, finished, code, run.chief)


def _newest(run: Run) -> Checkpoint | None:
    checkpoint = run.checkpoints.latest()
    if checkpoint is None and run.checkpoints.steps():
        # From step 0 it would write over all that the run has left.
        raise RuntimeError(
            f"No checkpoint in {run.checkpoints.folder} is whole. To train from the "
            "beginning, take another `--run`, or move the damaged files away."
        )
    step = 0 if checkpoint is None else checkpoint.step
    if not strategies.equal(run.strategy, step):
        raise RuntimeError(
            f"Workers found different checkpoints in {run.folder.checkpoints}; worker "
            f"{run.position[0]} that of step {step}. `run` must lie on a file system "
            "that all workers see."
        )
    return checkpoint


def _with_other_numbers(run: Run, rollbacks: int) -> GAN:
    # Made anew rather than changed: a process that is started after a rollback does
    # the same, so its steps are the same.
    with run.strategy.scope():
        return create_gan(_seeded(run.preset, rollbacks), run.source, run.options)


def _seeded(preset: Preset, rollbacks: int) -> Preset:
    seed = (preset.seed + rollbacks * 1_000_003) % 2**31
    return dataclasses.replace(preset, seed=seed)


def _train(run: Run, gan: GAN, start: Checkpoint | None, rollbacks: int) -> None:
    from training.data import make_dataset

    if start is not None:
        start.restore(state(gan))
    checks.whole_executions(run.options, gan.step, run.preset.steps)
    images_per_step = run.preset.batch_size * gan.discriminator_steps
    worker, workers = run.position
    dataset = make_dataset(
        run.source,
        batch_size=images_per_step,
        seed=_seeded(run.preset, rollbacks).seed,
        start=gan.step * images_per_step,
        worker_index=worker,
        num_workers=workers,
        flips=run.preset.flips,
    )
    events = None
    if run.chief:
        # What comes after the checkpoint will be written again.
        run.folder.truncate_metrics(gan.step)
        tensorboard.truncate(run.folder.logs, gan.step)
        events = tensorboard.Events(run.folder.logs)
    progress = ProgressLine()
    try:
        gan.fit(
            dataset,
            batch_size=run.preset.batch_size,
            steps_per_epoch=run.preset.steps - gan.step,
            verbose=0,
            callbacks=_callbacks(run, events, progress, start, rollbacks),
        )
    except tf.errors.OpError as error:
        # A file of the data that can't be read: `tf.data` hands on a text alone.
        failure = getattr(run.source, "failure", None)
        if failure is None:
            raise
        raise failure from error
    finally:
        progress.end()
        if events is not None:
            events.close()


def _callbacks(
    run: Run,
    events: tensorboard.Events | None,
    progress: ProgressLine,
    start: Checkpoint | None,
    rollbacks: int,
) -> list[keras.callbacks.Callback]:
    """Returns what happens after each step, in this order."""
    options, last = run.options, run.preset.steps
    intervals = [options.sample_every, options.spectra_every, options.score_every]
    intervals += [one.every for one in run.measurements]
    around: list[keras.callbacks.Callback] = [
        Guard(1, last),
        *(Finite(every, last) for every in {*intervals} if every is not None),
        Log(run, events, progress),
    ]
    score = None
    if events is not None:
        around.append(Samples(run, events))
        around += [Measure(run.folder, events, one, last) for one in run.measurements]
        if options.spectra_every is not None:
            around.append(
                Spectra(run.folder.spectra, options.spectra_every, events, last)
            )
        if options.score_every is not None:
            score = _score(run, events)
            around.append(score)
    about = {"rollbacks": rollbacks}
    if options.score_every is not None:
        around.append(KeepBest(run, score, about))
    # The checkpoint last: what was written before it needn't be written again.
    around.append(Save(run, events, start, about))
    return around


def _score(run: Run, events: tensorboard.Events) -> Any:
    from training.evaluation.in_training import score_callback

    return score_callback(
        run.folder,
        events,
        run.options.score_every or 1,
        run.preset.steps,
        run.options.score_images,
        run.network,
    )
