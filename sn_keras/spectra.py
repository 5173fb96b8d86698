"""Exact spectra of kernels, by singular value decomposition."""

from __future__ import annotations

import itertools

import keras
import numpy as np

from sn_keras.bounds import to_float64
from sn_keras.convolution_norms import spectral_norm
from sn_keras.effective_kernels import effective_kernels
from sn_keras.kernels import find_kernels


def singular_values(
    layer: keras.layers.Layer, normalized: bool = True
) -> dict[str, np.ndarray]:
    """Returns all singular values of every kernel in a layer or model.

    Args:
        layer: a built layer, wrapper or model.
        normalized: whether to take the kernels that inference runs with (`W/σ` where
            there is a `SpectralNormalization`) or the trainable ones.

    Returns:
        A dict from the kernels' paths to float64 arrays of shape
        `(min(d_out, d_in),)`, in descending order, computed in float64. Where several
        kernels have one path, the second is `path_1`, the third `path_2`.

    Raises:
        ValueError: if the layer is not built or has no kernel.

    Example:
    ```python
    squared = {k: (s / s[0]) ** 2 for k, s in singular_values(model).items()}
    ```
    """
    matrices = _matrices(layer, normalized)
    return {
        path: np.linalg.svd(matrix, compute_uv=False)
        for path, matrix in matrices.items()
    }


def spectral_norms(
    layer: keras.layers.Layer, normalized: bool = True
) -> dict[str, float]:
    """Returns the exact spectral norm of every kernel in a layer or model.

    For a layer under `SpectralNormalization` the normalized value says how good the
    estimate of the power iteration is: the paper's floats around 1 to 1.05 (fig. 9).

    Args:
        layer: a built layer, wrapper or model.
        normalized: as in `singular_values`.

    Returns:
        A dict from the kernels' paths to floats, numbered as in `singular_values`.

    Raises:
        ValueError: if the layer is not built or has no kernel.
    """
    matrices = _matrices(layer, normalized)
    return {path: spectral_norm(matrix) for path, matrix in matrices.items()}


def _matrices(layer: keras.layers.Layer, normalized: bool) -> dict[str, np.ndarray]:
    if not layer.built:
        raise ValueError(
            f"`layer` {layer.name!r} is not built yet. Call it on data or "
            "`build(input_shape)` first."
        )
    values = effective_kernels(layer) if normalized else {}
    matrices: dict[str, np.ndarray] = {}
    for kernel in find_kernels(layer, among_others=True):
        value = values.get(id(kernel.variable), kernel.variable)
        path = kernel.variable.path
        # Models of one constructor have kernels of the same paths.
        numbered = (f"{path}_{i}" for i in itertools.count(1))
        unused = (p for p in itertools.chain([path], numbered) if p not in matrices)
        matrices[next(unused)] = to_float64(kernel.matrix_t(value)).T
    return matrices
