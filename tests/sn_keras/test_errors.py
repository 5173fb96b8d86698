"""What can't be normalized is refused with a message that says what to do instead."""

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization, register_kernels


def data(*shape):
    return np.ones(shape, "float32")


def built(layer, *shape):
    layer.build(shape)
    return layer


@pytest.mark.parametrize("layer", [None, "dense", layers.Dense, lambda x: x])
def test_what_is_no_layer(layer):
    with pytest.raises(TypeError, match=r"`layer` must be a .*Received: layer="):
        SpectralNormalization(layer)


@pytest.mark.parametrize("iterations", [0, -1, 1.5, True, "1", None])
def test_power_iterations(iterations):
    with pytest.raises(ValueError, match=r"`power_iterations` must.*Received: power_"):
        SpectralNormalization(layers.Dense(2), power_iterations=iterations)


def test_gamma():
    with pytest.raises(TypeError, match=r"`gamma` must be a boolean. Received"):
        SpectralNormalization(layers.Dense(2), gamma=1)


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(),
        layers.BatchNormalization(),
        keras.Sequential([layers.Flatten(), layers.Dropout(0.1)]),
    ],
    ids=["without weights", "without kernel", "composite"],
)
def test_a_layer_without_kernel(layer):
    with pytest.raises(
        ValueError, match="`layer` has no kernel to normalize. Received"
    ):
        SpectralNormalization(layer)(data(2, 4))


class Bilinear(layers.Layer):
    """Its kernel has a name of its own."""

    def build(self, input_shape):
        self.form = self.add_weight(shape=(input_shape[-1], 3, 2), name="form")

    def call(self, inputs):
        return keras.ops.einsum("bi,iop->bop", inputs, self.form)


class Registered(Bilinear):
    pass


def test_an_unknown_weight_is_not_left_unnormalized():
    model = keras.Sequential([layers.Dense(3), Bilinear()])
    with pytest.raises(ValueError, match=r"form.*\(3, 3, 2\).*register_kernels"):
        SpectralNormalization(model)(data(2, 4))


def test_a_registered_weight_is_normalized():
    register_kernels(Registered, form=(1, 2))
    wrapper = SpectralNormalization(Registered())
    for _ in range(50):
        wrapper(data(2, 4), training=True)
    matrix = keras.ops.convert_to_numpy(wrapper.layer.form.value).reshape(4, 6)
    assert float(wrapper.sigma()) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-4)


def test_registering_takes_a_class_and_names():
    with pytest.raises(TypeError, match="`layer_class` must be a subclass.*Received"):
        register_kernels(Registered(), form=(1,))
    with pytest.raises(ValueError, match="`output_axes` must name one"):
        register_kernels(Registered)


def test_lora_before_building():
    with pytest.raises(ValueError, match="has LoRA enabled.*fold"):
        SpectralNormalization(layers.Dense(3, lora_rank=2))(data(2, 4))


def test_lora_after_building():
    wrapper = built(SpectralNormalization(layers.Dense(3)), None, 4)
    wrapper.layer.enable_lora(2)
    with pytest.raises(ValueError, match="has LoRA enabled.*fold"):
        wrapper(data(2, 4))


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantised(mode):
    wrapper = built(SpectralNormalization(layers.Dense(3)), None, 4)
    wrapper.layer.quantize(mode)
    with pytest.raises(ValueError, match=rf"is quantised \({mode}\).*fold"):
        wrapper(data(2, 4))


def test_rematerialised():
    with keras.RematScope(mode="full"):
        layer = layers.Dense(3)
    with pytest.raises(ValueError, match="keras.RematScope.*Create it outside"):
        SpectralNormalization(layer)
    with (
        keras.RematScope(mode="full"),
        pytest.raises(ValueError, match="keras.RematScope"),
    ):
        SpectralNormalization(layers.Dense(3))


def test_a_wrapped_cell_in_a_loop():
    cell = SpectralNormalization(layers.LSTMCell(3))
    with pytest.raises(ValueError, match=r"SpectralNormalization\(keras.layers.RNN"):
        layers.RNN(cell)


def test_a_wrapped_layer_in_bidirectional():
    with pytest.raises(ValueError, match=r"SpectralNormalization\(Bidirectional"):
        layers.Bidirectional(SpectralNormalization(layers.LSTM(3)))


def test_a_dtype_that_is_not_the_layer_s():
    with pytest.raises(ValueError, match=r"`dtype`.*Dense\(…, dtype='float16'\)"):
        SpectralNormalization(layers.Dense(3), dtype="float16")
    assert SpectralNormalization(layers.Dense(3), dtype="float32").built is False


@pytest.mark.parametrize("method", ["sigma", "normalized_kernel"])
def test_what_needs_a_built_layer(method):
    wrapper = SpectralNormalization(layers.Dense(3), name="late")
    with pytest.raises(ValueError, match="'late' is not built"):
        getattr(wrapper, method)()


def test_a_wrong_input_is_refused_by_the_wrapped_layer_s_own_rules():
    wrapper = built(SpectralNormalization(layers.Conv2D(3, 3)), None, 8, 8, 2)
    with pytest.raises(ValueError, match="expected axis -1.*value 2"):
        wrapper(data(1, 8, 8, 5))
    with pytest.raises(ValueError, match="expected min_ndim=4|expected ndim=4"):
        wrapper(data(8, 2))
