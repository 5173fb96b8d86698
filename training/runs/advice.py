"""What a run says about the machine that it is on."""

from __future__ import annotations

import tensorflow as tf

from training.devices import strategies
from training.runs.preset import Preset


def batches(preset: Preset, updates: int, strategy: tf.distribute.Strategy) -> str:
    """Returns how many images a step takes, in all and on each device.

    Args:
        preset: what is trained.
        updates: updates of D in a step.
        strategy: what it is trained with.
    """
    replicas = strategy.num_replicas_in_sync
    text = f"Batch: {preset.batch_size} images"
    if replicas > 1:
        text += f", {preset.batch_size // replicas} on each of {replicas} replicas"
    if updates > 1:
        text += f"; {updates} of them a step"
    return text + "."


def precision(preset: Preset) -> str | None:
    """Returns advice if another precision suits a machine without accelerator better.

    Args:
        preset: what is trained.
    """
    if any(x.device_type != "CPU" for x in tf.config.list_physical_devices()):
        return None
    able = strategies.has_bfloat16()
    if able and preset.precision == "float32":
        return (
            "This processor multiplies bfloat16 numbers: `--precision mixed_bfloat16` "
            "trains faster, from some width on."
        )
    if not able and preset.precision == "mixed_bfloat16":
        return (
            "This processor doesn't multiply bfloat16 numbers by itself: "
            "`--precision float32` trains faster."
        )
    return None
