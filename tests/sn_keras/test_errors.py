"""What can't be done is refused by a message that says what to do instead."""

import json
import re

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import (
    FrobeniusNormalization,
    SpectralNormalization,
    WeightNormalization,
    fold,
    register_kernels,
)

X = np.ones((2, 4), "float32")
SERIES = np.ones((2, 3, 4), "float32")


def refused(argument, value, error):
    match = rf"`{argument}` must be .*Received: {argument}={re.escape(repr(value))}"
    return pytest.raises(error, match=match)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "error"),
    [
        *((value, ValueError) for value in (0, -1)),
        *((value, TypeError) for value in (1.5, True, "1", None)),
    ],
)
def test_power_iterations(value, error):
    with refused("power_iterations", value, error):
        SpectralNormalization(layers.Dense(2), power_iterations=value)
    wrapped = SpectralNormalization(layers.Dense(2))
    wrapped.build((None, 4))
    with refused("power_iterations", value, error):
        wrapped.iterate(value)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        *(({"norm_multiplier": x}, ValueError) for x in (0, -1.0, np.nan, np.inf)),
        *(({"norm_multiplier": x}, TypeError) for x in (None, "1", True)),
        *(({"only_above": x}, TypeError) for x in (1, None, "yes")),
        *(({"gamma": x}, TypeError) for x in (1, None)),
        *(({"seed": x}, TypeError) for x in ("a", 1.5)),
        ({"norm": "frobenius"}, ValueError),
        ({"norm": None}, TypeError),
        *(({"kernels": x}, TypeError) for x in ("kernel", 3, [1])),
        ({"kernels": []}, ValueError),
        *(({"norm": "operator", "input_size": x}, ValueError) for x in (0, (4, -1))),
        *(({"norm": "operator", "input_size": x}, TypeError) for x in (1.5, (4, None))),
        ({"input_size": 4}, ValueError),
    ],
    ids=str,
)
def test_arguments(arguments, error):
    *_, argument = arguments
    with pytest.raises(error, match=f"`{argument}` must be .*Received: {argument}="):
        SpectralNormalization(layers.Conv2D(2, 3), **arguments)


def test_numpy_scalars_are_numbers():
    wrapped = SpectralNormalization(
        layers.Dense(2),
        power_iterations=np.int64(2),
        gamma=np.True_,
        seed=np.int32(3),
        norm_multiplier=np.float32(0.5),
        only_above=np.False_,
    )
    config = wrapped.get_config()
    assert [config[k] for k in ("power_iterations", "gamma", "seed")] == [2, True, 3]
    json.dumps(config)


@pytest.mark.parametrize("value", [3, None, "dense", layers.Dense, lambda x: x])
def test_layer_is_no_layer(value):
    with pytest.raises(TypeError, match="`layer` must be .*Received: layer="):
        SpectralNormalization(value)


def test_unknown_argument():
    with pytest.raises(ValueError, match="iterations"):
        SpectralNormalization(layers.Dense(2), iterations=3)


def test_dtype_of_a_layer_that_can_take_it_no_more():
    composite = keras.Sequential([layers.Dense(2)])
    built = layers.Dense(2)
    built.build((None, 4))
    for layer in (composite, built, layers.LSTM(2)):
        with pytest.raises(ValueError, match="`dtype` .*give it to `layer`.*'float16'"):
            SpectralNormalization(layer, dtype="float16")
        SpectralNormalization(layer, dtype=layer.dtype_policy)
    with pytest.raises(ValueError, match="`dtype`"):
        SpectralNormalization(layers.Dense(2), dtype="int8_from_float32")


def test_a_wrapper_in_a_wrapper():
    class Late(layers.Layer):
        def build(self, shape):
            self.inner = SpectralNormalization(layers.Dense(2))
            self.inner.build(shape)

        def call(self, x):
            return self.inner(x)

    inner = SpectralNormalization(layers.Dense(2), name="inside")
    match = "`layer` must not be or hold a SpectralNormalization.*'inside'"
    for layer in (inner, keras.Sequential([inner]), layers.TimeDistributed(inner)):
        with pytest.raises(ValueError, match=match):
            SpectralNormalization(layer)
    with pytest.raises(ValueError, match="must not be or hold"):
        SpectralNormalization(Late())(X)
    WeightNormalization(inner)


@pytest.mark.parametrize(
    "wrapper", [SpectralNormalization, WeightNormalization, FrobeniusNormalization]
)
def test_the_wrapper_of_keras_inside(wrapper):
    peer = layers.SpectralNormalization(layers.Dense(2))
    for layer in (peer, keras.Sequential([peer])):
        with pytest.raises(ValueError, match="(?s)`layer` must not.*migrate.*Received"):
            wrapper(layer)


def test_names_of_no_kernel():
    match = r"`kernels` must be among .*'lstm_cell/kernel'.*Received: kernels='weight'"
    with pytest.raises(ValueError, match=match):
        SpectralNormalization(layers.LSTM(2, name="l"), kernels=["weight"])(SERIES)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("recurent_kernel", "recurrent_kernel"), ("qury", "query"), ("weight", None)],
)
def test_names_that_are_nearly_a_kernels(name, meant):
    if meant == "query":
        layer, inputs = layers.MultiHeadAttention(1, 2), (SERIES, SERIES)
    else:
        layer, inputs = layers.LSTM(2), (SERIES,)
    end = rf"Did you mean '{meant}'\?$" if meant else f"Received: kernels='{name}'$"
    with pytest.raises(ValueError, match=end):
        SpectralNormalization(layer, kernels=[name])(*inputs)


def test_attributes_of_the_layer_inside():
    wrapped = SpectralNormalization(layers.Dense(2))
    wrapped.build((None, 4))
    match = r"no attribute 'kernel'.*`layer.layer.kernel`.*normalized_kernel\(\)"
    with pytest.raises(AttributeError, match=match):
        wrapped.kernel  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'kernels_'.$"):
        wrapped.kernels_  # noqa: B018
    assert not hasattr(wrapped, "units")


@pytest.mark.parametrize(
    "layer", [layers.ReLU(), layers.BatchNormalization(), layers.Dropout(0.5)]
)
def test_no_kernel(layer):
    with pytest.raises(ValueError, match="`layer` has no kernel.*Received: layer="):
        SpectralNormalization(layer)(X)


def test_a_kernel_without_entries():
    with pytest.raises(ValueError, match=r"with entries. Received: .*\(0, 2\)"):
        SpectralNormalization(layers.Dense(2)).build((None, 0))


class Unknown(layers.Layer):
    """A dense layer with a matrix of an unknown name besides its kernel."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
        self.mixing = self.add_weight(shape=(3, 3), name="mixing")

    def call(self, x):
        return keras.ops.matmul(keras.ops.matmul(x, self.kernel), self.mixing)


class Named(layers.Layer):
    """A layer whose one kernel has a name of its own."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 3))


def test_a_layer_whose_kernel_is_not_known():
    call = r"If one of these is its kernel.*register_kernels\(Named, w=\(-1,\)\)"
    with pytest.raises(ValueError, match=f"`layer` has no kernel.*Received.*{call}"):
        SpectralNormalization(Named()).build((None, 4))
    with pytest.raises(ValueError, match=r"with weights \[\]\.$"):
        SpectralNormalization(layers.ReLU())(X)


def test_an_unknown_weight_is_not_left_unnormalized_in_silence():
    call = r"register_kernels\(Unknown, mixing=\(-1,\)\)"
    match = rf"`layer` .*mixing.* of shape \(3, 3\).*{call}"
    for layer in (Unknown(), keras.Sequential([layers.Dense(4), Unknown()])):
        for trainable in (True, False):
            with pytest.raises(ValueError, match=match):
                SpectralNormalization(layer, trainable=trainable)(X)


def test_lora():
    match = "`layer` .* has LoRA enabled.*fold"
    with pytest.raises(ValueError, match=match):
        SpectralNormalization(layers.Dense(3, lora_rank=2))
    wrapped = SpectralNormalization(layers.Dense(3))
    wrapped.build((None, 4))
    wrapped.layer.enable_lora(2)
    with pytest.raises(ValueError, match=match):
        wrapped(X)
    with pytest.raises(ValueError, match=match):
        SpectralNormalization(wrapped.layer)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantized(mode):
    match = rf"`layer` .* is quantised \({mode}\).*fold"
    wrapped = SpectralNormalization(layers.Dense(4))
    wrapped.build((None, 4))
    wrapped.layer.quantize(mode)
    with pytest.raises(ValueError, match=match):
        wrapped(X)
    with pytest.raises(ValueError, match=match):
        SpectralNormalization(wrapped.layer)


@pytest.mark.slow
def test_a_folded_model_can_be_quantized_and_take_lora():
    model = keras.Sequential(
        [keras.Input((4,)), SpectralNormalization(layers.Dense(4))]
    )
    expected = keras.ops.convert_to_numpy(model(X))
    plain = fold(model)
    plain.layers[0].quantize("int8")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(plain(X)), expected, rtol=0.05, atol=0.05
    )
    plain = fold(model)
    plain.layers[0].enable_lora(2)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(plain(X)), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("mode", ["full", "activations"])
def test_rematerialization(mode):
    match = "`layer` .*RematScope.*outside the scope"
    with keras.RematScope(mode=mode):
        layer = layers.Dense(3)
        with pytest.raises(ValueError, match=match):
            SpectralNormalization(layers.Conv2D(3, 3))
    with pytest.raises(ValueError, match=match):
        SpectralNormalization(layer)


def test_a_cell_in_an_rnn():
    match = r"can't be the cell of .*SpectralNormalization\(keras.layers.RNN\(cell\)\)"
    with pytest.raises(ValueError, match=match):
        layers.RNN(SpectralNormalization(layers.LSTMCell(3)))


def test_a_layer_in_bidirectional():
    match = r"can't be placed inside .*SpectralNormalization\(Bidirectional\(layer\)\)"
    with pytest.raises(ValueError, match=match):
        layers.Bidirectional(SpectralNormalization(layers.LSTM(3)))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [3, None])
def test_time_distributed_works(steps):
    """Not an error: with the steps known each is a call, otherwise all are one."""
    wrapped = SpectralNormalization(layers.Dense(5), power_iterations=30)
    inputs = keras.Input((steps, 4))
    model = keras.Model(inputs, layers.TimeDistributed(wrapped)(inputs))
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(SERIES, np.zeros((2, 3, 5)), verbose=0)
    kernel = keras.ops.convert_to_numpy(wrapped.layer.kernel.value)
    wrapped.iterate(30)
    expected = SERIES @ kernel / np.linalg.norm(kernel, 2) + np.asarray(
        keras.ops.convert_to_numpy(wrapped.layer.bias.value)
    )
    np.testing.assert_allclose(
        model.predict(SERIES, verbose=0), expected, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("method", ["sigma", "normalized_kernel"])
def test_not_built(method):
    wrapped = SpectralNormalization(layers.Dense(2))
    with pytest.raises(ValueError, match="is not built yet. Call it on data or"):
        getattr(wrapped, method)()


def test_wrong_rank_is_the_layers_error():
    wrapped = SpectralNormalization(layers.Conv2D(2, 3))
    with pytest.raises(ValueError, match="expected .*ndim=4, found ndim=2"):
        wrapped(X)


def test_register_kernels():
    match = "`weight` must be an integer or a sequence of integers.*Received"
    for axes in ("a", 1.5, (None,)):
        with pytest.raises(TypeError, match=match):
            register_kernels(Unknown, weight=axes)
    with pytest.raises(TypeError, match="`layer_class` must be .*Received: "):
        register_kernels(layers.Dense(2), kernel=(-1,))
    match = r"`output_axes` must be .*register_kernels\(My, w=\(-1,\)\).*Received: "
    with pytest.raises(TypeError, match=match):
        register_kernels(Unknown, "weight")
    with pytest.raises(ValueError, match=match):
        register_kernels(Unknown)
