"""What can't be done is refused by a message that says what to do instead."""

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization, fold, register_kernels

X = np.ones((2, 4), "float32")
SERIES = np.ones((2, 3, 4), "float32")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1", None])
def test_power_iterations(value):
    match = rf"`power_iterations` must be .*1 or more.*Received: .*{value!r}"
    with pytest.raises(ValueError, match=match):
        SpectralNormalization(layers.Dense(2), power_iterations=value)
    wrapped = SpectralNormalization(layers.Dense(2))
    wrapped.build((None, 4))
    with pytest.raises(ValueError, match=match):
        wrapped.iterate(value)


@pytest.mark.parametrize("value", [3, None, "dense", layers.Dense, lambda x: x])
def test_layer_is_no_layer(value):
    with pytest.raises(TypeError, match="`layer` must be .*Received: layer="):
        SpectralNormalization(value)


def test_gamma():
    with pytest.raises(TypeError, match="`gamma` must be a boolean. Received: gamma=1"):
        SpectralNormalization(layers.Dense(2), gamma=1)


def test_seed():
    with pytest.raises(ValueError, match="`seed`.*Received: seed="):
        SpectralNormalization(layers.Dense(2), seed="a")


def test_unknown_argument():
    with pytest.raises(ValueError, match="iterations"):
        SpectralNormalization(layers.Dense(2), iterations=3)


def test_dtype_is_the_layers():
    with pytest.raises(ValueError, match="`dtype` .* give it to `layer`.*'float16'"):
        SpectralNormalization(layers.Dense(2), dtype="float16")
    SpectralNormalization(layers.Dense(2, dtype="mixed_float16"), dtype="mixed_float16")


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


def test_an_unknown_weight_is_not_left_unnormalized_in_silence():
    match = r"`layer` .*mixing.* of shape \(3, 3\).*register_kernels"
    with pytest.raises(ValueError, match=match):
        SpectralNormalization(Unknown())(X)


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
    with pytest.raises(TypeError, match="`layer_class` must be .*Received: "):
        register_kernels(layers.Dense(2), kernel=(-1,))
    with pytest.raises(ValueError, match="`output_axes` must name .*Received none"):
        register_kernels(Unknown)
