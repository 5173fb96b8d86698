"""Any Keras model as an extractor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import keras
import tensorflow as tf

from training.evaluation.extractors.feature_extractor import (
    FeatureExtractor,
    ScoreNames,
)


class KerasExtractor(FeatureExtractor):
    """Features, and logits if there are some, of a Keras model.

    Args:
        model: maps a batch of images to features (n, …), which are flattened, or to
            `[features, logits]`.
        name: short name; the Fréchet distance is then called `FD-<name>`.
        preprocess: turns the uint8 images into the model's input. Defaults to float32
            in [−1, 1], (x − 127.5)/127.5.
        preprocessing: what `preprocess` does, in words: it is stored with the scores
            and tells cached features apart. Must be given with `preprocess`.

    Raises:
        ValueError: if one of `preprocess` and `preprocessing` is given alone.

    Example:

    ```python
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    extractor = KerasExtractor(model, "pixels")
    features, logits = extractor(np.zeros((2, 8, 8, 3), np.uint8))
    assert features.shape == (2, 192) and logits is None
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        name: str,
        preprocess: Callable[[tf.Tensor], tf.Tensor] | None = None,
        preprocessing: str | None = None,
    ) -> None:
        if (preprocess is None) != (preprocessing is None):
            raise ValueError(
                "`preprocess` and `preprocessing` must be given together. Received: "
                f"preprocess={preprocess!r}, preprocessing={preprocessing!r}"
            )
        self.name = name
        self.scores = ScoreNames(f"FD-{name}", f"PS-{name}", f"KD-{name}")
        self.preprocessing = preprocessing or "(x-127.5)/127.5"
        self.identity = f"keras {name} sha256:{sha256_of_weights(model)}"
        self._model = model
        self._preprocess = preprocess or _to_unit_range

    def compute(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the model's features, flattened to (n, d), and its logits."""
        outputs = self._model(self._preprocess(images), training=False)
        features, logits = (
            outputs if isinstance(outputs, (list, tuple)) else (outputs, None)
        )
        return tf.reshape(features, [tf.shape(features)[0], -1]), logits


def sha256_of_weights(model: keras.Model) -> str:
    """Returns the SHA-256 of a model's structure and weights."""
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()


def _to_unit_range(images: tf.Tensor) -> tf.Tensor:
    return (tf.cast(images, tf.float32) - 127.5) / 127.5
