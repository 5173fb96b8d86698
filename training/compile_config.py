"""What a GAN was compiled with, as JSON and back: a saved GAN trains on when loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from training.gradient_penalty import GradientPenalty

if TYPE_CHECKING:
    from training.gan import GAN

_OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")


def of(gan: GAN) -> dict[str, Any]:
    """Returns the arguments of `compile`, as JSON."""
    penalty = gan.gradient_penalty
    return {
        **{
            name: keras.saving.serialize_keras_object(getattr(gan, name))
            for name in _OPTIMIZERS
        },
        "loss": gan.adversarial_loss.name,
        "gradient_penalty": None if penalty is None else vars(penalty),
        "classifier_weights": list(gan.classifier_weights),
        "run_eagerly": gan.run_eagerly,
        "steps_per_execution": gan.steps_per_execution,
        "jit_compile": gan.jit_compile,
    }


def arguments(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `compile` of what `of` returned."""
    penalty = config["gradient_penalty"]
    return {
        **config,
        **{
            name: keras.saving.deserialize_keras_object(config[name])
            for name in _OPTIMIZERS
        },
        "gradient_penalty": None if penalty is None else GradientPenalty(**penalty),
    }
