"""Which extractor a run is scored by, of what a user says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras

import sn_keras  # noqa: F401 (registers the layers that files name)
from training.evaluation.cache_folder import default_cache_folder
from training.evaluation.extractors import (
    ClassifierExtractor,
    FeatureExtractor,
    InceptionExtractor,
    KerasExtractor,
    cached_classifier,
)
from training.evaluation.extractors.classifier import load_from_cache
from training.evaluation.extractors.inception import FROZEN_GRAPH, TORCH_WEIGHTS
from training.evaluation.real_images import train_and_test
from training.storage.folder import RunFolder
from training.terminal import countdown


def choose_extractor(
    folder: RunFolder,
    name: str = "auto",
    inception: Path | str | None = None,
    cache: Path | None = None,
    classifier_seed: int = 0,
) -> FeatureExtractor:
    """Returns the extractor of a name.

    Args:
        folder: the run, whose data the classifier is trained on.
        name: `"inception"`, `"classifier"`, the path of a Keras model, or `"auto"`:
            inception if its file is given, else the classifier.
        inception: the file of the 2015 Inception network.
        cache: folder of the classifiers; `None` for `default_cache_folder()`.
        classifier_seed: seed of the classifier.

    Raises:
        FileNotFoundError: if the file isn't there.
        ValueError: if the name is none of these, or inception has no file.
    """
    found = extractor_of_file(name, inception)
    return found or load_classifier(folder, cache, classifier_seed)


def extractor_of_file(
    name: str = "auto", inception: Path | str | None = None
) -> FeatureExtractor | None:
    """Returns the extractor that a file holds, None if it is to be the classifier.

    Args:
        name: as in `choose_extractor`.
        inception: as in `choose_extractor`.

    Raises:
        FileNotFoundError: if the file isn't there.
        ValueError: if the name is none of these, inception has no file, or the file
            isn't such a network.
    """
    if name == "auto":
        name = "classifier" if inception is None else "inception"
    if inception is not None and name != "inception":
        raise ValueError(
            "`inception`, a file to score by, must not be given with another "
            f"extractor. Received: inception={str(inception)!r}, extractor={name!r}"
        )
    if name == "inception":
        if inception is None:
            raise ValueError(
                "`--inception` must name the file of the network. Received: none. It "
                f"is published as {TORCH_WEIGHTS} and, as a frozen graph, in "
                f"{FROZEN_GRAPH}."
            )
        with _named("inception", inception):
            return InceptionExtractor(inception)
    if name == "classifier":
        return None
    path = Path(name)
    if not path.exists():
        raise ValueError(
            "`--extractor` must be auto, inception, classifier or the path of a Keras "
            f"model. Received: {name!r}"
        )
    card = path.with_suffix(".json")
    with _named("extractor", path):
        if path.name.startswith("classifier-") and card.exists():
            return load_from_cache(path, card)[0]
        return KerasExtractor(_load_keras(path), path.stem)


def _load_keras(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras has no class of its own for a bad file
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"it is no Keras model that can be loaded: {text[0]}"
        ) from error


@contextlib.contextmanager
def _named(argument: str, path: Path | str) -> Iterator[None]:
    """Lets what is wrong with a file name the argument that it was given by."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"`{argument}` can't be used. Received: {argument}={str(path)!r}: {error}"
        ) from error


def load_classifier(
    folder: RunFolder, cache: Path | None = None, seed: int = 0
) -> ClassifierExtractor:
    """Returns the classifier of a run's data, trained if it isn't in the cache."""
    train, test = train_and_test(folder)
    extractor, _ = cached_classifier(
        cache or default_cache_folder(),
        folder.config()["preset"]["data"],
        train,
        test,
        seed,
        progress=countdown("step"),
    )
    return extractor
