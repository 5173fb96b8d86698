"""Mean and covariance of features, gathered block by block in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.evaluation.scores.score_inputs import check_features, chunks

# Rows that are multiplied at a time: 130 MB in float64 for 2,048 features.
BLOCK_ROWS = 8192


@dataclasses.dataclass(frozen=True)
class GaussianStatistics:
    """Count, mean and scatter of a set of feature vectors.

    The scatter is S = Σᵢ (xᵢ − μ)(xᵢ − μ)ᵀ about the set's own mean, so two sets merge
    without cancellation (Chan, Golub, LeVeque 1979), with δ = μ_b − μ_a:

        μ = μ_a + δ·n_b/n,    S = S_a + S_b + δδᵀ·n_a·n_b/n

    Sums of x and of xxᵀ would do in exact arithmetic; in floating point they lose the
    covariance once the mean is large against the spread.

    Attributes:
        count: number of vectors.
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


def gaussian_statistics(
    features: ArrayLike | Iterable[ArrayLike],
) -> GaussianStatistics:
    """Gathers mean and scatter of features in O(d²) memory beside the input.

    Args:
        features: an array of shape (n, d), or an iterable of such arrays with the same
            d (batches, shards), which is read once.

    Returns:
        The `GaussianStatistics` of all rows, in float64 whatever the input's dtype.

    Raises:
        ValueError: if there is no batch, a batch isn't of rank 2, or a value is not
            finite.

    Example:

    ```python
    statistics = gaussian_statistics([[0.0, 0.0], [2.0, 4.0]])
    assert statistics.mean.tolist() == [1.0, 2.0]
    assert statistics.covariance.tolist() == [[2.0, 4.0], [4.0, 8.0]]
    ```
    """
    if isinstance(features, (np.ndarray, list, tuple)):
        batches: Iterable[ArrayLike] = [features]
    elif hasattr(features, "__array__"):
        batches = [np.asarray(features)]
    else:
        batches = features
    count, mean, scatter = 0, None, None
    for batch in batches:
        array = check_features("features", batch, minimum=1)
        if mean is None or scatter is None:
            mean = np.zeros(array.shape[1])
            scatter = np.zeros((array.shape[1], array.shape[1]))
        elif len(mean) != array.shape[1]:
            raise ValueError(
                "`features` must have the same number of features in all batches. "
                f"Received: {array.shape[1]} after {len(mean)}"
            )
        for block in chunks(array, BLOCK_ROWS):
            count = _add_block(block, count, mean, scatter)
    if mean is None or scatter is None:
        raise ValueError("`features` must hold at least one batch. Received: none")
    return GaussianStatistics(count, mean, scatter)


def _add_block(
    block: NDArray, count: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]
) -> int:
    """Adds a block to `mean` and `scatter` in place; returns the new count.

    The merge's δδᵀ·n_a·n_b/n rides along as one more row of the matrix product.
    """
    rows = np.empty((len(block) + 1, len(mean)))
    centred = rows[:-1]
    centred[:] = block
    block_mean = centred.mean(axis=0)
    centred -= block_mean
    delta = block_mean - mean
    total = count + len(block)
    rows[-1] = delta * np.sqrt(count * len(block) / total)
    mean += delta * (len(block) / total)
    # numpy takes BLAS' symmetric product for A.T @ A: half the work of a general one.
    scatter += rows.T @ rows
    return total
