"""Every normalizer with every loss and conditional form: two steps, weight by weight.

By gradient descent a step changes each weight by the loss's gradient times the rate.
`by_hand` has the losses, normalizations and forms as formulas; here are the same
networks of the parts that the paper's networks are made of.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.training import by_hand
from training import GAN
from training.networks.conditional import generator_norm, head, join_labels
from training.normalizers import NORMALIZERS

LOSSES = {
    "hinge": ("hinge", False),
    "standard": ("standard", False),
    "wasserstein": ("wasserstein", False),
    "wgan-gp": ("wasserstein", True),
    "gan-gp": ("standard", True),
}
FORMS = (None, "projection", "concat", "auxiliary")
CLASSES, LATENT, RATE = 3, 4, 0.02


def generator(classes):
    latents = keras.Input((LATENT,))
    labels = keras.Input((), dtype="int32") if classes else None
    x = layers.Reshape((6, 6, 2))(layers.Dense(72, name="dense")(latents))
    x = layers.ReLU()(generator_norm(labels, classes or 0)(x, "norm"))
    x = layers.Conv2D(1, 3, padding="same", name="to_image")(x)
    inputs = [latents, labels] if classes else latents
    return keras.Model(inputs, layers.Activation("tanh")(x))


def discriminator(normalizer, form):
    images = keras.Input((6, 6, 1))
    takes_labels = form in ("projection", "concat")
    labels = keras.Input((), dtype="int32") if takes_labels else None
    x = images
    for i, (size, strides) in enumerate([(3, 1), (4, 2)]):
        if form == "concat" and i == 1:
            x = join_labels(x, labels, CLASSES, normalizer, 2 / 128)
        x = normalizer.apply(
            layers.Conv2D, 3, size, strides=strides, padding="same", name=f"conv_{i}"
        )(x)
        if normalizer.between is not None and i == 1:
            x = normalizer.between()(x)
        x = layers.LeakyReLU(by_hand.SLOPE)(x)
    x = layers.Flatten()(x)
    outputs = head(x, normalizer, form, labels, CLASSES)
    return keras.Model([images, labels] if takes_labels else images, outputs)


CASES = list(itertools.product(NORMALIZERS, FORMS))


@pytest.fixture(scope="module", params=CASES, ids="{0[0]}-{0[1]}".format)
def model(request):
    """A GAN that all losses share, with its normalizer and form."""
    normalizer, form = request.param
    classes = None if form is None else CLASSES
    gan = GAN(
        generator(classes),
        discriminator(NORMALIZERS[normalizer], form),
        latent_dim=LATENT,
        discriminator_steps=1,
        num_classes=classes,
    )
    return gan, normalizer, form


def by_name(network):
    """The weights by `layer/variable`, but for the statistics of batch norm."""
    found = {}
    for weight in network.weights:
        layer, name = weight.path.split("/")[-2:]
        if name == "beta" and layer != "norm":
            layer = "between"  # has a number in its name
        if not name.startswith("moving_"):
            found[f"{layer}/{name}"] = weight
    return found


def start(network):
    """Gives all weights values at which no term of any loss vanishes."""
    rng = np.random.default_rng(0)
    for name, weight in sorted(by_name(network).items()):
        value = rng.normal(0, 0.3, weight.shape)
        if name.endswith("gamma"):
            value = value + 1
        if name.endswith(("/u", "/v")):
            value = value / np.linalg.norm(value)
        weight.assign(value)


def values(network):
    return {name: weight.numpy() for name, weight in by_name(network).items()}


def check(network, before, expected):
    after = values(network)
    assert set(after) == set(expected)
    for name, old in before.items():
        change, by_formula = after[name] - old, np.asarray(expected[name]) - old
        # Of float32: its rounding in the gradient, and in the weight's sum.
        error = 1e-4 * np.abs(by_formula).max() + 2e-7 * np.abs(old).max()
        np.testing.assert_allclose(change, by_formula, rtol=0, atol=error, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_two_steps(model, loss):
    gan, normalizer, form = model
    adversarial, penalized = LOSSES[loss]
    options = {
        "loss": adversarial,
        "gradient_penalty": by_hand.LAMBDA if penalized else None,
        "run_eagerly": True,
    }
    optimizers = keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE)
    if normalizer == "batch-norm" and penalized:
        with pytest.raises(ValueError, match="`gradient_penalty` must be None"):
            gan.compile(*optimizers, **options)
        return
    gan.compile(*optimizers, **options)
    start(gan.generator)
    start(gan.discriminator)
    images = np.random.default_rng(1).uniform(-1, 1, (4, 6, 6, 1)).astype("float32")
    images, labels = tf.constant(images), tf.constant([0, 1, 2, 0])
    case = (normalizer, adversarial, penalized, form)
    for step in range(2):
        g, d = values(gan.generator), values(gan.discriminator)
        new_g, new_d = by_hand.step(g, d, case, images, labels, step, RATE)
        gan.train_on_batch(images, None if form is None else labels)
        check(gan.generator, g, new_g)
        check(gan.discriminator, d, new_d)
