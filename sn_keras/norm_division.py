"""What the three normalizations share: the kernel over its norm, times γ if asked."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from sn_keras import values
from sn_keras.kernels import Kernel
from sn_keras.reparameterization import Reparameterization


class NormDivision(Reparameterization):
    """Runs a layer with `W / norm(W)`, or `γ · W / norm(W)`, in place of its kernel.

    Subclasses say what the norm is: one number for the kernel, or one a row of its
    `d_out × d_in` matrix. A norm of zero, or too small to have a reciprocal, divides
    by one, so that a kernel of zeros stays one and its gradient is finite.

    Args:
        layer: the `keras.layers.Layer` to wrap.
        gamma: whether to multiply by a trainable `γ` of the norm's shape, which
            starts as the norm, so that the layer starts as the plain one
            (Miyato et al. 2018, appendix E); as 1 for a norm of zero, which would
            leave both without a gradient.
        **kwargs: `kernels`, `name`, `trainable`, `dtype`.
    """

    def __init__(self, layer: keras.layers.Layer, gamma: bool = False, **kwargs: Any):
        gamma = values.boolean("gamma", gamma)
        super().__init__(layer, **kwargs)
        self.gamma = gamma
        self._gammas: list[keras.Variable] = []

    def kernel_norm(
        self, index: int, kernel: Kernel, value: Any, training: bool
    ) -> Any:
        """Returns the norm to divide by, a scalar or shape `(d_out,)`."""
        raise NotImplementedError

    def scale(self, norm: Any) -> Any:
        """Returns what a kernel of that norm is multiplied by."""
        return reciprocal(norm)

    def initial_gamma(self, norm: Any) -> Any:
        """Returns what `γ` starts as: one over the scale."""
        return nonzero(norm)

    def gamma_shape(self, kernel: Kernel) -> tuple[int, ...]:
        """Shape of the norm and so of `γ`."""
        return ()

    def build_kernel(self, kernel: Kernel, prefix: str) -> None:
        if not self.gamma:
            return
        index = len(self._gammas)

        def initial(shape: Any, dtype: Any = None) -> Any:
            value = ops.cast(kernel.variable, dtype)
            norm = self.kernel_norm(index, kernel, value, training=False)
            return self.initial_gamma(norm)

        gamma = self.add_state(
            f"{prefix}gamma",
            shape=self.gamma_shape(kernel),
            initializer=initial,
            dtype=kernel.state_dtype,
        )
        self._gammas.append(gamma)

    def restart_gamma(self) -> None:
        """Sets `γ` to what it starts as, of the norm as it is now."""
        for index, kernel, value in self._values() if self.gamma else ():
            norm = self.kernel_norm(index, kernel, value, training=False)
            self._gammas[index].assign(self.initial_gamma(norm))

    def transform(self, index: int, kernel: Kernel, value: Any, training: bool) -> Any:
        norm = self.kernel_norm(index, kernel, value, training)
        scale = self.scale(norm)
        if self.gamma:
            scale = scale * ops.cast(self._gammas[index], kernel.state_dtype)
        if len(norm.shape) == 0:
            return value * scale
        return value * kernel.per_row(scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}


def reciprocal(norm: Any) -> Any:
    """Returns `1 / norm`, or 1 where `norm` is too close to zero to have one."""
    norm = nonzero(norm)
    # The derivative of a plain `1 / norm` holds `1 / norm²`, which leaves the range
    # of float32 for norms below 1e-19 or above 1e19. Here it is taken at a number
    # near 1; the factors before and after it are constants.
    inverse = 1 / ops.stop_gradient(norm)
    return inverse / (norm * inverse)


def nonzero(norm: Any) -> Any:
    """Returns `norm`, or 1 where it is too close to zero to have a reciprocal."""
    tiny = float(np.finfo(keras.backend.standardize_dtype(norm.dtype)).tiny)
    is_zero = ops.less(ops.abs(norm), tiny)
    return ops.where(is_zero, ops.ones_like(norm), norm)
