import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.replicas import two_replicas
from training.data import ArraySource, make_dataset

COUNT = 37  # a prime: epochs end inside batches


def numbered(count=COUNT, shape=(3, 5, 1)):
    """A source whose image i has i as its first pixel."""
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return ArraySource(images, np.arange(count) % 7)


def stream(dataset, batches):
    parts = list(dataset.take(batches).as_numpy_iterator())
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def identity(images):
    return np.floor((images[:, 0, 0, 0].astype(np.float64) + 1) * 128).astype(int)


def test_each_epoch_holds_every_image_once_in_an_order_of_its_own():
    images, labels = stream(make_dataset(numbered(), 10, seed=3), 4 * COUNT // 10 + 1)
    order = identity(images)
    epochs = [order[i * COUNT : (i + 1) * COUNT] for i in range(4)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(COUNT))
    assert len({tuple(epoch) for epoch in epochs}) == 4
    np.testing.assert_array_equal(labels, order % 7)


@pytest.mark.slow
def test_orders_are_close_to_uniform():
    # Where image 0 lands, and which image follows it, over many epochs: chi squared
    # with COUNT - 1 degrees of freedom stays below its 99.99 % quantile.
    epochs = 1500
    source = numbered(shape=(1, 1, 1))
    (images, _) = stream(make_dataset(source, COUNT, seed=0), epochs)
    orders = identity(images).reshape(epochs, COUNT)
    places = np.argmin(orders, axis=1)
    followers = orders[np.arange(epochs), (places + 1) % COUNT]
    for values, kinds in ((places, COUNT), (followers - 1, COUNT - 1)):
        counts = np.bincount(values, minlength=kinds)
        statistic = ((counts - epochs / kinds) ** 2 / (epochs / kinds)).sum()
        assert statistic < 76.4


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 1, COUNT - 1, COUNT, 5 * COUNT + 11])
@pytest.mark.parametrize("batch_size", [1, 4, 50])
def test_a_stream_is_taken_up_anywhere_with_any_batch_size(start, batch_size):
    whole, whole_labels = stream(make_dataset(numbered(), 100, seed=5), 3)
    part, part_labels = stream(
        make_dataset(numbered(), batch_size, seed=5, start=start), 2
    )
    stop = start + 2 * batch_size
    np.testing.assert_array_equal(part, whole[start:stop])
    np.testing.assert_array_equal(part_labels, whole_labels[start:stop])


def test_a_stream_far_away_is_as_near():
    start = 10**12
    a, _ = stream(make_dataset(numbered(), 8, seed=5, start=start), 2)
    b, _ = stream(make_dataset(numbered(), 16, seed=5, start=start), 1)
    np.testing.assert_array_equal(a, b)


def test_seeds_differ_and_global_seeds_do_not_matter():
    keras.utils.set_random_seed(1)
    a, _ = stream(make_dataset(numbered(), 16, seed=0), 2)
    keras.utils.set_random_seed(2)
    b, _ = stream(make_dataset(numbered(), 16, seed=0), 2)
    c, _ = stream(make_dataset(numbered(), 16, seed=1), 2)
    np.testing.assert_array_equal(a, b)
    assert (identity(a) != identity(c)).any()


def test_values_are_the_papers():
    # x / 128 - 1 + U(0, 1/128) of every byte.
    source = ArraySource(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1))
    images = np.concatenate(list(make_dataset(source, 500, 0).take(2)))
    low = np.arange(256).reshape(16, 16, 1) / 128 - 1
    noise = (images.astype(np.float64) - low) * 128
    assert images.dtype == np.float32
    assert images.min() >= -1
    assert images.max() <= 1
    # Half a unit in the last place of 1.0 is 2⁻²⁵, times 128.
    assert noise.min() >= -(2**-17)
    assert noise.max() <= 1 + 2**-17
    # 256,000 draws: the mean and the variance of U(0, 1) within 5 standard errors.
    assert abs(noise.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / noise.size)
    assert abs(noise.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / noise.size)


def test_the_largest_noise_stays_inside():
    largest = np.float32(1 - 2**-23)
    assert (np.float32(255) + largest) * np.float32(1 / 128) - np.float32(1) <= 1


def test_noise_is_fresh_for_each_pixel_and_each_epoch():
    source = ArraySource(np.zeros((1, 8, 8, 3), np.uint8))
    images = np.concatenate(list(make_dataset(source, 64, seed=0).take(4)))
    # Floats this near to -1 leave 2¹⁷ values in the range of the noise.
    expected = 2**17 * -np.expm1(-images.size / 2**17)
    assert abs(len(np.unique(images)) - expected) < 0.01 * expected


def test_images_alone_without_labels():
    source = ArraySource(np.zeros((4, 2, 2, 3), np.uint8))
    spec = make_dataset(source, 2, seed=0).element_spec
    assert spec == tf.TensorSpec((2, 2, 2, 3), tf.float32)


def test_shapes_are_static_and_the_end_never_comes():
    dataset = make_dataset(numbered(), 6, seed=0)
    assert dataset.element_spec == (
        tf.TensorSpec((6, 3, 5, 1), tf.float32),
        tf.TensorSpec((6,), tf.int32),
    )
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "replicas"), [(2, 1), (2, 2), (3, 2), (1, 2)])
def test_workers_together_take_the_global_batch(workers, replicas):
    """What `tf.distribute` does to a dataset that it doesn't shard, done by hand."""
    batch_size, steps = 12, 5
    share = batch_size // (workers * replicas)
    whole, _ = stream(make_dataset(numbered(), batch_size, 7, start=9), steps)
    shares = []
    for worker in range(workers):
        dataset = make_dataset(
            numbered(), batch_size, 7, 9, worker_index=worker, num_workers=workers
        )
        if workers > 1:
            policy = dataset.options().experimental_distribute.auto_shard_policy
            assert policy == tf.data.experimental.AutoShardPolicy.OFF
        parts, _ = stream(dataset.rebatch(share), steps * replicas)
        shares.append(parts.reshape(steps, replicas * share, *parts.shape[1:]))
    together = np.concatenate(shares, axis=1).reshape(whole.shape)
    np.testing.assert_array_equal(together, whole)


def test_two_replicas_share_a_batch_in_its_order():
    strategy = two_replicas()
    dataset = make_dataset(numbered(), 8, seed=0)
    whole, _ = stream(dataset, 2)
    distributed = strategy.experimental_distribute_dataset(dataset)
    parts = []
    for _, (images, _) in zip(range(2), distributed, strict=False):
        parts += strategy.experimental_local_results(images)
    assert [len(part) for part in parts] == [4] * 4
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_sample_gives_different_images_with_their_labels():
    source = numbered()
    images, labels = source.sample(20, seed=1)
    assert images.dtype == np.uint8
    numbers = images[:, 0, 0, 0]
    assert len(set(numbers)) == 20
    np.testing.assert_array_equal(labels, numbers % 7)
    np.testing.assert_array_equal(images, source.images[numbers])


def test_sample_goes_beyond_one_block():
    images = np.arange(3000, dtype=np.uint16)
    source = ArraySource(images.view(np.uint8).reshape(3000, 2, 1, 1))
    sampled, labels = source.sample(3000)
    assert labels is None
    assert len(np.unique(sampled.reshape(3000, 2), axis=0)) == 3000
    with pytest.raises(ValueError, match="`count`.*count=3001"):
        source.sample(3001)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "`batch_size`.*batch_size=0"),
        ({"batch_size": 2.0}, TypeError, "`batch_size`.*2.0"),
        ({"batch_size": True}, TypeError, "`batch_size`.*True"),
        ({"seed": -1}, ValueError, "`seed`.*seed=-1"),
        ({"start": -1}, ValueError, "`start`.*start=-1"),
        ({"start": None}, TypeError, "`start`.*None"),
        ({"num_workers": 0}, ValueError, "`num_workers`.*=0"),
        ({"num_workers": 3}, ValueError, "`batch_size`.*3.*batch_size=4"),
        ({"num_workers": 2, "worker_index": 2}, ValueError, "`worker_index`.*=2"),
        ({"source": np.zeros((4, 2, 2, 1))}, TypeError, "`source`.*ndarray"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    good = {"source": numbered(), "batch_size": 4, "seed": 0}
    with pytest.raises(error, match=message):
        make_dataset(**{**good, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([np.zeros((2, 4, 4, 1))], TypeError, "`images`.*uint8.*float64"),
        ([np.zeros((2, 4, 4), np.uint8)], ValueError, r"`images`.*\(2, 4, 4\)"),
        ([np.zeros((2, 4, 4, 2), np.uint8)], ValueError, r"`images`.*\(2, 4, 4, 2\)"),
        ([np.zeros((0, 4, 4, 1), np.uint8)], ValueError, r"`images`.*\(0, 4, 4, 1\)"),
        ([np.zeros((2, 4, 4, 1), np.uint8), [1]], ValueError, r"`labels`.*\(1,\)"),
        ([np.zeros((2, 4, 4, 1), np.uint8), [0.0, 1]], TypeError, "`labels`.*float"),
        ([np.zeros((2, 4, 4, 1), np.uint8), [0, -1]], ValueError, "`labels`.*-1 to 0"),
        (
            [np.zeros((2, 4, 4, 1), np.uint8), [0, 2 * 10**9]],
            ValueError,
            "`labels`.*below 100,000.*up to 2000000000",
        ),
        (
            [np.zeros((2, 4, 4, 1), np.uint8), [0, 2], ["a", "b"]],
            ValueError,
            r"`labels`.*\[0, 2\).*0 to 2",
        ),
    ],
)
def test_bad_arrays_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        ArraySource(*arguments)


@pytest.mark.slow
def test_flips_mirror_half_of_the_images_by_position():
    images = np.random.default_rng(0).integers(0, 256, (20, 2, 9, 3), np.uint8)
    source = ArraySource(images, np.arange(20))

    def flipped(count, **options):
        dataset = make_dataset(source, 10, seed=3, flips=True, **options)
        found = []
        for batch, labels in dataset.take(count):
            pixels = np.floor((batch.numpy() + 1) * 128).astype(np.uint8)
            for image, label in zip(pixels, labels.numpy(), strict=True):
                mirrored = np.array_equal(image, images[label][:, ::-1])
                assert mirrored or np.array_equal(image, images[label])
                found.append(bool(mirrored))
        return found

    whole = flipped(40)
    assert 140 < sum(whole) < 260
    assert whole[:20] != whole[20:40]  # another epoch
    assert flipped(4, start=7) == whole[7:47]
    second = flipped(2, worker_index=1, num_workers=2)
    assert second == [*whole[5:10], *whole[15:20], *whole[25:30], *whole[35:40]]
