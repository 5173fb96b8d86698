"""What shows how good a generator is at a glance: ways between images, neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from training.data import DataSource
from training.gan import draws

_CHUNK = 512


def latents(
    count: int, length: int, seed: int, truncation: float | None = None
) -> np.ndarray:
    """Returns latents of samples, float32 of shape `(count, length)`.

    Args:
        count: how many.
        length: of each.
        seed: of the draws.
        truncation: no number is further from 0 than this; None: no limit.
    """
    drawn = draws.latents(draws.samples(seed), count, length).numpy()
    return drawn if truncation is None else truncated(drawn, truncation)


def between(first: np.ndarray, second: np.ndarray, steps: int) -> np.ndarray:
    """Returns latents on the way from one to another, both ends among them.

    `cos(t) · first + sin(t) · second`, `0 ≤ t ≤ π/2`: of two latents that are drawn
    from N(0, I), each on the way is distributed like that, too. On a straight line
    those in the middle are shorter than any that G was trained on.

    Args:
        first: shape `(…, latent_dim)`.
        second: the same.
        steps: how many, 2 or more.

    Returns:
        An array of shape `(…, steps, latent_dim)`.
    """
    t = np.linspace(0.0, math.pi / 2, steps, dtype=np.float32)[:, None]
    return np.cos(t) * first[..., None, :] + np.sin(t) * second[..., None, :]


def truncated(latents: np.ndarray, limit: float) -> np.ndarray:
    """Returns normal numbers as those of a normal distribution within ±`limit`.

    By the distributions' quantiles, so that a seed's image stays much the same.
    """
    low = ndtr(-limit)
    quantiles = low + ndtr(latents.astype("float64")) * (1 - 2 * low)
    return ndtri(quantiles).clip(-limit, limit).astype("float32")


def class_weights(labels: Sequence[int], num_classes: int, steps: int) -> np.ndarray:
    """Returns weightings of the classes on the way through labels, on straight lines.

    Args:
        labels: two or more.
        num_classes: how many classes there are.
        steps: from one label to the next, both among them.

    Returns:
        An array of shape `(len(labels) − 1, steps, num_classes)`.
    """
    ends: np.ndarray = np.eye(num_classes, dtype=np.float32)[list(labels)]
    t = np.linspace(0.0, 1.0, steps, dtype=np.float32)[:, None]
    return (1 - t) * ends[:-1, None] + t * ends[1:, None]


def nearest(
    images: np.ndarray, source: DataSource, count: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the real image next to each of some images, and how far it is.

    By the root of the mean squared difference of pixels, of which a copy has almost
    none.

    Args:
        images: uint8, shape `(n, height, width, channels)`.
        source: the real images.
        count: how many of them to look at; None: all.

    Returns:
        Uint8 images like `images`, and distances of shape `(n,)` in [0, 255].
    """
    wanted: np.ndarray = images.reshape(len(images), -1).astype(np.float32)
    squares = (wanted**2).sum(1)
    best: np.ndarray = np.full(len(images), np.inf, np.float32)
    found = np.zeros_like(images)
    left = len(source) if count is None else min(count, len(source))
    size = min(_CHUNK, left)
    for _, part, *_ in source.blocks(0, 0, size, size, 1):
        real = part.numpy()[:left]
        flat = real.reshape(len(real), -1).astype(np.float32)
        # |a − b|² = |a|² − 2ab + |b|²: a product of matrices.
        distances = squares[:, None] - 2 * wanted @ flat.T + (flat**2).sum(1)
        at = distances.argmin(1)
        least = distances[np.arange(len(images)), at]
        closer = least < best
        best[closer] = least[closer]
        found[closer] = real[at[closer]]
        left -= len(real)
        if left == 0:
            break
    return found, np.sqrt(np.maximum(best, 0) / wanted.shape[1])
