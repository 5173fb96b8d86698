"""Images in files: all read at once, or each when it is needed."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from training.data.decoding import BrokenImageError, Decoder, Traits
from training.data.examination import (
    Examined,
    broken_files,
    examined,
    hashed_files,
    threads,
)
from training.data.listing import Listing
from training.data.sources import ArraySource, IndexedSource

# Without a call for so long, TensorFlow's threads have all that they have room for.
_QUIET_SECONDS = 0.2


class FileSource(IndexedSource):
    """Images that are decoded as they are needed, in parallel.

    They come in the order that an `ArraySource` of them would give, byte for byte:
    whether they fit in memory changes no run.

    Args:
        found: the files.
        decoder: with a size and channels.
        name: what the source is called.

    Attributes:
        failure: why the first file that couldn't be read couldn't, or None. `tf.data`
            hands on a text alone.
    """

    def __init__(self, found: Examined, decoder: Decoder, name: str) -> None:
        listing = found.listing
        self.name = name
        self.split = listing.split
        if decoder.size is None or decoder.channels is None:
            raise ValueError(
                "`decoder` must have a size and channels. "
                f"Received: decoder={decoder!r}"
            )
        self.image_shape = (*decoder.size, decoder.channels)
        classes = listing.class_names
        self.class_names = None if classes is None else tuple(classes)
        self.num_classes = None if classes is None else len(classes)
        self.digest = found.digest
        self.notes = found.notes
        self.failure: ValueError | None = None
        self._listing = listing
        self._decoder = decoder
        self._pool = ThreadPoolExecutor(threads())

    def __len__(self) -> int:
        return len(self._listing)

    def sample(self, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        """As every source's; a file that can't be read is named."""
        try:
            return super().sample(count, seed)
        except tf.errors.OpError as error:
            raise self.failure or error from None

    def gather(self) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
        """Gathers by reading files; the labels are in memory."""
        known = self._listing.labels
        with tf.device("CPU:0"):
            labels = None if known is None else tf.constant(known)

        def read(indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
            images = tf.numpy_function(self.read, [indices], tf.uint8)
            images = tf.reshape(images, [-1, *self.image_shape])
            return (images,) if labels is None else (images, tf.gather(labels, indices))

        return read

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Returns the images of some numbers, uint8.

        Raises:
            ValueError: if a file is broken, or no longer there.
        """
        with _reads.one():
            return self._read(indices)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        images: np.ndarray = np.empty((len(indices), *self.image_shape), np.uint8)

        def place(at: int) -> None:
            images[at] = self._one(self._listing.path(int(indices[at])))

        for _ in self._pool.map(place, range(len(indices))):
            pass
        return images

    def _one(self, path: str) -> np.ndarray:
        try:
            with open(path, "rb") as file:
                return self._decoder.decode(file.read())[0]
        except (OSError, BrokenImageError) as error:
            failure = broken_files([f"{path} ({error})"])
            # An earlier one stays: its traceback may hold the last iterator, which,
            # let go of here, would wait for this thread for ever.
            self.failure = self.failure or failure
            raise failure from error


class _Reads:
    """The calls from TensorFlow's threads, which must end before the interpreter does.

    One that came later would wait for the interpreter's lock for ever, and the
    interpreter for it, as it takes an iterator apart that somebody still holds.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._last = -math.inf
        self._closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """A call, refused when the interpreter is about to end."""
        with self._lock:
            self._under_way += 1
        try:
            if self._closed:
                raise RuntimeError("The program ends.")
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._last = time.monotonic()

    def end(self) -> None:
        """Refuses further calls, and returns when none comes any more.

        An iterator asks for no more than it has room for.
        """
        self._closed = True
        while self._under_way or time.monotonic() - self._last < _QUIET_SECONDS:
            time.sleep(_QUIET_SECONDS / 10)


_reads = _Reads()
atexit.register(_reads.end)


def read_all(
    listing: Listing, decoder: Decoder, name: str, skip_broken: bool = False
) -> ArraySource:
    """Returns a source of all images, each decoded once, in parallel.

    Args:
        listing: the files.
        decoder: perhaps without a size: the images must then be of one.
        name: what the source is called.
        skip_broken: whether to go on without files that can't be decoded.

    Raises:
        ValueError: if files can't be decoded, or their images differ in size.
    """
    store = _Store(listing, decoder)

    def look(index: int) -> tuple[Traits, bytes]:
        with open(listing.path(index), "rb") as file:
            content = file.read()
        pixels, traits = decoder.decode(content)
        store.put(index, pixels)
        return traits, content

    found = examined(listing, look, skip_broken, "reading images")
    images = store.images if found.kept.all() else store.images[found.kept]
    if found.grey and images.shape[-1] == 3 and decoder.channels is None:
        images = images[..., :1].copy()
    whole = found.listing
    return ArraySource(
        images,
        whole.labels,
        whole.class_names,
        name,
        whole.split,
        found.digest,
        found.notes,
    )


def read_later(
    listing: Listing, decoder: Decoder, name: str, skip_broken: bool = False
) -> FileSource:
    """Returns a source that decodes images as they are needed.

    Here headers alone are read; with `skip_broken` each file is decoded once, so that
    those that are broken are known before training begins.

    Args:
        listing: as in `read_all`.
        decoder: likewise.
        name: likewise.
        skip_broken: likewise.

    Raises:
        ValueError: as `read_all`, but for files whose headers are whole.
    """
    few = set() if skip_broken else hashed_files(listing)
    sizes = _Sizes(listing)

    def look(index: int) -> tuple[Traits, bytes]:
        with open(listing.path(index), "rb") as file:
            if not skip_broken and index not in few:
                size, traits = decoder.header(file)
                content = b""
            else:
                content = file.read()
                pixels, traits = decoder.decode(content)
                size = pixels.shape[:2]
        if decoder.size is None:
            sizes.check(index, size)
        return traits, content

    what = "reading images" if skip_broken else "reading headers"
    found = examined(listing, look, skip_broken, what)
    channels = decoder.channels or (1 if found.grey else 3)
    size = decoder.size or sizes.first
    whole = dataclasses.replace(decoder, size=size, channels=channels)
    return FileSource(found, whole, name)


class _Sizes:
    """The size that all images of a listing must have: that of the first seen."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._lock = threading.Lock()
        self._index = -1
        self.first: tuple[int, int] = (0, 0)

    def check(self, index: int, size: tuple[int, ...]) -> None:
        with self._lock:
            if self._index < 0:
                self._index, self.first = index, (size[0], size[1])
        if tuple(size) != self.first:
            raise ValueError(
                "Images of different sizes need `image_size`, the size that they are "
                "cropped and resized to. Received: "
                f"{self._listing.path(self._index)} of {self.first} and "
                f"{self._listing.path(index)} of {tuple(size)}"
            )


class _Store:
    """An array of all images, made when the first has been seen."""

    def __init__(self, listing: Listing, decoder: Decoder) -> None:
        self._count = len(listing)
        self._sizes = _Sizes(listing)
        self._channels = decoder.channels or 3
        self._lock = threading.Lock()
        self.images: np.ndarray = np.empty((0, 0, 0, 0), np.uint8)

    def put(self, index: int, pixels: np.ndarray) -> None:
        self._sizes.check(index, pixels.shape[:2])
        with self._lock:
            if not self.images.size:
                shape = (self._count, *pixels.shape[:2], self._channels)
                self.images = np.empty(shape, np.uint8)
        self.images[index] = pixels
