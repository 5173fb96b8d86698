"""Properties that hold for any shape and any kernel."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from sn_keras import SpectralNormalization
from sn_keras.kernels import Kernel
from sn_keras.power_iteration import iterate
from tests.sn_keras.gradients import numpy

# The same examples on every run; a deadline would fail on a busy machine.
quick = settings(max_examples=15, derandomize=True, deadline=None, database=None)
CHANNELS_FIRST = keras.backend.backend() != "tensorflow"
sizes = st.integers(1, 4)


@st.composite
def convolutions(draw):
    """The class and arguments of a convolution, and the channels that it takes."""
    rank = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 3))
    channels = groups * draw(st.integers(1, 2))
    kind = draw(st.sampled_from(["conv", "transpose", "depthwise"]))
    options = {
        "kernel_size": draw(st.integers(1, 3)),
        "data_format": draw(
            st.sampled_from(["channels_last", "channels_first"][: 1 + CHANNELS_FIRST])
        ),
        "padding": draw(st.sampled_from(["same", "valid"])),
        "use_bias": draw(st.booleans()),
    }
    if kind == "depthwise":
        options["depth_multiplier"] = draw(st.integers(1, 3))
        return f"DepthwiseConv{rank}D", options, channels
    if kind == "transpose":
        options["strides"] = draw(st.integers(1, 2))
        options["filters"] = draw(st.integers(1, 4))
        return f"Conv{rank}DTranspose", options, channels
    options["groups"] = groups
    options["dilation_rate"] = draw(st.integers(1, 2))
    options["filters"] = groups * draw(st.integers(1, 2))
    return f"Conv{rank}D", options, channels


def matrix_of(layer):
    """The paper's d_out × d_in matrix of a convolution's kernel, in NumPy."""
    kernel = numpy(layer.kernel)
    if "Transpose" in type(layer).__name__:
        return np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
    if "Depthwise" in type(layer).__name__:
        return kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1]).T
    return kernel.reshape(-1, kernel.shape[-1]).T


@pytest.mark.slow
@quick
@given(convolutions())
def test_any_convolution_is_run_with_its_kernel_over_sigma(drawn):
    name, options, channels = drawn
    layer = getattr(layers, name)(**options)
    space = (7,) * (len(layer.kernel_size))
    first = layer.data_format == "channels_first"
    shape = (2, channels, *space) if first else (2, *space, channels)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    wrapped = SpectralNormalization(layer)
    wrapped.build(shape)
    wrapped.iterate(200)
    sigma = np.linalg.norm(matrix_of(layer), 2)
    assert float(wrapped.sigma()) == pytest.approx(sigma, rel=1e-3)
    # The layers are linear: their output less the bias, over σ.
    bias = numpy(layer(np.zeros_like(x)))
    expected = bias + (numpy(layer(x)) - bias) / sigma
    np.testing.assert_allclose(numpy(wrapped(x)), expected, rtol=2e-3, atol=2e-3)
    assert tuple(wrapped.compute_output_shape(shape)) == expected.shape


@quick
@given(
    st.lists(sizes, min_size=2, max_size=5),
    st.data(),
)
def test_matrix_and_kernel_are_inverse(shape, data):
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), max_size=len(shape)))
    variable = keras.Variable(np.zeros(shape, "float32"))
    kernel = Kernel("kernel", variable, tuple(sorted(axes)), "float32")
    value = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    matrix_t = kernel.matrix_t(ops.convert_to_tensor(value))
    assert tuple(matrix_t.shape) == (kernel.d_in, kernel.d_out)
    np.testing.assert_array_equal(numpy(kernel.tensor(matrix_t)), value)


@quick
@given(sizes, sizes, st.integers(-12, 12), st.integers(0, 2**16), st.integers(0, 4))
def test_sigma_never_exceeds_the_spectral_norm(rows, columns, exponent, seed, rank):
    """‖u‖ = ‖v‖ = 1 and uᵀWv ≤ σ₁ for any start; iterating never lowers σ."""
    rng = np.random.default_rng(seed)
    rank = min(rank, rows, columns)
    matrix = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns))
    matrix = (matrix * 10.0**exponent).astype("float32")
    u, v = rng.normal(size=rows), rng.normal(size=columns)
    u, v = (
        ops.convert_to_tensor((x / np.linalg.norm(x)).astype("float32")) for x in (u, v)
    )
    exact = np.linalg.norm(matrix.astype("float64"), 2)
    last = 0.0
    for _ in range(4):
        u, v, sigma = iterate(ops.convert_to_tensor(matrix.T), u, v, 1)
        assert np.linalg.norm(numpy(u)) == pytest.approx(1, abs=1e-5)
        assert np.linalg.norm(numpy(v)) == pytest.approx(1, abs=1e-5)
        assert last * (1 - 1e-5) <= float(sigma) <= exact * (1 + 1e-5)
        last = float(sigma)


@pytest.mark.slow
@quick
@given(
    st.sampled_from(["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"]),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 3),
)
def test_dense_of_any_dtype_keeps_dtype_and_kernel(dtype, units, inputs, iterations):
    layer = layers.Dense(units, dtype=dtype)
    wrapped = SpectralNormalization(layer, power_iterations=iterations)
    x = np.ones((2, inputs), "float32")
    wrapped.build(x.shape)
    before = numpy(ops.cast(layer.kernel, "float32"))
    outputs = wrapped(x, training=True)
    np.testing.assert_array_equal(numpy(ops.cast(layer.kernel, "float32")), before)
    assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
    normalized = numpy(wrapped.normalized_kernel())
    assert np.linalg.norm(normalized, 2) >= 1 - 1e-3
