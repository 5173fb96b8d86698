"""`norm="operator"`: the norm of a convolution as a map of images.

The oracle is the matrix of the plain layer in float64, made by pushing all unit images
through it, and its singular value decomposition.
"""

import contextlib
import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

from sn_keras import SpectralNormalization, fold
from sn_keras.kernels import find_kernels
from sn_keras.linear_maps import linear_map
from tests.sn_keras.gradients import float64, gradients, numpy, total

BACKEND = keras.backend.backend()


def case(name, make, size, channels=2, backends=("tensorflow", "jax", "torch")):
    skip = pytest.mark.skipif(BACKEND not in backends, reason=f"not on {BACKEND}'s CPU")
    return pytest.param(make, (1, *size, channels), id=name, marks=skip)


def same(layer, *arguments, **options):
    return lambda **kw: layer(*arguments, padding="same", **options, **kw)


def valid(layer, *arguments, **options):
    return lambda **kw: layer(*arguments, **options, **kw)


CASES = [
    case("conv1d", same(layers.Conv1D, 3, 3), (7,)),
    case(
        "conv1d_causal",
        lambda **kw: layers.Conv1D(3, 2, padding="causal", dilation_rate=2, **kw),
        (5,),
    ),
    case(
        "conv1d_causal_strides",
        lambda **kw: layers.Conv1D(3, 2, padding="causal", strides=2, **kw),
        (6,),
    ),
    case("conv2d", same(layers.Conv2D, 3, 3), (5, 4)),
    case("conv2d_valid_strides", valid(layers.Conv2D, 3, 3, strides=2), (6, 5)),
    case("conv2d_same_strides", same(layers.Conv2D, 3, 4, strides=2), (6, 5)),
    case("conv2d_uneven", same(layers.Conv2D, 2, (3, 2), strides=(2, 1)), (5, 4)),
    case("conv2d_dilated", same(layers.Conv2D, 3, 3, dilation_rate=2), (5, 5)),
    case("conv2d_groups", same(layers.Conv2D, 6, 3, groups=2), (4, 4), 4),
    case(
        "conv2d_channels_first",
        lambda **kw: layers.Conv2D(3, 3, strides=2, data_format="channels_first", **kw),
        (2, 6),
        5,
        backends=("jax", "torch"),
    ),
    case("conv3d", valid(layers.Conv3D, 2, 2), (3, 3, 4)),
    case("conv1d_transpose", valid(layers.Conv1DTranspose, 3, 3, strides=2), (5,)),
    case("conv2d_transpose", same(layers.Conv2DTranspose, 3, 4, strides=2), (3, 4)),
    case("conv2d_transpose_odd", same(layers.Conv2DTranspose, 3, 3, strides=2), (3, 4)),
    case(
        "conv2d_transpose_small", valid(layers.Conv2DTranspose, 3, 2, strides=3), (3, 2)
    ),
    case(
        "conv2d_transpose_padded",
        same(layers.Conv2DTranspose, 3, 3, strides=2, output_padding=0),
        (3, 4),
    ),
    case(
        "conv2d_transpose_dilated",
        same(layers.Conv2DTranspose, 3, 3, dilation_rate=2),
        (4, 4),
        backends=("jax", "torch"),
    ),
    case("conv3d_transpose", valid(layers.Conv3DTranspose, 2, 2), (2, 3, 2)),
    case("depthwise1d", same(layers.DepthwiseConv1D, 3, depth_multiplier=2), (6,)),
    case(
        "depthwise2d_strides",
        same(layers.DepthwiseConv2D, 3, strides=2, depth_multiplier=2),
        (5, 5),
    ),
    case(
        "depthwise2d_dilated", same(layers.DepthwiseConv2D, 3, dilation_rate=2), (5, 5)
    ),
    # Smaller than the strides or spread over grids that don't meet, so that singular
    # values repeat and the vectors are not unique.
    case("conv2d_small_kernel", same(layers.Conv2D, 3, 2, strides=3), (7, 5)),
    case("conv2d_1x1_strides", valid(layers.Conv2D, 3, 1, strides=2), (4, 5)),
    case("conv3d_strides", valid(layers.Conv3D, 2, 2, strides=2), (4, 3, 4)),
]
every_case = pytest.mark.parametrize(("make", "shape"), CASES)
# One of each way that the arithmetic goes; the rest differ in numbers alone.
KINDS = {
    *("conv1d_causal", "conv2d_same_strides", "conv2d_dilated", "conv2d_groups"),
    *("conv3d", "conv2d_transpose_odd", "depthwise2d_strides"),
}
every_kind = pytest.mark.parametrize(
    ("make", "shape"), [c for c in CASES if c.id in KINDS]
)


def built(make, shape, dtype="float64", **options):
    layer = make(use_bias=False, dtype=dtype, **options)
    layer.build((None, *shape[1:]))
    return layer


def matrix_of(layer, shape, kernel):
    """What unit images become, as columns."""
    layer.kernel.assign(kernel)
    count = int(np.prod(shape))
    images = np.eye(count).reshape(count, *shape[1:])
    return numpy(layer(images)).reshape(count, -1).T


@functools.cache
def spread_kernel(make, shape):
    """A float32 kernel and the SVD of the layer's map with it.

    The next of its singular values that is another number is at most 0.95 of the first.
    """
    with float64():
        layer = built(make, shape)
        for seed in range(200):
            rng = np.random.default_rng(seed)
            kernel = rng.normal(size=layer.kernel.shape).astype("float32")
            matrix = matrix_of(layer, shape, kernel)
            u, s, vt = np.linalg.svd(matrix, full_matrices=False)
            others = s[s < s[0] * (1 - 1e-9)]
            if others[0] <= 0.95 * s[0]:
                return kernel, u[:, 0], s, vt[0]
    raise RuntimeError("no kernel with a gap was found")


@pytest.mark.slow
@every_case
def test_the_map_is_the_layer_and_its_adjoint(make, shape):
    with float64():
        layer = built(make, shape)
        (kernel,) = find_kernels(layer)
        rng = np.random.default_rng(0)
        layer.kernel.assign(rng.normal(size=layer.kernel.shape))
        operator = linear_map(kernel, "operator", None)
        weight = operator.weight(layer.kernel.value)
        v = ops.convert_to_tensor(rng.normal(size=operator.v_shape))
        u = ops.convert_to_tensor(rng.normal(size=operator.u_shape))
        image, back = operator.apply(weight, v), operator.adjoint(weight, u)
        assert tuple(image.shape) == tuple(u.shape)
        assert tuple(back.shape) == tuple(v.shape)
        first = layer.data_format == "channels_first"
        x = np.moveaxis(numpy(v), -1, 1) if first else numpy(v)
        expected = numpy(layer(x))
        expected = np.moveaxis(expected, 1, -1) if first else expected
        np.testing.assert_allclose(
            numpy(image).ravel(), expected.ravel(), rtol=1e-10, atol=1e-12
        )
        found = np.sum(numpy(image) * numpy(u)), np.sum(numpy(back) * numpy(v))
        assert found[0] == pytest.approx(found[1], rel=1e-10)


@pytest.mark.slow
@every_case
def test_sigma_after_100_calls(make, shape):
    kernel, _, (sigma, *_), _ = spread_kernel(make, shape)
    wrapped = SpectralNormalization(
        make(use_bias=False), norm="operator", power_iterations=10
    )
    wrapped.build((None, *shape[1:]))
    wrapped.layer.kernel.assign(kernel)
    for weight in wrapped.state_variables:
        # The vectors that it was built with belong to another kernel.
        start = np.random.default_rng(1).normal(size=weight.shape)
        weight.assign(start / np.linalg.norm(start))
    wrapped.iterate(100)
    assert float(wrapped.sigma()) == pytest.approx(sigma, rel=1e-4)
    x = np.random.default_rng(2).normal(size=(2, *shape[1:])).astype("float32")
    plain = built(make, shape, "float32")
    plain.kernel.assign(kernel / np.float32(sigma))
    expected = numpy(plain(x))
    np.testing.assert_allclose(numpy(wrapped(x)), expected, rtol=1e-3, atol=1e-3)
    # A training call goes on from there.
    np.testing.assert_allclose(
        numpy(wrapped(x, training=True)), expected, rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
@every_kind
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-10)])
def test_gradient_against_svd(make, shape, dtype, bound):
    kernel, u, (sigma, second, *_), v = spread_kernel(make, shape)
    assert second <= 0.95 * sigma  # or else the gradient is not unique
    x = np.random.default_rng(2).normal(size=(2, *shape[1:])).astype("float32")
    with float64():
        plain = built(make, shape)
        plain.kernel.assign(kernel)
        first = ops.convert_to_tensor(v.reshape(1, *shape[1:]))
        (slope,) = gradients(
            lambda: ops.sum(
                ops.reshape(plain(first), (-1,)) * ops.convert_to_tensor(u)
            ),
            [plain.kernel],
        )
        plain.kernel.assign(kernel / sigma)
        (upstream,) = gradients(
            lambda: total(plain(x.astype("float64"))), [plain.kernel]
        )
        inner = np.sum(upstream * kernel / sigma)
        expected = (upstream - inner * slope) / sigma
    with float64() if dtype == "float64" else contextlib.nullcontext():
        wrapped = SpectralNormalization(
            make(use_bias=False, dtype=dtype), norm="operator"
        )
        wrapped.build((None, *shape[1:]))
        wrapped.layer.kernel.assign(kernel)
        wrapped.iterate(300)
        (found,) = gradients(
            lambda: total(wrapped(x.astype(dtype), training=True)),
            [wrapped.layer.kernel],
        )
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert error <= bound


class SelfAttention(layers.MultiHeadAttention):
    def build(self, shape):
        super().build(shape, shape)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: layers.Dense(5), np.ones((2, 4), "float32")),
        (lambda: layers.Embedding(6, 4), np.ones((2, 3), "int32")),
        (lambda: layers.EinsumDense("abc,cd->abd", (None, 5)), np.ones((2, 3, 4))),
        (lambda: layers.Conv2D(3, 1), np.ones((2, 5, 5, 2), "float32")),
        (lambda: layers.TimeDistributed(layers.Dense(5)), np.ones((2, 3, 4))),
        (lambda: SelfAttention(2, 3), np.ones((2, 3, 4))),
    ],
)
def test_where_both_norms_are_the_same(make, x):
    layer = make()
    by_kernel, by_operator = (
        SpectralNormalization(layer, norm=norm) for norm in ("kernel", "operator")
    )
    for wrapped in (by_kernel, by_operator):
        wrapped.build(x.shape)
        wrapped.iterate(100)
    found, expected = (
        [float(s) for s in (s.values() if isinstance(s, dict) else [s])]
        for s in (by_operator.sigma(), by_kernel.sigma())
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.slow
def test_a_separable_convolution_has_both_parts_normalized():
    layer = layers.SeparableConv2D(4, 3, strides=2, padding="same")
    wrapped = SpectralNormalization(layer, norm="operator")
    wrapped.build((None, 6, 6, 2))
    wrapped.iterate(300)
    plain = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)
    plain.build((None, 6, 6, 2))
    depthwise, pointwise = (numpy(w) for w in layer.weights[:2])
    exact = np.linalg.norm(matrix_of(plain, (1, 6, 6, 2), depthwise), 2)
    sigmas = wrapped.sigma()
    assert float(sigmas["depthwise_kernel"]) == pytest.approx(exact, rel=1e-3)
    exact = np.linalg.norm(pointwise.reshape(2, 4), 2)
    assert float(sigmas["pointwise_kernel"]) == pytest.approx(exact, rel=1e-4)


@pytest.mark.slow
def test_convolutions_inside_a_composite_layer():
    inner = keras.Sequential(
        [layers.Conv2D(3, 3, name="a"), layers.Conv2D(2, 3, strides=2, name="b")]
    )
    wrapped = SpectralNormalization(inner, norm="operator", power_iterations=200)
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 2)).astype("float32")
    wrapped(x, training=True)
    for (name, sigma), layer, size in zip(
        wrapped.sigma().items(), inner.layers, (7, 5), strict=True
    ):
        shape = (1, size, size, layer.kernel.shape[-2])
        plain = type(layer).from_config({**layer.get_config(), "use_bias": False})
        plain.build(shape)
        exact = np.linalg.norm(matrix_of(plain, shape, numpy(layer.kernel)), 2)
        assert float(sigma) == pytest.approx(exact, rel=1e-2), name


@pytest.mark.slow
def test_the_size_that_it_is_taken_at():
    def wrap(**options):
        return SpectralNormalization(layers.Conv2D(3, 3), norm="operator", **options)

    unknown = (None, None, None, 2)
    match = (
        r"`input_size` must be given: .*\(None, None, None, 2\).*input_size=\(32, 32"
    )
    with pytest.raises(ValueError, match=match):
        wrap().build(unknown)
    known = wrap()
    known.build((None, 8, 6, 2))
    with pytest.raises(ValueError, match=r"size \(8, 6\). Received: .*\(6, 6\)"):
        known(np.ones((1, 6, 6, 2), "float32"))
    for given in (8, [8, 8], (8, 8)):
        wrapped = wrap(input_size=given)
        wrapped.build(unknown)
        assert wrapped.state_variables[1].shape == (1, 8, 8, 2)
        wrapped(np.ones((1, 9, 5, 2), "float32"), training=True)
    with pytest.raises(
        ValueError, match="`input_size` must be an integer or 2 of them"
    ):
        wrap(input_size=(8, 8, 8)).build(unknown)
    with pytest.raises(ValueError, match="`input_size` must be None .* 0 convolutions"):
        SpectralNormalization(layers.Dense(3), norm="operator", input_size=3).build(
            (2, 2)
        )


class Standardized(layers.Conv2D):
    def call(self, x):
        return super().call(x) * 2


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: layers.LSTM(3), np.ones((2, 3, 4), "float32")),
        (lambda: layers.ConvLSTM1D(2, 2), np.ones((2, 3, 4, 3), "float32")),
        (lambda: layers.Bidirectional(layers.GRU(3)), np.ones((2, 3, 4), "float32")),
        (lambda: layers.EinsumDense("abc,bcd->abd", (4, 5)), np.ones((2, 4, 3))),
        (lambda: Standardized(3, 3), np.ones((2, 5, 5, 2), "float32")),
    ],
)
def test_layers_without_an_operator_norm(make, x):
    with pytest.raises(
        ValueError, match="`norm` can't be 'operator' for .*norm='kernel'"
    ):
        SpectralNormalization(make(), norm="operator")(x)


@pytest.mark.slow
def test_zero_kernels_recover_and_files_and_fold_keep_it(tmp_path):
    wrapped = SpectralNormalization(
        layers.Conv2D(3, 3, strides=2, kernel_initializer="zeros"),
        norm="operator",
        norm_multiplier=2.0,
        name="sn",
    )
    model = keras.Sequential([keras.Input((7, 7, 2)), wrapped])
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 2)).astype("float32")
    assert not numpy(model(x, training=True)).any()
    kernel, _, (sigma, *_), _ = spread_kernel(
        valid(layers.Conv2D, 3, 3, strides=2), (1, 7, 7, 2)
    )
    wrapped.layer.kernel.assign(kernel)
    wrapped.iterate(200)
    assert float(wrapped.sigma()) == pytest.approx(sigma, rel=1e-4)
    expected = numpy(model(x))
    np.testing.assert_allclose(
        numpy(wrapped.normalized_kernel()), kernel * 2 / sigma, rtol=1e-3, atol=1e-5
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].norm == "operator"
    np.testing.assert_array_equal(numpy(loaded(x)), expected)
    np.testing.assert_allclose(numpy(fold(model)(x)), expected, rtol=1e-5, atol=1e-6)


def test_gamma_starts_as_the_plain_layer():
    plain = layers.Conv2D(3, 3)
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 2)).astype("float32")
    expected = numpy(plain(x))
    wrapped = SpectralNormalization(plain, norm="operator", gamma=True)
    np.testing.assert_allclose(numpy(wrapped(x)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float16"])
def test_half_precision_and_fit(dtype):
    layer = layers.Conv2D(3, 3, dtype=dtype)
    wrapped = SpectralNormalization(layer, norm="operator")
    model = keras.Sequential([keras.Input((7, 7, 2)), wrapped])
    assert {w.dtype for w in wrapped.state_variables} == {"float32"}
    before = numpy(wrapped.state_variables[0]).copy()
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(np.ones((4, 7, 7, 2)), np.ones((4, 5, 5, 3)), verbose=0)
    assert (numpy(wrapped.state_variables[0]) != before).any()


def test_a_sum_without_a_weight_is_no_matrix():
    layer = layers.EinsumDense("abc,cd->ad", output_shape=(4,))
    wrapped = SpectralNormalization(layer, norm="operator")
    with pytest.raises(ValueError, match="no linear map of its input which"):
        wrapped.build((1, 9, 5))


def test_images_of_another_size_by_keyword():
    wrapped = SpectralNormalization(layers.Conv2D(3, 3), norm="operator")
    wrapped.build((None, 6, 6, 2))
    with pytest.raises(ValueError, match=r"size \(6, 6\).*size \(9, 9\)"):
        wrapped(inputs=np.ones((1, 9, 9, 2), "float32"))
