"""A generator's images, batch by batch: the one place where G runs to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from training import keras_private, values
from training.gan import draws, input_checks

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


def drawn(
    generator: keras.Model,
    latent_dim: int,
    num_classes: int | None,
    count: int,
    seed: int,
    labels: Any,
) -> np.ndarray:
    """Returns images of latents that are drawn with a seed; see `GAN.generate`."""
    count = values.integer("count", count)
    at = draws.samples(values.integer("seed", seed, 0))
    if labels is not None:
        labels = input_checks.generated_labels(labels, count, num_classes)
    elif num_classes is not None:
        labels = draws.labels(at, count, num_classes)
    latents = draws.latents(at, count, latent_dim)
    return np.concatenate(list(images(generator, latents, labels)))


def averaged(
    generator: keras.Model, optimizer: keras.optimizers.Optimizer | None
) -> keras.Model | None:
    """Returns a copy of G with the averages of its weights, if an optimizer has any.

    What was frozen when the optimizer was made has no average: it is copied.
    """
    if optimizer is None or not keras_private.inner(optimizer).use_ema:
        return None
    # Not in the strategy's scope, where all workers would have to make one: the chief
    # alone saves it.
    copy = keras.models.clone_model(generator)
    copy.set_weights(generator.get_weights())
    if not int(keras_private.updates(optimizer).numpy()):
        return copy  # before the first step averages are 0
    ids = [id(weight) for weight in generator.variables]
    copies = dict(zip(ids, copy.variables, strict=True))
    for weight, average in keras_private.averages(optimizer):
        copies[id(weight)].assign(keras.ops.convert_to_numpy(average.value))
    return copy
