"""From a preset to a GAN that is ready for `fit`."""

from __future__ import annotations

from typing import Any

import keras

from training import networks, normalizers
from training.averaging import RampedAdam
from training.gan.augmentation import DifferentiableAugmentation
from training.gan.model import GAN
from training.gan.schedules import LinearDecay
from training.networks import precision
from training.runs.options import RunOptions
from training.runs.preset import Preset


def create_gan(preset: Preset, source: Any, options: RunOptions) -> GAN:
    """Builds and compiles the GAN of a preset.

    Args:
        preset: a preset that was checked, with these images.
        source: gives `image_shape` and `num_classes`.
        options: gives `jit` and `steps_per_execution`.

    Raises:
        ValueError: if the networks don't fit what `training.runs.checks` can't know.
    """
    network = networks.get(preset.network)
    normalizer = normalizers.get(preset.normalizer)
    conditional = preset.conditioning is not None
    classes = source.num_classes if conditional else None
    last_width = {}
    if preset.last_width_multiplier is not None:
        last_width["last_width_multiplier"] = preset.last_width_multiplier
    # The weights' start values have no seeds of their own.
    keras.utils.set_random_seed(preset.seed)
    with precision.policy(preset.precision):
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
            **last_width,
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
        augmentation=None
        if preset.augmentation is None
        else DifferentiableAugmentation(preset.augmentation),
        steps_per_execution=options.steps_per_execution,
        jit_compile=jit[options.jit],
    )
    return gan


def _adam(preset: Preset, updates: int, **options: Any) -> keras.optimizers.Adam:
    """Returns Adam for a network that gets `updates` updates a step."""
    rate: Any = preset.learning_rate
    if preset.decay_steps:
        rate = LinearDecay(rate, preset.steps * updates, preset.decay_steps * updates)
    kind = RampedAdam if preset.ema_ramp else keras.optimizers.Adam
    # Chainer's epsilon, which the authors ran with; Keras' default is 1e-7.
    return kind(rate, preset.beta_1, preset.beta_2, epsilon=1e-8, **options)
