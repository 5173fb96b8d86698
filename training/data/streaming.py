"""Sources that are larger than memory: record files, read as training goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from training.data.shuffling import permutation
from training.data.sources import DataSource

# Files that are read at a time, and encoded images that are shuffled at a time: with
# ImageNet's 1,024 files a window of 4,096 images comes from 16 random files.
_FILES = 16
_WINDOW = 4096


@dataclasses.dataclass(frozen=True)
class Shard:
    """A TFRecord file, or the part of it from record `skip` on, `take` of them."""

    path: str
    skip: int
    take: int


class StreamingSource(DataSource):
    """Images in record files, decoded in parallel when they are needed.

    An epoch goes through the files in a random order, by groups of 16 that are read in
    turns, and shuffles windows of 4,096 encoded images. Nothing of it is random
    access, and yet a stream is taken up anywhere at the cost of reading part of one
    group: the groups before it are skipped by the files' known lengths.

    Args:
        shards: the files.
        parse: from a record to `(encoded image, label)`; the label is −1 without.
        decode: from an encoded image to uint8 of `image_shape`.
        image_shape: `(height, width, channels)`.
        class_names: the names of the classes, or None: labels are then dropped.
        name: what the source is called.
        split: which part of the data set it is.
        digest: of the content.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        parse: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        decode: Callable[[tf.Tensor], tf.Tensor],
        image_shape: tuple[int, int, int],
        class_names: Sequence[str] | None,
        name: str,
        split: str,
        digest: str = "",
    ) -> None:
        self.name = name
        self.split = split
        self.digest = digest
        self.image_shape = image_shape
        self.class_names = None if class_names is None else tuple(class_names)
        self.num_classes = None if class_names is None else len(class_names)
        self._shards = [shard for shard in shards if shard.take > 0]
        self._parse = parse
        self._decode = decode

    def __len__(self) -> int:
        return sum(shard.take for shard in self._shards)

    def blocks(
        self, seed: int, start: int, size: int, stride: int, per_element: int
    ) -> tf.data.Dataset:
        """Reads all of the stream, and decodes the positions in the blocks alone."""
        records = self._records(seed, start).enumerate(start)
        if size != stride:
            records = records.filter(lambda at, _: (at - start) % stride < size)

        def image(at: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, ...]:
            encoded, label = self._parse(record)
            pixels = tf.ensure_shape(self._decode(encoded), self.image_shape)
            if self.num_classes is None:
                return at, pixels
            return at, pixels, tf.cast(label, tf.int32)

        images = records.map(image, num_parallel_calls=tf.data.AUTOTUNE)
        elements = images.batch(size * per_element, drop_remainder=True)
        return elements.map(lambda at, *rest: (at[0], *rest))

    def _records(self, seed: int, start: int) -> tf.data.Dataset:
        """Returns the stream's serialized records from a position on."""
        count = len(self)
        shards = self._shards
        with tf.device("CPU:0"):
            paths = tf.constant([shard.path for shard in shards])
            skips = tf.constant([shard.skip for shard in shards], tf.int64)
            takes = tf.constant([shard.take for shard in shards], tf.int64)

        def read(index: tf.Tensor) -> tf.data.Dataset:
            file = tf.data.TFRecordDataset(paths[index])
            return file.skip(skips[index]).take(takes[index])

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            begun = tf.cast(number == start // count, tf.int64)
            first = begun * (start % count)
            order = permutation(len(shards), seed, number)
            ends = tf.cumsum(tf.gather(takes, order))
            groups = np.arange(0, len(shards), _FILES)
            # Of each group: the records before it and those up to its end.
            before = tf.gather(tf.concat([[0], ends], 0), groups)
            through = tf.gather(ends, np.minimum(groups + _FILES, len(shards)) - 1)

            def group(index: tf.Tensor) -> tf.data.Dataset:
                files = order[index * _FILES : (index + 1) * _FILES]
                records = tf.data.Dataset.from_tensor_slices(files).interleave(
                    read,
                    cycle_length=_FILES,
                    num_parallel_calls=tf.data.AUTOTUNE,
                    deterministic=True,
                )
                windows = records.batch(_WINDOW).enumerate()
                shuffled = windows.flat_map(
                    lambda window, batch: _shuffle(batch, seed, number, index, window)
                )
                return shuffled.skip(tf.maximum(first - before[index], 0))

            numbers = tf.data.Dataset.range(len(groups))
            return numbers.filter(lambda index: through[index] > first).flat_map(group)

        return tf.data.Dataset.range(start // count, tf.int64.max).flat_map(epoch)


def _shuffle(batch: tf.Tensor, seed: int, *path: tf.Tensor) -> tf.data.Dataset:
    # Not by `Dataset.shuffle`, whose order depends on TensorFlow's global seed too.
    order = permutation(tf.shape(batch, tf.int64)[0], seed, *path)
    return tf.data.Dataset.from_tensor_slices(tf.gather(batch, order))
