"""Division by the spectral norm, as a power iteration that is kept up finds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sn_keras import values
from sn_keras.kernels import Kernel
from sn_keras.linear_maps import NORMS, has_input_size, linear_map
from sn_keras.norm_division import NormDivision
from sn_keras.power_iteration import iterate, unit
from sn_keras.repeated_calls import refuse_repeated_call

# Iterations that the start vector gets when the layer is built. The paper starts
# from a random vector, which reads a σ that is 20 % to 60 % too small until some
# training calls have passed; a layer that is only ever run in inference (a wrapped
# pretrained one) would keep that error for good.
_INITIAL_ITERATIONS = 15


class PowerIterated(NormDivision):
    """Runs a layer with its kernel over a `σ` that a pair of vectors keeps track of.

    Invariant: `u` and `v` have norm 1, and a training call alone advances them.

    Args:
        layer: the `keras.layers.Layer` to wrap.
        power_iterations: iterations per training call.
        seed: of the random start vectors, or None.
        norm: which linear map `σ` is the norm of, one of `sn_keras.linear_maps.NORMS`.
        input_size: at what size of a convolution's input, or None.
        **kwargs: as `NormDivision`.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        power_iterations: int,
        seed: int | None,
        norm: str,
        input_size: int | Sequence[int] | None,
        **kwargs: Any,
    ):
        power_iterations = values.integer("power_iterations", power_iterations)
        seed = None if seed is None else values.integer("seed", seed, minimum=0)
        norm = values.name("norm", norm, NORMS)
        if input_size is not None:
            input_size = values.sizes("input_size", input_size)
            if norm != "operator":
                wanted = "None but for norm='operator'"
                raise ValueError(values.message("input_size", wanted, input_size))
        super().__init__(layer, **kwargs)
        self.power_iterations = power_iterations
        self.seed = seed
        self.norm = norm
        self.input_size = input_size
        self._start = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        self._u: list[keras.Variable] = []
        self._v: list[keras.Variable] = []

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        kernels = [kernel for _, kernel, _ in self._values()]
        sized = {id(kernel.owner) for kernel in kernels if has_input_size(kernel)}
        if self.input_size is not None and len(sized) != 1:
            wanted = f"None for a layer with {len(sized)} convolutions"
            raise ValueError(values.message("input_size", wanted, self.input_size))

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        inputs = args[0] if args else kwargs.get("inputs")
        if self.norm == "operator" and self.input_size is None and inputs is not None:
            self._refuse_other_size(inputs)
        return super().call(*args, training=training, **kwargs)

    def _refuse_other_size(self, inputs: Any) -> None:
        """Raises `ValueError` for images of another size than `σ` is the norm for."""
        kernel: Any = next(self._values())[1]
        # Of a convolution deeper inside, the size is not known here.
        if kernel.owner is not self.layer or not has_input_size(kernel):
            return
        built = tuple(self._v[0].shape[1:-1])
        first = kernel.owner.data_format == "channels_first"
        size = tuple(inputs.shape[2:] if first else inputs.shape[1:-1])
        if any(n not in (None, b) for n, b in zip(size, built, strict=True)):
            raise ValueError(
                f"The layer {self.name!r} has the norm of a convolution of images of "
                f"size {built}. Received: inputs of size {size}. To run it on other "
                f"sizes too, say which one counts: `input_size={built}`."
            )

    def build_kernel(self, kernel: Kernel, prefix: str) -> None:
        index = len(self._u)

        def initial_u(shape: Any, dtype: Any = None) -> Any:
            return self._initial_u(index, kernel, ops.cast(kernel.variable, dtype))

        def initial_v(shape: Any, dtype: Any = None) -> Any:
            u, value = (ops.cast(x, dtype) for x in (self._u[index], kernel.variable))
            return self._initial_v(index, kernel, value, u)

        options: dict[str, Any] = {
            "dtype": kernel.state_dtype,
            "trainable": False,
            # A function of the kernel and of their last value, so all replicas
            # compute the same; any other aggregation costs a collective a layer.
            "aggregation": "none",
        }
        shapes = self._linear_map(index, kernel)
        options_u = {"shape": shapes.u_shape, "initializer": initial_u, **options}
        options_v = {"shape": shapes.v_shape, "initializer": initial_v, **options}
        self._u.append(self.add_state(f"{prefix}u", **options_u))
        self._v.append(self.add_state(f"{prefix}v", **options_v))
        super().build_kernel(kernel, prefix)

    def _linear_map(self, index: int, kernel: Kernel) -> Any:
        if index < len(self._v):
            # What it was built for: the layer inside may be built anew elsewhere.
            size = tuple(self._v[index].shape[1:-1])
            return linear_map(kernel, self.norm, size)
        return linear_map(kernel, self.norm, self.input_size)

    def _initial_u(self, index: int, kernel: Kernel, value: Any) -> Any:
        of = self._linear_map(index, kernel)
        if self.gamma and self.norm == "kernel":
            return _left_singular_vector(of.weight(value))
        u = self._start(of.u_shape, dtype=kernel.state_dtype)
        u = unit(u, otherwise=u)
        v = ops.zeros(of.v_shape, dtype=kernel.state_dtype)
        return iterate(of.weight(value), u, v, _INITIAL_ITERATIONS, of)[0]

    def _initial_v(self, index: int, kernel: Kernel, value: Any, u: Any) -> Any:
        of = self._linear_map(index, kernel)
        # A kernel of zeros has no direction; any unit vector will do.
        first = ops.one_hot(0, math.prod(of.v_shape), dtype=kernel.state_dtype)
        direction = of.adjoint(of.weight(value), u)
        return unit(direction, otherwise=ops.reshape(first, of.v_shape))

    def kernel_norm(
        self, index: int, kernel: Kernel, value: Any, training: bool
    ) -> Any:
        iterations = self.power_iterations if training else 0
        return self._iterate(index, kernel, value, iterations)

    def sigma(self) -> Any:
        """Returns `σ = uᵀWv`, the trainable kernel's norm; changes nothing.

        Returns:
            A scalar tensor. For a layer with several kernels a dict from their
            names, such as `"query/kernel"`, to scalars. The exact value of a kernel's
            matrix, by singular value decomposition, is the first of
            `sn_keras.singular_values`.

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
            TypeError: if `power_iterations` is no integer.
            ValueError: if it is below 1, or the layer is not built.
        """
        iterations = values.integer("power_iterations", power_iterations)
        for index, kernel, value in self._values():
            self._iterate(index, kernel, value, iterations)

    def reset_state(self) -> None:
        """Starts `u` and `v` anew from the kernel as it is; `γ` stays.

        The state of the layer inside, such as a stateful recurrent layer's, is reset
        too.

        Raises:
            ValueError: if the layer is not built.
        """
        for index, kernel, value in self._values():
            u = self._initial_u(index, kernel, value)
            self._u[index].assign(u)
            self._v[index].assign(self._initial_v(index, kernel, value, u))
        if hasattr(self.layer, "reset_state"):
            self.layer.reset_state()

    def _iterate(self, index: int, kernel: Kernel, value: Any, iterations: int) -> Any:
        u = ops.cast(self._u[index], kernel.state_dtype)
        v = ops.cast(self._v[index], kernel.state_dtype)
        if iterations:
            refuse_repeated_call(self)
        else:
            # The gradient needs their values of now. torch has no others of a variable
            # that a later call writes, and refuses the backward pass.
            u, v = ops.copy(u), ops.copy(v)
        of = self._linear_map(index, kernel)
        u, v, sigma = iterate(of.weight(value), u, v, iterations, of)
        if iterations:
            self._u[index].assign(u)
            self._v[index].assign(v)
        return sigma

    def get_config(self) -> dict[str, Any]:
        size = self.input_size
        config = {
            "power_iterations": self.power_iterations,
            "seed": self.seed,
            "norm": self.norm,
            "input_size": list(size) if isinstance(size, tuple) else size,
        }
        return {**super().get_config(), **config}


def _left_singular_vector(matrix_t: Any) -> Any:
    """Returns the left vector `u₁` of `W` by singular value decomposition."""
    return ops.svd(matrix_t, full_matrices=False)[2][0]
