"""Mean and covariance of features, gathered block by block in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.evaluation.checks import check_features, chunks


@dataclasses.dataclass(frozen=True)
class GaussianStatistics:
    """Count, mean and scatter of a set of feature vectors.

    The scatter is S = Σᵢ (xᵢ − μ)(xᵢ − μ)ᵀ about the set's own mean, so two sets merge
    without cancellation (Chan, Golub, LeVeque 1979), with δ = μ_b − μ_a:

        μ = μ_a + δ·n_b/n,    S = S_a + S_b + δδᵀ·n_a·n_b/n

    Sums of x and of xxᵀ would do in exact arithmetic; in floating point they lose the
    covariance once the mean is large against the spread.

    Attributes:
        count: Number of vectors.
        mean: μ, shape (d,), float64.
        scatter: S, shape (d, d), float64.
    """

    count: int
    mean: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @property
    def dimension(self) -> int:
        """Number of features, d."""
        return len(self.mean)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """The unbiased covariance S/(n − 1), shape (d, d)."""
        return self.scatter / max(self.count - 1, 1)

    def merge(self, other: GaussianStatistics) -> GaussianStatistics:
        """Returns the statistics of both sets together."""
        if other.dimension != self.dimension:
            raise ValueError(
                "`other` must have the same number of features. Received: "
                f"{other.dimension}, expected {self.dimension}"
            )
        count = self.count + other.count
        if count == 0:
            return self
        delta = other.mean - self.mean
        share = other.count / count
        scatter = np.outer(delta, delta)
        scatter *= self.count * share
        scatter += self.scatter
        scatter += other.scatter
        return GaussianStatistics(count, self.mean + delta * share, scatter)


def empty_statistics(dimension: int) -> GaussianStatistics:
    """Returns the statistics of no vectors, the neutral element of `merge`."""
    return GaussianStatistics(0, np.zeros(dimension), np.zeros((dimension, dimension)))


def _block_statistics(block: NDArray) -> GaussianStatistics:
    centred = block.astype(np.float64)
    mean = centred.mean(axis=0)
    centred -= mean
    # numpy takes BLAS' symmetric product for A.T @ A: half the work of a general one.
    return GaussianStatistics(len(block), mean, centred.T @ centred)


def gaussian_statistics(
    features: ArrayLike | Iterable[ArrayLike],
) -> GaussianStatistics:
    """Gathers mean and scatter of features in O(d²) memory beside the input.

    Args:
        features: An array of shape (n, d), or an iterable of such arrays with the same
            d (batches, shards), which is read once.

    Returns:
        The `GaussianStatistics` of all rows, in float64 whatever the input's dtype.

    Raises:
        ValueError: If there is no batch, a batch isn't of rank 2, or a value is not
            finite.

    Example:
        >>> statistics = gaussian_statistics([[0.0, 0.0], [2.0, 4.0]])
        >>> statistics.mean.tolist(), statistics.covariance.tolist()
        ([1.0, 2.0], [[2.0, 4.0], [4.0, 8.0]])
    """
    if isinstance(features, (np.ndarray, list, tuple)):
        batches: Iterable[ArrayLike] = [features]
    elif hasattr(features, "__array__"):
        batches = [np.asarray(features)]
    else:
        batches = features
    total: GaussianStatistics | None = None
    for batch in batches:
        array = check_features("features", batch, minimum=1)
        for block in chunks(array):
            part = _block_statistics(block)
            total = part if total is None else total.merge(part)
    if total is None:
        raise ValueError("`features` must hold at least one batch. Received: none")
    return total
