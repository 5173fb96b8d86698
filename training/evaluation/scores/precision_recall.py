"""Improved precision and recall."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training import values
from training.evaluation.scores.neighbours import (
    centre,
    squared_distances,
    squared_radii,
)
from training.evaluation.scores.score_inputs import check_pair


class PrecisionAndRecall(NamedTuple):
    """Shares of generated and of real images inside the other set's manifold."""

    precision: float
    recall: float


def precision_recall(
    real: ArrayLike, fake: ArrayLike, neighbours: int = 3
) -> PrecisionAndRecall:
    """Improved precision and recall by k-nearest-neighbour balls.

    A set's manifold is the union of balls around its members, each as wide as the
    distance to the member's k-th nearest neighbour. Precision is the share of generated
    images inside the real manifold (quality), recall the share of real images inside
    the generated one (variety).

    Args:
        real: features of shape (n, d).
        fake: features of the generated images, shape (m, d).
        neighbours: k. Defaults to 3, as in the paper and in torch-fidelity.

    Returns:
        `(precision, recall)`, both in [0, 1].

    Raises:
        TypeError: if the values aren't real numbers.
        ValueError: if a set has no more than k images, a value is not finite, or the
            numbers of features differ.

    Example:

    ```python
    x = np.random.RandomState(0).normal(size=(300, 2))
    # Good images, little variety.
    assert precision_recall(x, x[:150] * 0.01) == (1.0, 0.0)
    ```

    Source:
        Kynkäänniemi et al., "Improved precision and recall metric for assessing
        generative models", 2019, arXiv 1904.06991.
    """
    neighbours = values.integer("neighbours", neighbours)
    real, fake = check_pair(real, fake, minimum=neighbours + 1)
    real, fake = centre(real, fake)
    return PrecisionAndRecall(
        precision=_share_inside(fake, real, neighbours),
        recall=_share_inside(real, fake, neighbours),
    )


def _share_inside(
    points: NDArray[np.float64], manifold: NDArray[np.float64], neighbours: int
) -> float:
    radii = squared_radii(manifold, neighbours)
    inside = [
        (distances <= radii).any(axis=1)
        for _, distances in squared_distances(points, manifold)
    ]
    return float(np.concatenate(inside).mean())
