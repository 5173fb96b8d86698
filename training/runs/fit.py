"""One run, from its configuration to its finished folder."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import quiet, values
from training.runs import checks
from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage.folder import RunFolder

if TYPE_CHECKING:
    from training.runs.callbacks.measurements import Measurement
    from training.runs.run import Run, RunResult

__all__ = ["RunOptions", "fit"]


def fit(
    path: Path | str,
    preset: Preset,
    options: RunOptions | None = None,
    source: Any = None,
    say: Callable[[str], None] = print,
    measurements: Sequence[Measurement] = (),
) -> RunResult:
    """Trains a preset in a folder, or carries on with what the folder holds.

    Args:
        path: the run's folder: new, empty, or one of the same configuration. Workers
            on several machines need it on a file system that all of them see.
        preset: what to train.
        options: how.
        source: the images, of `training.data.load`; None loads `preset.data`.
        say: gets a line of text now and then, in the chief alone.
        measurements: what else to write to the run's metrics as it trains.

    Returns:
        How it ended. After Ctrl-C or SIGTERM a checkpoint was written, and the next
        call carries on.

    Raises:
        TypeError: if an argument is of another kind.
        DiskFullError: if the disk is full; the newest checkpoint is whole.
        NonFiniteError: if a loss or weight is not finite, and `on_nan` is `"stop"` or
            going back didn't help.
        RuntimeError: if another process holds the folder, the data end too early, or
            another worker was lost.
        ValueError: if an argument is out of its range, or the folder belongs to
            something else, which is then left as it is.
    """
    started = time.perf_counter()
    folder = RunFolder(path)
    preset = checks.preset(preset)
    options = checks.options(options, preset.steps)
    if source is None:
        checks.data(preset.data)
    _check_folder(folder, preset)

    # It takes seconds: what needs none of it was checked before.
    quiet.import_tensorflow()
    from training.devices import strategies
    from training.runs.run import Run

    # First of all that uses TensorFlow: workers must find each other before.
    strategy = strategies.create_strategy(options.strategy, options.worker_timeout)
    if source is None:
        known = folder.config().get("data", {}) if folder.is_run() else {}
        source = load_images(preset, known.get("digest"))
    run = Run(folder, preset, options, source, strategy, say, measurements)
    with strategies.lost_workers_explained(strategy):
        result = _carry_out(run)
    # A GAN and its graphs are cycles of references, and hundreds of MB.
    gc.collect()
    return dataclasses.replace(result, seconds=time.perf_counter() - started)


def _carry_out(run: Run) -> RunResult:
    from training.devices import strategies
    from training.runs import loop
    from training.runs.build import create_gan
    from training.storage.files import full_disk_explained
    from training.storage.lock import RunLock

    config = run.config()
    options = dataclasses.asdict(run.options)
    for name in ("strategy", "worker_timeout"):
        del options[name]  # they say nothing about the steps
    strategies.check_same(
        run.strategy,
        options=options,
        **{part: config[part] for part in ("preset", "data", "versions")},
    )
    if run.chief:
        for note in getattr(run.source, "notes", ()):
            run.say(note)
        run.folder.check(config, Preset.defaults())
        _check_left(run)
    strategies.check_shares(
        run.strategy,
        batch_size=run.preset.batch_size,
        generator_batch_size=run.preset.generator_batch_size,
    )
    checks.images(run.preset, run.options, run.source)
    # Before anything is written: it finds what is wrong with the file to score by, and
    # with the preset.
    run.network  # noqa: B018
    with run.strategy.scope():
        gan = create_gan(run.preset, run.source, run.options)
    gan.averaged_generator()  # raises for a G that can't be copied
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.interruption)
        stack.enter_context(full_disk_explained(run.folder.path))
        if run.chief:
            run.folder.create()
            stack.enter_context(RunLock(run.folder.path))
            run.folder.open(config, Preset.defaults())
        # Workers read the checkpoint when the chief has made the folder ready.
        strategies.agreed(run.strategy, True)
        return loop.finish(run, gan)


def _check_folder(folder: RunFolder, preset: Preset) -> None:
    """Raises a ValueError if the folder is of another preset, or of something else.

    What it says of the images is checked when they are loaded. Of several workers, one
    makes the folder, and the others may come when it is half made.
    """
    if os.environ.get("TF_CONFIG"):
        return
    data = folder.config().get("data") if folder.is_run() else None
    config = {"preset": preset.as_dict(), "data": data or {}}
    folder.check(config, Preset.defaults())


def _check_left(run: Run) -> None:
    """Raises if a run can't be carried on from where it is, before it is touched.

    Raises:
        RuntimeError: if it has no checkpoint any more.
        ValueError: if it has gone beyond its last step, or what is left of it is no
            multiple of `steps_per_execution`.
    """
    from training.storage.checkpoints import Checkpoints

    folder, steps = run.folder, run.preset.steps
    found: list[int] = []
    if folder.checkpoints.is_dir():
        found = [step for step, _ in Checkpoints(folder.checkpoints).steps()]
    if not found and _was_trained(folder):
        raise RuntimeError(
            f"`run` {folder.path} has been trained, and its checkpoints are gone: from "
            "step 0 it would write over all that is left of it. Put them back into "
            f"{folder.checkpoints}, or take another folder."
        )
    done = max(found, default=0)
    if done > steps:
        wanted = f"{done} or more, the steps that {folder.path} has"
        raise ValueError(values.message("steps", wanted, steps))
    checks.whole_executions(run.options, done, steps)


def _was_trained(folder: RunFolder) -> bool:
    """Whether a run has come to a checkpoint."""
    if not folder.generator.exists():
        return False
    if not folder.checkpoints.exists():
        return True  # it is made before the first step
    # One that was killed as it wrote its first checkpoint has the generator already.
    options = folder.config().get("options", {})
    first = options.get("checkpoint_every", RunOptions.checkpoint_every)
    return any(entry["step"] > first for entry in folder.metrics())


def load_images(preset: Preset, digest: str | None = None) -> Any:
    """Returns the images that a preset is trained on.

    Args:
        preset: a checked one.
        digest: of those that a run has had so far. If it is that of the training split
            alone, which some experiments take where `fit` takes all, it is that one.

    Raises:
        ValueError: if they can't be loaded.
    """
    from training.data import NoSuchSplitError, load_configured

    try:
        source = load_configured(preset.as_dict())
        if digest not in (None, source.digest):
            with contextlib.suppress(NoSuchSplitError):
                part = load_configured(preset.as_dict(), "train")
                return part if part.digest == digest else source
        return source
    except ValueError as error:
        raise ValueError(
            "`data` must be images that can be loaded. "
            f"Received: data={preset.data!r}: {error}"
        ) from error
