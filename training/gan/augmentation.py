"""Differentiable augmentation: D sees changed images, and G learns through that.

A discriminator that has few real images learns them by heart. Changed anew each time,
they are many; and since generated images are changed too, G doesn't learn the changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from training.gan import draws
from training.gan.policies import POLICIES, names_of

_TRANSLATION = 1 / 8  # of the side, at most
_CUTOUT = 1 / 2  # of the side
# Brightness, saturation, contrast; two of translation; two of cutout. All are drawn
# whatever the policies, so that one more changes no other's numbers.
_NUMBERS = 7


@keras.saving.register_keras_serializable(package="training")
class DifferentiableAugmentation:
    """Changes images at random, each by numbers of its own.

    - `color`: brightness (−0.5 to 0.5 is added), then saturation (0 to 2 times), then
      contrast (0.5 to 1.5 times).
    - `translation`: by up to an eighth of the side in either direction; 0 comes in.
    - `cutout`: a square of half the side, anywhere, also over the edge, becomes 0.

    Args:
        policies: names among these three, in any order; a string joins them by commas.

    Raises:
        TypeError: if it is neither a string nor a sequence of them.
        ValueError: if one is unknown or there are none.

    Example:

    ```python
    from training.gan import draws

    augmentation = DifferentiableAugmentation("color,translation")
    seen = augmentation(images, draws.At(seed=0, step=0, update=1))
    ```

    In training it is an argument of `GAN.compile`.

    Source: Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training",
    NeurIPS 2020, https://arxiv.org/abs/2006.10738.
    """

    def __init__(self, policies: str | Sequence[str] = POLICIES):
        self.policies = names_of(policies)

    def __call__(self, images: tf.Tensor, at: draws.At) -> tf.Tensor:
        """Returns the images changed.

        Args:
            images: floats of shape `(batch, height, width, channels)`.
            at: what the numbers depend on.
        """
        images = tf.convert_to_tensor(images)
        uniform = draws.uniform(at, images.shape[0], _NUMBERS)
        numbers = tf.unstack(tf.cast(uniform, images.dtype), axis=1)
        if "color" in self.policies:
            images = color(images, *numbers[:3])
        if "translation" in self.policies:
            images = translation(images, *numbers[3:5])
        if "cutout" in self.policies:
            images = cutout(images, *numbers[5:])
        return images

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"policies": list(self.policies)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DifferentiableAugmentation:
        """Returns the augmentation of a config."""
        return cls(**config)


def color(
    images: tf.Tensor, brightness: tf.Tensor, saturation: tf.Tensor, contrast: tf.Tensor
) -> tf.Tensor:
    """Changes brightness, saturation and contrast by numbers in [0, 1] an image."""
    images += _each(brightness - 0.5)
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = (images - grey) * _each(2.0 * saturation) + grey
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return (images - mean) * _each(contrast + 0.5) + mean


def translation(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Moves images by numbers in [0, 1] an image, 0.5 for none."""
    # By products with matrices of 0 and 1: their gradient needs no scattered sums,
    # which are slow, and on a GPU other ones each time.
    rows = _shift(images.shape[1], down, images.dtype)
    columns = _shift(images.shape[2], right, images.dtype)
    images = tf.einsum("bij,bjwc->biwc", rows, images)
    return tf.einsum("bij,bhjc->bhic", columns, images)


def cutout(images: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """Sets a square to 0 whose middle lies where numbers in [0, 1] an image say."""
    inside_rows = _inside(images.shape[1], row)[:, :, None, None]
    inside_columns = _inside(images.shape[2], column)[:, None, :, None]
    kept = tf.logical_not(tf.logical_and(inside_rows, inside_columns))
    return images * tf.cast(kept, images.dtype)


def _each(numbers: tf.Tensor) -> tf.Tensor:
    return numbers[:, None, None, None]


def _whole(uniform: tf.Tensor, count: int) -> tf.Tensor:
    """Returns whole numbers from 0 to `count` − 1; a uniform number may round to 1."""
    return tf.minimum(tf.cast(uniform * count, tf.int32), count - 1)


def _shift(side: int, uniform: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns matrices of shape `(batch, side, side)` that move rows."""
    most = int(side * _TRANSLATION + 0.5)
    by = _whole(uniform, 2 * most + 1) - most
    sources = tf.range(side)[None, :, None] - by[:, None, None]
    return tf.cast(sources == tf.range(side)[None, None, :], dtype)


def _inside(side: int, uniform: tf.Tensor) -> tf.Tensor:
    """Returns which rows a square covers, bools of shape `(batch, side)`."""
    length = int(side * _CUTOUT + 0.5)
    first = _whole(uniform, side + 1 - length % 2)[:, None] - length // 2
    at = tf.range(side)[None, :]
    return tf.logical_and(at >= first, at < first + length)
