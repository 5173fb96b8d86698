"""A generator's images, batch by batch: the one place where G runs to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

TOGETHER = 64


def images(
    generator: keras.Model, latents: Any, labels: Any = None, batch_size: int = TOGETHER
) -> Iterator[np.ndarray]:
    """Yields the images of latents, in their order, as float32 arrays.

    Args:
        generator: maps latents, or `[latents, labels]`, to images.
        latents: of shape `(n, length)`.
        labels: the classes, of shape `(n,)`; None for a generator without classes.
        batch_size: images a call, the last may be fewer. Defaults to 64.
    """
    # Keras takes no mixture of tensors and arrays.
    rows = [keras.ops.convert_to_tensor(latents)]
    if labels is not None:
        rows.append(keras.ops.convert_to_tensor(labels))
    for start in range(0, len(latents), batch_size):
        part = [row[start : start + batch_size] for row in rows]
        # Not by `predict`, which under a strategy is a job of all replicas; and not as
        # a graph, which would be traced at each call, and costs more than it saves.
        made = generator(part if labels is not None else part[0], training=False)
        yield keras.ops.convert_to_numpy(made).astype(np.float32)
