"""A simplified model gives the same images with fewer operations."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import sn_keras
from export.inference import simplification
from export.inference.batch_norm import ClassAffine
from export.inference.phases import PhaseConvolution
from export.inference.upsampling import NearestUpsampling
from tests.export import networks


def _same(model, simple, inputs):
    inputs = inputs if len(inputs) > 1 else inputs[0]
    expected = np.asarray(model(inputs, training=False))
    np.testing.assert_allclose(simple(inputs, training=False), expected, atol=2e-5)


def _count(model, kind):
    return sum(type(layer) is kind for layer in model.layers)


@pytest.mark.slow
@pytest.mark.parametrize("phases", [False, True])
def test_batch_norm_folds_into_the_layer_before_it(small_cnn, phases):
    simple = simplification.simplify(small_cnn, phases)
    z = np.random.default_rng(1).normal(size=(3, 128)).astype("float32")
    _same(small_cnn, simple, [z])
    assert _count(small_cnn, layers.BatchNormalization) == 3
    assert _count(simple, layers.BatchNormalization) == 0
    assert _count(simple, layers.ReLU) == 0
    assert len(simple.weights) == len(small_cnn.weights) - 3 * 4


@pytest.mark.slow
@pytest.mark.parametrize("phases", [False, True])
def test_conditional_batch_norm_becomes_a_scale_and_a_shift(small_resnet, phases):
    simple = simplification.simplify(small_resnet, phases)
    z = np.random.default_rng(1).normal(size=(6, 16)).astype("float32")
    labels = np.array([0, 1, 2, 0, 1, 2], "int32")
    _same(small_resnet, simple, [z, labels])
    assert _count(simple, ClassAffine) == 4
    # The last batch norm follows an addition: there is nothing to fold it into.
    assert _count(simple, layers.BatchNormalization) == 1


def test_conditional_batch_norm_takes_one_hot_labels():
    inputs, labels = keras.Input((4,)), keras.Input((3,))
    x = sn_keras.ConditionalBatchNormalization(3)(inputs, labels)
    model = networks.trained_like(keras.Model([inputs, labels], x), 0)
    x = np.random.default_rng(1).normal(size=(3, 4)).astype("float32")
    _same(model, simplification.simplify(model), [x, np.eye(3, dtype="float32")])


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3, (5, 3)])
@pytest.mark.parametrize("norm", [False, True])
def test_upsampling_is_merged_into_the_convolution_after_it(size, kernel_size, norm):
    inputs = keras.Input((5, 4, 3))
    x = layers.UpSampling2D(size)(inputs)
    x = layers.Conv2D(6, kernel_size, padding="same")(x)
    x = layers.BatchNormalization()(x) if norm else layers.ReLU()(x)
    model = networks.trained_like(keras.Model(inputs, x), 0)
    simple = simplification.simplify(model, phases=True)
    assert _count(simple, layers.UpSampling2D) == 0
    assert _count(simple, PhaseConvolution) == (kernel_size != 1)
    z = np.random.default_rng(1).normal(size=(2, 5, 4, 3)).astype("float32")
    _same(model, simple, [z])


def test_upsampling_by_one_goes():
    inputs = keras.Input((5, 4, 3))
    x = layers.Conv2D(6, 3, padding="same")(layers.UpSampling2D(1)(inputs))
    model = networks.trained_like(keras.Model(inputs, x), 0)
    simple = simplification.simplify(model, phases=True)
    assert _count(simple, layers.UpSampling2D) == _count(simple, PhaseConvolution) == 0
    z = np.random.default_rng(1).normal(size=(2, 5, 4, 3)).astype("float32")
    _same(model, simple, [z])


@pytest.mark.slow
@pytest.mark.parametrize(
    "after",
    [
        lambda x: layers.Conv2D(3, 3, padding="valid")(x),
        lambda x: layers.Conv2D(3, 2, padding="same")(x),
        lambda x: layers.Conv2D(3, 3, padding="same", groups=3)(x),
        lambda x: layers.Add()([layers.Conv2D(3, 3, padding="same")(x), x]),
    ],
)
def test_upsampling_stays_where_it_cant_be_merged(after):
    inputs = keras.Input((5, 4, 3))
    model = keras.Model(inputs, after(layers.UpSampling2D(2)(inputs)))
    model = networks.trained_like(model, 0)
    simple = simplification.simplify(model, phases=True)
    assert _count(simple, NearestUpsampling) == 1
    z = np.random.default_rng(1).normal(size=(2, 5, 4, 3)).astype("float32")
    _same(model, simple, [z])


def _case(after, **options):
    inputs = keras.Input((6, 6, 4))
    return inputs, after(layers.Conv2D(5, 3, padding="same", **options)(inputs))


@pytest.mark.slow
def test_batch_norm_is_kept_where_folding_would_change_the_output():
    norm = layers.BatchNormalization
    cases = {
        "activation before": _case(lambda x: norm()(x), activation="relu"),
        "two readers": _case(lambda x: layers.Add()([norm()(x), x])),
        "other axis": _case(lambda x: norm(axis=1)(x)),
    }
    for name, (inputs, outputs) in cases.items():
        model = networks.trained_like(keras.Model(inputs, outputs), 0)
        simple = simplification.simplify(model)
        assert _count(simple, norm) == 1, name
        x = np.random.default_rng(2).normal(size=(2, 6, 6, 4)).astype("float32")
        _same(model, simple, [x])


@pytest.mark.slow
@pytest.mark.parametrize("before", ["conv", "tanh", "two readers"])
def test_relu_becomes_an_activation_where_it_can(before):
    activation = "tanh" if before == "tanh" else None
    inputs, x = _case(lambda x: x, activation=activation)
    y = layers.ReLU()(x)
    outputs = layers.Add()([x, y]) if before == "two readers" else y
    _rectified(keras.Model(inputs, outputs), before == "conv")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("relu", "plain"),
    [
        (layers.Activation("relu"), True),
        (layers.ReLU(max_value=0.5), False),
        (layers.ReLU(negative_slope=0.1), False),
        (layers.ReLU(threshold=0.2), False),
        (layers.Activation("gelu"), False),
    ],
)
def test_other_activations_stay(relu, plain):
    relu = relu.__class__.from_config(relu.get_config())
    _rectified(keras.Model(*_case(relu)), plain)


def _rectified(model, expected):
    model = networks.trained_like(model, 0)
    simple = simplification.simplify(model)
    assert _count(simple, simplification.Nothing) == expected
    x = np.random.default_rng(2).normal(size=(2, 6, 6, 4)).astype("float32")
    _same(model, simple, [x])


class Doubler(layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs


def test_operations_and_layers_of_ones_own_are_kept():
    inputs = keras.Input((6, 6, 4))
    x = keras.ops.tanh(layers.Lambda(lambda x: 3 * x)(inputs) * 0.5)
    x = Doubler()(layers.BatchNormalization()(layers.Conv2D(5, 3)(x)))
    model = networks.trained_like(keras.Model(inputs, x), 0)
    simple = simplification.simplify(model)
    assert _count(simple, layers.BatchNormalization) == 0
    x = np.random.default_rng(2).normal(size=(2, 6, 6, 4)).astype("float32")
    _same(model, simple, [x])


@pytest.mark.slow
def test_layers_called_twice_are_kept():
    inputs = keras.Input((6, 6, 4))
    conv, norm = layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()
    outputs = norm(conv(norm(conv(inputs))))
    model = networks.trained_like(keras.Model(inputs, outputs), 0)
    x = np.random.default_rng(2).normal(size=(2, 6, 6, 4)).astype("float32")
    _same(model, simplification.simplify(model), [x])


def test_dense_without_bias_and_norm_without_scale():
    inputs = keras.Input((6,))
    x = layers.Dense(8, use_bias=False)(inputs)
    x = layers.BatchNormalization(scale=False, center=False)(x)
    x = layers.Dropout(0.5)(x)
    model = networks.trained_like(keras.Model(inputs, x), 0)
    simple = simplification.simplify(model)
    _same(model, simple, [np.ones((2, 6), "float32")])
    assert [layer.name for layer in simple.layers if layer.weights] == [
        model.layers[1].name
    ]


def test_the_model_itself_is_not_changed(small_cnn):
    before = [np.array(value) for value in small_cnn.get_weights()]
    simplification.simplify(small_cnn, phases=True)
    for one, other in zip(before, small_cnn.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
