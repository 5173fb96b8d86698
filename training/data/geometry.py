"""From images of any size to the size and channels that are asked for, as bytes."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from training import values


@dataclasses.dataclass(frozen=True)
class Geometry:
    """What images are turned into.

    Invariant: bytes in, bytes out. An image that has the asked shape is not touched.

    Attributes:
        size: height and width, or None: as the images are.
        channels: 1 (grey) or 3 (RGB), or None: as the images are.
        pad: whether smaller images get a black border, as digits do, rather than
            being enlarged.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    pad: bool = False

    @classmethod
    def of(cls, image_size: Any, channels: Any, pad: bool) -> Geometry:
        """Returns a geometry from a user's arguments.

        Args:
            image_size: an integer for squares, `(height, width)` or None.
            channels: 1, 3 or None.
            pad: as the attribute.

        Raises:
            TypeError: if an argument is of another kind.
            ValueError: if it is out of its range.
        """
        size: tuple[int, int] | None = None
        if isinstance(image_size, (tuple, list)):
            if len(image_size) != 2:
                wanted = "an integer of 1 or more, a pair of them, or None"
                raise ValueError(values.message("image_size", wanted, image_size))
            height, width = (values.integer("image_size", one) for one in image_size)
            size = (height, width)
        elif image_size is not None:
            side = values.integer("image_size", image_size)
            size = (side, side)
        if channels is not None:
            channels = values.integer("channels", channels)
            if channels not in (1, 3):
                wanted = "1 (grey), 3 (RGB) or None (as the images are)"
                raise ValueError(values.message("channels", wanted, channels))
        return cls(size, channels, pad)

    def apply(self, images: tf.Tensor) -> tf.Tensor:
        """Returns uint8 images `(…, height, width, 1 or 3)` in this geometry.

        Images of other proportions are cropped around their centre first. They are
        resized by triangles as wide as the scale asks for (bilinear with
        antialiasing) and rounded.
        """
        images = tf.convert_to_tensor(images)
        if self.channels == 1 and images.shape[-1] == 3:
            images = tf.image.rgb_to_grayscale(images)
        elif self.channels == 3 and images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        if self.size is None:
            return images
        height, width = self.size
        if images.shape[-3:-1] == (height, width):
            return images
        smaller = all(
            have is not None and have <= side
            for have, side in zip(images.shape[-3:-1], self.size, strict=True)
        )
        if self.pad and smaller:
            return tf.image.resize_with_crop_or_pad(images, height, width)
        images = _centre(images, height, width)
        images = tf.image.resize(images, self.size, antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(images), 0, 255), tf.uint8)


def _centre(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns the largest centred part with the proportions of `height` to `width`."""
    shape = tf.shape(images)
    have_height, have_width = shape[-3], shape[-2]
    crop_height = tf.minimum(have_height, have_width * height // width)
    crop_width = tf.minimum(have_width, have_height * width // height)
    crop_height, crop_width = tf.maximum(crop_height, 1), tf.maximum(crop_width, 1)
    top = (have_height - crop_height) // 2
    left = (have_width - crop_width) // 2
    return images[..., top : top + crop_height, left : left + crop_width, :]
