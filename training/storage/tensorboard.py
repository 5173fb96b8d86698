"""TensorBoard's event files of a run that may be stopped and carried on."""

from __future__ import annotations

import contextlib
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
        with self._writing(), self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)

    def histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Writes how numbers are distributed, by name."""
        with self._writing(), self._writer.as_default():
            for name, numbers in values.items():
                tf.summary.histogram(name, numbers, step=step)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a uint8 image, shape `(height, width, channels)`."""
        with self._writing(), self._writer.as_default():
            tf.summary.image(name, image[None], step=step)

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


def truncate(folder: Path, step: int) -> None:
    """Removes the events of later steps, which will be written again.

    TensorBoard shows a point twice if two files have it. What a killed process left
    half written at the end of a file goes too.

    Args:
        folder: the folder of event files.
        step: the last step to keep.
    """
    for path in sorted(folder.glob("events.out.tfevents.*")):
        kept, dropped = [], False
        records = iter(tf.data.TFRecordDataset(str(path)))
        while True:
            try:
                record = next(records).numpy()
            except StopIteration:
                break
            except tf.errors.DataLossError:
                dropped = True
                break
            event = tf.compat.v1.Event.FromString(record)
            if event.step <= step:
                kept.append(record)
            else:
                dropped = True
        if dropped:
            with replacing(path) as temporary:
                with tf.io.TFRecordWriter(str(temporary)) as writer:
                    for record in kept:
                        writer.write(record)
