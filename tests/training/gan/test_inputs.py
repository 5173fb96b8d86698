"""Which images a step gets, and what is refused before or while they come."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import toys
from training import GAN
from training.gan import inputs, wiring

NUMBERED = (np.arange(40, dtype="float32") / 40).reshape(40, 1, 1, 1)
WIRING = wiring.Wiring(3, None, (1, 1, 1), False, False)


def steps(count, batch_size=16, group=2, **order):
    """The numbers of the images that each step gets."""
    with pytest.warns(UserWarning, match="scaled to"):
        data = inputs.of(
            NUMBERED, None, batch_size, group, WIRING, inputs.Order(7, **order)
        )
    elements = itertools.islice(data.dataset, count)
    return [np.rint(40 * x.numpy().ravel()).astype(int).tolist() for x in elements]


def test_a_pass_has_no_image_twice_and_the_next_has_another_order():
    found = steps(12, batch_size=5, group=2)
    passes = [sum(found[i : i + 4], []) for i in (0, 4, 8)]
    assert all(sorted(one) == list(range(40)) for one in passes)
    assert passes[0] != passes[1] != passes[2] != list(range(40))


def test_what_a_pass_leaves_out_comes_in_another():
    # 40 images, 32 a step.
    found = steps(6)
    assert all(len(set(one)) == 32 for one in found)
    assert set(sum(found, [])) == set(range(40))


@pytest.mark.slow
def test_calls_of_fit_go_on_where_the_last_one_stopped():
    whole = steps(6)
    assert [steps(1, step=i)[0] for i in range(6)] == whole
    assert steps(1, epoch=5)[0] == whole[5]
    assert steps(1, epoch=1, steps_per_epoch=3)[0] == whole[3]


def fitted(x, steps=1, **options):
    gan = GAN(toys.generator(), toys.discriminator(), discriminator_steps=steps)
    gan.compile("sgd", "sgd", run_eagerly=True)
    gan.fit(x, verbose=0, **options)
    return gan


class Batches(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return len(self.images) // 4

    def __getitem__(self, index):
        return self.images[4 * index : 4 * index + 4]


@pytest.mark.slow
def test_a_py_dataset_is_a_dataset_of_its_batches():
    images = toys.images(16)
    found = [
        fitted(x, 2, shuffle=False, batch_size=4, epochs=2)
        for x in (Batches(images), images)
    ]
    assert [gan.step for gan in found] == [4, 4]


class AsLists(Batches):
    def __init__(self, images):
        super().__init__(images)
        self.said = []

    def __getitem__(self, index):
        return [super().__getitem__(index), None]

    def on_epoch_begin(self):
        self.said.append("begin")

    def on_epoch_end(self):
        self.said.append("end")


def test_a_py_dataset_is_told_of_epochs_and_may_give_lists():
    batches = AsLists(toys.images(16))
    assert fitted(batches, epochs=2).step == 8
    assert batches.said == 2 * ["begin", "end"]


def test_labels_of_a_py_dataset_are_taken():
    class Labelled(Batches):
        def __getitem__(self, index):
            return [super().__getitem__(index), np.arange(4) % 3]

    gan = GAN(toys.generator(3), toys.discriminator(), 3, 1, num_classes=3)
    gan.compile("sgd", "sgd", run_eagerly=True)
    gan.fit(Labelled(toys.images(16)), verbose=0)
    assert gan.step == 4


def test_nested_elements_are_refused():
    images = toys.images(8)
    nested = tf.data.Dataset.from_tensors(((images, images), np.zeros(8, int)))
    with pytest.raises(ValueError, match=r"must be images or `\(images, labels\)`"):
        fitted(nested)


def test_executions_beyond_an_epoch_of_a_dataset_are_refused():
    gan = GAN(toys.generator(), toys.discriminator(), discriminator_steps=1)
    gan.compile("sgd", "sgd", steps_per_execution=4)
    dataset = tf.data.Dataset.from_tensors(toys.images(4)).repeat()
    with pytest.raises(ValueError, match="multiple of `steps_per_execution`, 4.*=10"):
        gan.fit(dataset, steps_per_epoch=10)


def test_an_image_alone_is_no_batch():
    images = tf.data.Dataset.from_tensor_slices(toys.images(8))
    with pytest.raises(ValueError, match=r"one image: take `x.batch\(64\)`"):
        fitted(images)


def test_weights_of_samples_are_refused():
    parts = toys.images(8), np.zeros(8, int), np.ones(8)
    with pytest.raises(ValueError, match="without weights of samples"):
        fitted(tf.data.Dataset.from_tensor_slices(parts).batch(4))


@pytest.mark.slow
@pytest.mark.parametrize("eager", [True, False])
def test_a_later_batch_with_nan_never_reaches_the_weights(eager):
    images = toys.images(16)
    images[11, 0, 0, 0] = np.nan
    gan = GAN(toys.generator(), toys.discriminator(), discriminator_steps=1)
    gan.compile("sgd", "sgd", run_eagerly=eager)
    with pytest.raises(ValueError, match=r"\[−1, 1\]. Received: a later batch"):
        gan.fit(tf.data.Dataset.from_tensor_slices(images).batch(4), verbose=0)
    assert gan.step == 2
    assert all(np.isfinite(weight.numpy()).all() for weight in gan.weights)


def test_a_later_label_out_of_range_is_refused():
    networks = toys.generator(3), toys.discriminator(num_classes=3)
    gan = GAN(*networks, discriminator_steps=1)
    gan.compile("sgd", "sgd", run_eagerly=True)
    labels = np.array([0, 1, 2, 0, 1, 3, 0, 0])
    pairs = tf.data.Dataset.from_tensor_slices((toys.images(8), labels)).batch(4)
    with pytest.raises(ValueError, match="labels of `x` must lie in"):
        gan.fit(pairs, verbose=0)
    assert gan.step == 1


@pytest.mark.slow
def test_the_batch_may_have_another_size_in_another_call():
    images = toys.images(16)
    gan = GAN(toys.generator(), toys.discriminator(), discriminator_steps=1)
    gan.compile("sgd", "sgd")
    for batch_size, step in ((4, 4), (8, 6), (4, 10)):
        gan.fit(images, batch_size=batch_size, verbose=0)
        assert gan.step == step


@pytest.mark.parametrize("batch", [4, 2])
def test_a_dataset_of_too_few_images_is_refused(batch):
    images = tf.data.Dataset.from_tensor_slices(toys.images(16))
    images = images.batch(batch, drop_remainder=True)
    with pytest.raises(ValueError, match="at least 20 images, 5 batches of 4"):
        fitted(images, 5, batch_size=4)


def test_an_epoch_ends_with_an_execution():
    gan = GAN(toys.generator(), toys.discriminator(), discriminator_steps=1)
    gan.compile("sgd", "sgd", steps_per_execution=3)
    with pytest.raises(ValueError, match="multiple of `steps_per_execution`, 3"):
        gan.fit(toys.images(16), batch_size=4, verbose=0)
    gan.fit(toys.images(16), batch_size=4, steps_per_epoch=3, verbose=0)
    assert gan.step == 3


def test_images_of_unknown_rank_are_those_of_the_discriminator():
    images = toys.images(8)
    dataset = tf.data.Dataset.range(2).map(
        lambda i: tf.numpy_function(
            lambda n: images[4 * n : 4 * n + 4], [i], tf.float32
        )
    )
    assert fitted(dataset, batch_size=4).step == 2


def test_a_py_dataset_without_a_length_is_refused():
    class Endless(Batches):
        num_batches = None

    with pytest.raises(ValueError, match="known number of batches.*Endless"):
        fitted(Endless(toys.images(16)), steps_per_epoch=2)


@pytest.mark.slow
def test_labels_of_any_integers_are_the_same():
    """uint8 of shape (n, 1), as CIFAR-10 has them, and int32 of shape (n,)."""
    weights = []
    for labels in (np.arange(8, dtype=np.int32) % 3, np.arange(8, dtype=np.uint8) % 3):
        labels = labels[:, None] if labels.dtype == np.uint8 else labels
        for call in ("joint", "separate"):
            keras.utils.set_random_seed(0)
            gan = GAN(
                toys.generator(num_classes=3),
                toys.discriminator(conditioning="auxiliary", num_classes=3),
                discriminator_steps=1,
                discriminator_call=call,
            )
            gan.compile("sgd", "sgd")
            gan.fit(toys.images(8), labels, batch_size=4, verbose=0)
            weights.append(gan.discriminator.get_weights())
    for one in weights[1:]:
        for a, b in zip(weights[0], one, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
