"""Images of a generator, as uint8 and reproducible, for scoring."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training import values
from training.gan import generated
from training.storage import pictures

# Decorrelates the latents from everything else that is drawn with the same seed.
_LATENTS = 0x5C04E


def generated_batches(
    generator: keras.Model,
    count: int,
    batch_size: int = 64,
    seed: int = 0,
    latent_dim: int = 128,
    num_classes: int | None = None,
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32] | None]]:
    """Yields uint8 images and labels of `count` latents z ~ N(0, I).

    Image i depends on the seed and on i alone, not on the batch size. Labels of a
    conditional generator go round the classes, so each has its equal share.

    Args:
        generator: maps latents, or `[latents, labels]`, to images in [−1, 1].
        count: number of images.
        batch_size: images a call of the generator; the last may be fewer.
        seed: seed of the latents. Defaults to 0.
        latent_dim: length of a latent. Defaults to 128.
        num_classes: number of classes of a conditional generator, `None` for others.

    Raises:
        ValueError: if an image holds NaN or infinity.
    """
    count = values.integer("count", count)
    batch_size = values.integer("batch_size", batch_size)
    latents = tf.random.stateless_normal(
        [count, latent_dim], [seed, _LATENTS], alg="philox"
    )
    labels: NDArray[np.int32] | None = None
    if num_classes is not None:
        labels = (np.arange(count) % num_classes).astype(np.int32)

    made = generated.images(generator, latents, labels, batch_size)
    for start, images in zip(range(0, count, batch_size), made, strict=True):
        if not np.isfinite(images).all():
            raise ValueError(
                "`generator` must make finite images. Received: NaN or infinity in the "
                f"batch that starts at image {start}"
            )
        of_these = None if labels is None else labels[start : start + batch_size]
        yield pictures.to_uint8(images), of_these
