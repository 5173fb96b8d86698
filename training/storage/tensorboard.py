"""TensorBoard's event files of a run that may be stopped and carried on."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.storage.files import replacing


class Events:
    """Writes scalars, histograms and images for TensorBoard.

    Args:
        folder: the folder of event files.

    Raises:
        OSError: by any method, if the file can't be written.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        with self._writing():
            self._writer = tf.summary.create_file_writer(str(folder))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by name."""
        with self._writing(), self._writer.as_default(_plain(step)):
            for name, value in values.items():
                tf.summary.scalar(name, np.asarray(value, np.float32))

    def histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Writes how numbers are distributed, by name."""
        with self._writing(), self._writer.as_default(_plain(step)):
            for name, numbers in values.items():
                tf.summary.histogram(name, numbers)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a uint8 image, shape `(height, width, channels)`."""
        with self._writing(), self._writer.as_default(_plain(step)):
            tf.summary.image(name, image[None])

    def flush(self) -> None:
        """Hands everything to the operating system."""
        with self._writing():
            self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        with self._writing():
            self._writer.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        # Some of TensorFlow's errors mean something to Keras: a file that may not grow
        # is "out of range", which `fit` takes for the end of the data.
        try:
            yield
        except tf.errors.OpError as error:
            raise OSError(
                f"TensorBoard's file in {self._folder} can't be written: "
                f"{error.message}"
            ) from error


def _plain(step: int) -> np.ndarray:
    # TensorFlow keeps each Python number that it was ever given, half a KB a piece, as
    # long as the process lives. Arrays it does not.
    return np.asarray(step, np.int64)


def truncate(folder: Path, step: int) -> None:
    """Removes the events of later steps, which will be written again.

    TensorBoard shows a point twice if two files have it, and nothing of what follows a
    damaged place. What a killed process left half written at the end of a file goes
    too.

    Args:
        folder: the folder of event files.
        step: the last step to keep.

    Warns:
        UserWarning: if a file is damaged elsewhere than at its end.
    """
    for path in sorted(folder.glob("events.out.tfevents.*")):
        if not path.is_file():
            continue
        records, whole = _records(path)
        kept = [
            record
            for record in records
            if tf.compat.v1.Event.FromString(record).step <= step
        ]
        if not whole or len(kept) < len(records):
            with replacing(path) as temporary:
                with tf.io.TFRecordWriter(str(temporary)) as writer:
                    for record in kept:
                        writer.write(record)


def _records(path: Path) -> tuple[list[bytes], bool]:
    """Returns the records of a file that are whole, and whether that is all of it."""
    records = []
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            records.append(record.numpy())
        return records, True
    except tf.errors.DataLossError:
        return _whole_records(path), False


def _whole_records(path: Path) -> list[bytes]:
    content, records = path.read_bytes(), []
    at = end = lost = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 8], "little")
        # Before the record stand its length and a checksum of that, after it one of
        # itself.
        record = content[at + 12 : at + 12 + size]
        if (
            at + size + 16 <= len(content)
            and _framed(record) == (content[at : at + size + 16])
        ):
            records.append(record)
            lost += at - end
            at = end = at + size + 16
        else:
            at += 1
    if lost:
        warnings.warn(
            f"{path} is damaged: {lost} of its {len(content)} bytes are left out.",
            stacklevel=3,
        )
    return records


def _framed(record: bytes) -> bytes:
    """Returns a record as it stands in a file, with its length and checksums."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    RecordWriter(file).write(record)
    return file.getvalue()
