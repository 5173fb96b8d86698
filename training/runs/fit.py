"""One run, from its configuration to its finished folder."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import sn_keras
from training import networks, normalizers
from training.devices import strategies
from training.gan import losses
from training.networks import conditional
from training.runs.build import create_gan
from training.runs.callbacks.measurements import Measurement
from training.runs.interruption import Interruption
from training.runs.loop import HeldRun, RunResult
from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage.files import full_disk_explained
from training.storage.folder import RunFolder
from training.storage.lock import RunLock

__all__ = ["RunOptions", "RunResult", "create_gan", "fit"]


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
    if not isinstance(preset, Preset):
        raise TypeError(f"`preset` must be a Preset. Received: preset={preset!r}")
    if not isinstance(options, RunOptions | None):
        raise TypeError(
            f"`options` must be RunOptions or None. Received: options={options!r}"
        )
    options = options or RunOptions()
    preset = preset.resolved()
    if preset.steps % options.steps_per_execution:
        # Keras rounds up: the run would end with steps that nobody asked for.
        raise ValueError(
            f"`steps_per_execution` must divide `steps`, {preset.steps}. "
            f"Received: steps_per_execution={options.steps_per_execution}"
        )
    _check_names(preset, options)
    folder = RunFolder(path)
    # First of all that uses TensorFlow: workers must find each other before.
    strategy = strategies.create_strategy(options.strategy)
    source = _load(preset) if source is None else source
    with strategies.lost_workers_explained(strategy):
        return _fit(folder, preset, options, source, strategy, say, measurements)


def _fit(
    folder: RunFolder,
    preset: Preset,
    options: RunOptions,
    source: Any,
    strategy: tf.distribute.Strategy,
    say: Callable[[str], None],
    measurements: Sequence[Measurement],
) -> RunResult:
    chief = strategies.position(strategy)[0] == 0
    config = _config(preset, source)
    if chief:
        folder.check(config)
    strategies.check_shares(
        strategy,
        batch_size=preset.batch_size,
        generator_batch_size=preset.generator_batch_size,
    )
    _check_score(options, source)
    # Before anything is written: it finds what is wrong with the preset.
    with strategy.scope():
        gan = create_gan(preset, source, options)
    with contextlib.ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        stack.enter_context(full_disk_explained(folder.path))
        if chief:
            folder.create()
            stack.enter_context(RunLock(folder.path))
            folder.open(config)
        # Workers read the checkpoint when the chief has made the folder ready.
        strategies.agreed(strategy, True)
        run = HeldRun(
            folder,
            preset,
            options,
            source,
            strategy,
            interruption,
            say,
            measurements,
        )
        return run.finish(gan)


def _load(preset: Preset) -> Any:
    from training.data import load

    try:
        return load(preset.data, image_size=preset.image_size)
    except ValueError as error:
        raise ValueError(
            "`data` must be images that can be loaded. "
            f"Received: data={preset.data!r}: {error}"
        ) from error


def _check_names(preset: Preset, options: RunOptions) -> None:
    """Raises a ValueError for what isn't there, before data are loaded for it."""
    networks.get(preset.network)
    normalizers.get(preset.normalizer)
    losses.get(preset.loss)
    conditional.check_name(preset.conditioning)
    file = None if options.score_every is None else options.inception
    if file is not None and not Path(file).exists():
        raise ValueError(
            f"`inception` must be a file that exists. Received: inception={file!r}"
        )


def _check_score(options: RunOptions, source: Any) -> None:
    if options.score_every is None or options.inception is not None:
        return
    if not source.num_classes:
        raise ValueError(
            "`score_every` needs labels, on which a classifier is trained, or the "
            f"file of `inception`. Received: score_every={options.score_every} and "
            "images without labels"
        )


def _config(preset: Preset, source: Any) -> dict[str, Any]:
    """Returns config.json's content: the run, and what a user of G must know."""
    conditional = preset.conditioning is not None
    return {
        "preset": preset.as_dict(),
        "data": {
            "image_shape": list(source.image_shape),
            "num_classes": source.num_classes,
            "images": len(source),
        },
        "generator": {
            "latent_dim": preset.latent_dim,
            "num_classes": source.num_classes if conditional else None,
            "class_names": source.class_names if conditional else None,
            "value_range": [-1.0, 1.0],
        },
        "versions": {
            "sn_keras": sn_keras.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
