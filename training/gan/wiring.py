"""How a generator and a discriminator fit together: called and checked, unrun."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from training import keras_private


@dataclasses.dataclass(frozen=True)
class Wiring:
    """What was found about a pair of networks.

    Attributes:
        image_shape: `(height, width, channels)` of the images.
        discriminator_takes_labels: whether D's inputs are `[images, labels]`.
        batch_norm_in_discriminator: whether D's output for an image depends on the
            other images of its batch.
    """

    image_shape: tuple[int | None, ...]
    discriminator_takes_labels: bool
    batch_norm_in_discriminator: bool


def split(outputs: Any) -> tuple[Any, Any]:
    """Returns D's logits, and its class logits or None, from what D returns."""
    if isinstance(outputs, dict):
        return outputs["logits"], outputs["class_logits"]
    return outputs, None


def connect(
    generator: keras.Model,
    discriminator: keras.Model,
    latent_dim: int,
    num_classes: int | None,
) -> Wiring:
    """Calls the networks on symbolic inputs, which also builds them.

    Raises:
        TypeError: if one is no Keras layer.
        ValueError: if they don't fit together; the message says what doesn't.
    """
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        if not isinstance(network, keras.layers.Layer):
            raise TypeError(
                f"`{name}` must be a `keras.Model`. "
                f"Received: {name} of type {type(network).__name__}"
            )
    latents = keras.KerasTensor((None, latent_dim), "float32")
    labels = keras.KerasTensor((None,), "int32")
    try:
        images = generator(latents if num_classes is None else [latents, labels])
    except Exception as error:
        wanted = "latents" if num_classes is None else "[latents, labels]"
        raise ValueError(
            f"`generator` must take {wanted}, latents of shape (batch, {latent_dim}) "
            f"as `latent_dim` says. Received: generator={generator.name!r}, which "
            f"fails on that: {error}"
        ) from error
    if len(images.shape) != 4:
        raise ValueError(
            "`generator` must return images of shape (batch, height, width, "
            f"channels). Received: a generator of outputs of shape {images.shape}"
        )
    takes_labels = len(getattr(discriminator, "inputs", None) or [images]) == 2
    if takes_labels and num_classes is None:
        raise ValueError(
            "`num_classes` must be given for a discriminator that takes labels. "
            "Received: num_classes=None"
        )
    try:
        outputs = discriminator([images, labels] if takes_labels else images)
        logits, class_logits = split(outputs)
    except Exception as error:
        raise ValueError(
            "`discriminator` must take the generator's images, of shape "
            f"{images.shape}, and return logits, or a dict of `logits` and "
            f"`class_logits`. Received: discriminator={discriminator.name!r}, which "
            f"fails on that: {error}"
        ) from error
    if len(logits.shape) != 2 or logits.shape[-1] != 1:
        raise ValueError(
            "`discriminator` must return logits of shape (batch, 1). "
            f"Received: a discriminator of logits of shape {logits.shape}"
        )
    if class_logits is not None and class_logits.shape[-1] != num_classes:
        raise ValueError(
            f"`num_classes` must be {class_logits.shape[-1]}, the number of the "
            f"discriminator's class logits. Received: num_classes={num_classes!r}"
        )
    batch_norm = any(
        isinstance(layer, keras.layers.BatchNormalization)
        for layer in keras_private.flatten_layers(discriminator)
    )
    return Wiring(tuple(images.shape[1:]), takes_labels, batch_norm)
