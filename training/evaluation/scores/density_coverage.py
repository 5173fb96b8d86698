"""Density and coverage."""

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


class DensityAndCoverage(NamedTuple):
    """How densely, and how much of, the real set the generated one covers."""

    density: float
    coverage: float


def density_coverage(
    real: ArrayLike, fake: ArrayLike, neighbours: int = 5
) -> DensityAndCoverage:
    """Density and coverage by the real images' k-nearest-neighbour balls.

    density = 1/(k·m) Σⱼ Σᵢ 1[yⱼ ∈ B(xᵢ)],   coverage = 1/n Σᵢ 1[∃ j: yⱼ ∈ B(xᵢ)]

    with B(xᵢ) the ball around a real image to its k-th nearest real neighbour. Only
    real balls count, so one generated outlier can't make the manifold wide, as it can
    for recall.

    Args:
        real: features of shape (n, d).
        fake: features of the generated images, shape (m, d).
        neighbours: k. Defaults to 5, as in the paper.

    Returns:
        `(density, coverage)`; density ≥ 0 (about 1 for equal distributions, more where
        the generated images crowd), coverage in [0, 1].

    Raises:
        TypeError: if the values aren't real numbers.
        ValueError: if a set has no more than k images, a value is not finite, or the
            numbers of features differ.

    Example:

    ```python
    x = np.random.RandomState(0).normal(size=(400, 2))
    result = density_coverage(x[:200], x[200:])
    assert 0.8 < result.density < 1.2 and result.coverage > 0.9
    ```

    Source:
        Naeem et al., "Reliable fidelity and diversity metrics for generative models",
        2020, arXiv 2002.09797.
    """
    neighbours = values.integer("neighbours", neighbours)
    real, fake = check_pair(real, fake, minimum=neighbours + 1)
    real, fake = centre(real, fake)
    radii = squared_radii(real, neighbours)
    inside_count = 0
    covered: NDArray[np.bool_] = np.empty(len(real), bool)
    for part, distances in squared_distances(real, fake):
        inside = distances < radii[part, None]
        inside_count += int(inside.sum())
        covered[part] = inside.any(axis=1)
    return DensityAndCoverage(
        density=inside_count / (neighbours * len(fake)),
        coverage=float(covered.mean()),
    )
