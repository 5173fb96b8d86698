"""How a classifier judges exported images beside Keras' on the same latents.

PSNR says how far pixels are; this says whether the images still show what they did.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from export.reading import keras_files
from export.reading.loading import Generator

_BATCH = 128


@dataclasses.dataclass(frozen=True)
class ScoreChange:
    """A classifier's view of exported images and of Keras' on the same latents.

    Attributes:
        images: number of images.
        keras: classifier score of Keras' images, from 1 to the number of classes.
        exported: classifier score of the exported file's images.
        same_class: share of images that keep the class that the classifier names.
        keras_right: share of Keras' images that show the class they were drawn for;
            None for generators without labels.
        exported_right: the same of the exported file's images.
        bound: the largest `change` that passes.
    """

    images: int
    keras: float
    exported: float
    same_class: float
    keras_right: float | None
    exported_right: float | None
    bound: float

    @property
    def change(self) -> float:
        """The score's change, relative to Keras'."""
        return self.exported / self.keras - 1.0

    @property
    def passed(self) -> bool:
        """Whether the change is within the bound."""
        return abs(self.change) <= self.bound


class Classifier:
    """A classifier in a Keras file.

    Args:
        source: a `.keras` file or a Keras model that takes images with values from 0
            to 255, of the generator's size, and whose last (or only) output is the
            logits or probabilities of the classes. `python -m training classifier`
            writes such a file.
        generator: whose images it is to judge.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError, TypeError: if it is no classifier of such images.
    """

    def __init__(self, source: Any, generator: Generator):
        self._range = generator.output_range
        self._model = keras_files.load(source, "classifier")
        inputs = [tuple(tensor.shape) for tensor in self._model.inputs or []]
        outputs = [tuple(tensor.shape) for tensor in self._model.outputs or []]
        fits = inputs == [(None, *generator.image_shape)] and len(outputs[-1]) == 2
        self.classes = int(outputs[-1][-1]) if fits else 0
        expected = generator.num_classes
        if self.classes < 2 or (expected and self.classes != expected):
            number = "2 or more" if expected is None else expected
            raise ValueError(
                f"`classifier` must take images of shape {generator.image_shape} and "
                f"give logits of {number} classes. Received: inputs {inputs}, outputs "
                f"{outputs}"
            )

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Returns the logits of images, rounded to the bytes of a file.

        Of probabilities they are the logarithms.
        """
        low, high = self._range
        found = []
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH]
            scaled = np.rint((part - low) * (255.0 / (high - low)))
            outputs = self._model(np.clip(scaled, 0, 255).astype("float32"))
            last = outputs[-1] if isinstance(outputs, (list, tuple)) else outputs
            found.append(np.asarray(last, "float64"))
        logits = np.concatenate(found)
        # As near to 1 as the sum of a softmax in half precision is.
        if logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=0.01):
            return np.log(np.maximum(logits, 1e-30))
        return logits


def classifier_score(logits: np.ndarray) -> float:
    """Returns `exp(E KL(p(y|x) ‖ p(y)))`: how sure and how varied the classes are.

    The Inception score (Salimans et al. 2016) with another classifier, all images in
    one part.

    Args:
        logits: of shape (images, classes).
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    probabilities = np.exp(logs)
    # Where p(y) underflows to 0, so does every p(y|x).
    marginal = np.log(np.maximum(probabilities.mean(axis=0), 1e-300))
    return float(np.exp((probabilities * (logs - marginal)).sum(axis=1).mean()))


def score_change(
    keras: np.ndarray, exported: np.ndarray, labels: np.ndarray | None, bound: float
) -> ScoreChange:
    """Returns how the score changes from Keras to an exported file.

    Args:
        keras: logits of Keras' images, shape (images, classes).
        exported: logits of the exported file's images.
        labels: the classes that the images were drawn for, or None.
        bound: the largest relative change that passes.
    """
    named, kept = keras.argmax(axis=1), exported.argmax(axis=1)
    return ScoreChange(
        images=len(keras),
        keras=classifier_score(keras),
        exported=classifier_score(exported),
        same_class=float((named == kept).mean()),
        keras_right=None if labels is None else float((named == labels).mean()),
        exported_right=None if labels is None else float((kept == labels).mean()),
        bound=bound,
    )
