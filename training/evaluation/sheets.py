"""Sheets of a generator's pictures: ways between them, beside real ones, neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from training.data import DataSource
from training.evaluation import looking
from training.gan import draws, generated
from training.networks.conditional import interpolating
from training.storage import pictures

_COLUMNS = 8
_CLASS_ROWS = 20


def interpolation(
    generator: keras.Model,
    latents: np.ndarray,
    steps: int,
    classes: Sequence[str] | None = None,
    labels: Sequence[int] | None = None,
) -> tuple[list[np.ndarray], list[str]]:
    """Returns rows of pictures, each on the way from one to another, and their names.

    From one latent to another; of a conditional generator with up to 20 classes each
    has its row. With labels, from each of these classes to the next, with one latent a
    row.

    Args:
        generator: maps latents, or `[latents, labels]`, to images in [−1, 1].
        latents: shape `(n, latent_dim)`; a row takes two of them, or one with labels.
        steps: pictures from one end to the other, both among them.
        classes: names of the classes of a conditional generator.
        labels: two classes or more to go through.

    Raises:
        ValueError: if there is one label alone.
    """
    if labels is not None and classes is not None:
        if len(labels) < 2:
            raise ValueError(
                "`labels` must be two classes or more to go from one to another. "
                f"Received: labels={list(labels)}"
            )
        weights = looking.class_weights(labels, len(classes), steps)
        weights = weights.reshape(-1, len(classes))
        rows = len(latents) // 2
        made = images_of(
            interpolating(generator),
            latents[:rows].repeat(len(weights), 0),
            np.tile(weights, (rows, 1)),
        )
        return np.split(made, rows), [""] * rows
    rows, names = len(latents) // 2, [""] * (len(latents) // 2)
    if classes is not None:
        rows = min(rows, len(classes), _CLASS_ROWS)
        names = list(classes[:rows])
    way = looking.between(latents[:rows], latents[-rows:], steps)
    numbers: np.ndarray | None = None
    if classes is not None:
        numbers = np.arange(rows, dtype=np.int32).repeat(steps)
    made = images_of(generator, way.reshape(rows * steps, -1), numbers)
    return np.split(made, rows), names


def frames(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the columns of rows as frames of an animation, there and back."""
    there = [pictures.grid(np.stack(column)) for column in zip(*rows, strict=True)]
    return there + there[-2:0:-1]


def beside_real(images: np.ndarray, source: DataSource, seed: int) -> np.ndarray:
    """Returns real images above as many generated ones."""
    count = min(len(images), len(source))
    real, _ = source.sample(count, seed)
    rows = [*_rows(real), *_rows(images[:count])]
    names = [""] * len(rows)
    names[0], names[len(rows) // 2] = "real", "generated"
    return pictures.named_rows(rows, names)


def beside_nearest(
    images: np.ndarray, source: DataSource, count: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns generated images, each above the real one next to it; and distances.

    Args:
        images: uint8.
        source: the real images.
        count: how many of them to look through; None: all.
    """
    found, distances = looking.nearest(images, source, count)
    rows = []
    for made, real in zip(_rows(images), _rows(found), strict=True):
        rows += [made, real]
    names = ["generated", "nearest"] * (len(rows) // 2)
    return pictures.named_rows(rows, names), distances


def _rows(images: np.ndarray) -> list[np.ndarray]:
    """Returns rows of up to eight images; the last is filled up with black."""
    columns = min(_COLUMNS, len(images))
    missing = -len(images) % columns
    filled = np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)])
    return np.split(filled, len(filled) // columns)


def drawn(
    generator: keras.Model,
    latents: np.ndarray,
    num_classes: int | None,
    labels: Sequence[int] | None,
    seed: int,
) -> np.ndarray:
    """Returns uint8 images of latents, of given classes or of random ones.

    Args:
        generator: maps latents, or `[latents, labels]`, to images in [−1, 1].
        latents: shape `(n, latent_dim)`.
        num_classes: number of classes of a conditional generator, else None.
        labels: a class for each latent, or None.
        seed: of random classes.
    """
    if num_classes is None:
        return images_of(generator, latents)
    if labels is None:
        at = draws.samples(seed)
        labels = draws.labels(at, len(latents), num_classes).numpy()
    return images_of(generator, latents, np.asarray(labels, np.int32))


def images_of(
    generator: keras.Model, latents: np.ndarray, labels: np.ndarray | None = None
) -> np.ndarray:
    """Returns uint8 images of latents and, of a conditional generator, labels."""
    made = generated.images(generator, latents, labels)
    return pictures.to_uint8(np.concatenate(list(made)))
