"""How labels enter D, against the formulas."""

import keras
import numpy as np
import pytest

from training.networks import NETWORKS, resnet
from training.networks.conditional import head, interpolating, join_labels
from training.normalizers import NORMALIZERS

NONE = NORMALIZERS["none"]
LABELS = np.array([1, 3, 0], "int32")


def inputs(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_projection_adds_the_inner_product_with_the_embedding():
    h, y = keras.Input((5,)), keras.Input((), dtype="int32")
    model = keras.Model([h, y], head(h, NONE, "projection", y, 4))
    x = inputs(3, 5)
    kernel = model.get_layer("dense").kernel.numpy()
    table = model.get_layer("labels_embedding").embeddings.numpy()
    assert table.shape == (4, 5)
    want = x @ kernel + np.sum(table[LABELS] * x, axis=1, keepdims=True)
    np.testing.assert_allclose(model([x, LABELS]).numpy(), want, rtol=1e-5, atol=1e-6)


def test_concatenation_tiles_the_embedding_over_all_positions():
    x, y = keras.Input((2, 3, 5)), keras.Input((), dtype="int32")
    model = keras.Model([x, y], join_labels(x, y, 4, NONE, width_multiplier=1 / 16))
    images = inputs(3, 2, 3, 5)
    table = model.get_layer("labels_embedding").embeddings.numpy()
    assert table.shape == (4, 8)
    joined = model([images, LABELS]).numpy()
    np.testing.assert_array_equal(joined[..., :5], images)
    tiled = np.broadcast_to(table[LABELS][:, None, None], (3, 2, 3, 8))
    np.testing.assert_array_equal(joined[..., 5:], tiled)


def test_the_auxiliary_classifier_reads_the_same_features():
    h = keras.Input((5,))
    model = keras.Model(h, head(h, NONE, "auxiliary", num_classes=4))
    outputs = model(inputs(3, 5))
    assert set(outputs) == {"logits", "class_logits"}
    for name, layer in (("logits", "dense"), ("class_logits", "class_dense")):
        want = inputs(3, 5) @ model.get_layer(layer).kernel.numpy()
        np.testing.assert_allclose(outputs[name].numpy(), want, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", ["projection", "concat"])
def test_logits_depend_on_the_labels(conditioning):
    model = resnet.discriminator(
        width_multiplier=1 / 16, num_classes=4, conditioning=conditioning
    )
    assert [x.name for x in model.inputs] == ["images", "labels"]
    images = np.tile(inputs(1, 32, 32, 3), (3, 1, 1, 1))
    logits = model([images, LABELS]).numpy()[:, 0]
    assert len(set(logits)) == 3
    again = model([images, np.full(3, 1, "int32")]).numpy()[:, 0]
    np.testing.assert_allclose(again, logits[0], rtol=1e-5)


@pytest.mark.slow
def test_an_auxiliary_discriminator_takes_no_labels():
    model = resnet.discriminator(
        width_multiplier=1 / 16, num_classes=4, conditioning="auxiliary"
    )
    assert [x.name for x in model.inputs] == ["images"]
    shapes = {name: y.shape for name, y in model(inputs(2, 32, 32, 3)).items()}
    assert shapes == {"logits": (2, 1), "class_logits": (2, 4)}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_generator_interpolates_between_classes(name):
    generator = NETWORKS[name].generator(width_multiplier=1 / 32, num_classes=4)
    by_class = [layer for layer in generator.layers if hasattr(layer, "num_classes")]
    rng = np.random.default_rng(1)
    for layer in by_class:
        layer.gamma.assign(rng.normal(1, 0.5, layer.gamma.shape))
        layer.beta.assign(rng.normal(0, 0.5, layer.beta.shape))
    mixing = interpolating(generator)
    latents = inputs(3, 128)
    one_hot = np.eye(4, dtype="float32")[LABELS]
    want = generator([latents, LABELS]).numpy()
    np.testing.assert_allclose(mixing([latents, one_hot]).numpy(), want, atol=1e-6)

    # As if there were a class whose rows are the means of classes 0 and 1.
    half = np.tile(np.float32([0.5, 0.5, 0, 0]), (3, 1))
    mixed = mixing([latents, half]).numpy()
    for layer in by_class:
        for rows in (layer.gamma, layer.beta):
            value = rows.numpy()
            value[0] = value[:2].mean(axis=0)
            rows.assign(value)
    want = generator([latents, np.zeros(3, "int32")]).numpy()
    np.testing.assert_allclose(mixed, want, atol=1e-5)
    assert all(a is b for a, b in zip(mixing.weights, generator.weights, strict=True))


def test_only_a_conditional_generator_interpolates():
    generator = NETWORKS["cnn"].generator(width_multiplier=1 / 32)
    with pytest.raises(ValueError, match="`generator` must be .*Received.*latents"):
        interpolating(generator)
