"""What the three normalizations share: the kernel over its norm, times γ if asked."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from sn_keras.kernels import Kernel
from sn_keras.reparameterization import Reparameterization


class NormDivision(Reparameterization):
    """Runs a layer with `W / norm(W)`, or `γ · W / norm(W)`, in place of its kernel.

    Subclasses say what the norm is: one number for the kernel, or one a row of its
    `d_out × d_in` matrix. A norm of zero divides by one, so that a kernel of zeros
    stays one and its gradient is finite.

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
        scale = 1 / ops.where(ops.equal(norm, 0), ops.ones_like(norm), norm)
        if self.gamma:
            scale = scale * ops.cast(self._gammas[index], kernel.state_dtype)
        if len(norm.shape) == 0:
            return value * scale
        return value * kernel.per_row(scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}
