"""Exact spectra of kernels, by singular value decomposition, and what they bound."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from sn_keras.effective_kernels import effective_kernels
from sn_keras.kernels import Kernel, find_kernels


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
        `(min(d_out, d_in),)`, in descending order, computed in float64.

    Raises:
        ValueError: if the layer is not built or has no kernel.

    Example:
    ```python
    squared = {k: (s / s[0]) ** 2 for k, s in singular_values(model).items()}
    ```
    """
    return {
        kernel.variable.path: np.linalg.svd(matrix, compute_uv=False)
        for kernel, matrix in _matrices(layer, normalized)
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
        A dict from the kernels' paths to floats.

    Raises:
        ValueError: if the layer is not built or has no kernel.
    """
    return {
        kernel.variable.path: _spectral_norm(matrix)
        for kernel, matrix in _matrices(layer, normalized)
    }


def lipschitz_bound(model: keras.layers.Layer) -> float:
    """Returns an upper bound of a layer's or model's Lipschitz constant in inference.

    With respect to the Euclidean norm of inputs and outputs: the product of the
    bounds of the layers. A dense layer's is its spectral norm. A convolution's matrix
    acts on patches, and a pixel lies in at most `∏ ⌈k/s⌉` of them (kernel size `k`,
    stride `s`), so that its bound is `√(∏ ⌈k/s⌉) σ₁`: spectral normalization alone
    doesn't make it 1. For groups and depthwise kernels `σ₁` is the largest of the
    blocks'.

    Args:
        model: a built layer, or a Sequential or Functional model that is a chain of
            Dense, Conv and DepthwiseConv layers, wrappers around them, activations,
            reshapes, dropout and average or max pooling without overlap.

    Returns:
        A float of 0 or more.

    Raises:
        ValueError: if the model is no chain, or has a layer without a known bound.
    """
    if isinstance(model, keras.Model):
        return math.prod(lipschitz_bound(layer) for layer in _chain(model))
    values = effective_kernels(model)
    while isinstance(model, keras.layers.Wrapper):
        model = model.layer
    bound = _layer_bound(model, values)
    activation = getattr(model, "activation", None)
    return bound * (1.0 if activation is None else _activation_bound(activation))


# Functions whose slope lies in [-1, 1] everywhere.
_UNIT_SLOPE = ("linear", "relu", "relu6", "leaky_relu", "elu", "tanh", "softplus")
_UNIT_LAYERS = (
    keras.layers.InputLayer,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Dropout,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.ZeroPadding2D,
)
_POOLS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def _layer_bound(layer: keras.layers.Layer, values: dict[int, Any]) -> float:
    if isinstance(layer, keras.layers.LeakyReLU):
        return max(1.0, abs(float(layer.negative_slope)))
    # One with a threshold above 0 jumps there.
    if isinstance(layer, keras.layers.ReLU) and not layer.threshold > 0:
        return max(1.0, abs(float(layer.negative_slope)))
    if isinstance(layer, (keras.layers.Activation, *_UNIT_LAYERS)):
        return 1.0
    if isinstance(layer, _POOLS) and tuple(layer.strides) == tuple(layer.pool_size):
        return 1.0
    if isinstance(layer, keras.layers.Dense):
        return _spectral_norm(_kernel_value(layer, values))
    if isinstance(layer, (*_CONVOLUTIONS, *_DEPTHWISE)):
        kernel = _kernel_value(layer, values)
        taps = kernel.reshape(math.prod(layer.kernel_size), *kernel.shape[-2:])
        if isinstance(layer, _DEPTHWISE):
            blocks = [taps[:, channel] for channel in range(taps.shape[1])]
        else:
            blocks = np.split(taps.reshape(-1, taps.shape[-1]), layer.groups, axis=1)
        overlaps = zip(layer.kernel_size, np.atleast_1d(layer.strides), strict=False)
        patches = math.prod(math.ceil(k / int(s)) for k, s in overlaps)
        return math.sqrt(patches) * max(_spectral_norm(block) for block in blocks)
    raise ValueError(
        "`model` has a layer whose Lipschitz constant is not known: "
        f"{layer.name!r} of class {type(layer).__name__}."
    )


def _activation_bound(activation: Any) -> float:
    name = getattr(activation, "__name__", type(activation).__name__)
    if name in _UNIT_SLOPE:
        return 1.0
    if name == "sigmoid":
        return 0.25
    raise ValueError(
        f"`model` has the activation {name!r}, whose Lipschitz constant is not known. "
        f"Known: {(*_UNIT_SLOPE, 'sigmoid')}."
    )


def _chain(model: keras.Model) -> list[keras.layers.Layer]:
    if isinstance(model, keras.Sequential):
        return model.layers
    # A subclassed model has no graph to read; a layer with two nodes is used twice.
    inputs = [len(n.input_tensors) for x in model.layers for n in x._inbound_nodes]
    if not inputs or max(inputs) > 1 or len(inputs) != len(model.layers):
        raise ValueError(
            "`model` must be a Sequential or Functional model that is a chain of "
            "layers, each with one input and used once. "
            f"Received: model={model.name!r} of class {type(model).__name__}"
        )
    return model.layers


def _kernel_value(layer: keras.layers.Layer, values: dict[int, Any]) -> np.ndarray:
    kernel = find_kernels(layer)[0].variable
    return _to_float64(values.get(id(kernel), kernel))


def _matrices(
    layer: keras.layers.Layer, normalized: bool
) -> list[tuple[Kernel, np.ndarray]]:
    if not layer.built:
        raise ValueError(
            f"`layer` {layer.name!r} is not built yet. Call it on data or "
            "`build(input_shape)` first."
        )
    values = effective_kernels(layer) if normalized else {}
    matrices = []
    for kernel in find_kernels(layer):
        value = values.get(id(kernel.variable), kernel.variable)
        matrices.append((kernel, _to_float64(kernel.matrix_t(value)).T))
    return matrices


def _to_float64(value: Any) -> np.ndarray:
    # Not `cast` to float64: JAX has none unless it is told to.
    value = value.value if isinstance(value, keras.Variable) else value
    return keras.ops.convert_to_numpy(value).astype("float64")


def _spectral_norm(matrix: np.ndarray) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False)[0])
