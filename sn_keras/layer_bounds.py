"""The Lipschitz constants of Keras' layers and operations: a rule for each class.

A rule is given the walk through the graph (`sn_keras.lipschitz.Walk`), the layer, its
arguments and the shape of its output, and returns what is known of the output. The
tables at the end say which class has which; a class that isn't there has no rule.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from sn_keras.bounds import SAME, Rule, Tensor, rearranged, to_float64, unary
from sn_keras.conditional_batch_normalization import ConditionalBatchNormalization
from sn_keras.convolution_norms import (
    Convolution,
    kernel_bound,
    operator_bound,
    spectral_norm,
)
from sn_keras.operation_bounds import average_of, larger_of, side_by_side, sum_of
from sn_keras.product_bounds import dot_of, product_of

# Linear layers.


def _dense(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    return spectral_norm(walk.kernel(layer)) * walk.activation(layer)


def _einsum(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    operands, output = layer.equation.replace(" ", "").split("->")
    inputs, kernel = operands.split(",")
    if set(inputs) - set(output) != set(kernel) - set(output):
        raise walk.unknown(layer, "sums over an axis that only one operand has")
    kernel = kernel.replace("...", "")
    value = walk.kernel(layer)
    kept = [axis for axis, label in enumerate(kernel) if label in output]
    summed = [axis for axis in range(len(kernel)) if axis not in kept]
    rows = math.prod(value.shape[axis] for axis in kept)
    # Labels of batches are among the rows: a block of them is less than all.
    matrix = value.transpose(kept + summed).reshape(rows, -1)
    return spectral_norm(matrix) * walk.activation(layer)


def _convolution(
    walk: Any, layer: Any, kernel: np.ndarray, x: Any, shape: Any, groups: int = 1
) -> float:
    """Returns the bound of a convolution or, by its class, a transposed one."""
    rank = kernel.ndim - 2
    transposed = isinstance(
        layer,
        (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    )
    inputs, outputs = (
        _spatial(one, rank, layer) for one in (getattr(x, "shape", ()), shape or ())
    )
    exact = not transposed or layer.output_padding is None
    if transposed:
        inputs, outputs = outputs, inputs
    blocks = np.split(kernel, groups, axis=-1)
    convolution = Convolution(
        kernels=blocks,
        strides=_per_axis(layer.strides, rank),
        dilation=_per_axis(layer.dilation_rate, rank),
        inputs=inputs,
        outputs=outputs,
        padding=None,
    )
    if walk.convolutions == "kernel":
        return kernel_bound(convolution)
    if exact and None not in (*inputs, *outputs):
        padding = _padding(layer, convolution)
        convolution = dataclasses.replace(convolution, padding=padding)
    return operator_bound(convolution)


def _conv(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    kernel = walk.kernel(layer)
    groups = getattr(layer, "groups", 1)
    norm = _convolution(walk, layer, kernel, x, shape, groups)
    return norm * walk.activation(layer)


def _by_channel(kernel: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns a depthwise kernel as one of as many groups as channels."""
    *taps, channels, multiplier = kernel.shape
    return kernel.reshape(*taps, 1, channels * multiplier), channels


def _depthwise(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    kernel, groups = _by_channel(walk.kernel(layer))
    norm = _convolution(walk, layer, kernel, x, shape, groups)
    return norm * walk.activation(layer)


def _separable(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    kernel, groups = _by_channel(walk.kernel(layer, "depthwise_kernel"))
    norm = _convolution(walk, layer, kernel, x, shape, groups)
    pointwise = walk.kernel(layer, "pointwise_kernel")
    norm *= spectral_norm(pointwise.reshape(-1, pointwise.shape[-1]))
    return norm * walk.activation(layer)


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    sizes = (value,) * rank if isinstance(value, int) else tuple(value)
    # A depthwise or separable layer over one axis holds more than one stride.
    return tuple(int(size) for size in sizes[:rank])


def _spatial(shape: Any, rank: int, layer: Any) -> tuple[int | None, ...]:
    """Returns the sizes of a batch of images or such along their axes."""
    if len(shape) != rank + 2:
        return (None,) * rank
    first = layer.data_format == "channels_first"
    return tuple(shape[2:] if first else shape[1:-1])


def _padding(layer: Any, convolution: Convolution) -> tuple[int, ...] | None:
    if layer.padding == "valid":
        return (0,) * len(convolution.strides)
    if layer.padding == "causal":
        return tuple(extent - 1 for extent in convolution.extents)
    # TensorFlow's "same", of which the smaller half comes before.
    return tuple(
        max((int(o or 0) - 1) * s + extent - int(i or 0), 0) // 2
        for o, i, s, extent in zip(
            convolution.outputs,
            convolution.inputs,
            convolution.strides,
            convolution.extents,
            strict=True,
        )
    )


def _batch_norm(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    scale = _over_deviation(layer)
    if layer.scale:
        scale = scale * to_float64(layer.gamma)
    return float(np.abs(scale).max())


def _conditional(walk: Any, layer: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    x, labels = keras.tree.flatten(list(arguments))
    if isinstance(labels, Tensor):
        integers = not labels.bounds and labels.rows is None
    else:
        integers = np.issubdtype(np.asarray(labels).dtype, np.integer)
    if not integers:
        raise walk.unknown(layer, "has labels that are no integers")
    scale = _over_deviation(layer.normalization) * to_float64(layer.gamma)
    return x.scaled(float(np.abs(scale).max()))


def _over_deviation(norm: Any) -> np.ndarray:
    return 1 / np.sqrt(to_float64(norm.moving_variance) + norm.epsilon)


def _rescaling(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    scale = np.asarray(layer.scale, "float64")
    if scale.ndim and scale.shape != tuple(x.shape[-scale.ndim :]):
        return float(np.linalg.norm(scale))  # an entry of x has several of them
    return float(np.abs(scale).max())


def _parametric_relu(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    return max(1.0, float(np.abs(to_float64(layer.alpha)).max()))


def _time_distributed(
    walk: Any, layer: Any, arguments: Sequence[Any], shape: Any
) -> Tensor:
    x = arguments[0]
    inner = Tensor((None, *x.shape[2:]), x.bounds)
    shapes = None if shape is None else [(None, *shape[2:])]
    result = walk.call(layer.layer, (inner,), {}, shapes)[0]
    # What is known of a step isn't of all of them.
    return dataclasses.replace(result, rows=None, summed=None)


# Pooling and resampling.


def _average_pool(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    """√(⌈k/s⌉ / k) an axis; at a padded border fewer than k are averaged."""
    overlaps = _overlaps(layer)
    if layer.padding == "valid":
        return math.sqrt(overlaps / math.prod(layer.pool_size))
    # Its rows sum to 1, and a position is in so many of them.
    return math.sqrt(overlaps)


def _max_pool(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    return math.sqrt(_overlaps(layer))


def _overlaps(layer: Any) -> int:
    sizes = zip(layer.pool_size, layer.strides, strict=True)
    return math.prod(math.ceil(k / s) for k, s in sizes)


def _upsampling(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    size = (layer.size,) if isinstance(layer.size, int) else tuple(layer.size)
    if getattr(layer, "interpolation", "nearest") == "nearest":
        return math.sqrt(math.prod(size))
    if layer.interpolation != "bilinear":
        raise walk.unknown(layer, f"interpolates by {layer.interpolation!r}")
    # A row sums to 1, and the weights of a position to the factor, or at the border
    # to at most one and a half times that.
    return math.sqrt(math.prod(1.5 * factor if factor > 1 else 1 for factor in size))


def _repeated(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    return math.sqrt(layer.n)


def _global_average(walk: Any, layer: Any, x: Any, shape: Any) -> float:
    sizes = _spatial(x.shape, len(x.shape) - 2, layer)
    return 1.0 if None in sizes else 1 / math.sqrt(math.prod(sizes))  # type: ignore[arg-type]


def _embedding(walk: Any, layer: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    if arguments[0].bounds:
        raise walk.unknown(layer, "rounds to integers")
    table = walk.kernel(layer, "embeddings")
    # Several labels a sample would make more than one row of it.
    one = all(size == 1 for size in arguments[0].shape[1:])
    return Tensor(arguments[0].shape, {}, table if one else None)


def _classes(*names: str) -> list[type]:
    """Returns the layer classes of the given names; `?` stands for 1, 2 and 3."""
    all_names = [n.replace("?", d) for n in names for d in ("123" if "?" in n else "1")]
    return [getattr(layers, n) for n in all_names if hasattr(layers, n)]


def _table(*rows: tuple[Rule, Sequence[type]]) -> dict[type, Rule]:
    return {kind: rule for rule, kinds in rows for kind in kinds}


LAYERS: dict[type, Rule] = _table(
    (rearranged, _classes("InputLayer", "Identity", "Flatten", "Reshape", "Permute")),
    (rearranged, _classes("Dropout", "SpatialDropout?D", "AlphaDropout")),
    (rearranged, _classes("GaussianNoise", "GaussianDropout")),
    (SAME, _classes("ActivityRegularization")),
    (SAME, _classes("ZeroPadding?D", "Cropping?D", "GlobalMaxPooling?D")),
    (unary(_dense), _classes("Dense")),
    (unary(_einsum), _classes("EinsumDense")),
    (unary(_conv), _classes("Conv?D", "Conv?DTranspose")),
    (unary(_depthwise), _classes("DepthwiseConv?D")),
    (unary(_separable), _classes("SeparableConv?D")),
    (unary(_batch_norm), _classes("BatchNormalization")),
    (_conditional, [ConditionalBatchNormalization]),
    (unary(_rescaling), _classes("Rescaling")),
    (unary(_parametric_relu), _classes("PReLU")),
    (unary(_average_pool), _classes("AveragePooling?D")),
    (unary(_max_pool), _classes("MaxPooling?D")),
    (unary(_global_average), _classes("GlobalAveragePooling?D")),
    (unary(_upsampling), _classes("UpSampling?D")),
    (unary(_repeated), _classes("RepeatVector")),
    (_time_distributed, _classes("TimeDistributed")),
    (sum_of, _classes("Add", "Subtract")),
    (average_of, _classes("Average")),
    (larger_of, _classes("Maximum", "Minimum")),
    (side_by_side, _classes("Concatenate")),
    (product_of, _classes("Multiply")),
    (dot_of, _classes("Dot")),
    (_embedding, _classes("Embedding")),
)
