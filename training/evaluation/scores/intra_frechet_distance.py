"""Intra-class Fréchet distance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from training.evaluation.scores.frechet_distance import frechet_distance
from training.evaluation.scores.score_inputs import check_labels, check_pair


class ScoreByClass(NamedTuple):
    """A score's mean over classes and its value for each."""

    mean: float
    by_class: dict[int, float]


def intra_frechet_distance(
    real: ArrayLike, real_labels: ArrayLike, fake: ArrayLike, fake_labels: ArrayLike
) -> ScoreByClass:
    """Mean over classes of the Fréchet distance within the class.

    It shows what the plain distance hides in a conditional model: a class whose images
    are all alike, or whose label is not heeded.

    Args:
        real: features of shape (n, d); the paper takes all training images.
        real_labels: their classes, integers of shape (n,).
        fake: features of generated images, shape (m, d); the paper takes 5,000 a class.
        fake_labels: the classes they were generated for, integers of shape (m,).

    Returns:
        `(mean, by_class)`, with the distance of each class by its label.

    Raises:
        TypeError: if features aren't real numbers or labels aren't integers.
        ValueError: if the two sets don't hold the same classes, or a class has fewer
            than two images.

    Warns:
        UserWarning: if a class has no more images than there are features.

    Example:

    ```python
    labels = np.repeat([0, 1], 50)
    x = np.random.RandomState(0).normal(size=(100, 2)) + 9.0 * labels[:, None]
    assert intra_frechet_distance(x, labels, x, 1 - labels).mean > 100.0
    ```

    Source:
        Miyato and Koyama, "cGANs with projection discriminator", 2018,
        arXiv 1802.05637, section 4.
    """
    real, fake = check_pair(real, fake)
    real_labels = check_labels("real_labels", real_labels, len(real))
    fake_labels = check_labels("fake_labels", fake_labels, len(fake))
    classes = np.unique(real_labels)
    if not np.array_equal(classes, np.unique(fake_labels)):
        only_one_side = np.setxor1d(classes, fake_labels).tolist()
        raise ValueError(
            "`fake_labels` must hold the same classes as `real_labels`. Received: "
            f"classes found on one side alone: {only_one_side}"
        )
    by_class = {
        int(label): frechet_distance(
            real[real_labels == label], fake[fake_labels == label]
        )
        for label in classes
    }
    return ScoreByClass(float(np.mean(list(by_class.values()))), by_class)


def check_classes(labels: ArrayLike | None, classes: int) -> None:
    """Raises a ValueError unless real images are of all of a generator's classes."""
    found = [] if labels is None else np.unique(np.asarray(labels)).tolist()
    if found != list(range(classes)):
        raise ValueError(
            f"`intra` needs real images of the run's {classes} classes and of no "
            f"others. Received: real images of the classes {found}"
        )
