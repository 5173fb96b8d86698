"""The standard CNN against the paper's counts and a forward pass in NumPy."""

import keras
import numpy as np
import pytest

from sn_keras import SpectralNormalization
from tests.training.networks import reference
from training.networks import NETWORKS, cnn
from training.normalizers import NORMALIZERS

NONE = NORMALIZERS["none"]


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def close(actual, expected):
    actual = keras.ops.convert_to_numpy(actual)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_counts_of_the_paper():
    assert trainable(cnn.generator((32, 32, 3))) == 3_812_355
    assert trainable(cnn.discriminator((32, 32, 3))) == 2_935_873
    assert trainable(cnn.discriminator((48, 48, 3))) == 2_946_113


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 48])
def test_discriminator_equals_the_formula(size):
    rng = np.random.default_rng(0)
    model = cnn.discriminator((size, size, 3), NONE, width_multiplier=1 / 16)
    w = reference.weights_of(model, rng)
    images = rng.uniform(-1, 1, (2, size, size, 3)).astype("float32")
    kernel, bias = w["dense"]
    features = reference.cnn_features(images.astype("float64"), w)
    close(model(images), features @ kernel + bias)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "classes"), [(32, None), (48, None), (32, 3)])
def test_generator_equals_the_formula(size, classes):
    rng = np.random.default_rng(0)
    model = cnn.generator(
        (size, size, 3), latent_dim=16, width_multiplier=1 / 16, num_classes=classes
    )
    w = reference.weights_of(model, rng)
    latents = rng.normal(size=(2, 16)).astype("float32")
    labels = None if classes is None else np.array([2, 0], "int32")
    want = reference.cnn_generator(latents.astype("float64"), w, size // 8, labels)
    close(model(latents if labels is None else [latents, labels]), want)


@pytest.mark.slow
@pytest.mark.parametrize("size", [28, 30, 40])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_sizes(size, channels):
    shape = (size, size, channels)
    images = cnn.generator(shape, width_multiplier=1 / 32)(
        np.zeros((2, 128), "float32")
    )
    assert images.shape == (2, *shape)
    discriminator = cnn.discriminator(shape, NONE, width_multiplier=1 / 32)
    assert discriminator(images).shape == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", [None, "projection", "concat", "auxiliary"])
def test_every_layer_of_d_is_normalized(conditioning):
    model = cnn.discriminator(
        width_multiplier=1 / 16,
        num_classes=None if conditioning is None else 4,
        conditioning=conditioning,
    )
    layers = [layer for layer in model.layers if layer.trainable_weights]
    assert all(isinstance(layer, SpectralNormalization) for layer in layers)
    assert len(layers) == (8 if conditioning is None else 9)


@pytest.mark.parametrize("name", ["batch-norm", "layer-norm"])
def test_norms_stand_before_every_activation_but_the_first(name):
    model = cnn.discriminator(normalizer=NORMALIZERS[name], width_multiplier=1 / 16)
    kind = type(NORMALIZERS[name].between())
    activations = [x for x in model.layers if isinstance(x, keras.layers.LeakyReLU)]
    before = [x.input._keras_history.operation for x in activations]
    assert [isinstance(x, kind) for x in before] == [False] + [True] * 6


def test_the_last_convolution_alone_is_scaled_by_its_own_factor():
    # The feature dimension experiment, fig. 4.
    widths = [
        [w.shape[-1] for w in model.trainable_weights if len(w.shape) == 4]
        for model in (
            cnn.discriminator(normalizer=NONE),
            cnn.discriminator(normalizer=NONE, last_width_multiplier=0.5),
            cnn.discriminator(
                normalizer=NONE, width_multiplier=0.25, last_width_multiplier=8
            ),
        )
    ]
    assert widths == [
        [64, 64, 128, 128, 256, 256, 512],
        [64, 64, 128, 128, 256, 256, 256],
        [16, 16, 32, 32, 64, 64, 1024],
    ]


def test_a_batch_norm_after_the_dense_layer_is_an_option():
    plain = cnn.generator(width_multiplier=1 / 16)
    normed = cnn.generator(width_multiplier=1 / 16, first_batch_norm=True)
    assert trainable(normed) - trainable(plain) == 2 * 512 // 16


def test_it_is_registered():
    assert NETWORKS["cnn"].generator is cnn.generator
    assert NETWORKS["cnn"].discriminator is cnn.discriminator


@pytest.mark.parametrize("make", [cnn.generator, cnn.discriminator])
@pytest.mark.parametrize(
    "shape", [(26, 26, 1), (33, 33, 3), (66, 66, 3), (32, 48, 3), (32, 32, 4), (32, 32)]
)
def test_bad_image_shapes_are_named_with_the_good_ones(make, shape):
    with pytest.raises(ValueError, match=r"`image_s(hape|ize)`.*Received"):
        make(shape)
