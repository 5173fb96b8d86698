import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.replicas import two_replicas
from training.gan import draws
from training.gan.augmentation import (
    POLICIES,
    DifferentiableAugmentation,
    color,
    cutout,
    translation,
)
from training.gan.model import GAN
from training.networks import cnn

IMAGES = np.random.default_rng(0).uniform(-1, 1, (6, 8, 8, 3)).astype(np.float32)
HALF = tf.fill([6], 0.5)


def test_numbers_in_the_middle_change_nothing():
    np.testing.assert_allclose(color(IMAGES, HALF, HALF, HALF), IMAGES, atol=1e-6)
    np.testing.assert_array_equal(translation(IMAGES, HALF, HALF), IMAGES)


def test_color_by_hand():
    numbers = np.array([[0.9, 0.2, 0.7]] * 6, np.float32).T
    made = color(IMAGES, *map(tf.constant, numbers)).numpy()
    bright = IMAGES + 0.4
    grey = bright.mean(3, keepdims=True)
    saturated = grey + 0.4 * (bright - grey)
    mean = saturated.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(made, mean + 1.2 * (saturated - mean), atol=1e-5)


def test_translation_rolls_and_zeros_come_in():
    down = tf.constant([0.0, 0.2, 0.5, 0.7, 1.0, 0.0])  # by -1, -1, 0, 1, 1, -1 of 8
    right = tf.constant([0.5, 1.0, 0.0, 0.5, 0.5, 0.0])
    made = translation(IMAGES, down, right).numpy()
    by = zip([-1, -1, 0, 1, 1, -1], [0, 1, -1, 0, 0, -1], strict=True)
    for image, moved, (rows, columns) in zip(IMAGES, made, by, strict=True):
        padded = np.pad(image, [(1, 1), (1, 1), (0, 0)])
        expected = padded[1 - rows : 9 - rows, 1 - columns : 9 - columns]
        np.testing.assert_array_equal(moved, expected)


def test_cutout_covers_a_square_up_to_the_edge():
    ones = tf.ones([4, 8, 8, 1])
    at = tf.constant([0.0, 0.5, 1.0, 0.99])
    made = cutout(ones, at, at)[..., 0].numpy()
    # 4×4 around the middle, a quarter of it at the corners.
    assert [int(64 - one.sum()) for one in made] == [4, 16, 4, 4]
    assert made[1, 2:6, 2:6].sum() == 0
    assert made[2, 6:, 6:].sum() == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_gradient_comes_through(policy):
    x = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(
            DifferentiableAugmentation(policy)(x, draws.At(0, 3, 1)) * IMAGES[::-1]
        )
    gradient = tape.gradient(total, x).numpy()
    # All of it is affine in the image: a finite difference is exact.
    step = np.zeros_like(IMAGES)
    step[1, 3, 4, 1] = step[4, 2, 2, 0] = 0.25
    moved = tf.reduce_sum(
        DifferentiableAugmentation(policy)(x + step, draws.At(0, 3, 1)) * IMAGES[::-1]
    )
    np.testing.assert_allclose(moved - total, (gradient * step).sum(), atol=1e-4)


def test_draws_are_of_the_step_and_each_image():
    same = tf.constant(np.broadcast_to(IMAGES[:1], IMAGES.shape))
    augment = DifferentiableAugmentation()
    first = augment(same, draws.At(0, 3, 1)).numpy()
    np.testing.assert_array_equal(first, augment(same, draws.At(0, 3, 1)))
    for at in (draws.At(1, 3, 1), draws.At(0, 4, 1), draws.At(0, 3, 2)):
        assert not np.array_equal(first, augment(same, at))
    assert len({image.tobytes() for image in first}) == len(first)


def trained(strategy, penalty):
    def networks():
        keras.utils.set_random_seed(0)
        # Without batch norm, whose statistics are those of a replica's share.
        g = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(28 * 28, activation="tanh"),
                keras.layers.Reshape((28, 28, 1)),
            ]
        )
        return g, cnn.discriminator((28, 28, 1), width_multiplier=0.02)

    with strategy.scope():
        gan = GAN(*networks(), latent_dim=4, discriminator_steps=1)
        gan.compile(
            keras.optimizers.SGD(0.1),
            keras.optimizers.SGD(0.1),
            gradient_penalty=penalty,
            augmentation=DifferentiableAugmentation(),
        )
    images = np.random.default_rng(0).uniform(-1, 1, (8, 28, 28, 1))
    gan.fit(images.astype(np.float32), batch_size=8, verbose=0, shuffle=False)
    return gan


@pytest.mark.slow
def test_two_replicas_see_what_one_sees_through_a_gradient_penalty_too():
    one = trained(tf.distribute.get_strategy(), 10.0)
    two = trained(two_replicas(), 10.0)
    plain = one.discriminator.get_weights()
    for a, b in zip(plain, two.discriminator.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_saved_model_keeps_it(tmp_path):
    gan = trained(tf.distribute.get_strategy(), None)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.get_compile_config() == gan.get_compile_config()
    assert "cutout" in str(loaded.get_compile_config()["augmentation"])


@pytest.mark.parametrize(
    ("policies", "error"),
    [("colour", ValueError), ("", ValueError), ((), TypeError), (3, TypeError)],
)
def test_policies_that_are_none(policies, error):
    with pytest.raises(error, match="`augmentation` must be"):
        DifferentiableAugmentation(policies)


def test_policies_come_in_one_order():
    assert DifferentiableAugmentation("cutout, color").policies == ("color", "cutout")
