"""What a run says at its start: what it has, and what it does with it."""

from __future__ import annotations

import keras

from training.gan.model import GAN
from training.runs.run import Run

_NAMES_SHOWN = 10


def at_start(run: Run, gan: GAN) -> str:
    """Returns lines on the images, the networks, a step and the devices."""
    preset, source = run.preset, run.source
    height, width, channels = source.image_shape
    classes = "no classes"
    if source.num_classes:
        names = list(source.class_names or range(source.num_classes))
        shown = ", ".join(map(str, names[:_NAMES_SHOWN]))
        more = ", …" if len(names) > _NAMES_SHOWN else ""
        classes = f"{source.num_classes} classes: {shown}{more}"
    one_of_g = gan.generator_batch_size or preset.batch_size
    lines = {
        "Images": f"{len(source):,} of {height} × {width} × {channels} from "
        f"{source.name} ({source.split}); {classes}",
        "Networks": f"{preset.network}, G with {gan.generator.count_params():,} "
        f"weights, D with {gan.discriminator.count_params():,}; "
        f"{preset.normalizer}, {preset.loss} loss",
        "Steps": f"{preset.steps:,} of {gan.discriminator_steps} × "
        f"{preset.batch_size} images for D and {one_of_g} for G, "
        f"in {preset.precision}",
        "Devices": _devices(run),
    }
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def _devices(run: Run) -> str:
    replicas = run.strategy.num_replicas_in_sync
    found = keras.distribution.list_devices()
    kinds = sorted({device.split(":")[0] for device in found})
    kind = "GPU" if "gpu" in kinds else "/".join(kinds).upper()
    text = f"{replicas} × {kind}"
    workers = run.position[1]
    if workers > 1:
        text += f" of {workers} workers"
    if replicas > 1:
        text += f", {run.preset.batch_size // replicas} images on each"
    return text
