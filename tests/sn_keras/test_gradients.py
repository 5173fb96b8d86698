"""The gradient flows through W in the numerator and in σ (equation 12).

The oracle is float64 NumPy: with `G = ∂L/∂W̄` taken from the plain layer run with the
kernel `W̄ = W/σ₁(W)`, `∂L/∂W = (G − ⟨G, W̄⟩ u₁v₁ᵀ) / σ₁`, `σ₁`, `u₁`, `v₁` by SVD.
"""

import contextlib
import functools

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization
from tests.sn_keras.gradients import float64, gradients, total
from tests.sn_keras.layer_kinds import (
    KINDS,
    LayerKind,
    every_kind,
    outer_kernel,
    with_spectrum,
)

DENSE = KINDS[0]


class WrongGradientError(Exception):
    """The gradient differs from the oracle's; any other error is no expected one."""


def spread(count):
    """Singular values with a gap, so that the power method gets to the end."""
    return 1.7 * 0.5 ** np.arange(count)


def assign_kernels(kind: LayerKind, layer: keras.Layer) -> list[np.ndarray]:
    """Gives the kernels of a built layer known spectra and returns their values."""
    kernels = []
    for variable, matrix in kind.kernel_variables(layer):
        kernels.append(with_spectrum(matrix, tuple(variable.shape), spread))
        variable.assign(kernels[-1])
    return kernels


@functools.cache
def oracle(kind: LayerKind) -> list[np.ndarray]:
    """The gradient of `total` with respect to each kernel, in float64."""
    with float64():
        plain = kind.make(dtype="float64")
        kind.build(plain, "float64")
        kernels = assign_kernels(kind, plain)
        expected = []
        for (variable, matrix), kernel in zip(
            kind.kernel_variables(plain), kernels, strict=True
        ):
            kernel = kernel.astype("float64")
            u, s, vt = np.linalg.svd(matrix(kernel), full_matrices=False)
            direction = outer_kernel(matrix, kernel.shape, np.outer(u[:, 0], vt[0]))
            variable.assign(kernel / s[0])
            expected.append((kernel / s[0], s[0], direction))
        inputs = kind.inputs("float64")
        found = gradients(
            lambda: total(plain(*inputs, training=True)),
            [variable for variable, _ in kind.kernel_variables(plain)],
        )
    return [
        (g - np.sum(g * kernel) * direction) / sigma
        for g, (kernel, sigma, direction) in zip(found, expected, strict=True)
    ]


def largest_error(kind: LayerKind, wrapped: keras.Layer, dtype: str) -> float:
    """The largest relative error over the kernels, as a ratio of norms."""
    inputs = kind.inputs(dtype)
    found = gradients(
        lambda: total(wrapped(*inputs, training=True)),
        [variable for variable, _ in kind.kernel_variables(wrapped)],
    )
    return max(
        np.linalg.norm(f.astype("float64") - e) / np.linalg.norm(e)
        for f, e in zip(found, oracle(kind), strict=True)
    )


@pytest.mark.slow
@every_kind
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-6), ("float64", 1e-11)])
def test_against_svd(kind, dtype, bound):
    if keras.backend.backend() == "jax" and kind.name == "rnn_of_cells":
        pytest.skip("Keras on JAX starts stacked cells of float64 with float32 states")
    context = float64() if dtype == "float64" else contextlib.nullcontext()
    with context:
        wrapped = SpectralNormalization(kind.make(dtype=dtype))
        kind.build(wrapped, dtype)
        assign_kernels(kind, wrapped)
        wrapped.iterate(30)
        assert largest_error(kind, wrapped, dtype) <= bound


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_calls_lead_there_too(dtype):
    context = float64() if dtype == "float64" else contextlib.nullcontext()
    with context:
        wrapped = SpectralNormalization(DENSE.make(dtype=dtype))
        DENSE.build(wrapped, dtype)
        assign_kernels(DENSE, wrapped)
        for _ in range(30):
            wrapped(*DENSE.inputs(dtype), training=True)
        bound = 1e-6 if dtype == "float32" else 1e-11
        assert largest_error(DENSE, wrapped, dtype) <= bound


# JAX takes the gradient in a scope that keeps assignments, so that the kernel reads
# as W/σ and the gradient is right; the weights that it leaves behind are not.
@pytest.mark.xfail(
    keras.backend.backend() != "jax",
    strict=True,
    raises=WrongGradientError,
    reason="keras.layers.SpectralNormalization overwrites the kernel, so that no "
    "gradient flows through σ",
)
def test_the_wrapper_of_keras_fails_the_same_check():
    wrapped = layers.SpectralNormalization(DENSE.make(), power_iterations=30)
    DENSE.build(wrapped)
    assign_kernels(DENSE, wrapped)
    error = largest_error(DENSE, wrapped, "float32")
    if not error <= 1e-6:
        raise WrongGradientError(f"relative error {error:.3g}")
