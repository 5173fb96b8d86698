"""What converters are given instead of a convolution computes the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from export.inference import simplification
from export.inference.portable import SplitConvolution, rewritten
from tests.export import networks


def _layer(kind, *arguments, **options):
    options = {"bias_initializer": "normal", "activation": "relu", **options}
    return kind(*arguments, **options)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("kind", "arguments", "options"),
    [
        (layers.Conv2DTranspose, (3, 1, 2), {}),
        (layers.Conv2DTranspose, (3, 2, 3), {}),
        (layers.Conv2DTranspose, (3, (1, 4), (3, 2)), {"use_bias": False}),
        (layers.Conv2DTranspose, (3, 3, 1), {"dilation_rate": 2}),
        (layers.Conv2DTranspose, (3, (2, 3), 1), {"dilation_rate": (3, 1)}),
        (layers.Conv2D, (8, 3), {"groups": 2}),
        (layers.Conv2D, (4, (1, 3), 2), {"groups": 4}),
        (layers.Conv2D, (4, 2), {"groups": 2, "dilation_rate": 2}),
    ],
)
def test_it_equals_the_layer_that_it_stands_for(kind, arguments, options, padding):
    layer = _layer(kind, *arguments, padding=padding, **options)
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 4)).astype("float32")
    expected = layer(x)
    other, weights = rewritten(layer, layer.get_weights())
    assert other is not layer
    other.build(x.shape)
    other.set_weights(weights)
    np.testing.assert_allclose(other(x), expected, atol=1e-5)
    if kind is layers.Conv2DTranspose:
        assert tuple(other.dilation_rate) == (1, 1)
        pairs = zip(other.kernel_size, other.strides, strict=True)
        assert all(size >= stride for size, stride in pairs)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3),
        layers.Conv2DTranspose(4, 4, 2),
        layers.Conv2DTranspose(4, 2, 3, output_padding=1),
        layers.Conv2DTranspose(4, 1, 2, data_format="channels_first"),
        layers.DepthwiseConv2D(3),
        layers.Dense(4),
    ],
)
def test_others_are_left_alone(layer):
    assert rewritten(layer, []) == (layer, [])


@pytest.mark.slow
def test_batch_norm_is_folded_into_what_is_rewritten():
    inputs = keras.Input((6, 5, 4))
    x = layers.Conv2D(4, 3, groups=2, padding="same")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(4, 1, 2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    model = networks.trained_like(keras.Model(inputs, x), 0)
    simple = simplification.simplify(model, phases=True, portable=True)
    kinds = [type(layer) for layer in simple.layers]
    assert SplitConvolution in kinds and layers.BatchNormalization not in kinds
    assert layers.Conv2DTranspose not in kinds  # now one that LiteRT has faster
    z = np.random.default_rng(1).normal(size=(2, 6, 5, 4)).astype("float32")
    np.testing.assert_allclose(simple(z), model(z, training=False), atol=2e-5)


def test_what_is_called_in_training_mode_is_folded_for_inference():
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    x = layers.BatchNormalization()(x, training=True)
    model = networks.trained_like(keras.Model(inputs, x), 0)
    simple = simplification.simplify(model)
    z = np.random.default_rng(1).normal(size=(8, 4, 4, 3)).astype("float32")
    # As `predict` does, which overrules what the layer was called with.
    np.testing.assert_allclose(simple(z), model(z, training=False), atol=2e-5)
