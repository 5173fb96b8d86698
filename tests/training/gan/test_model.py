"""A GAN's step: what it computes, and what it leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sn_keras import SpectralNormalization
from tests.replicas import two_replicas
from tests.training import toys
from training import GAN, GradientPenalty
from training.gan import draws
from training.networks import cnn

RATE = 0.05
COMPILE_OPTIONS = (
    "augmentation",
    "gradient_penalty",
    "jit_compile",
    "steps_per_execution",
)


def sgd():
    return keras.optimizers.SGD(RATE)


def compiled(steps=1, loss="hinge", networks=None, optimizers=None, **options):
    compile_options = {
        name: options.pop(name) for name in COMPILE_OPTIONS if name in options
    }
    generator, discriminator = networks or (toys.generator(), toys.discriminator())
    gan = GAN(
        generator,
        discriminator,
        latent_dim=toys.LATENT,
        discriminator_steps=steps,
        **options,
    )
    first, second = optimizers or (sgd(), sgd())
    gan.compile(first, second, loss=loss, **compile_options)
    return gan


def weights(gan):
    return [w.numpy() for w in gan.generator.weights + gan.discriminator.weights]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Derivatives of the losses by a logit, from the formulas in the paper: of G's by a
# generated image's, of D's by a real and by a generated image's.
SLOPES = {
    "standard": (
        lambda fake: -sigmoid(-fake),
        lambda real: -sigmoid(-real),
        lambda fake: sigmoid(fake),
    ),
    "hinge": (
        lambda fake: -np.ones_like(fake),
        lambda real: np.where(real < 1, -1.0, 0.0),
        lambda fake: np.where(fake > -1, 1.0, 0.0),
    ),
    "wasserstein": (
        lambda fake: -np.ones_like(fake),
        lambda real: -np.ones_like(real),
        lambda fake: np.ones_like(fake),
    ),
}


def step_by_hand(g, d, real, steps, loss, step, seed=0, generator_batch=None, dim=1):
    """One step of linear networks under SGD: `G(z) = zg`, `D(x) = xd`.

    D sees images times `dim`.
    """
    by_generator, by_real, by_fake = SLOPES[loss]
    batch = len(real) // steps

    def latents(update, count):
        at = draws.At(seed, step, update)
        return draws.latents(at, count, toys.LATENT).numpy().astype("float64")

    z = latents(0, generator_batch or batch)
    slope = by_generator(dim * z @ g @ d)
    g = g - RATE * dim * (z.T @ slope @ d.T) / len(z)
    for i in range(steps):
        x = dim * real[i::steps].reshape(batch, -1).astype("float64")
        fake = dim * latents(i + 1, batch) @ g
        gradient = x.T @ by_real(x @ d) + fake.T @ by_fake(fake @ d)
        d = d - RATE * gradient / batch
    return g, d


@pytest.mark.slow
@pytest.mark.parametrize("loss", SLOPES)
@pytest.mark.parametrize("call", ["joint", "separate"])
def test_steps_are_those_computed_by_hand(loss, call):
    gan = compiled(3, loss, discriminator_call=call, generator_batch_size=6, seed=5)
    g, d = (w.astype("float64") for w in weights(gan))
    real = toys.images(2 * 12)
    gan.fit(real, batch_size=4, shuffle=False, verbose=0)
    for step in range(2):
        part = real[12 * step : 12 * (step + 1)]
        g, d = step_by_hand(g, d, part, 3, loss, step, 5, generator_batch=6)
    np.testing.assert_allclose(gan.generator.weights[0], g, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gan.discriminator.weights[0], d, rtol=1e-5, atol=1e-6)
    assert gan.step == 2
    assert int(gan.discriminator_optimizer.iterations) == 6


def test_losses_in_the_history_are_unscaled_means():
    gan = compiled(optimizers=(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0)))
    g, d = (w.astype("float64") for w in weights(gan))
    real = toys.images(8)
    history = gan.fit(real, batch_size=8, shuffle=False, verbose=0).history
    z = [draws.latents(draws.At(0, 0, i), 8, toys.LATENT).numpy() for i in (0, 1)]
    by_hand = np.maximum(0, 1 - real.reshape(8, -1) @ d).mean()
    by_hand += np.maximum(0, 1 + z[1] @ g @ d).mean()
    np.testing.assert_allclose(history["discriminator_loss"], [by_hand], rtol=1e-5)
    np.testing.assert_allclose(
        history["generator_loss"], [-(z[0] @ g @ d).mean()], rtol=1e-5
    )


def spectral_networks():
    norm = layers.BatchNormalization(synchronized=True)
    latents = keras.Input((toys.LATENT,))
    # A bias has no gradient here but rounding, which Adam would blow up.
    x = norm(layers.Dense(toys.SIZE**2, use_bias=False)(latents))
    x = layers.Reshape((toys.SIZE, toys.SIZE, 1))(layers.Activation("tanh")(x))
    return keras.Model(latents, x), toys.discriminator(SpectralNormalization)


@pytest.mark.slow
def test_d_sees_all_images_through_the_augmentation():
    seen = []

    def dim(images, at):
        seen.append((at.update, images.shape))
        return 0.5 * images

    gan = compiled(2, "standard", augmentation=dim, generator_batch_size=6)
    g, d = (w.astype("float64") for w in weights(gan))
    real = toys.images(8)
    gan.fit(real, batch_size=4, shuffle=False, verbose=0)
    g, d = step_by_hand(g, d, real, 2, "standard", 0, generator_batch=6, dim=0.5)
    np.testing.assert_allclose(gan.generator.weights[0], g, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gan.discriminator.weights[0], d, rtol=1e-5, atol=1e-6)
    shape = (4, toys.SIZE, toys.SIZE, 1)
    # G's generated images, then generated and real ones of each update of D.
    assert seen == [(0, (6, *shape[1:])), *((i, shape) for i in range(2, 6))]


def brighter(images, at):
    return images + draws.uniform(at, images.shape[0], 1)[:, None, None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("penalty", "augmentation"), [(None, None), (10.0, None), (10.0, brighter)]
)
def test_two_replicas_give_the_weights_of_one(penalty, augmentation):
    real = toys.images(3 * 24)

    def train(strategy):
        with strategy.scope():
            keras.utils.set_random_seed(3)
            gan = compiled(
                3,
                "standard",
                networks=spectral_networks(),
                optimizers=[keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01)],
                generator_batch_size=16,
                gradient_penalty=penalty,
                augmentation=augmentation,
            )
        history = gan.fit(real, batch_size=8, shuffle=False, verbose=0).history
        assert gan.step == 3
        return weights(gan), history

    one, losses = train(tf.distribute.get_strategy())
    two, losses_of_two = train(two_replicas())
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for name, values in losses.items():
        np.testing.assert_allclose(losses_of_two[name], values, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"jit_compile": True}, {"steps_per_execution": 2}])
def test_xla_and_several_steps_an_execution_change_nothing(options):
    real = toys.images(4 * 24)

    def train(**options):
        keras.utils.set_random_seed(3)
        networks = (toys.generator(), toys.discriminator(SpectralNormalization))
        gan = compiled(3, gradient_penalty=1.0, networks=networks, **options)
        gan.fit(real, batch_size=8, shuffle=False, verbose=0)
        return weights(gan)

    for a, b in zip(train(), train(**options), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_paper_networks_compile_to_static_shapes():
    small = {"image_shape": (28, 28, 1), "width_multiplier": 1 / 64}
    gan = GAN(
        cnn.generator(**small, num_classes=3),
        cnn.discriminator(**small, num_classes=3, conditioning="projection"),
        num_classes=3,
        discriminator_steps=2,
    )
    gan.compile("adam", "sgd", gradient_penalty=10.0, jit_compile=True)
    real = np.zeros((8, 28, 28, 1), "float32")
    before = weights(gan)
    gan.fit(real, np.arange(8) % 3, batch_size=4, verbose=0)
    # A kernel in each network has moved.
    assert all(np.isfinite(w).all() for w in weights(gan))
    assert sum((a != b).any() for a, b in zip(before, weights(gan), strict=True)) > 20


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", ["projection", "auxiliary"])
def test_labels_reach_both_networks(conditioning):
    networks = (
        toys.generator(num_classes=4),
        toys.discriminator(conditioning=conditioning, num_classes=4),
    )
    gan = compiled(2, networks=networks, num_classes=4)
    before = weights(gan)
    labels = np.full(16, 2)
    gan.fit(toys.images(16), labels, batch_size=4, verbose=0)
    for old, new in zip(before, weights(gan), strict=True):
        assert (old != new).any()
    made = gan.generate(5, labels=np.array([0, 1, 2, 3, 0]))
    assert made.shape == (5, toys.SIZE, toys.SIZE, 1)


def test_the_classifier_of_d_learns_real_labels_by_their_cross_entropy():
    networks = (
        toys.generator(num_classes=3),
        toys.discriminator(conditioning="auxiliary", num_classes=3),
    )
    gan = compiled(networks=networks, num_classes=3)
    head = gan.discriminator.get_layer("c")
    real, labels = toys.images(6), np.array([0, 1, 2, 2, 1, 0])
    kernel = head.kernel.numpy().astype("float64")
    x = real.reshape(6, -1).astype("float64")
    exponents = np.exp(x @ kernel)
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    by_hand = kernel - RATE * x.T @ (probabilities - np.eye(3)[labels]) / 6
    gan.fit(real, labels, batch_size=6, shuffle=False, verbose=0)
    np.testing.assert_allclose(head.kernel, by_hand, rtol=1e-5, atol=1e-6)


def test_regularizers_count_once_and_for_their_own_network():
    rates = keras.optimizers.SGD(0.0), sgd()
    networks = (
        toys.generator(),
        toys.discriminator(lambda layer: layer),
    )
    networks[1].get_layer("d").kernel.regularizer = keras.regularizers.L2(0.5)
    gan = compiled(networks=networks, optimizers=rates, discriminator_call="separate")
    g, d = (w.astype("float64") for w in weights(gan))
    real = toys.images(8)
    gan.fit(real, batch_size=8, shuffle=False, verbose=0)
    _, without = step_by_hand(g, d, real, 1, "hinge", 0)
    # G stood still, so D's adversarial gradient is that of G as it was.
    fake = draws.latents(draws.At(0, 0, 1), 8, toys.LATENT).numpy() @ g
    x = real.reshape(8, -1)
    gradient = x.T @ SLOPES["hinge"][1](x @ d) + fake.T @ SLOPES["hinge"][2](fake @ d)
    by_hand = d - RATE * (gradient / 8 + 2 * 0.5 * d)
    np.testing.assert_allclose(gan.discriminator.weights[0], by_hand, atol=1e-6)


@pytest.mark.slow
def test_bfloat16_networks_train_with_float32_losses():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        networks = toys.generator(), toys.discriminator(SpectralNormalization)
    finally:
        keras.config.set_dtype_policy("float32")
    gan = compiled(2, networks=networks, gradient_penalty=10.0)
    kernels = gan.generator.trainable_weights + gan.discriminator.trainable_weights
    before = [kernel.numpy() for kernel in kernels]
    history = gan.fit(toys.images(16), batch_size=8, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    for old, kernel in zip(before, kernels, strict=True):
        assert kernel.dtype == "float32"
        assert (old != kernel.numpy()).any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["array", "batches", "ragged", "elements", "pairs"])
def test_every_form_of_data_gives_the_same_steps(kind):
    real = toys.images(26)
    pairs = tf.data.Dataset.from_tensor_slices((real, np.zeros(26, "int32")))
    x = {
        "array": real,
        "batches": tf.data.Dataset.from_tensor_slices(real).batch(
            4, drop_remainder=True
        ),
        "ragged": tf.data.Dataset.from_tensor_slices(real).batch(4),
        "elements": tf.data.Dataset.from_tensor_slices(real).batch(12),
        "pairs": pairs.batch(4),
    }[kind]
    gan = compiled(3)
    g, d = (w.astype("float64") for w in weights(gan))
    size = None if kind in ("batches", "ragged", "pairs") else 4
    gan.fit(x, batch_size=size, shuffle=False, verbose=0)
    assert gan.step == 2
    for step in range(2):
        part = real[12 * step : 12 * (step + 1)]
        g, d = step_by_hand(g, d, part, 3, "hinge", step)
    np.testing.assert_allclose(gan.generator.weights[0], g, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gan.discriminator.weights[0], d, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_saved_gan_carries_on_as_the_one_it_was(tmp_path):
    optimizers = keras.optimizers.Adam(0.01, 0.5), keras.optimizers.Adam(0.02, 0.0)
    networks = toys.generator(), toys.discriminator(SpectralNormalization)
    gan = compiled(
        2,
        "standard",
        networks=networks,
        optimizers=optimizers,
        gradient_penalty=GradientPenalty(3.0, 0.5),
        generator_batch_size=3,
        seed=9,
    )
    gan.fit(toys.images(16), batch_size=4, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    for name in ("latent_dim", "discriminator_steps", "generator_batch_size", "seed"):
        assert getattr(loaded, name) == getattr(gan, name)
    assert loaded.gradient_penalty == GradientPenalty(3.0, 0.5)
    assert loaded.step == gan.step == 2
    for one in (gan, loaded):
        one.fit(toys.images(16, seed=1), batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(weights(gan), weights(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_the_average_of_the_generator_is_a_model_of_its_own():
    average = keras.optimizers.SGD(RATE, use_ema=True, ema_momentum=0.75)
    gan = compiled(optimizers=(average, sgd()))
    assert compiled().averaged_generator() is None
    expected = None
    for seed in range(3):
        gan.fit(toys.images(8, seed), batch_size=8, verbose=0)
        now = gan.generator.weights[0].numpy()
        # Keras starts the average at the weights after the first step.
        expected = now if expected is None else 0.75 * expected + 0.25 * now
    raw = gan.generator.weights[0].numpy()
    averaged = gan.averaged_generator().weights[0].numpy()
    np.testing.assert_allclose(averaged, expected, rtol=1e-5)
    np.testing.assert_array_equal(gan.generator.weights[0], raw)


def test_steps_of_a_frozen_generator_are_steps():
    seen = []

    class Looking(layers.Layer):
        def call(self, x):
            seen.append(x)
            return x

    images = keras.Input((toys.SIZE, toys.SIZE, 1))
    logits = layers.Dense(1)(layers.Flatten()(Looking()(images)))
    generator = toys.generator()
    generator.trainable = False
    gan = GAN(generator, keras.Model(images, logits), discriminator_steps=1)
    gan.compile("sgd", "sgd", run_eagerly=True)
    seen.clear()
    gan.fit(toys.images(8), batch_size=4, verbose=0)
    assert gan.step == 2
    of_d = [x[4:].numpy() for x in seen if len(x) == 8]
    assert len(of_d) == 2 and not np.allclose(*of_d)


def test_what_layers_add_to_the_loss_counts_for_both_kinds_of_images():
    def loss(call):
        images = keras.Input((toys.SIZE, toys.SIZE, 1))
        regularized = layers.Dense(
            1,
            kernel_initializer="ones",
            kernel_regularizer=keras.regularizers.L2(1.0),
            activity_regularizer=keras.regularizers.L2(1.0),
        )
        keras.utils.set_random_seed(3)
        discriminator = keras.Model(images, regularized(layers.Flatten()(images)))
        gan = GAN(
            toys.generator(),
            discriminator,
            discriminator_steps=1,
            discriminator_call=call,
        )
        nothing = (lambda *logits: 0.0 * keras.ops.mean(logits[0]),) * 2
        gan.compile("sgd", "sgd", loss=nothing)
        history = gan.fit(toys.images(4), batch_size=4, shuffle=False, verbose=0)
        return history.history["discriminator_loss"]

    assert loss("separate") == pytest.approx(loss("joint"), rel=1e-5)
    assert loss("joint")[0] > toys.SIZE**2  # the weights' part


def test_without_compile_there_are_no_averages():
    assert GAN(toys.generator(), toys.discriminator()).averaged_generator() is None


def test_samples_depend_on_the_seed():
    gan = compiled()
    many = gan.generate(70, seed=1)
    np.testing.assert_allclose(gan.generate(70, seed=1), many)
    assert not np.allclose(gan.generate(70, seed=2), many)


def test_gradients_of_the_other_network_are_not_in_the_graph(monkeypatch):
    watched = []
    apply = keras.optimizers.SGD.apply

    def record(self, gradients, variables):
        watched.append([v.path for v in variables])
        assert all(gradient is not None for gradient in gradients)
        return apply(self, gradients, variables)

    monkeypatch.setattr(keras.optimizers.SGD, "apply", record)
    gan = compiled(2)
    gan.fit(toys.images(8), batch_size=4, verbose=0)
    assert watched == [["g/kernel"], ["d/kernel"], ["d/kernel"]]
