"""Weight normalization and Frobenius normalization, what the paper compares with."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from sn_keras.kernels import Kernel
from sn_keras.norm_division import NormDivision


@keras.saving.register_keras_serializable(package="sn_keras")
class WeightNormalization(NormDivision):
    """Runs a layer with every row of its kernel divided by the row's length.

    `w̄_i = w_i / ‖w_i‖₂` for each row `w_i` of the `d_out × d_in` matrix (see
    `sn_keras.kernel_registry`), the weight normalization that spectral normalization is
    compared with: without the multiplier, so that all rows have norm 1. The gradient
    flows through the norm. With `gamma=True` each row has a trainable multiplier that
    starts as the row's norm: `γ_i · w_i / ‖w_i‖₂`, which is the weight normalization
    of Salimans and Kingma. The kernel is written by the optimizer alone.

    Args:
        layer: the `keras.layers.Layer` to wrap, any that has a kernel.
        gamma: whether to multiply by a trainable `γ`, one a row.
        **kwargs: `kernels`, `name`, `trainable`, `dtype`, as `SpectralNormalization`'s.

    State (only with `gamma`; one a kernel, float32, or float64 for such a kernel):
        gamma: the multipliers, shape `(d_out,)`, trainable.

    Raises:
        TypeError, ValueError: as `SpectralNormalization`.

    Example:
    ```python
    layer = WeightNormalization(keras.layers.Dense(10))
    layer(x)
    keras.ops.norm(layer.normalized_kernel(), axis=0)  # ten times 1
    ```

    Source: Salimans and Kingma, "Weight Normalization", NeurIPS 2016,
    https://arxiv.org/abs/1602.07868; without the multiplier Miyato et al. 2018,
    section 4. Where we deviate: `γ` starts as the norms of the rows rather than from
    data.
    """

    def kernel_norm(
        self, index: int, kernel: Kernel, value: Any, training: bool
    ) -> Any:
        return _length(kernel.matrix_t(value), axis=0)

    def gamma_shape(self, kernel: Kernel) -> tuple[int, ...]:
        return (kernel.d_out,)


@keras.saving.register_keras_serializable(package="sn_keras")
class FrobeniusNormalization(NormDivision):
    """Runs a layer with its kernel divided by the kernel's Frobenius norm.

    `W̄ = W / ‖W‖_F`. The gradient flows through the norm. As `‖W‖_F ≥ σ₁(W)`, the
    layer's spectral norm is at most 1, but reaches 1 only for a kernel of rank one.
    The kernel is written by the optimizer alone.

    Args:
        layer: the `keras.layers.Layer` to wrap, any that has a kernel.
        gamma: whether to multiply by one trainable `γ`, which starts as `‖W‖_F`.
        **kwargs: `kernels`, `name`, `trainable`, `dtype`, as `SpectralNormalization`'s.

    State (only with `gamma`; one a kernel, float32, or float64 for such a kernel):
        gamma: the multiplier, a scalar, trainable.

    Raises:
        TypeError, ValueError: as `SpectralNormalization`.

    Example:
    ```python
    layer = FrobeniusNormalization(keras.layers.Dense(10))
    layer(x)
    keras.ops.norm(layer.normalized_kernel())  # 1
    ```

    Source: Miyato et al. 2018, section 3 and appendix E,
    https://arxiv.org/abs/1802.05957.
    """

    def kernel_norm(
        self, index: int, kernel: Kernel, value: Any, training: bool
    ) -> Any:
        return _length(value)


def _length(x: Any, axis: int | None = None) -> Any:
    """Returns the Euclidean norm along an axis, or of the whole tensor."""
    # Over the largest entry, or else the squares of numbers below 1e-19 vanish in
    # float32 and those of numbers above 1e19 are infinite. It takes no part in the
    # gradient: the length does not depend on what it is measured in.
    largest = ops.stop_gradient(ops.max(ops.abs(x), axis=axis, keepdims=True))
    largest = ops.where(ops.equal(largest, 0), ops.ones_like(largest), largest)
    squares = ops.sum(ops.square(x / largest), axis=axis)
    # The gradient of sqrt at zero is infinite, and infinity times the zero gradient
    # of a row of zeros is NaN.
    is_zero = ops.equal(squares, 0)
    root = ops.sqrt(ops.where(is_zero, ops.ones_like(squares), squares))
    root = ops.where(is_zero, ops.zeros_like(root), root)
    return root * ops.reshape(largest, root.shape)
