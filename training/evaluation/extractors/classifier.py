"""The classifier of `classifier_network.py` as an extractor, from a cache."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import keras
import tensorflow as tf

import sn_keras  # noqa: F401 (registers the layers that files name)
from training.evaluation.extractors.cache import prepare_cache
from training.evaluation.extractors.classifier_training import (
    LabelledImages,
    accuracy,
    faster_policy,
    train_classifier,
)
from training.evaluation.extractors.feature_extractor import (
    FeatureExtractor,
    ScoreNames,
    sha256_of_file,
)
from training.storage.files import replacing, write_json

# Part of the cache's names: another recipe makes another classifier.
RECIPE = 5


class ClassifierExtractor(FeatureExtractor):
    """Features (n, 128 or 256) and logits of a classifier trained on the data itself.

    Args:
        model: a model of `build_classifier`, trained.
        identity: tells it from others; stored with the scores.
        test_accuracy: its share of right answers on held-out images.
        class_names: of the classes that it tells apart, where they are known.
    """

    name = "classifier"
    scores = ScoreNames(
        frechet="FCD", inception="CS", kernel="KCD", accuracy="GAN-test"
    )
    preprocessing = "none (values from 0 to 255 at the images' own size)"

    def __init__(
        self,
        model: keras.Model,
        identity: str,
        test_accuracy: float,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.identity = identity
        self.test_accuracy = test_accuracy
        self.class_names = class_names
        self._model = model

    def scores_of(self, class_names: Sequence[str] | None) -> ScoreNames:
        """Returns the scores' names; of other classes than its own no GAN-test."""
        known = self.class_names
        if known and class_names and list(known) != list(class_names):
            return dataclasses.replace(self.scores, accuracy=None)
        return self.scores

    def compute(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the pooled features and the logits."""
        expected = self._model.input_shape[1:]
        if images.shape[1:] != expected:
            raise ValueError(
                f"`images` must have the shape (n, {', '.join(map(str, expected))}) "
                f"that the classifier was trained on. Received: {images.shape}"
            )
        features, logits = self._model(tf.cast(images, tf.float32), training=False)
        return features, logits


@dataclasses.dataclass(frozen=True)
class ClassifierCard:
    """What is stored beside a classifier.

    Attributes:
        data: name of the data set.
        fingerprint: hash of all images and labels.
        seed: seed of the training (and of the split, where it was made).
        n_train: number of training images.
        n_test: number of test images.
        test_accuracy: share of test images whose class it names.
        sha256: of the model's file.
        recipe: version of network and training.
        policy: dtype policy that it was trained by; None: not known.
        class_names: of all classes; None: not known.
    """

    data: str
    fingerprint: str
    seed: int
    n_train: int
    n_test: int
    test_accuracy: float
    sha256: str
    recipe: int = RECIPE
    policy: str | None = None
    class_names: Sequence[str] | None = None

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        write_json(path, dataclasses.asdict(self))


def cached_classifier(
    folder: Path | str,
    data: str,
    train: LabelledImages,
    test: LabelledImages | None = None,
    seed: int = 0,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int, float], None] | None = None,
    **options: Any,
) -> tuple[ClassifierExtractor, ClassifierCard]:
    """Returns the classifier of a data set, trained if it isn't in the cache.

    Args:
        folder: folder of the cache; made if it isn't there.
        data: name of the data set, part of the files' names.
        train: labelled images.
        test: held-out ones. `None`: a fifth of each class of `train` is held out.
        seed: seed of training and split. Defaults to 0.
        say: gets a line of text when the classifier is trained.
        progress: see `train_classifier`.
        **options: further arguments of `train_classifier`.

    Raises:
        ValueError: if it isn't there and the folder can't be written.

    Warns:
        UserWarning: if the cached file is damaged: it is made again.
    """
    fingerprint, class_names = train.fingerprint(), train.class_names
    if test is None:
        train, test = train.split(seed)
    else:
        fingerprint += test.fingerprint()
    short = re.sub(r"[^A-Za-z0-9]+", "-", data).strip("-")[-40:]
    stem = f"classifier-{short}-{fingerprint}-seed{seed}-v{RECIPE}"
    path = Path(folder) / f"{stem}.keras"
    card_path = path.with_suffix(".json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # below it is looked at again
        found = _found(path, card_path)
    if found is not None:
        return found
    prepare_cache(folder)
    with _alone(path.with_suffix(".lock"), say):
        # Another process may have trained it since.
        found = _found(path, card_path)
        if found is not None:
            return found
        say(
            f"Training a classifier on {len(train.images)} images of {data}, "
            f"{train.classes} classes"
        )
        policy = options.pop("policy", None) or faster_policy()
        model = train_classifier(
            train, seed, policy=policy, progress=progress, **options
        )
        with replacing(path) as temporary:
            model.save(temporary)
        ClassifierCard(
            data=data,
            fingerprint=fingerprint,
            seed=seed,
            n_train=len(train.images),
            n_test=len(test.images),
            test_accuracy=accuracy(model, test),
            sha256=sha256_of_file(path),
            policy=policy,
            class_names=None if class_names is None else list(class_names),
        ).save(card_path)
        return load_from_cache(path, card_path)


@contextlib.contextmanager
def _alone(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Waits until no other process trains what this one needs."""
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        say("Waiting for another process, which trains the same classifier.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _found(
    path: Path, card_path: Path
) -> tuple[ClassifierExtractor, ClassifierCard] | None:
    if not (path.exists() and card_path.exists()):
        return None
    try:
        return load_from_cache(path, card_path)
    except Exception as error:
        warnings.warn(
            f"The cached classifier {path} can't be used ({error}) and is trained "
            "again.",
            UserWarning,
            stacklevel=3,
        )
        return None


def load_from_cache(
    path: Path, card_path: Path
) -> tuple[ClassifierExtractor, ClassifierCard]:
    """Returns a classifier and its card, of two files.

    Raises:
        ValueError: if they don't belong to each other, or the classifier can't be read.
    """
    try:
        card = ClassifierCard(**json.loads(card_path.read_text(encoding="utf-8")))
    except TypeError as error:
        raise ValueError(f"{card_path} doesn't tell of a classifier") from error
    if sha256_of_file(path) != card.sha256:
        raise ValueError("its checksum is wrong")
    model = keras.saving.load_model(path, compile=False)
    # Of the weights: the file holds the time at which it was written, too.
    digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights()))
    identity = (
        f"classifier of {card.data}, seed {card.seed}, test accuracy "
        f"{card.test_accuracy:.4f}, weights sha256:{digest.hexdigest()}"
    )
    about = (identity, card.test_accuracy, card.class_names)
    return ClassifierExtractor(model, *about), card
