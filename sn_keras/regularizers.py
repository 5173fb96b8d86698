"""Regularizers of a kernel's singular values: towards 1, or the largest towards 0.

Both see a kernel as the `d_out × d_in` matrix of `sn_keras.kernel_registry`. A
regularizer is given the tensor alone, so the axes that count as output are an argument:
the last one is right for every kernel but transposed convolutions' (-2) and depthwise
ones' ((-2, -1)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sn_keras import values
from sn_keras.power_iteration import unit

# How often the Gram matrix is squared. After k squarings the singular vector is off by
# (σ₂/σ₁)^(2·2^k): 1e-9 at σ₂/σ₁ = 0.99 with 10, as 1,024 power iterations would be.
_SQUARINGS = 10


class _MatrixRegularizer(keras.regularizers.Regularizer):
    """A coefficient times a penalty on the kernel's matrix."""

    def __init__(self, coefficient: float, output_axes: int | Sequence[int]):
        self.coefficient = values.number("coefficient", coefficient, minimum=0)
        self.output_axes: int | list[int]
        if isinstance(output_axes, Sequence):
            self.output_axes = list(values.integers("output_axes", output_axes))
        else:
            self.output_axes = values.integer("output_axes", output_axes, minimum=None)

    def __call__(self, x: Any) -> Any:
        x = ops.convert_to_tensor(x)
        if keras.backend.standardize_dtype(x.dtype) != "float64":
            x = ops.cast(x, "float32")
        return self.coefficient * self.penalty(self._matrix_t(x))

    def penalty(self, matrix_t: Any) -> Any:
        """Returns the scalar penalty of `matrix_t = Wᵀ`, shape `(d_in, d_out)`."""
        raise NotImplementedError

    def _matrix_t(self, x: Any) -> Any:
        rank = len(x.shape)
        axes = self.output_axes
        axes = [axes] if isinstance(axes, int) else axes
        if rank < 2 or not all(-rank <= axis < rank for axis in axes):
            raise ValueError(
                f"{type(self).__name__} needs a kernel of rank 2 or more that has the "
                f"axes `output_axes`={self.output_axes}. "
                f"Received: x of shape {tuple(x.shape)}"
            )
        out = sorted(axis % rank for axis in axes)
        order = [axis for axis in range(rank) if axis not in out] + out
        if order != list(range(rank)):
            x = ops.transpose(x, order)
        return ops.reshape(x, (-1, math.prod(x.shape[rank - len(out) :])))

    def get_config(self) -> dict[str, Any]:
        return {"coefficient": self.coefficient, "output_axes": self.output_axes}


def _gram(matrix_t: Any) -> Any:
    """Returns the smaller one of `WWᵀ` and `WᵀW`."""
    d_in, d_out = matrix_t.shape
    transposed = ops.transpose(matrix_t)
    # By the operator: on torch, `ops.matmul` makes float32 of float64.
    return transposed @ matrix_t if d_out <= d_in else matrix_t @ transposed


@keras.saving.register_keras_serializable(package="sn_keras")
class OrthonormalRegularizer(_MatrixRegularizer):
    """Pulls all singular values of a kernel towards 1.

    The penalty is `coefficient · ‖G − I‖²_F`, with `G` the smaller one of `WᵀW` and
    `WWᵀ`: the filters of most convolutions (`d_out ≤ d_in`) are made orthonormal to
    each other, and so are the columns of a kernel with more outputs than inputs. The
    paper writes `WᵀW` for all. Both Gram matrices give the same gradient,
    `4 · coefficient · (WWᵀ − I) W`, and values that differ by the constant
    `coefficient · |d_in − d_out|`; the smaller one is cheaper, and zero where no
    kernel could do better.

    Used together with `keras.initializers.Orthogonal`, which starts a kernel at a
    penalty of zero. Wrapped in a normalization, it sees the raw kernel.

    Args:
        coefficient: factor of the penalty, not negative. The paper adds the penalty
            to the objective without one, hence the default of 1.0: a discriminator's
            singular values then stay within a few percent of 1 (at 1e-4 they pass 1.5
            within 400 steps).
        output_axes: the axes of the kernel that make up `d_out`. Defaults to -1.

    Raises:
        TypeError: if an argument is not of its kind.
        ValueError: if one is out of its range, or the weight's rank is below 2.

    Example:
    ```python
    keras.layers.Conv2D(
        64,
        3,
        kernel_initializer=keras.initializers.Orthogonal(),
        kernel_regularizer=OrthonormalRegularizer(),
    )
    ```

    Source: Brock et al., "Neural Photo Editing with Introspective Adversarial
    Networks", ICLR 2017, https://arxiv.org/abs/1609.07093; Miyato et al. 2018,
    section 4, https://arxiv.org/abs/1802.05957. Where we deviate: the squared
    Frobenius norm, as Miyato et al., where Brock et al. sum absolute values.
    """

    def __init__(self, coefficient: float = 1.0, output_axes: int | Sequence[int] = -1):
        super().__init__(coefficient, output_axes)

    def penalty(self, matrix_t: Any) -> Any:
        gram = _gram(matrix_t)
        identity = ops.eye(gram.shape[0], dtype=gram.dtype)
        return ops.sum(ops.square(gram - identity))


@keras.saving.register_keras_serializable(package="sn_keras")
class SpectralNormRegularizer(_MatrixRegularizer):
    """Pulls the largest singular value of a kernel towards 0.

    The penalty is `coefficient / 2 · σ(W)²`, with gradient `coefficient · σ u vᵀ`.
    Spectral norm *regularization* adds it to the loss and leaves it to the optimizer
    how large `σ` is; spectral *normalization* sets `σ` to 1.

    A regularizer has no state that would be saved, or kept apart by replica, so no
    vector is carried from call to call: `v` is found anew by squaring the smaller
    Gram matrix 10 times, which is as good as 1,024 power iterations, from its column
    with the largest diagonal entry. The penalty is then `coefficient / 2 · ‖Wv‖²` with
    `v` a constant. Deterministic; a function of the kernel alone.

    Args:
        coefficient: the source's λ, not negative. Defaults to 0.01, as there.
        output_axes: the axes of the kernel that make up `d_out`. Defaults to -1.

    Raises:
        TypeError: if an argument is not of its kind.
        ValueError: if one is out of its range, or the weight's rank is below 2.

    Example:
    ```python
    keras.layers.Dense(10, kernel_regularizer=SpectralNormRegularizer(0.01))
    ```

    Source: Yoshida and Miyato, "Spectral Norm Regularization for Improving the
    Generalizability of Deep Learning", 2017, https://arxiv.org/abs/1705.10941. Where
    we deviate: the authors keep `u` and `v` and run one power iteration a step.
    """

    def __init__(
        self, coefficient: float = 0.01, output_axes: int | Sequence[int] = -1
    ):
        super().__init__(coefficient, output_axes)

    def penalty(self, matrix_t: Any) -> Any:
        direction = _largest_direction(ops.stop_gradient(matrix_t))
        d_in, d_out = matrix_t.shape
        image = (
            matrix_t @ direction
            if d_out <= d_in
            else ops.transpose(direction) @ matrix_t
        )
        return ops.sum(ops.square(image)) / 2


def _largest_direction(matrix_t: Any) -> Any:
    """Returns the singular vector of the shorter side, shape `(side, 1)`."""
    # The largest entry as unit: squares of a kernel below 1e-19 would vanish.
    power = _gram(_over(matrix_t, ops.max(ops.abs(matrix_t))))
    for _ in range(_SQUARINGS):
        # Over the trace, which lies between λ₁ and side · λ₁, nothing overflows and
        # the largest eigenvalue can't vanish.
        power = _over(power, ops.trace(power))
        power = power @ power
    column = ops.take(power, ops.argmax(ops.diagonal(power)), axis=1)
    first = ops.one_hot(0, power.shape[0], dtype=power.dtype)
    return ops.expand_dims(unit(column, otherwise=first), 1)


def _over(x: Any, scale: Any) -> Any:
    return x / ops.where(ops.equal(scale, 0), ops.ones_like(scale), scale)
