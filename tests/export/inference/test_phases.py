"""A phase convolution is the transposed convolution it stands for."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from export.inference.phases import PhaseConvolution


@pytest.mark.slow
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5, (4, 3), 6])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (1, 1)])
def test_it_equals_the_transposed_convolution(stride, kernel_size, shape):
    layer = keras.layers.Conv2DTranspose(
        3, kernel_size, stride, "same", activation="relu", bias_initializer="normal"
    )
    x = np.random.default_rng(0).normal(size=(2, *shape, 2)).astype("float32")
    expected = layer(x)
    if not PhaseConvolution.can_replace(layer):
        assert min(np.broadcast_to(kernel_size, 2)) < stride
        return
    phases = PhaseConvolution(layer.get_config())
    phases.build(x.shape)
    phases.set_weights(layer.get_weights())
    np.testing.assert_allclose(phases(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    "other",
    [
        {"padding": "valid"},
        {"strides": 1},
        {"strides": (2, 1)},
        {"strides": 1, "dilation_rate": 2},
        {"output_padding": 1},
        {"data_format": "channels_first"},
    ],
)
def test_others_are_left_alone(other):
    options = {"strides": 2, "padding": "same", **other}
    layer = keras.layers.Conv2DTranspose(3, 4, **options)
    assert not PhaseConvolution.can_replace(layer)
