"""Lipschitz bounds against the layers themselves: never exceeded, and not idle.

The truth is found from outside: the matrix of a linear layer by pushing unit inputs
through it, and of other models the largest stretch `‖f(x) − f(y)‖ / ‖x − y‖` that a
search over pairs of inputs finds. `SN_KERAS_MODELS=200 SN_KERAS_STARTS=200` makes the
search on random models as large as it was when the tightness was measured.
"""

import os

import keras
import numpy as np
import pytest
from keras import layers, ops

from sn_keras import (
    ConditionalBatchNormalization,
    SpectralNormalization,
    WeightNormalization,
    lipschitz_bound,
    spectral_norms,
)
from tests.sn_keras.gradients import float64, numpy

MODELS = int(os.environ.get("SN_KERAS_MODELS", 12))
STARTS = int(os.environ.get("SN_KERAS_STARTS", 16))
both = pytest.mark.parametrize("convolutions", ["kernel", "operator"])


def dense_map(model, input_shape):
    """The matrix of a linear model, read off its outputs for all unit vectors."""
    size = int(np.prod(input_shape))
    units = np.eye(size, dtype="float32").reshape(size, *input_shape)
    zero = numpy(model(np.zeros((1, *input_shape), "float32"))).reshape(1, -1)
    outputs = numpy(model(units)).reshape(size, -1)
    return (outputs.astype("float64") - zero).T


def model_of(layer, shape):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


def conv(rank, *arguments, transposed=False, **options):
    kind = f"Conv{rank}DTranspose" if transposed else f"Conv{rank}D"
    return getattr(layers, kind)(*arguments, use_bias=False, **options)


# Each with the shape of its input and how far above the truth the bound by the kernel
# may lie.
CONVOLUTIONS = {
    "same": (lambda: conv(2, 3, 3, padding="same"), (6, 6, 2), 3),
    "valid": (lambda: conv(2, 3, 3), (6, 5, 2), 3),
    "strided": (lambda: conv(2, 3, 4, strides=2, padding="same"), (6, 6, 2), 3),
    "even kernel": (lambda: conv(2, 2, 2, padding="same"), (5, 5, 2), 3),
    "uneven strides": (lambda: conv(2, 2, (3, 2), strides=(2, 1)), (7, 5, 2), 3),
    "dilated": (
        lambda: conv(2, 2, 3, dilation_rate=2, padding="same"),
        (6, 6, 2),
        3,
    ),
    "groups": (lambda: conv(2, 4, 3, groups=2), (5, 5, 4), 3),
    "causal": (lambda: conv(1, 3, 3, padding="causal", dilation_rate=2), (9, 2), 3),
    "three axes": (lambda: conv(3, 2, 2, padding="same"), (3, 3, 3, 2), 4),
    "transposed": (
        lambda: conv(2, 3, 4, strides=2, padding="same", transposed=True),
        (4, 4, 2),
        3,
    ),
    "transposed valid": (
        lambda: conv(2, 2, 3, strides=2, transposed=True),
        (4, 3, 2),
        3,
    ),
    "transposed, kernel below stride": (
        lambda: conv(1, 2, 2, strides=3, transposed=True),
        (5, 2),
        3,
    ),
    "transposed with output padding": (
        lambda: conv(
            1, 2, 3, strides=2, padding="same", output_padding=1, transposed=True
        ),
        (5, 2),
        3,
    ),
    "depthwise": (
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        (6, 6, 3),
        3,
    ),
    "depthwise strided": (
        lambda: layers.DepthwiseConv2D(
            3, strides=2, padding="same", use_bias=False, depth_multiplier=2
        ),
        (7, 7, 2),
        3,
    ),
    "separable": (
        lambda: layers.SeparableConv2D(4, 3, padding="same", use_bias=False),
        (5, 5, 3),
        4,
    ),
    "normalized": (
        lambda: SpectralNormalization(conv(2, 3, 3, padding="same")),
        (6, 6, 2),
        3,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolutions_bounds_hold_and_are_not_idle(name):
    make, shape, slack = CONVOLUTIONS[name]
    model = model_of(make(), shape)
    truth = np.linalg.norm(dense_map(model, shape), 2)
    by_kernel = lipschitz_bound(model)
    by_operator = lipschitz_bound(model, convolutions="operator")
    assert truth <= by_kernel * (1 + 1e-6) <= slack * truth
    tight = 1.5 if name in ("separable", "transposed with output padding") else 1 + 1e-5
    assert truth <= by_operator * (1 + 1e-6) <= tight * truth


@pytest.mark.slow
@pytest.mark.parametrize(
    "layer",
    [
        conv(2, 3, 3, padding="same"),
        conv(2, 3, 4, strides=2, padding="same"),
        conv(2, 4, 3, groups=2, dilation_rate=2, padding="same"),
        conv(2, 2, 3, strides=2, padding="same", transposed=True),
        conv(2, 3, 1),
    ],
    ids=["same", "strided", "groups", "transposed", "one pixel"],
)
def test_without_a_size_the_bound_holds_for_all(layer):
    x = keras.Input((None, None, 2))
    bound = lipschitz_bound(keras.Model(x, layer(x)), convolutions="operator")
    truths = [
        np.linalg.norm(dense_map(layer, (size, size, 2)), 2) for size in (4, 9, 20)
    ]
    assert truths[0] <= truths[1] * (1 + 1e-6)
    assert max(truths) <= bound * (1 + 1e-6) <= 1.2 * max(truths)


def test_a_depthwise_kernel_of_ones_with_stride_and_dilation():
    # Each tap of the 2 × 2 leaves the same remainder by the stride of 2.
    ones = {"use_bias": False, "depthwise_initializer": "ones"}
    try:
        layer = layers.DepthwiseConv2D(2, strides=2, dilation_rate=2, **ones)
        model = model_of(layer, (10, 10, 1))
        truth = np.linalg.norm(dense_map(model, (10, 10, 1)), 2)
    except Exception:
        pytest.skip("this Keras, or the backend on the CPU, has no such operation")
    assert truth > 2.5
    assert truth <= lipschitz_bound(model) * (1 + 1e-6)


LINEAR = {
    "dense": (lambda: layers.Dense(4), (6,), 1.0),
    "dense on series": (lambda: layers.Dense(4), (3, 6), 1.0),
    "einsum": (lambda: layers.EinsumDense("abc,bcd->ad", 3), (2, 3), 1.0),
    "einsum by position": (
        lambda: layers.EinsumDense("abc,bcd->abd", (2, 3)),
        (2, 3),
        2.0,
    ),
    "average pool": (lambda: layers.AveragePooling2D(2), (4, 4, 2), 1.0),
    "overlapping": (lambda: layers.AveragePooling2D(3, 2), (7, 7, 1), 1.6),
    "padded": (lambda: layers.AveragePooling2D(3, 2, padding="same"), (6, 6, 1), 4.0),
    "global average": (lambda: layers.GlobalAveragePooling2D(), (4, 4, 2), 1.0),
    "upsampling": (lambda: layers.UpSampling2D(3), (3, 3, 2), 1.0),
    "bilinear": (
        lambda: layers.UpSampling2D(2, interpolation="bilinear"),
        (4, 4, 1),
        2.0,
    ),
    "repeat": (lambda: layers.RepeatVector(5), (3,), 1.0),
    "padding": (lambda: layers.ZeroPadding2D(2), (3, 3, 1), 1.0),
    "cropping": (lambda: layers.Cropping1D(1), (5, 2), 1.0),
    "rescaling": (lambda: layers.Rescaling(-3.0, 1.0), (3,), 1.0),
    "rescaling by channel": (lambda: layers.Rescaling([1.0, -3.0]), (4, 2), 1.0),
    "rescaling to channels": (lambda: layers.Rescaling([1.0, 2.0]), (4, 1), 1.0),
    "distributed": (lambda: layers.TimeDistributed(layers.Dense(2)), (3, 4), 1.0),
    "sequential": (
        lambda: SpectralNormalization(keras.Sequential([layers.Dense(3)])),
        (4,),
        1.0,
    ),
}


@pytest.mark.parametrize("name", LINEAR)
def test_the_bounds_of_linear_layers(name):
    make, shape, slack = LINEAR[name]
    model = model_of(make(), shape)
    truth = np.linalg.norm(dense_map(model, shape), 2)
    assert truth <= lipschitz_bound(model) * (1 + 1e-6) <= (slack + 1e-5) * truth


# What the function of the table is, and its constant.
GRAPHS = {
    "times ten": (lambda x, d: 10.0 * d(x), 10.0),
    "residual": (lambda x, d: x + d(x), 2.0),
    "inside": (lambda x, d: d(2 * x - 1), 2.0),
    "concatenated": (lambda x, d: ops.concatenate([d(x), x], -1), np.sqrt(2)),
    "sum": (lambda x, d: ops.sum(d(x), axis=-1), 2.0),
    "mean": (lambda x, d: ops.mean(d(x), axis=-1), 0.5),
    "repeat": (lambda x, d: ops.repeat(d(x), 3, axis=-1), np.sqrt(3)),
    "tile": (lambda x, d: ops.tile(d(x), (1, 2)), np.sqrt(2)),
    "twice": (lambda x, d: d(d(x)), 1.0),
    "averaged": (lambda x, d: layers.Average()([d(x), x]), 1.0),
    "maximum": (lambda x, d: layers.Maximum()([d(x), x]), np.sqrt(2)),
    "minus": (lambda x, d: layers.Subtract()([d(x), 3 * x]), 4.0),
    "broadcast": (lambda x, d: d(x) + x[:, :1], 3.0),
    "divided": (lambda x, d: d(x) / 4.0, 0.25),
    "product with a matrix": (lambda x, d: ops.matmul(x, 3 * np.eye(4, 2)), 3.0),
    "relu": (lambda x, d: ops.relu(d(x)), 1.0),
    "reshaped": (
        lambda x, d: ops.transpose(ops.reshape(x, (-1, 2, 2)), (0, 2, 1)),
        1.0,
    ),
}


def orthogonal():
    return layers.Dense(4, kernel_initializer="orthogonal", use_bias=False)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_bounds_of_graphs(name):
    make, bound = GRAPHS[name]
    x = keras.Input((4,))
    assert lipschitz_bound(keras.Model(x, make(x, orthogonal()))) == pytest.approx(
        bound, rel=1e-5
    )


def test_several_inputs_and_outputs():
    a, b = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([a, b], [3 * a, 4 * b])
    assert lipschitz_bound(model) == pytest.approx(4.0)
    assert lipschitz_bound(keras.Model([a, b], a + b)) == pytest.approx(np.sqrt(2))
    assert lipschitz_bound(keras.Model(a, [3 * a, 4 * a])) == pytest.approx(5.0)


def test_integers_are_held_fixed():
    x, labels = keras.Input((4, 3)), keras.Input((), dtype="int32")
    norm = ConditionalBatchNormalization(5, epsilon=0.0)
    model = keras.Model([x, labels], norm(x, labels))
    gamma = np.ones((5, 3))
    gamma[2, 1] = -7
    norm.gamma.assign(gamma)
    norm.normalization.moving_variance.assign([1.0, 4.0, 1.0])
    assert lipschitz_bound(model) == pytest.approx(3.5)
    assert lipschitz_bound(norm) == pytest.approx(3.5)


def embedded(labels, wrapped=False):
    layer = layers.Embedding(4, 3, embeddings_initializer="normal")
    return (SpectralNormalization(layer) if wrapped else layer)(labels)


# The product, and its constant for one row of the embedding.
PROJECTIONS = {
    "dot": (lambda h, e: layers.Dot(1)([e, h]), np.linalg.norm),
    "repeated": (
        lambda h, e: layers.Add()([layers.Dot(1)([h, e]), e]),
        lambda row: np.sqrt(3) * np.linalg.norm(row),
    ),
    "multiply": (lambda h, e: layers.Multiply()([h, e]), lambda row: max(abs(row))),
    "times": (lambda h, e: h * e, lambda row: max(abs(row))),
    "squared": (lambda h, e: h * e * e, lambda row: max(abs(row)) ** 2),
    "sum": (lambda h, e: ops.sum(e * h, axis=-1), np.linalg.norm),
    "mean": (lambda h, e: ops.mean(e * h, axis=1), lambda r: np.linalg.norm(r) / 3),
    "shift": (lambda h, e: h * e + e, lambda row: max(abs(row))),
}


@pytest.mark.parametrize("wrapped", [False, True], ids=["raw", "wrapped"])
@pytest.mark.parametrize("name", PROJECTIONS)
def test_products_with_a_row_of_an_embedding(name, wrapped):
    make, constant = PROJECTIONS[name]
    h, labels = keras.Input((3,)), keras.Input((), dtype="int32")
    model = keras.Model([h, labels], make(h, embedded(labels, wrapped)))
    (layer,) = [one for one in model.layers if "embedding" in one.name]
    if wrapped:
        layer.iterate(100)
    table = numpy(layer.normalized_kernel() if wrapped else layer.embeddings)

    def f(x, label):
        return model([x, np.full(len(x), label)])

    truths = [
        np.linalg.norm(dense_map(lambda x, i=i: f(x, i), (3,)), 2) for i in range(4)
    ]
    bound = lipschitz_bound(model)
    assert bound == pytest.approx(max(truths), rel=1e-5)
    assert bound == pytest.approx(max(map(constant, table)), rel=1e-5)


def test_a_row_that_is_reshaped_and_broadcast():
    images, labels = keras.Input((2, 2, 3)), keras.Input((1,), dtype="int32")
    scale = layers.Reshape((1, 1, 3))(layers.Dropout(0.5)(embedded(labels)))
    model = keras.Model([images, labels], images * scale)
    (layer,) = [one for one in model.layers if "embedding" in one.name]
    largest = np.abs(numpy(layer.embeddings)).max()
    assert lipschitz_bound(model) == pytest.approx(largest, rel=1e-6)
    summed = keras.Model([images, labels], ops.sum(images * scale, axis=(1, 2, 3)))
    matrices = [
        dense_map(lambda x, i=i: summed([x, np.full((len(x), 1), i)]), (2, 2, 3))
        for i in range(4)
    ]
    truth = max(np.linalg.norm(matrix, 2) for matrix in matrices)
    assert truth <= lipschitz_bound(summed) * (1 + 1e-6) <= 2 * truth


def test_products_of_what_labels_alone_decide():
    x, labels = keras.Input((3,)), keras.Input((), dtype="int32")
    e = embedded(labels)
    model = keras.Model([x, labels], 2 * x + layers.Dot(1)([e, e]))
    assert lipschitz_bound(model) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda labels: layers.Dense(3)(embedded(labels)),
        lambda labels: ops.tanh(embedded(labels)),
        lambda labels: layers.GlobalMaxPooling1D()(
            embedded(layers.RepeatVector(2)(ops.expand_dims(labels, -1))[..., 0])
        ),
        lambda labels: ops.cast(ops.expand_dims(labels, -1), "float32"),
    ],
    ids=["dense", "tanh", "several", "no embedding"],
)
def test_a_product_with_what_is_no_row_is_refused(make):
    h, labels = keras.Input((3,)), keras.Input((), dtype="int32")
    model = keras.Model([h, labels], layers.Multiply()([h, make(labels)]))
    with pytest.raises(ValueError, match="neither is a row that an `Embedding` has"):
        lipschitz_bound(model)


def test_batch_norm_in_inference():
    layer = layers.BatchNormalization(epsilon=0.0)
    layer.build((None, 2))
    layer.moving_variance.assign([0.25, 4.0])
    layer.gamma.assign([-3.0, 5.0])
    assert lipschitz_bound(layer) == pytest.approx(6.0)


ACTIVATIONS = (
    "linear relu relu6 leaky_relu elu celu tanh softplus softsign log_sigmoid selu "
    "hard_tanh soft_shrink tanh_shrink squareplus sparse_plus sigmoid hard_sigmoid "
    "sparse_sigmoid silu gelu mish hard_silu"
)


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_the_slopes_of_activations(name):
    function = getattr(keras.activations, name)
    x = np.linspace(-6, 6, 12001).astype("float32")
    y = numpy(function(x)).astype("float64")
    # Over steps that are long enough for float32's rounding not to count.
    steepest = np.max(np.abs(y[20:] - y[:-20]) / (x[20:] - x[:-20].astype("float64")))
    bound = lipschitz_bound(layers.Activation(function))
    assert steepest <= bound * (1 + 1e-4) <= steepest * 1.03


@pytest.mark.parametrize(("slope", "bound"), [(0.0, 1.0), (0.2, 1.0), (3.0, 3.0)])
def test_the_bound_of_a_relu_is_its_steepest_slope(slope, bound):
    assert lipschitz_bound(layers.ReLU(negative_slope=slope)) == bound
    assert lipschitz_bound(layers.LeakyReLU(negative_slope=slope)) == bound


class Loud(layers.Dense):
    def call(self, x):
        return 10 * super().call(x)


def relu(x):
    return 10 * x


class OwnWrapper(SpectralNormalization):
    def call(self, x):
        return 10 * super().call(x)


def with_kernel(value):
    def kernel(shape, dtype):
        return ops.full(shape, value, dtype)

    return layers.Dense(2, kernel_initializer=kernel)


def normalized():
    return keras.Sequential([keras.Input((4, 3)), layers.BatchNormalization()])


def replaced():
    model = normalized()
    model.call = lambda x, training=None, mask=None: 100 * x
    return model


REFUSED = {
    "layer norm": (lambda x: layers.LayerNormalization()(x), "LayerNormalization"),
    "attention": (lambda x: layers.MultiHeadAttention(1, 2)(x, x), "HeadAttention"),
    "dot": (lambda x: layers.Dot(-1)([x, x]), "Dot"),
    "multiply": (lambda x: layers.Multiply()([x, x]), "Multiply"),
    "product": (lambda x: x * x, "'multiply.*product of two inputs"),
    "quotient": (lambda x: 1 / x, "divides by an input"),
    "recurrent": (lambda x: layers.LSTM(2)(x), "LSTM"),
    "subclass": (lambda x: Loud(2)(x), "Loud"),
    "wrapper": (lambda x: OwnWrapper(layers.Dense(2))(x), "OwnWrapper.*`call`"),
    "Keras' wrapper": (
        lambda x: layers.SpectralNormalization(layers.Dense(2))(x),
        "SpectralNormalization",
    ),
    "own function of a known name": (lambda x: layers.Dense(2, relu)(x), "'relu'"),
    "threshold": (lambda x: layers.ReLU(threshold=1.0)(x), "ReLU"),
    "exponential": (lambda x: layers.Activation("exponential")(x), "exponential"),
    "square": (lambda x: ops.square(x), "Square"),
    "training": (
        lambda x: layers.BatchNormalization()(x, training=True),
        "BatchNormalization.*training",
    ),
    "model in training": (
        lambda x: normalized()(x, training=True),
        "Sequential.*training",
    ),
    "model with another call": (lambda x: replaced()(x), "Sequential.*`call` replaced"),
    "product by keyword": (
        lambda x: layers.Multiply()(inputs=[x, x]),
        "Multiply.*product of two inputs",
    ),
    "grows without bound": (lambda x: ops.celu(x, alpha=-0.5), "Celu"),
    "sparsemax": (lambda x: layers.Dense(2, "sparsemax")(x), "Dense.*'sparsemax'"),
    "sparsemax of ops": (lambda x: ops.sparsemax(x), "Sparsemax"),
    "jumps": (lambda x: ops.soft_shrink(x, threshold=-0.5), "SoftShrink"),
    "NaN": (lambda x: with_kernel(np.nan)(x), "Dense.*kernel that is not finite"),
    "infinite": (lambda x: with_kernel(np.inf)(x), "Dense.*kernel that is not finite"),
    "variance of 0": (
        lambda x: layers.BatchNormalization(
            epsilon=0.0, moving_variance_initializer="zeros"
        )(x),
        "BatchNormalization.*infinite",
    ),
    "divided by 0": (lambda x: x / np.array([1.0, 0.0, 1.0]), "Divide.*infinite"),
    "unknown size": (lambda x: ops.sum(x, axis=0), "unknown size"),
    "rounded": (lambda x: ops.cast(x, "int32"), "rounds"),
    "rounded by conversion": (
        lambda x: ops.convert_to_tensor(x, dtype="int32"),
        "ConvertToTensor.*rounds",
    ),
    "labels that are floats": (
        lambda x: ConditionalBatchNormalization(2)(x, np.full((1, 2), 5.0, "float32")),
        "labels that are no integers",
    ),
    "gathered": (lambda x: layers.Lambda(lambda y: y)(x), "Lambda"),
    "cosine": (lambda x: layers.Dot(-1, normalize=True)([x, x]), "Dot.*divides by"),
    "product with a layer's output": (
        lambda x: layers.Multiply()([x, layers.Dense(3)(x)]),
        "Multiply.*neither is a row that an `Embedding`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_known_bound_is_named(name):
    make, message = REFUSED[name]
    x = keras.Input((4, 3))
    model = keras.Model(x, make(x))
    with pytest.raises(ValueError, match=f"(?s)not known.*{message}"):
        lipschitz_bound(model)


def test_rows_of_several_steps_are_not_one():
    """A sum over four steps stretches by twice what a step does."""
    images, labels = keras.Input((4, 1, 3)), keras.Input((4, 1), dtype="int32")
    rows = layers.TimeDistributed(layers.Embedding(5, 3))(labels)
    total = ops.sum(layers.Multiply()([images, rows]), axis=(1, 2, 3))
    with pytest.raises(ValueError, match="not known.*Multiply"):
        lipschitz_bound(keras.Model([images, labels], total))


class Subclassed(keras.Model):
    def call(self, x):
        return x


class OnAGraph(keras.Model):
    def call(self, x, training=None, mask=None):
        return 100 * super().call(x)


def test_a_graph_that_is_not_what_runs_is_refused():
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="`model` must be .*OnAGraph"):
        lipschitz_bound(OnAGraph(x, orthogonal()(x)))
    model = keras.Model(x, orthogonal()(x))
    model.call = lambda x, training=None, mask=None: 100 * x
    with pytest.raises(ValueError, match="`call` replaced"):
        lipschitz_bound(model)


def test_a_model_in_a_model_however_it_is_called():
    late, early = keras.Input((4,), name="z"), keras.Input((4,), name="a")
    of_list = keras.Model([late, early], 5 * late + early)
    of_dict = keras.Model({"z": late, "a": early}, 5 * late + early)
    x, y = keras.Input((4,)), keras.Input((4,))
    by_name = {"z": 7 * x, "a": y}
    for inner, given in ((of_list, [7 * x, y]), (of_list, by_name), (of_dict, by_name)):
        for model in (inner(given), inner(inputs=given)):
            bound = lipschitz_bound(keras.Model([x, y], model))
            assert bound == pytest.approx(np.hypot(35, 1))


def test_a_model_without_a_graph_is_refused():
    model = Subclassed()
    model(np.ones((1, 2), "float32"))
    with pytest.raises(ValueError, match="`model` must be .*Subclassed"):
        lipschitz_bound(model)


def test_bad_arguments():
    with pytest.raises(ValueError, match="`convolutions` must be .*Received"):
        lipschitz_bound(layers.ReLU(), convolutions="exact")
    with pytest.raises(TypeError, match="`model` must be .*Received"):
        lipschitz_bound(3)
    # A product or sum of how many is not known before.
    unbuilt = (layers.Dense(2), layers.PReLU(), layers.Multiply(), layers.Add())
    for layer in (*unbuilt, keras.Sequential([layers.Dense(2)])):
        with pytest.raises(ValueError, match="must be built before"):
            lipschitz_bound(layer)


def test_a_layer_in_a_wrapper_and_without():
    x = keras.Input((4,))
    dense = layers.Dense(4, use_bias=False)
    wrapped = SpectralNormalization(dense)
    model = keras.Model(x, wrapped(dense(x)))
    (raw,) = spectral_norms(dense).values()
    assert lipschitz_bound(model) == pytest.approx(raw, rel=1e-3)


def stretch(model, shape, starts, rng):
    """The largest stretch that an ascent over pairs of inputs finds.

    Finite differences give the Jacobian at each start; its first right singular vector
    is the direction that a pair lies in. The starts then climb: of a few steps tried,
    each start takes the one that stretches most.
    """
    size = int(np.prod(shape))
    x = rng.normal(scale=2, size=(starts, size))
    v = rng.normal(size=(starts, size))
    best = np.zeros(starts)

    def f(points):
        values = model(points.reshape(-1, *shape).astype(keras.config.floatx()))
        values = keras.tree.flatten(values)
        values = [numpy(y).reshape(len(points), -1) for y in values]
        return np.concatenate(values, axis=-1).astype("float64")

    def rate(x, v):
        ys = f(np.concatenate([x - v / 2, x + v / 2]))
        moved = np.linalg.norm(v, axis=-1)
        return np.linalg.norm(ys[len(x) :] - ys[: len(x)], axis=-1) / moved

    for step in range(8):
        h = 0.05
        if step % 4 == 0:
            points = x[:, None] + h * np.concatenate([np.eye(size), -np.eye(size)])
            ys = f(points.reshape(-1, size)).reshape(starts, 2, size, -1)
            jacobian = (ys[:, 0] - ys[:, 1]) / (2 * h)  # start, input, output
            v = h * np.linalg.svd(jacobian.transpose(0, 2, 1))[2][:, 0]
        tries = [x] + [x + rng.normal(scale=0.7**step, size=x.shape) for _ in range(3)]
        rates = np.stack([rate(one, v) for one in tries])
        chosen = rates.argmax(axis=0)
        x = np.stack(tries)[chosen, np.arange(starts)]
        best = np.maximum(best, rates.max(axis=0))
    return best.max()


def random_model(rng):
    """A small model of convolutions, pools, branches, norms and dense layers."""

    def pick(*options):
        return options[rng.integers(len(options))]

    def wrapped(layer):
        return pick(lambda x: x, SpectralNormalization, WeightNormalization)(layer)

    def block(x):
        channels = int(x.shape[-1])
        return pick(
            lambda: wrapped(
                layers.Conv2D(
                    int(rng.integers(1, 4)),
                    int(rng.integers(1, 4)),
                    strides=int(rng.integers(1, 3)),
                    padding="same",
                    activation=pick("relu", "tanh", "silu", "elu", None),
                )
            )(x),
            lambda: wrapped(layers.Conv2DTranspose(2, 3, strides=2, padding="same"))(x),
            lambda: layers.SeparableConv2D(2, 2, padding="same")(x),
            lambda: layers.Add()([x, layers.Conv2D(channels, 3, padding="same")(x)]),
            lambda: x - 0.5 * layers.DepthwiseConv2D(3, padding="same")(x),
            lambda: layers.Concatenate()([x, layers.PReLU("ones")(x)]),
            lambda: layers.BatchNormalization()(x),
            lambda: layers.AveragePooling2D(2, 1, padding=pick("same", "valid"))(x),
            lambda: layers.MaxPooling2D(2, 1, padding="same")(x),
            lambda: layers.UpSampling2D(2, interpolation=pick("nearest", "bilinear"))(
                x
            ),
            lambda: ops.maximum(x, -x),
            lambda: layers.ZeroPadding2D(1)(x),
            lambda: pick(layers.LeakyReLU, layers.ReLU, layers.ELU)()(x),
        )()

    shape = (int(rng.integers(3, 5)), 3, 2)
    inputs = x = keras.Input(shape)
    for _ in range(int(rng.integers(2, 5))):
        x = block(x)
    x = pick(
        lambda: layers.Flatten()(x),
        lambda: ops.sum(x, axis=(1, 2)),
        lambda: layers.GlobalAveragePooling2D()(x),
        lambda: layers.GlobalMaxPooling2D()(x),
    )()
    model = keras.Model(inputs, layers.Dense(int(rng.integers(1, 4)))(x))
    for weight in model.weights:
        value = numpy(weight)
        if weight.name == "moving_variance":
            weight.assign(rng.uniform(0.3, 3, size=value.shape))
        elif weight.trainable:
            weight.assign(value + 0.1 * rng.normal(size=value.shape))
    return model, shape


@pytest.fixture
def doubles():
    policy = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    with float64():
        yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(MODELS))
@pytest.mark.usefixtures("doubles")
def test_no_pair_of_inputs_exceeds_the_bound(seed, record_property):
    rng = np.random.default_rng(seed)
    model, shape = random_model(rng)
    truth = stretch(model, shape, STARTS, rng)
    by_kernel = lipschitz_bound(model)
    by_operator = lipschitz_bound(model, convolutions="operator")
    record_property("stretch", float(truth))
    record_property("kernel", float(by_kernel))
    record_property("operator", float(by_operator))
    # Keras' Dense multiplies in float32 on torch.
    rounding = 1e-3 if keras.backend.backend() == "torch" else 1e-6
    assert truth <= by_operator * (1 + rounding)
    assert truth <= by_kernel * (1 + rounding)
