"""σ is as exact in every precision as in float32; outputs keep the layer's dtype."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization
from tests.sn_keras.gradients import float64, gradients, numpy, total
from tests.sn_keras.layer_kinds import with_spectrum

X = np.random.default_rng(0).normal(size=(4, 32)).astype("float32")


def converged(dtype):
    """A wrapper around a layer of a dtype, with σ₁ = 3 up to the kernel's rounding."""
    wrapped = SpectralNormalization(layers.Dense(24, dtype=dtype))
    wrapped.build((None, 32))
    kernel = with_spectrum(lambda k: k.T, (32, 24), lambda n: 3 * 0.8 ** np.arange(n))
    wrapped.layer.kernel.assign(kernel)
    stored = numpy(wrapped.layer.kernel).astype("float64")
    return wrapped, np.linalg.norm(stored, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype", ["float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16"]
)
def test_sigma_is_as_exact_as_in_float32(dtype):
    wrapped, sigma = converged(dtype)
    for _ in range(40):
        outputs = wrapped(X, training=True)
    assert float(wrapped.sigma()) == pytest.approx(sigma, rel=1e-6)
    assert keras.backend.standardize_dtype(outputs.dtype) == wrapped.layer.compute_dtype
    assert {w.dtype for w in wrapped.state_variables} == {"float32"}


@pytest.mark.slow
def test_float64_is_float64_throughout():
    with float64():
        wrapped, sigma = converged("float64")
        wrapped.iterate(100)
        assert float(wrapped.sigma()) == pytest.approx(sigma, rel=1e-13)
        assert {w.dtype for w in wrapped.weights} == {"float64"}
        assert numpy(wrapped(X.astype("float64"))).dtype == np.float64
        assert numpy(wrapped.normalized_kernel()).dtype == np.float64


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("place", ["functional", "subclassed", "time_distributed"])
def test_inside_a_mixed_model_the_kernel_is_not_rounded(policy, place):
    """The model's autocast scope must not reach the kernel before σ is taken."""
    wrapped, sigma = converged(policy)
    x = X
    if place == "functional":
        inputs = keras.Input((32,))
        model = keras.Model(inputs, wrapped(inputs))
        model.dtype_policy = policy
    elif place == "subclassed":

        class Outer(keras.Model):
            def __init__(self):
                super().__init__(dtype=policy)
                self.inner = wrapped

            def call(self, x, training=None):
                return self.inner(x, training=training)

        model = Outer()
    else:
        model = layers.TimeDistributed(wrapped, dtype=policy)
        x = np.stack([X, X], axis=1)
    wrapped.state_variables[0].assign(np.ones(24) / np.sqrt(24))
    for _ in range(40):
        model(x, training=True)
    u, v = (numpy(w).astype("float64") for w in wrapped.state_variables)
    kernel = numpy(wrapped.layer.kernel).astype("float64")
    # The vectors are those of the float32 kernel, not of a rounded one.
    np.testing.assert_allclose(kernel.T @ v, sigma * u, atol=2e-6)


@pytest.mark.parametrize("of_all_inside", [True, False])
def test_a_policy_that_is_set_later_is_that_of_the_layer_inside(of_all_inside):
    seen = []

    class Recording(layers.Dense):
        def call(self, inputs):
            seen.append(numpy(keras.ops.cast(self.kernel, "float32")))
            return super().call(inputs)

    wrapped = SpectralNormalization(Recording(3))
    wrapped.build((None, 32))
    # In float16 it would be infinite.
    wrapped.layer.kernel.assign(wrapped.layer.kernel * 1e6)
    for layer in (wrapped, wrapped.layer) if of_all_inside else (wrapped,):
        layer.dtype_policy = "mixed_float16"
    outputs = wrapped(X, training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    sigma = float(wrapped.sigma())
    assert np.isfinite(sigma)
    expected = numpy(wrapped.layer.kernel) / sigma
    np.testing.assert_allclose(seen[-1], expected, rtol=1e-3, atol=1e-6)


def test_a_float32_layer_in_a_float16_model_gets_a_float32_kernel():
    seen = []

    class Recording(layers.Dense):
        def call(self, inputs):
            seen.append(numpy(self.kernel))
            return super().call(inputs)

    wrapped = SpectralNormalization(Recording(3, dtype="float32"))
    wrapped.build((None, 32))

    class Outer(keras.Model):
        def __init__(self):
            super().__init__(dtype="mixed_float16")
            self.inner = wrapped

        def call(self, x):
            return self.inner(x)

    outputs = Outer()(X)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    assert seen[-1].dtype == np.float32
    expected = numpy(wrapped.layer.kernel) / float(wrapped.sigma())
    np.testing.assert_allclose(seen[-1], expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_the_kernel_is_rounded_once(dtype):
    """The layer multiplies by W/σ taken in float32 and then rounded."""
    wrapped, _ = converged(dtype)
    wrapped.layer.bias.assign(np.zeros(24))
    compute = wrapped.layer.compute_dtype
    plain = layers.Dense(24, dtype=dtype)
    plain.build((None, 32))
    plain.kernel.assign(wrapped.normalized_kernel())
    first, second = (numpy(layer(X)).astype("float32") for layer in (wrapped, plain))
    np.testing.assert_array_equal(first, second)
    assert keras.backend.standardize_dtype(wrapped(X).dtype) == compute


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_gradients_are_float32_and_near(dtype):
    found = {}
    for policy in (dtype, "float32"):
        wrapped, _ = converged(policy)
        wrapped.iterate(40)
        (found[policy],) = gradients(
            lambda wrapped=wrapped: total(wrapped(X, training=True)),
            [wrapped.layer.kernel],
        )
    assert found[dtype].dtype == np.float32
    error = np.linalg.norm(found[dtype] - found["float32"])
    bound = 2e-3 if "float16" == dtype.removeprefix("mixed_") else 2e-2
    assert error <= bound * np.linalg.norm(found["float32"])


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_kernels_outside_of_float16s_range(scale):
    """σ and 1/σ of a float32 kernel that float16 could not hold."""
    wrapped, sigma = converged("mixed_float16")
    wrapped.iterate(40)
    expected = numpy(wrapped(X))
    wrapped.layer.kernel.assign(numpy(wrapped.layer.kernel) * np.float32(scale))
    assert float(wrapped.sigma()) == pytest.approx(sigma * scale, rel=0.2)
    np.testing.assert_allclose(numpy(wrapped(X)), expected, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_the_global_policy(policy):
    before = keras.dtype_policies.get(None)
    keras.config.set_dtype_policy(policy)
    context = float64() if policy == "float64" else contextlib.nullcontext()
    try:
        with context:
            wrapped = SpectralNormalization(layers.Dense(3))
            outputs = wrapped(X)
            dtype = keras.backend.standardize_dtype(outputs.dtype)
            state = {w.dtype for w in wrapped.state_variables}
    finally:
        keras.config.set_dtype_policy(before)
    assert dtype == policy.removeprefix("mixed_")
    assert state == {"float32" if policy.startswith("mixed") else "float64"}
