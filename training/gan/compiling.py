"""What a GAN is compiled with: checked, and as JSON and back.

A saved GAN trains on when it is loaded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras

from training.gan.gradient_penalty import GradientPenalty

if TYPE_CHECKING:
    from training.gan.model import GAN

_OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")


def optimizer(name: str, value: Any) -> keras.optimizers.Optimizer:
    """Returns the optimizer that an argument of `compile` stands for.

    Raises:
        TypeError: if it is no optimizer, name or config.
        ValueError: if there is none of that name or config.
    """
    wanted = f"`{name}` must be a Keras optimizer, its name or config. "
    try:
        found = keras.optimizers.get(value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{wanted}Received: {name}={value!r}: {error}") from error
    if not isinstance(found, keras.optimizers.Optimizer):
        raise TypeError(f"{wanted}Received: {name}={value!r}")
    return found


def classifier_weights(value: Any) -> tuple[float, float]:
    """Returns the two weights of the classifier's cross-entropies.

    Raises:
        ValueError: if they are not two numbers of 0 or more.
    """
    if not (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(one, (int, float)) for one in value)
        and all(math.isfinite(one) and one >= 0 for one in value)
    ):
        raise ValueError(
            "`classifier_weights` must be two numbers of 0 or more. "
            f"Received: classifier_weights={value!r}"
        )
    return float(value[0]), float(value[1])


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
