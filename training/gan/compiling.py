"""What a GAN is compiled with: checked, and as JSON and back.

A saved GAN trains on when it is loaded.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from training import keras_private, values
from training.gan import gradient_penalty, losses
from training.gan.gradient_penalty import GradientPenalty

_OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")


@dataclasses.dataclass(eq=False)
class Arguments:
    """The arguments of `GAN.compile`, checked; see there.

    Raises:
        TypeError, ValueError: if one is of another kind or out of its range.
    """

    generator_optimizer: Any
    discriminator_optimizer: Any
    loss: Any
    gradient_penalty: Any
    classifier_weights: Any
    augmentation: Any
    fast: Any
    auto_scale_loss: Any
    run_eagerly: Any
    steps_per_execution: Any
    jit_compile: Any

    def __post_init__(self) -> None:
        for name in _OPTIMIZERS:
            setattr(self, name, _optimizer(name, getattr(self, name)))
        first, second = (keras_private.inner(getattr(self, x)) for x in _OPTIMIZERS)
        if first is second:
            raise ValueError(
                "`generator_optimizer` and `discriminator_optimizer` must be two "
                "objects: each keeps the state of its own network's weights."
            )
        self.loss = losses.get(self.loss)
        self.gradient_penalty = gradient_penalty.get(self.gradient_penalty)
        self.classifier_weights = _weights(self.classifier_weights)
        if self.augmentation is not None and not callable(self.augmentation):
            wanted = "None or a function of images and a `draws.At`"
            raise TypeError(values.message("augmentation", wanted, self.augmentation))
        for name in ("fast", "auto_scale_loss", "run_eagerly"):
            setattr(self, name, values.boolean(name, getattr(self, name)))
        self.steps_per_execution = values.integer(
            "steps_per_execution", self.steps_per_execution
        )
        if self.jit_compile != "auto":
            self.jit_compile = values.boolean("jit_compile", self.jit_compile)

    def scale_losses(self, *networks: keras.Model) -> None:
        """Wraps the optimizers if a layer of the networks has float16 gradients.

        The smallest of them would be 0: G's come through D, so both are wrapped.
        """
        layers = [x for one in networks for x in keras_private.flatten_layers(one)]
        if not any(layer.dtype_policy.name == "mixed_float16" for layer in layers):
            return
        for name in _OPTIMIZERS:
            optimizer = getattr(self, name)
            if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
                scaled = keras.optimizers.LossScaleOptimizer(optimizer)
                setattr(self, name, scaled)

    def as_json(self) -> dict[str, Any]:
        """Returns what `arguments` makes the arguments of again."""
        penalty, augmentation = self.gradient_penalty, self.augmentation
        return {
            **vars(self),
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in _OPTIMIZERS
            },
            "loss": losses.as_json(self.loss),
            "gradient_penalty": None if penalty is None else vars(penalty),
            "classifier_weights": list(self.classifier_weights),
            "augmentation": augmentation
            and keras.saving.serialize_keras_object(augmentation),
        }


def arguments(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `compile` of what `Arguments.as_json` returned."""
    penalty, augmentation = config["gradient_penalty"], config.get("augmentation")
    return {
        **config,
        **{
            name: keras.saving.deserialize_keras_object(config[name])
            for name in _OPTIMIZERS
        },
        "loss": losses.from_json(config["loss"]),
        "gradient_penalty": None if penalty is None else GradientPenalty(**penalty),
        "augmentation": augmentation
        and keras.saving.deserialize_keras_object(augmentation),
    }


def compiled_by_xla(wanted: bool | str, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a step is compiled by XLA; "auto": with a GPU or TPU alone."""
    if isinstance(wanted, bool):
        return wanted
    devices = {device.device_type for device in tf.config.list_physical_devices()}
    # Keras compiles around the strategy's `run`, so the step has to be on one device;
    # TPUs compile in any case.
    return bool(devices - {"CPU"}) and strategy.num_replicas_in_sync == 1


def _optimizer(name: str, value: Any) -> keras.optimizers.Optimizer:
    wanted = f"`{name}` must be a Keras optimizer, its name or config. "
    try:
        found = keras.optimizers.get(value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{wanted}Received: {name}={value!r}: {error}") from error
    if not isinstance(found, keras.optimizers.Optimizer):
        raise TypeError(f"{wanted}Received: {name}={value!r}")
    return found


def _weights(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        wanted = "two numbers of 0 or more"
        raise ValueError(values.message("classifier_weights", wanted, value))
    first, second = (values.number("classifier_weights", one, 0) for one in value)
    return first, second
