"""The interface that every feature extractor has: uint8 images → features, logits."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from training.evaluation.scores.score_inputs import check_images


@dataclasses.dataclass(frozen=True)
class ScoreNames:
    """What the scores on an extractor's features are called.

    Only the 2015 Inception graph makes an FID; every other extractor's scores carry
    names of their own, so that nobody compares them with published ones.

    Attributes:
        frechet: name of the Fréchet distance.
        inception: name of the Inception score's form on the extractor's logits.
        kernel: name of the kernel distance.
        accuracy: name of the share of images whose class the logits name, of an
            extractor whose classes are the data's own.
    """

    frechet: str
    inception: str
    kernel: str
    accuracy: str | None = None


class FeatureExtractor(abc.ABC):
    """Maps uint8 images to feature vectors and, where there are some, logits.

    A subclass sets the attributes and writes `compute`.

    Attributes:
        name: short name, part of file names.
        identity: tells this network and its weights from all others, such as the
            SHA-256 of the weights' file; part of the cache's key.
        preprocessing: what is done to the images, in words; part of the cache's key.
        scores: names of the scores on these features.
    """

    name: str
    identity: str
    preprocessing: str
    scores: ScoreNames

    @abc.abstractmethod
    def compute(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns features (n, d) and logits (n, classes) or `None`.

        Args:
            images: a uint8 tensor (n, height, width, 1 or 3).
        """

    def scores_of(self, class_names: Sequence[str] | None) -> ScoreNames:
        """Returns the names of the scores of a generator of these classes.

        Args:
            class_names: of all of G's classes; None: not known, or there are none.
        """
        return self.scores

    def __call__(
        self, images: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Returns features and logits of uint8 images as arrays.

        Raises:
            TypeError: if the images aren't uint8.
            ValueError: if the shape isn't (n, height, width, 1 or 3) or n is 0.
        """
        images = check_images("images", images)
        features, logits = self._graph(images.shape[1:])(tf.constant(images))
        return features.numpy(), None if logits is None else logits.numpy()

    def _graph(self, image_shape: tuple[int, ...]) -> Any:
        """Returns `compute` for batches of any size, traced once an image shape."""
        graphs = self.__dict__.setdefault("_graphs", {})
        if image_shape not in graphs:
            spec = tf.TensorSpec((None, *image_shape), tf.uint8)
            graphs[image_shape] = tf.function(self.compute, input_signature=[spec])
        return graphs[image_shape]


def sha256_of_file(path: str | Path) -> str:
    """Returns the SHA-256 of a file, or of a folder's files in their order."""
    path = Path(path)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else None
    digest = hashlib.sha256()
    for part in [path] if files is None else files:
        with open(part, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def to_rgb(images: tf.Tensor) -> tf.Tensor:
    """Repeats the one channel of grey images three times."""
    return tf.image.grayscale_to_rgb(images) if images.shape[-1] == 1 else images
