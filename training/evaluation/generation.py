"""Images of a generator, as uint8 and reproducible, for scoring."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training import values
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

    # Called as it is: a graph would have to be traced at each call, and would cost
    # more than it saves on a few layers.
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        if labels is None:
            made = generator(latents[part], training=False)
        else:
            chosen = tf.constant(labels[part])
            made = generator([latents[part], chosen], training=False)
        made = keras.ops.convert_to_numpy(made).astype(np.float32)
        if not np.isfinite(made).all():
            raise ValueError(
                "`generator` must make finite images. Received: NaN or infinity in the "
                f"batch that starts at image {start}"
            )
        yield pictures.to_uint8(made), None if labels is None else labels[part]
