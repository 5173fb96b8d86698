"""From a source to batches of floats: the paper's scaling and dequantization noise."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training import values
from training.data.sources import DataSource

# Decorrelate noise and flips from the order of the images, which has the same seed.
_NOISE = 0x015E
_FLIPS = 0xF11B


def make_dataset(
    source: DataSource,
    batch_size: int,
    seed: int,
    start: int = 0,
    worker_index: int = 0,
    num_workers: int = 1,
    flips: bool = False,
) -> tf.data.Dataset:
    """Returns an endless dataset of batches of images in [−1, 1].

    A byte x becomes `x / 128 - 1 + n` with `n ~ U(0, 1/128)`, drawn anew in each
    epoch: the preprocessing of Miyato et al. (2018), which lands in [−1, 1].

    The image at a position of the stream, and its noise, depend on the seed and the
    position alone, not on the batch size. So a run that stopped after `k` images is
    carried on with `start=k`. No image comes twice in an epoch, which is any `n`
    positions from a multiple of `n = len(source)` on; batches run on over its end.

    `tf.distribute` cuts an element into the shares of replicas and workers in order.
    Left to itself it has each worker make all of every element, of which it keeps its
    share; where decoding is the work, tell each worker which one it is. It then makes
    its own share alone, and an element joins its shares of `num_workers` successive
    batches, which `tf.distribute` cuts apart again: step `i` of all workers together
    takes batch `i` either way.

    Args:
        source: where the images come from, see `load`.
        batch_size: the images in an element, over all workers and replicas.
        seed: of the order and the noise, in [0, 2³¹).
        start: how many images of the stream to leave out.
        worker_index: which worker this is, from 0.
        num_workers: how many workers there are; a divisor of `batch_size`.
        flips: whether half of the images are mirrored, other ones in each epoch; which
            ones depends on the seed and the position alone.

    Returns:
        A dataset of float32 images of shape `(batch_size, height, width, channels)`,
        or, if the source has labels, of pairs of them with int32 labels of shape
        `(batch_size,)`.

    Raises:
        TypeError: if `source` is none, or a number is no integer.
        ValueError: if a number is out of its range.

    Example:

    ```python
    from training.data import load

    dataset = make_dataset(load("mnist5k", image_size=32), batch_size=64, seed=0)
    images, labels = next(iter(dataset))
    ```
    """
    if not isinstance(source, DataSource):
        raise TypeError(
            "`source` must be a DataSource, such as `load` returns. "
            f"Received: source of type {type(source).__name__}"
        )
    batch_size = values.integer("batch_size", batch_size, 1, 2**31 - 1)
    seed = values.integer("seed", seed, 0, 2**31 - 1)
    start = values.integer("start", start, 0, 2**62 - 1)
    num_workers = values.integer("num_workers", num_workers, 1, 2**31 - 1)
    worker_index = values.integer("worker_index", worker_index, 0, num_workers - 1)
    flips = values.boolean("flips", flips)
    if batch_size % num_workers:
        raise ValueError(
            f"`batch_size` must be a multiple of `num_workers`, {num_workers}. "
            f"Received: batch_size={batch_size}"
        )
    share = batch_size // num_workers
    blocks = source.blocks(
        seed, start + worker_index * share, share, batch_size, num_workers
    )

    def convert(first: tf.Tensor, images: tf.Tensor, *labels: tf.Tensor) -> Any:
        noise = tf.concat(
            [
                _noise(seed, first + block * batch_size, share, source.image_shape)
                for block in range(num_workers)
            ],
            axis=0,
        )
        if flips:
            chosen = tf.concat(
                [
                    _flipped(seed, first + block * batch_size, share)
                    for block in range(num_workers)
                ],
                axis=0,
            )
            mirrored = tf.reverse(images, axis=[2])
            images = tf.where(chosen[:, None, None, None], mirrored, images)
        images = (tf.cast(images, tf.float32) + noise) * (1 / 128) - 1
        images = tf.ensure_shape(images, [batch_size, *source.image_shape])
        return (images, tf.ensure_shape(labels[0], [batch_size])) if labels else images

    dataset = blocks.map(convert, num_parallel_calls=tf.data.AUTOTUNE)
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    options = tf.data.Options()
    policies = tf.data.experimental.AutoShardPolicy
    options.experimental_distribute.auto_shard_policy = (
        policies.DATA if num_workers == 1 else policies.OFF
    )
    options.deterministic = True
    return dataset.apply(endless).prefetch(tf.data.AUTOTUNE).with_options(options)


def _flipped(seed: int, first: tf.Tensor, count: int) -> tf.Tensor:
    """Returns whether each of `count` positions from `first` on is mirrored, bools."""
    key, _ = tf.raw_ops.StatelessRandomGetKeyCounter(seed=[seed, _FLIPS])
    low = tf.cast(first, tf.uint64)
    numbers = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[count, 4],  # what a count of Philox makes
        key=key,
        counter=tf.stack([low, tf.zeros_like(low)]),
        alg=1,  # Philox, on every device
        dtype=tf.uint32,
    )
    return tf.bitwise.bitwise_and(numbers[:, 0], 1) == 1


def _noise(
    seed: int, first: tf.Tensor, count: int, image_shape: tuple[int, int, int]
) -> tf.Tensor:
    """Returns U[0, 1) for `count` positions of the stream from `first` on.

    Philox is a function of a key and a counter that yields four floats a count. An
    image owns as many counts as it has pixels by four, so that one call makes a whole
    batch, and yet each image's noise is its own.
    """
    height, width, channels = image_shape
    numbers = height * width * channels
    counts = -(-numbers // 4)
    key, _ = tf.raw_ops.StatelessRandomGetKeyCounter(seed=[seed, _NOISE])
    low = tf.cast(first * counts, tf.uint64)
    uniform = tf.raw_ops.StatelessRandomUniformV2(
        shape=[count, counts * 4],
        key=key,
        counter=tf.stack([low, tf.zeros_like(low)]),
        alg=1,  # Philox, on every device
    )
    return tf.reshape(uniform[:, :numbers], [count, height, width, channels])
