"""Spectral normalization (Miyato, Kataoka, Koyama, Yoshida; ICLR 2018)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from sn_keras.kernels import Kernel
from sn_keras.norm_division import NormDivision
from sn_keras.power_iteration import iterate, matvec, unit

# Iterations that the start vector gets when the layer is built. The paper starts
# from a random vector, which reads a σ that is 20 % to 60 % too small until some
# training calls have passed; a layer that is only ever run in inference (a wrapped
# pretrained one) would keep that error for good.
_INITIAL_ITERATIONS = 15


@keras.saving.register_keras_serializable(package="sn_keras")
class SpectralNormalization(NormDivision):
    """Runs a layer with its kernel divided by the kernel's spectral norm.

    `W_SN = W / σ(W)`, with `σ(W)` the largest singular value of the kernel seen as a
    `d_out × d_in` matrix (see `sn_keras.kernels` for the matrix of each kind of
    layer). `σ` is estimated by the power method: a training call runs
    `v ← Wᵀu / ‖Wᵀu‖`, `u ← Wv / ‖Wv‖` and keeps both vectors for the next call, then
    `σ = uᵀWv`. `u` and `v` are constants for the gradient, which flows through `W`
    in the numerator and in `σ`: with `G = ∂L/∂W_SN`,

    `∂L/∂W = (G − ⟨G, W_SN⟩ u vᵀ) / σ`.

    The kernel itself is never written by a forward pass: it is the trainable
    parameter, and what optimizers, regularizers, constraints and weight averages
    see. `keras.layers.SpectralNormalization` and `tfa.layers.SpectralNormalization`
    overwrite it, and so compute the gradient of another function.

    A call with `training=True` advances `u` and `v`. Any other call, also one with
    `training=None` outside of a model's training step, is inference and changes
    nothing: it reads `σ = uᵀWv` from the current kernel. A layer with several
    kernels (attention, recurrent, separable convolution) normalizes each by itself,
    with one iteration an outer call. Biases are left alone. A kernel of zeros stays
    a kernel of zeros. `u` and `v` are advanced also while `trainable` is false.

    Args:
        layer: the `keras.layers.Layer` to wrap, built or not: any that has a kernel.
        power_iterations: iterations per training call, 1 or more. Defaults to 1, as
            in the paper.
        gamma: whether to multiply by a trainable scalar: the kernel is then
            `γ · W / σ(W)`. `γ` starts as the exact `σ(W)` and `u` as its singular
            vector, so that the layer starts as the plain one (appendix E).
        seed: integer or None, seed of the random start vectors.
        **kwargs: `name` and `trainable`. (`dtype` belongs to the wrapped layer.)

    State (a pair a kernel, not trainable, float32, or float64 for a float64 kernel):
        u: left singular vector, shape `(d_out,)`.
        v: right singular vector, shape `(d_in,)`.
        gamma: with `gamma=True`, the multiplier, a scalar, trainable.

    Raises:
        TypeError: if `layer` is not a layer or `gamma` not a boolean.
        ValueError: if `layer` has no kernel, is quantised, has LoRA enabled or was
            created in a `keras.RematScope`; if `power_iterations` is not a positive
            integer.

    Example:
    ```python
    layer = SpectralNormalization(keras.layers.Conv2D(64, 3, padding="same"))
    features = layer(images, training=True)
    layer.sigma()              # the spectral norm that was divided by
    layer.normalized_kernel()  # shape (3, 3, channels, 64)
    ```

    Source: Miyato et al., "Spectral Normalization for Generative Adversarial
    Networks", ICLR 2018, https://arxiv.org/abs/1802.05957, algorithm 1 and
    equation 12. Where we deviate: the start vector gets 15 iterations when the layer
    is built (the authors: none), and a vector is divided by its norm, not by the norm
    plus 1e-12.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        power_iterations: int = 1,
        gamma: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        _check_iterations(power_iterations)
        super().__init__(layer, gamma=gamma, **kwargs)
        self.power_iterations = power_iterations
        self.seed = seed
        self._start = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        self._u: list[keras.Variable] = []
        self._v: list[keras.Variable] = []

    def build_kernel(self, kernel: Kernel, prefix: str) -> None:
        def initial_u(shape: Any, dtype: Any = None) -> Any:
            matrix_t = kernel.matrix_t(ops.cast(kernel.variable, dtype))
            if self.gamma:
                return _largest_singular(matrix_t)[0]
            u = self._start(shape, dtype=dtype)
            u = unit(u, otherwise=u)
            v = ops.zeros((kernel.d_in,), dtype=dtype)
            return iterate(matrix_t, u, v, _INITIAL_ITERATIONS)[0]

        def initial_v(shape: Any, dtype: Any = None) -> Any:
            u_now = ops.cast(self._u[index], dtype)
            matrix_t = kernel.matrix_t(ops.cast(kernel.variable, dtype))
            direction = matvec(matrix_t, u_now)
            # A kernel of zeros has no direction; any unit vector will do.
            return unit(direction, otherwise=ops.one_hot(0, shape[0], dtype=dtype))

        index = len(self._u)
        options: dict[str, Any] = {
            "dtype": kernel.state_dtype,
            "trainable": False,
            "autocast": False,
            # A function of the kernel and of their last value, so all replicas
            # compute the same; any other aggregation costs a collective a layer.
            "aggregation": "none",
        }
        self._u.append(
            self.add_weight(
                shape=(kernel.d_out,),
                initializer=initial_u,
                name=f"{prefix}u",
                **options,
            )
        )
        self._v.append(
            self.add_weight(
                shape=(kernel.d_in,),
                initializer=initial_v,
                name=f"{prefix}v",
                **options,
            )
        )
        super().build_kernel(kernel, prefix)

    def norm(self, index: int, kernel: Kernel, value: Any, training: bool) -> Any:
        iterations = self.power_iterations if training else 0
        return self._iterate(index, kernel, value, iterations)

    def initial_gamma(self, kernel: Kernel, value: Any) -> Any:
        return _largest_singular(kernel.matrix_t(value))[1]

    def sigma(self) -> Any:
        """Returns `σ = uᵀWv`, the norm that inference divides by; changes nothing.

        Returns:
            A scalar tensor. For a layer with several kernels a dict from their
            names, such as `"query/kernel"`, to scalars. The exact value, by singular
            value decomposition, is `sn_keras.singular_values`'s first.

        Raises:
            ValueError: if the layer is not built.
        """
        return self._per_kernel(
            lambda i, kernel, value: self._iterate(i, kernel, value, 0)
        )

    def iterate(self, power_iterations: int) -> None:
        """Advances `u` and `v` without a forward pass.

        For kernels that were assigned by hand: the vectors then still belong to the
        old values until some training calls have passed.

        Args:
            power_iterations: how many iterations, 1 or more.

        Raises:
            ValueError: if `power_iterations` is not a positive integer, or the layer
                is not built.
        """
        _check_iterations(power_iterations)
        for index, kernel, value in self._values():
            self._iterate(index, kernel, value, power_iterations)

    def _iterate(self, index: int, kernel: Kernel, value: Any, iterations: int) -> Any:
        u, v = self._u[index], self._v[index]
        new_u, new_v, sigma = iterate(
            kernel.matrix_t(value),
            ops.cast(u, kernel.state_dtype),
            ops.cast(v, kernel.state_dtype),
            iterations,
        )
        if iterations:
            u.assign(new_u)
            v.assign(new_v)
        return sigma

    def get_config(self) -> dict[str, Any]:
        config = {"power_iterations": self.power_iterations, "seed": self.seed}
        return {**super().get_config(), **config}


def _check_iterations(power_iterations: Any) -> None:
    if (
        not isinstance(power_iterations, int)
        or isinstance(power_iterations, bool)
        or power_iterations < 1
    ):
        raise ValueError(
            "`power_iterations` must be an integer of 1 or more. "
            f"Received: power_iterations={power_iterations!r}"
        )


def _largest_singular(matrix_t: Any) -> tuple[Any, Any]:
    """Returns the left vector `u₁` of `W` and `σ₁`, by singular value decomposition."""
    _, sigmas, right_t = ops.svd(matrix_t, full_matrices=False)
    return right_t[0], sigmas[0]
