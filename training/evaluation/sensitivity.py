"""How far a Fréchet distance moves when real images are made worse in known ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from training.data import DataSource
from training.evaluation.extractors.extraction import Progress, extract
from training.evaluation.extractors.feature_extractor import FeatureExtractor
from training.evaluation.scores.frechet_distance import (
    frechet_distance,
    gaussian_statistics,
)

Images = np.ndarray

# Of bytes from 0 to 255.
_NOISE = (4, 8, 16, 32)
# In pixels.
_BLUR = (0.5, 1.0, 2.0)
# Shares of the classes and of the images that are left.
_CLASSES = (0.9, 0.5, 0.1)
_DIFFERENT = (0.1, 0.01)


def sensitivity(
    extractor: FeatureExtractor,
    real: DataSource,
    others: DataSource,
    n_real: int = 10_000,
    count: int = 5_000,
    progress: Callable[[str], Progress] | None = None,
) -> dict[str, float]:
    """Returns the distance of real images, and of what is made of them, by name.

    Args:
        extractor: makes the features.
        real: what the distances are to.
        others: further images, which are taken as they are, with noise, blurred,
            without some classes (if they have classes), and with copies.
        n_real: images of `real`; all if there are fewer.
        count: images in the place of generated ones; all if there are fewer.
        progress: makes a progress line of a label.
    """
    images, _ = real.sample(min(n_real, len(real)))
    statistics = gaussian_statistics(_features(extractor, images, "real", progress))
    return {
        name: frechet_distance(statistics, _features(extractor, made, name, progress))
        for name, made in _made_worse(others, min(count, len(others)))
    }


def _features(
    extractor: FeatureExtractor,
    images: Images,
    name: str,
    progress: Callable[[str], Progress] | None,
) -> NDArray[np.float32]:
    batches = ((images[i : i + 100], None) for i in range(0, len(images), 100))
    shown = None if progress is None else progress(name)
    return extract(extractor, batches, len(images), shown).features


def _made_worse(source: DataSource, count: int) -> Iterator[tuple[str, Images]]:
    images, _ = source.sample(count)
    yield "as they are", images
    random = np.random.RandomState(0)
    for deviation in _NOISE:
        noisy = images + random.normal(0, deviation, images.shape)
        yield f"noise, standard deviation {deviation}", _as_bytes(noisy)
    for width in _BLUR:
        yield f"blurred by {width:g} px", _blurred(images, width)
    if source.num_classes:
        everything, labels = source.sample(len(source))
        for share in _CLASSES:
            kept = max(1, round(share * source.num_classes))
            left = everything[np.asarray(labels) < kept]
            yield (
                f"{kept} of {source.num_classes} classes",
                np.resize(left, (count, *left.shape[1:])),
            )
    for share in _DIFFERENT:
        different = max(2, round(share * count))
        copies = np.resize(images[:different], images.shape)
        yield f"{different} images, {count // different} times each", copies


def _blurred(images: Images, deviation: float) -> Images:
    """Returns images convolved with a Gaussian, edges repeated."""
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    blurred: np.ndarray = images.astype(np.float32)
    for axis in (1, 2):
        pads = [(0, 0)] * 4
        pads[axis] = (reach, reach)
        padded = np.pad(blurred, pads, "edge")
        size = blurred.shape[axis]
        shifted = [padded.take(range(i, i + size), axis) for i in range(len(weights))]
        blurred = np.tensordot(weights, np.stack(shifted), 1)
    return _as_bytes(blurred)


def _as_bytes(images: np.ndarray) -> Images:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)
