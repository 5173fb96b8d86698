"""One run, from its configuration to its finished folder."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import sn_keras
from training import callbacks, events, networks, normalizers, strategies
from training.checkpoints import Checkpoint, Checkpoints
from training.gan import GAN
from training.interruption import Interruption
from training.lock import RunLock
from training.presets import Preset
from training.progress import ProgressLine
from training.run_folder import RunFolder
from training.schedules import LinearDecay
from training.spectra import Spectra


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a preset is run: what may differ each time a run is carried on."""

    strategy: str = _option(
        "auto", "devices: auto, one-device, mirrored, multi-worker or tpu"
    )
    jit: str = _option("auto", "XLA: on, off, or auto: with a GPU or TPU only")
    steps_per_execution: int = _option(1, "steps between two looks of Python")
    log_every: int = _option(50, "steps between two entries of losses and σ")
    sample_every: int = _option(250, "steps between two sample grids")
    samples: int = _option(64, "images in a sample grid")
    checkpoint_every: int = _option(500, "steps between two checkpoints")
    keep: int = _option(3, "how many checkpoints to keep")
    spectra_every: int | None = _option(
        None, "steps between two exact spectra of D's kernels; none: no spectra"
    )
    score_every: int | None = _option(
        None, "steps between two scores, which keep the best generator; none: no scores"
    )
    score_images: int = _option(5000, "generated images that a score rests on")
    inception: str | None = _option(
        None,
        "file of the 2015 Inception network to score by; none: a classifier that is "
        "trained on the data's labels",
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            counts = isinstance(field.default, int) or (
                field.name in ("score_every", "spectra_every") and value is not None
            )
            if counts and not (
                isinstance(value, int) and not isinstance(value, bool) and value >= 1
            ):
                raise ValueError(
                    f"`{field.name}` must be an integer of 1 or more. "
                    f"Received: {field.name}={value!r}"
                )
        if self.jit not in ("auto", "on", "off"):
            raise ValueError(
                f"`jit` must be 'auto', 'on' or 'off'. Received: jit={self.jit!r}"
            )
        if self.strategy not in strategies.STRATEGIES:
            raise ValueError(
                f"`strategy` must be one of {list(strategies.STRATEGIES)}. "
                f"Received: strategy={self.strategy!r}"
            )


@dataclasses.dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        folder: the run's folder.
        step: the step that was reached.
        finished: whether that was the last one.
        exit_code: 0, or 130 or 143 after Ctrl-C or SIGTERM.
        chief: whether this process is the one that wrote the files.
    """

    folder: RunFolder
    step: int
    finished: bool
    exit_code: int
    chief: bool = True


def fit(
    path: Path | str,
    preset: Preset,
    options: RunOptions | None = None,
    source: Any = None,
    say: Callable[[str], None] = print,
) -> RunResult:
    """Trains a preset in a folder, or carries on with what the folder holds.

    Args:
        path: the run's folder: new, empty, or one of the same configuration.
        preset: what to train.
        options: how.
        source: the images, of `training.data.load`; None loads `preset.data`.
        say: gets a line of text now and then, in the chief alone.

    Returns:
        How it ended. After Ctrl-C or SIGTERM a checkpoint was written, and the next
        call carries on.

    Raises:
        NonFiniteError: if a loss or weight is not finite.
        RuntimeError: if another process holds the folder.
        ValueError: if an argument is out of its range, or the folder belongs to
            something else, which is then left as it is.
    """
    options = options or RunOptions()
    preset = preset.resolved()
    if preset.steps % options.steps_per_execution:
        # Keras rounds up: the run would end with steps that nobody asked for.
        raise ValueError(
            f"`steps_per_execution` must divide `steps`, {preset.steps}. "
            f"Received: steps_per_execution={options.steps_per_execution}"
        )
    folder = RunFolder(path)
    # First of all that uses TensorFlow: workers must find each other before.
    strategy = strategies.create_strategy(options.strategy)
    if source is None:
        from training.data import load

        source = load(preset.data, image_size=preset.image_size)
    chief = strategies.position(strategy)[0] == 0
    config = _config(preset, source)
    if chief:
        folder.check(config)
    # Before anything is written: it finds what is wrong with the preset.
    with strategy.scope():
        gan = create_gan(preset, source, options)
    if chief:
        folder.path.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        if chief:
            stack.enter_context(RunLock(folder.path))
            folder.open(config)
        # Workers read the checkpoint when the chief has made the folder ready.
        strategies.agreed(strategy, True)
        checkpoints = Checkpoints(folder.checkpoints, options.keep)
        checkpoint = checkpoints.latest()
        done = 0 if checkpoint is None else checkpoint.step
        if done >= preset.steps:
            if chief:
                say(f"{folder.path} is finished: {done} of {preset.steps} steps.")
            return RunResult(folder, done, True, 0, chief)
        if checkpoint is not None and chief:
            say(f"Carrying on from step {done} of {preset.steps} in {folder.path}.")
        if checkpoint is not None:
            checkpoint.restore(callbacks.state(gan))
        if chief:
            _advise(preset, say)
            folder.truncate_metrics(done)
            events.truncate(folder.logs, done)
        _train(
            gan, preset, options, source, folder, checkpoints, checkpoint, interruption
        )
        step = gan.step
        finished = step >= preset.steps
        if not finished and not gan.stop_training:
            raise RuntimeError(
                f"The data ended at step {step} of {preset.steps}. A checkpoint of "
                "an earlier step may be there; the data must repeat without end."
            )
        return RunResult(folder, step, finished, interruption.exit_code, chief)


def _advise(preset: Preset, say: Callable[[str], None]) -> None:
    """Says if the other precision would suit a machine without accelerator better."""
    if any(x.device_type != "CPU" for x in tf.config.list_physical_devices()):
        return
    able = strategies.has_bfloat16()
    if able and preset.precision == "float32":
        say(
            "This processor multiplies bfloat16 numbers: `--precision mixed_bfloat16` "
            "trains faster, from some width on."
        )
    if not able and preset.precision == "mixed_bfloat16":
        say(
            "This processor doesn't multiply bfloat16 numbers by itself: "
            "`--precision float32` trains faster."
        )


def create_gan(preset: Preset, source: Any, options: RunOptions) -> GAN:
    """Builds and compiles the GAN of a preset.

    Args:
        preset: a resolved preset.
        source: gives `image_shape` and `num_classes`.
        options: gives `jit` and `steps_per_execution`.

    Raises:
        ValueError: if the network doesn't take the images, or labels are missing.
    """
    network = networks.get(preset.network)
    normalizer = normalizers.get(preset.normalizer)
    conditional = preset.conditioning is not None
    if conditional and not source.num_classes:
        raise ValueError(
            f"`conditioning` {preset.conditioning!r} needs labels, and the data "
            f"{preset.data!r} has none."
        )
    classes = source.num_classes if conditional else None
    # The weights' start values have no seeds of their own.
    keras.utils.set_random_seed(preset.seed)
    with _dtype_policy(preset.precision):
        generator = network.generator(
            image_shape=tuple(source.image_shape),
            latent_dim=preset.latent_dim,
            width_multiplier=preset.width_multiplier,
            num_classes=classes,
            synchronized=preset.synchronized,
        )
        discriminator = network.discriminator(
            image_shape=tuple(source.image_shape),
            normalizer=normalizer,
            width_multiplier=preset.width_multiplier,
            num_classes=classes,
            conditioning=preset.conditioning,
        )
    # A resolved preset has the setting's number.
    updates = preset.discriminator_steps or 1
    gan = GAN(
        generator,
        discriminator,
        latent_dim=preset.latent_dim,
        discriminator_steps=updates,
        generator_batch_size=preset.generator_batch_size,
        num_classes=classes,
        seed=preset.seed,
    )
    average = {"use_ema": True, "ema_momentum": preset.ema} if preset.ema else {}
    jit: dict[str, bool | str] = {"auto": "auto", "on": True, "off": False}
    gan.compile(
        generator_optimizer=_adam(preset, 1, **average),
        discriminator_optimizer=_adam(preset, updates),
        loss=preset.loss,
        gradient_penalty=preset.gradient_penalty or None,
        steps_per_execution=options.steps_per_execution,
        jit_compile=jit[options.jit],
    )
    return gan


def _adam(preset: Preset, updates: int, **options: Any) -> keras.optimizers.Adam:
    """Returns Adam for a network that gets `updates` updates a step."""
    rate: Any = preset.learning_rate
    if preset.decay_steps:
        rate = LinearDecay(rate, preset.steps * updates, preset.decay_steps * updates)
    # Chainer's epsilon, which the authors ran with; Keras' default is 1e-7.
    return keras.optimizers.Adam(
        rate, preset.beta_1, preset.beta_2, epsilon=1e-8, **options
    )


def _train(
    gan: GAN,
    preset: Preset,
    options: RunOptions,
    source: Any,
    folder: RunFolder,
    checkpoints: Checkpoints,
    checkpoint: Checkpoint | None,
    interruption: Interruption,
) -> None:
    from training.data import make_dataset

    images_per_step = preset.batch_size * gan.discriminator_steps
    index, count = strategies.position(gan.distribute_strategy)
    dataset = make_dataset(
        source,
        batch_size=images_per_step,
        seed=preset.seed,
        start=gan.step * images_per_step,
        worker_index=index,
        num_workers=count,
    )
    last = preset.steps
    progress = ProgressLine(last)
    writer = events.Events(folder.logs) if index == 0 else None
    log = callbacks.Log(
        folder, writer, progress, options.log_every, last, images_per_step
    )
    save = callbacks.Save(
        folder,
        checkpoints,
        writer,
        options.checkpoint_every,
        last,
        interruption,
        checkpoint,
    )
    # The checkpoint last: what was written before it needn't be written again.
    around = [callbacks.Guard(1, last), log, *_watching(folder, writer, options, last)]
    around.append(save)
    try:
        gan.fit(
            dataset,
            batch_size=preset.batch_size,
            steps_per_epoch=last - gan.step,
            verbose=0,
            callbacks=around,
        )
    finally:
        progress.end()
        if writer is not None:
            writer.close()


def _watching(
    folder: RunFolder, writer: events.Events | None, options: RunOptions, last: int
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that look at the networks, for the chief alone."""
    if writer is None:
        return []
    watching: list[keras.callbacks.Callback] = [
        callbacks.Samples(folder, writer, options.sample_every, last, options.samples)
    ]
    if options.spectra_every is not None:
        watching.append(Spectra(folder.path / "spectra", options.spectra_every, writer))
    if options.score_every is not None:
        from training.evaluation.in_training import score_callback

        scored = score_callback(
            folder,
            writer,
            options.score_every,
            last,
            options.score_images,
            options.inception,
        )
        watching.append(scored)
    return watching


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


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Layers that are made in this scope get the policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
