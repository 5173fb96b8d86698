"""What `GAN` refuses, and that it says why."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.replicas import two_replicas
from tests.training import toys
from training import GAN

GOOD = toys.images(8)


def gan(compiled=True, discriminator=None, **options):
    options = {"latent_dim": toys.LATENT, "discriminator_steps": 1, **options}
    made = GAN(toys.generator(), discriminator or toys.discriminator(), **options)
    if compiled:
        made.compile("sgd", "sgd")
    return made


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discriminator_steps": 0}, "`discriminator_steps` .* 1 or more. .*=0"),
        ({"discriminator_steps": 1.5}, "`discriminator_steps`"),
        ({"generator_batch_size": 0}, "`generator_batch_size`"),
        ({"latent_dim": 4}, "`latent_dim`"),
        ({"num_classes": 0}, "`num_classes`"),
        ({"num_classes": 3}, "latents, labels"),
        ({"discriminator_call": "both"}, "'auto', 'joint', 'separate'.*'both'"),
        ({"seed": "a"}, "`seed`"),
        ({"seed": -1}, "`seed` .* from 0 to 9223372036854775807. .*=-1"),
        ({"seed": 2**64}, "`seed` .*=18446744073709551616"),
        ({"dtype": "float64"}, "dtype"),
    ],
)
def test_constructor_arguments(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        gan(**options)


def test_networks_that_do_not_fit():
    with pytest.raises(TypeError, match="`discriminator`.*type str"):
        gan(discriminator="d")
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match=r"`discriminator` must take .*4, 4, 1"):
        gan(discriminator=other)
    wide = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    with pytest.raises(ValueError, match=r"logits of shape \(batch, 1\)"):
        gan(discriminator=wide)
    labelled = toys.discriminator(conditioning="projection", num_classes=3)
    with pytest.raises(ValueError, match="`num_classes` must be given"):
        gan(discriminator=labelled)


def test_compile_arguments():
    made = gan(compiled=False)
    with pytest.raises(ValueError, match="hinge.*standard.*wasserstein.*'least'"):
        made.compile("sgd", "sgd", loss="least")
    with pytest.raises(TypeError, match="`augmentation` must be None or a function"):
        made.compile("sgd", "sgd", augmentation="flip")
    one = keras.optimizers.SGD()
    with pytest.raises(ValueError, match="two objects"):
        made.compile(one, one)
    norm = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    with pytest.raises(ValueError, match="`gradient_penalty`.*batch norm"):
        gan(discriminator=norm).compile("sgd", "sgd", gradient_penalty=10.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "message"),
    [
        ((GOOD * 127 + 128).astype("uint8"), r"floats in \[−1, 1\].*uint8"),
        (GOOD * 3, r"lie in \[−1, 1\].*values from -2\.\d+ to 2\.\d+"),
        (np.where(GOOD > 0.9, np.nan, GOOD), r"lie in \[−1, 1\].*nan"),
        (GOOD[..., 0], r"\(batch, 4, 4, 1\).*\([48], 4, 4\)"),
        (np.repeat(GOOD, 3, axis=-1), r"\(batch, 4, 4, 1\).*\([48], 4, 4, 3\)"),
    ],
)
@pytest.mark.parametrize("kind", ["array", "dataset"])
def test_images(images, message, kind):
    x = images
    if kind == "dataset":
        x = tf.data.Dataset.from_tensor_slices(images).batch(4)
    made = gan()
    with pytest.raises(ValueError, match=message):
        made.fit(x, verbose=0)
    assert made.step == 0


@pytest.mark.slow
def test_images_that_were_scaled_to_0_1_are_pointed_out():
    with pytest.warns(UserWarning, match=r"scaled to \[0, 1\]"):
        gan().fit((GOOD + 1) / 2, batch_size=8, verbose=0)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (GOOD, {"batch_size": 0}, "`batch_size`"),
        (GOOD, {"batch_size": 9}, "at least 9 images"),
        (tf.data.Dataset.from_tensor_slices(GOOD).batch(4).take(0), {}, "empty"),
        ([1, 2], {}, "type list"),
    ],
)
def test_data(x, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        gan().fit(x, verbose=0, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "needs labels"),
        (np.arange(8), r"\[0, 3\).*from 0 to 7"),
        (np.full(8, -1), r"\[0, 3\)"),
        (np.zeros(8), "integers"),
        (np.zeros(7, int), r"shape \(8,\)"),
    ],
)
def test_labels(labels, message):
    networks = (
        toys.generator(3),
        toys.discriminator(conditioning="projection", num_classes=3),
    )
    made = GAN(*networks, latent_dim=toys.LATENT, num_classes=3)
    made.compile("sgd", "sgd")
    with pytest.raises(ValueError, match=message):
        made.fit(GOOD, labels, verbose=0)


def test_a_batch_that_replicas_cannot_share():
    with two_replicas().scope():
        made = gan()
    with pytest.raises(ValueError, match="multiple of the number of replicas, 2"):
        made.fit(GOOD, batch_size=3, verbose=0)


def test_a_step_by_hand_takes_what_fit_takes():
    made = gan()
    before = [w.numpy() for w in made.weights]
    with pytest.raises(ValueError, match=r"`x` must lie in .* nan"):
        made.train_on_batch(np.where(GOOD > 0.9, np.nan, GOOD))
    with pytest.raises(ValueError, match="of dtype uint8"):
        made.train_on_batch(np.uint8(255 * (GOOD > 0)))
    with pytest.raises(TypeError, match="takes no `sample_weight`"):
        made.train_on_batch(GOOD, None, np.zeros(8))
    with pytest.raises(TypeError, match="takes no `class_weight`"):
        made.train_on_batch(GOOD, class_weight={0: 1.0})
    with pytest.raises(ValueError, match="needs labels"):
        labelled = GAN(toys.generator(3), toys.discriminator(), num_classes=3)
        labelled.compile("sgd", "sgd")
        labelled.train_on_batch(GOOD)
    for old, new in zip(before, made.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    assert made.train_on_batch(GOOD, return_dict=True).keys() == {
        "generator_loss",
        "discriminator_loss",
    }


def test_a_file_that_cannot_hold_it_is_refused_and_left(tmp_path):
    file = tmp_path / "gan.h5"
    file.write_text("here")
    with pytest.raises(ValueError, match=r"`filepath` must be a path that ends in"):
        gan().save(file)
    assert file.read_text() == "here"


def test_one_optimizer_inside_of_two_is_one():
    inner = keras.optimizers.Adam()
    both = [keras.optimizers.LossScaleOptimizer(inner) for _ in range(2)]
    with pytest.raises(ValueError, match="must be two objects"):
        gan(compiled=False).compile(*both)


def test_a_loss_that_is_no_tensor():
    made = gan(compiled=False)
    made.compile("sgd", "sgd", loss=(lambda real, fake: 0.5, keras.ops.mean))
    with pytest.raises(ValueError, match="of the discriminator must be a scalar.*0.5"):
        made.fit(GOOD, batch_size=8, verbose=0)


def test_evaluate_says_what_to_use_instead():
    with pytest.raises(NotImplementedError, match=re.escape("training.evaluation")):
        gan().evaluate(GOOD, verbose=0)


@pytest.mark.parametrize("which", ["generator", "discriminator"])
def test_a_list_of_outputs_is_refused(which):
    networks = {"generator": toys.generator(), "discriminator": toys.discriminator()}
    one = networks[which]
    networks[which] = keras.Model(one.inputs, [one.outputs[0], one.outputs[0]])
    with pytest.raises(ValueError, match=f"`{which}` must .*list"):
        GAN(**networks)


def test_a_mistyped_argument_of_fit_is_named():
    with pytest.raises(TypeError, match="`batchsize`. Did you mean `batch_size`"):
        gan().fit(GOOD, batchsize=4)
    gan().fit(GOOD, batch_size=4, validation_data=None, verbose=0)


def test_nan_in_bfloat16_is_not_saved(tmp_path):
    made = gan(compiled=False)
    weight = keras.Variable([float("nan")], dtype="bfloat16", name="bad")
    made.generator.layers[-1]._non_trainable_variables.append(weight)
    with pytest.raises(ValueError, match="`save` needs weights that are finite"):
        made.save(tmp_path / "gan.keras")
