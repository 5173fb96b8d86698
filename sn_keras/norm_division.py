"""What the three normalizations share: the kernel over its norm, times γ if asked."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

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
            (Miyato et al. 2018, appendix E).
        **kwargs: `name`, `trainable`.
    """

    def __init__(self, layer: keras.layers.Layer, gamma: bool = False, **kwargs: Any):
        if not isinstance(gamma, bool):
            raise TypeError(f"`gamma` must be a boolean. Received: gamma={gamma!r}")
        super().__init__(layer, **kwargs)
        self.gamma = gamma
        self._gammas: list[keras.Variable] = []

    def norm(self, index: int, kernel: Kernel, value: Any, training: bool) -> Any:
        """Returns the norm to divide by, a scalar or shape `(d_out,)`."""
        raise NotImplementedError

    def initial_gamma(self, kernel: Kernel, value: Any) -> Any:
        """Returns the exact norm, from which `γ` starts."""
        raise NotImplementedError

    def gamma_shape(self, kernel: Kernel) -> tuple[int, ...]:
        """Shape of the norm and so of `γ`."""
        return ()

    def build_kernel(self, kernel: Kernel, prefix: str) -> None:
        if not self.gamma:
            return

        def initial(shape: Any, dtype: Any = None) -> Any:
            return self.initial_gamma(kernel, ops.cast(kernel.variable, dtype))

        self._gammas.append(
            self.add_weight(
                shape=self.gamma_shape(kernel),
                initializer=initial,
                name=f"{prefix}gamma",
                dtype=kernel.state_dtype,
                autocast=False,
            )
        )

    def transform(self, index: int, kernel: Kernel, value: Any, training: bool) -> Any:
        norm = self.norm(index, kernel, value, training)
        scale = _reciprocal(norm, float(np.finfo(kernel.state_dtype).tiny))
        if self.gamma:
            scale = scale * ops.cast(self._gammas[index], kernel.state_dtype)
        if len(norm.shape) == 0:
            return value * scale
        return value * kernel.per_row(scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}


def _reciprocal(norm: Any, tiny: float) -> Any:
    """Returns `1 / norm`, or 1 where `norm` is closer to zero than `tiny`."""
    is_zero = ops.less(ops.abs(norm), tiny)
    norm = ops.where(is_zero, ops.ones_like(norm), norm)
    # The derivative of a plain `1 / norm` holds `1 / norm²`, which leaves the range
    # of float32 for norms below 1e-19 or above 1e19. Here it is taken at a number
    # near 1; the factors before and after it are constants.
    inverse = 1 / ops.stop_gradient(norm)
    return inverse / (norm * inverse)
