"""How a generator and a discriminator fit together: called and checked, unrun."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from training import keras_private

# Of a generator that doesn't show its inputs: the paper's.
_LATENT_DIM = 128


@dataclasses.dataclass(frozen=True)
class Wiring:
    """What was found about a pair of networks.

    Attributes:
        latent_dim: length of the latent vectors.
        num_classes: number of classes, or None.
        image_shape: `(height, width, channels)` of the images.
        discriminator_takes_labels: whether D's inputs are `[images, labels]`.
        batch_norm_in_discriminator: whether D's output for an image depends on the
            other images of its batch.
    """

    latent_dim: int
    num_classes: int | None
    image_shape: tuple[int | None, ...]
    discriminator_takes_labels: bool
    batch_norm_in_discriminator: bool

    def joint(self, discriminator_call: str) -> bool:
        """Returns whether D is called on real and generated images together."""
        if discriminator_call == "auto":
            return not self.batch_norm_in_discriminator
        return discriminator_call == "joint"


def split(outputs: Any) -> tuple[Any, Any]:
    """Returns D's logits, and its class logits or None, from what D returns."""
    if isinstance(outputs, dict):
        return outputs["logits"], outputs["class_logits"]
    if isinstance(outputs, (list, tuple)):
        raise ValueError(f"it returns a {type(outputs).__name__}")
    return outputs, None


def connect(
    generator: keras.Model,
    discriminator: keras.Model,
    latent_dim: int | None,
    num_classes: int | None,
) -> Wiring:
    """Calls the networks on symbolic inputs, which also builds them.

    Args:
        generator: G.
        discriminator: D.
        latent_dim: length of the latent vectors, or None to read it off G.
        num_classes: number of classes, or None to read it off a G that takes labels.

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
    shown = getattr(generator, "inputs", None) or []
    if latent_dim is None:
        latent_dim = (shown[0].shape[-1] if shown else None) or _LATENT_DIM
    if num_classes is None and len(shown) == 2:
        num_classes = _classes(generator)
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
    shape = getattr(images, "shape", None)
    if shape is None or len(shape) != 4:
        found = type(images).__name__ if shape is None else f"shape {shape}"
        raise ValueError(
            "`generator` must return images of shape (batch, height, width, "
            f"channels). Received: a generator of outputs of {found}"
        )
    shown = getattr(discriminator, "inputs", None) or []
    takes_labels = len(shown) == 2
    if num_classes is not None and not shown:
        # A subclassed D doesn't show what it takes.
        takes_labels = _takes(discriminator, [images, labels])
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
    if len(logits.shape) > 1 and logits.shape[-1] != 1:
        raise ValueError(
            "`discriminator` must return logits of shape (batch, 1), or (batch,), or "
            "maps of them, (batch, height, width, 1). "
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
    shape = tuple(images.shape[1:])
    return Wiring(latent_dim, num_classes, shape, takes_labels, batch_norm)


def _classes(generator: keras.Model) -> int:
    """Returns the number of classes that the layers of G are made for."""
    found = set()
    for layer in keras_private.flatten_layers(generator):
        if isinstance(layer, keras.layers.Embedding):
            found.add(layer.input_dim)
        elif layer is not generator and hasattr(layer, "num_classes"):
            found.add(layer.num_classes)
    if len(found) != 1:
        raise ValueError(
            "`num_classes` must be given for a generator with two inputs whose layers "
            f"don't tell it: they say {sorted(found)}. Received: num_classes=None"
        )
    return found.pop()


def _takes(network: keras.Model, inputs: Any) -> bool:
    try:
        network(inputs)
    except Exception:
        return False
    return True
