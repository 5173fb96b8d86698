"""Features and logits of many images, batch by batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from training.evaluation.extractors.feature_extractor import FeatureExtractor
from training.evaluation.scores.score_inputs import check_features

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Extracted:
    """What an extractor made of a set of images.

    Attributes:
        features: shape (n, d), float32.
        logits: shape (n, classes), float32, or `None` if the extractor has none.
        labels: shape (n,), integers, or `None`.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None
    labels: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.features)

    def head(self, count: int) -> Extracted:
        """Returns the first `count` images' part."""
        return Extracted(
            self.features[:count],
            None if self.logits is None else self.logits[:count],
            None if self.labels is None else self.labels[:count],
        )


def extract(
    extractor: FeatureExtractor,
    batches: Iterable[tuple[NDArray[np.uint8], NDArray | None]],
    total: int,
    progress: Progress | None = None,
) -> Extracted:
    """Runs the extractor over batches of `(images, labels or None)`.

    Args:
        extractor: the feature extractor.
        batches: uint8 images of shape (n, height, width, channels) with labels.
        total: number of images to take; batches beyond it are not read.
        progress: called as `progress(done, total)` after each batch.

    Returns:
        The features of the first `total` images, fewer if there are fewer.

    Raises:
        TypeError: if images aren't uint8.
        ValueError: if there are no images, or a feature comes out as NaN.
    """
    features, logits, labels = [], [], []
    done = 0
    for images, batch_labels in _limited(batches, total):
        batch_features, batch_logits = extractor(images)
        features.append(check_features("features", batch_features, minimum=1))
        if batch_logits is not None:
            logits.append(check_features("logits", batch_logits, minimum=1))
        if batch_labels is not None:
            labels.append(np.asarray(batch_labels, np.int32))
        done += len(images)
        if progress is not None:
            progress(done, total)
    if not features:
        raise ValueError("`batches` must hold at least one image. Received: none")
    return Extracted(
        np.concatenate(features),
        np.concatenate(logits) if logits else None,
        np.concatenate(labels) if labels else None,
    )


def _limited(
    batches: Iterable[tuple[NDArray, NDArray | None]], total: int
) -> Iterator[tuple[NDArray, NDArray | None]]:
    left = total
    for images, labels in batches:
        yield images[:left], None if labels is None else labels[:left]
        left -= len(images)
        if left <= 0:
            return
