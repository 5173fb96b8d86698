"""Fréchet distance between two sets of features."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.evaluation.scores.score_inputs import check_features, warn_if_few
from training.evaluation.scores.statistics import (
    GaussianStatistics,
    gaussian_statistics,
)


def frechet_distance(
    real: ArrayLike | GaussianStatistics, fake: ArrayLike | GaussianStatistics
) -> float:
    """Fréchet (2-Wasserstein) distance, squared, of two Gaussians fitted to features.

    d² = ‖μ₁ − μ₂‖² + Tr Σ₁ + Tr Σ₂ − 2 Tr (Σ₁Σ₂)^½

    On pool3 features of the 2015 Inception graph this is the FID. The covariances are
    the unbiased ones, as in the reference implementation. The trace of the root is
    taken as the sum of the singular values of Σ₁^½ Σ₂^½, which equals it and which,
    unlike the eigenvalues of the product Σ₁Σ₂, stays accurate where a covariance is
    singular: nothing is squared, and no offset is added to the diagonal.

    Args:
        real: features of shape (n, d) or their `GaussianStatistics`.
        fake: likewise, of the generated images.

    Returns:
        The distance, ≥ 0.

    Raises:
        TypeError: if features aren't real numbers.
        ValueError: if a set has fewer than two rows, a value is not finite, or the
            numbers of features differ.

    Warns:
        UserWarning: if a set has no more images than features.

    Example:

    ```python
    square = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    shifted = [[x + 3.0, y] for x, y in square]
    assert round(frechet_distance(square, shifted), 9) == 9.0
    ```

    Source:
        Dowson and Landau, "The Fréchet distance between multivariate normal
        distributions", 1982; Heusel et al., "GANs trained by a two time-scale update
        rule…", 2017, arXiv 1706.08500.
    """
    first = _statistics("real", real)
    second = _statistics("fake", fake)
    if first.dimension != second.dimension:
        raise ValueError(
            "`real` and `fake` must have the same number of features. Received: "
            f"{first.dimension} and {second.dimension}"
        )
    warn_if_few("real", first.count, first.dimension)
    warn_if_few("fake", second.count, second.dimension)
    return gaussian_distance(
        first.mean, first.covariance, second.mean, second.covariance
    )


def gaussian_distance(
    mean_1: ArrayLike,
    covariance_1: ArrayLike,
    mean_2: ArrayLike,
    covariance_2: ArrayLike,
) -> float:
    """Fréchet distance, squared, of two Gaussians given by mean and covariance."""
    first = np.asarray(covariance_1, np.float64)
    second = np.asarray(covariance_2, np.float64)
    difference = np.asarray(mean_1, np.float64) - np.asarray(mean_2, np.float64)
    cross = _root(first).T @ _root(second)
    fidelity = np.linalg.svd(cross, compute_uv=False).sum() if cross.size else 0.0
    distance = difference @ difference + np.trace(first) + np.trace(second)
    # Equal sets come out at minus a rounding error.
    return float(max(distance - 2.0 * fidelity, 0.0))


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns R with R Rᵀ = Σ, of shape (d, rank)."""
    # The zero eigenvalues of a singular covariance come back as rounding errors, and
    # the root of 1e-16 is 1e-8: a thousand of them would show in the score. Cholesky's
    # factor, ten times as cheap, is taken where there are none.
    rounding = len(covariance) * np.finfo(np.float64).eps
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        pass
    else:
        pivots = np.diagonal(factor) ** 2
        if pivots.min() > rounding * pivots.max():
            return np.asarray(factor, np.float64)
    values, vectors = np.linalg.eigh(covariance)
    kept = values > rounding * max(values[-1], 0.0)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]), np.float64)


def _statistics(
    argument: str, given: ArrayLike | GaussianStatistics
) -> GaussianStatistics:
    if isinstance(given, GaussianStatistics):
        if given.count < 2:
            raise ValueError(
                f"`{argument}` must rest on at least 2 images. Received: {given.count}"
            )
        if not (np.isfinite(given.mean).all() and np.isfinite(given.scatter).all()):
            raise ValueError(f"`{argument}` must be finite. Received: NaN or infinity")
        return given
    return gaussian_statistics(check_features(argument, given))
