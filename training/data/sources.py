"""What a source of images is, and the one that holds them all in memory."""

from __future__ import annotations

import abc
import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from training.data.shuffling import epoch_indices

# More are a damaged file, or numbers that are no classes.
MOST_CLASSES = 100_000


class NoSuchSplitError(ValueError):
    """A data set has no split of the asked-for name."""


class NoSuchDataError(ValueError):
    """A name of data is neither known nor a folder that is there."""


class DataSource(abc.ABC):
    """Images of one size with bytes as values, perhaps with labels.

    The stream of a source is an endless sequence of its images: each run of
    `len(source)` of them, an epoch, holds every image once, in an order of its own.
    The image at a position of the stream depends on the seed and the position alone.

    Attributes:
        name: what it was loaded by.
        split: which part of the data set it is.
        image_shape: `(height, width, channels)`.
        num_classes: the number of classes, None without labels.
        class_names: their names, None without labels.
        digest: of the content: the same wherever the images lie, another one if an
            image, a label or an image's name changes.
        notes: what a user should know of the images, a sentence each.
    """

    name: str
    split: str
    image_shape: tuple[int, int, int]
    num_classes: int | None
    class_names: tuple[str, ...] | None
    digest: str
    notes: tuple[str, ...] = ()

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns the number of images."""

    @abc.abstractmethod
    def blocks(
        self, seed: int, start: int, size: int, stride: int, per_element: int
    ) -> tf.data.Dataset:
        """Returns parts of the stream: `(first, images[, labels])` without an end.

        Element `i` joins the blocks `i · per_element` to `(i + 1) · per_element - 1`,
        where block `b` is the stream's positions `start + b · stride` and on, `size`
        of them.

        Args:
            seed: of the images' order.
            start: the first position.
            size: the positions in a block.
            stride: from a block's first position to the next one's.
            per_element: the blocks that an element joins.
        """

    def sample(self, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns `count` different images, uint8, and their int32 labels or None.

        Args:
            count: between 1 and `len(self)`.
            seed: which ones.

        Raises:
            ValueError: if there are not as many images.
        """
        if not 1 <= count <= len(self):
            raise ValueError(
                f"`count` must be between 1 and the {len(self)} images of "
                f"{self.name!r} ({self.split}). Received: count={count}"
            )
        size = min(count, 1024)
        images: np.ndarray = np.empty((count, *self.image_shape), np.uint8)
        labels: np.ndarray | None = None
        if self.num_classes is not None:
            labels = np.empty(count, np.int32)
        taken = 0
        for _, part, *part_labels in self.blocks(seed, 0, size, size, 1):
            part = part.numpy()[: count - taken]
            images[taken : taken + len(part)] = part
            if labels is not None:
                labels[taken : taken + len(part)] = part_labels[0].numpy()[: len(part)]
            taken += len(part)
            if taken == count:
                break
        return images, labels

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r}, {self.split}: {len(self)} images "
            f"of {self.image_shape}, {self.num_classes or 'no'} classes>"
        )


def digest_of(
    images: np.ndarray, labels: np.ndarray | None, class_names: Sequence[str] | None
) -> str:
    """Returns a hash of arrays of images and labels, and of the classes' names."""
    digest = hashlib.sha256(
        repr((images.shape, class_names and tuple(class_names))).encode()
    )
    digest.update(np.ascontiguousarray(images).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels, np.int32).data)
    return digest.hexdigest()


class IndexedSource(DataSource):
    """Images of which any can be had by its number, in a random order an epoch."""

    @abc.abstractmethod
    def gather(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
        """Returns what makes `(images[, labels])` of int64 numbers of images."""

    def blocks(
        self, seed: int, start: int, size: int, stride: int, per_element: int
    ) -> tf.data.Dataset:
        """Gathers whole elements at once, by their indices alone."""
        gather = self.gather()
        offsets = tf.reshape(
            tf.range(per_element, dtype=tf.int64)[:, None] * stride
            + tf.range(size, dtype=tf.int64),
            [size * per_element],
        )

        def element(first: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return first, *gather(epoch_indices(first + offsets, len(self), seed))

        firsts = tf.data.Dataset.range(start, tf.int64.max, stride * per_element)
        return firsts.map(element, num_parallel_calls=tf.data.AUTOTUNE)


class ArraySource(IndexedSource):
    """Images that are all in memory.

    Args:
        images: uint8 of shape `(n, height, width, channels)`, with 1 or 3 channels.
        labels: integers of shape `(n,)` in `[0, num_classes)`, or None.
        class_names: one for each class; by default the classes' numbers.
        name: what to call it.
        split: which part of a data set it is.
        digest: of the content; by default of these arrays.
        notes: what a user should know of them.

    Raises:
        TypeError: if images or labels have another dtype.
        ValueError: if they have another shape, there are none, or a label is out of
            its range.

    Example:

    ```python
    source = ArraySource(np.zeros((10, 32, 32, 1), np.uint8))
    ```
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        name: str = "arrays",
        split: str = "all",
        digest: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        images = np.asarray(images)
        if images.dtype != np.uint8:
            raise TypeError(
                "`images` must be uint8, values from 0 to 255. "
                f"Received: images of dtype {images.dtype}"
            )
        if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
            raise ValueError(
                "`images` must have the shape (n, height, width, 1 or 3) with n ≥ 1. "
                f"Received: images of shape {images.shape}"
            )
        self.name = name
        self.split = split
        self.images = images
        self.image_shape = images.shape[1:]
        self.labels: np.ndarray | None = None
        self.num_classes = None
        self.class_names = None
        if labels is not None:
            self._set_labels(np.asarray(labels), class_names)
        self._digest = digest
        self.notes = notes

    @property
    def digest(self) -> str:  # type: ignore[override]
        """A hash of the content, made when it is first asked for."""
        if self._digest is None:
            self._digest = digest_of(self.images, self.labels, self.class_names)
        return self._digest

    def _set_labels(self, labels: np.ndarray, names: Sequence[str] | None) -> None:
        if labels.dtype.kind not in "iu":
            raise TypeError(
                f"`labels` must be integers. Received: labels of dtype {labels.dtype}"
            )
        if labels.shape != (len(self.images),):
            raise ValueError(
                f"`labels` must have the shape ({len(self.images)},), one for each "
                f"image. Received: labels of shape {labels.shape}"
            )
        if names is None:
            if labels.max() >= MOST_CLASSES:
                raise ValueError(
                    f"`labels` without `class_names` must be below {MOST_CLASSES:,}. "
                    f"Received: labels up to {labels.max()}"
                )
            names = [str(number) for number in range(int(labels.max()) + 1)]
        if labels.min() < 0 or labels.max() >= len(names):
            raise ValueError(
                f"`labels` must lie in [0, {len(names)}), the number of classes. "
                f"Received: labels from {labels.min()} to {labels.max()}"
            )
        self.labels = labels.astype(np.int32)
        self.class_names = tuple(names)
        self.num_classes = len(self.class_names)

    def __len__(self) -> int:
        return len(self.images)

    def gather(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
        """Gathers from tensors in the computer's memory."""
        arrays = self._tensors
        return lambda indices: tuple(tf.gather(array, indices) for array in arrays)

    @functools.cached_property
    def _tensors(self) -> list[tf.Tensor]:
        # Once: each is a copy.
        with tf.device("CPU:0"):  # a GPU's memory has better uses
            arrays = [tf.constant(self.images)]
            if self.labels is not None:
                arrays.append(tf.constant(self.labels))
        return arrays
