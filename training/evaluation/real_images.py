"""The real images that belong to a run, by split."""

from __future__ import annotations

import numpy as np

from training.data import DataSource, load
from training.evaluation.classifier import LabelledImages
from training.run_folder import RunFolder


def run_source(folder: RunFolder, split: str) -> DataSource:
    """Loads a split of the data that a run was trained on, at the run's size.

    Args:
        folder: The run's folder.
        split: `"train"`, `"test"`, or another of the data's splits.

    Raises:
        ValueError: If there is no such run or split.
    """
    config = folder.config()
    height, width, channels = config["data"]["image_shape"]
    data = config["preset"]["data"]
    return load(data, split=split, image_size=(height, width), channels=channels)


def labelled(source: DataSource) -> LabelledImages:
    """Returns all images of a source with their labels.

    Raises:
        ValueError: If it has no labels.
    """
    if source.num_classes is None:
        raise ValueError(
            "`source` must have labels for a classifier to learn. "
            f"Received: {source.name!r} without labels"
        )
    images, labels = source.sample(len(source))
    return LabelledImages(images, np.asarray(labels, np.int32))


def train_and_test(folder: RunFolder) -> tuple[LabelledImages, LabelledImages | None]:
    """Returns a run's labelled training images and, if the data has some, test images.

    Raises:
        ValueError: If the data has no labels.
    """
    train = labelled(run_source(folder, "train"))
    try:
        return train, labelled(run_source(folder, "test"))
    except ValueError:
        return train, None
