"""Distances between feature vectors, in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 1024


def centre(
    real: NDArray, fake: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns both sets in float64 about the real set's mean.

    Distances don't change, and ‖a‖² + ‖b‖² − 2aᵀb cancels less.
    """
    mean = real.mean(axis=0, dtype=np.float64)
    return real - mean, fake - mean


def squared_distances(
    rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yields `(rows' slice, squared Euclidean distances)`, a block of rows at a time.

    n × n float64 distances of 50,000 images would be 20 GB.
    """
    column_norms = np.einsum("ij,ij->i", columns, columns)
    for start in range(0, len(rows), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        block = rows[part]
        distances = block @ columns.T
        distances *= -2.0
        distances += np.einsum("ij,ij->i", block, block)[:, None]
        distances += column_norms
        yield part, np.maximum(distances, 0.0, out=distances)


def squared_radii(points: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """Squared distance of each point to its `neighbours`-th nearest other point."""
    radii = np.empty(len(points))
    for part, distances in squared_distances(points, points):
        # A point is not its own neighbour; its distance need not come out as 0.
        rows = np.arange(len(distances))
        distances[rows, rows + part.start] = np.inf
        radii[part] = np.partition(distances, neighbours - 1, axis=1)[:, neighbours - 1]
    return radii
