"""All scores of one set of generated images against one set of real ones."""

from __future__ import annotations

import warnings

import numpy as np

from training.evaluation.extractors.base import ScoreNames
from training.evaluation.extractors.extraction import Extracted
from training.evaluation.protocol import Protocol
from training.evaluation.scores.density_coverage import density_coverage
from training.evaluation.scores.frechet_distance import frechet_distance
from training.evaluation.scores.inception_score import inception_score
from training.evaluation.scores.intra_frechet_distance import intra_frechet_distance
from training.evaluation.scores.kernel_distance import kernel_distance
from training.evaluation.scores.precision_recall import precision_recall

KERNEL_SUBSETS = 100
KERNEL_SUBSET_SIZE = 1000


def score(
    real: Extracted, fake: Extracted, protocol: Protocol, names: ScoreNames
) -> dict[str, float]:
    """Scores features of generated images against those of real ones.

    Args:
        real: Features of the real images.
        fake: Features of `protocol.generated` generated images, or fewer.
        protocol: The numbers of images.
        names: What the extractor's scores are called.

    Returns:
        Score → value: the Fréchet distance, the Inception score and its deviation (if
        there are logits), the kernel distance and its deviation, precision, recall,
        density, coverage.
    """
    part = fake.head(protocol.n_fake)
    scores = {names.frechet: frechet_distance(real.features, part.features)}
    if fake.logits is not None:
        per_split = min(protocol.split_size, len(fake) // protocol.splits)
        mean, deviation = inception_score(
            fake.logits[: protocol.splits * per_split], protocol.splits
        )
        scores[names.inception] = mean
        scores[f"{names.inception} deviation"] = deviation
    mean, deviation = kernel_distance(
        real.features,
        part.features,
        KERNEL_SUBSETS,
        min(KERNEL_SUBSET_SIZE, len(real), len(part)),
    )
    scores[names.kernel] = mean
    scores[f"{names.kernel} deviation"] = deviation
    scores |= precision_recall(real.features, part.features)._asdict()
    scores |= density_coverage(real.features, part.features)._asdict()
    return scores


def score_classes(
    real: Extracted, fake: Extracted, names: ScoreNames
) -> dict[str, float]:
    """Returns the intra-class Fréchet distance of labelled features.

    Args:
        real: Features and labels of the real images.
        fake: Features and labels of the generated images.
        names: What the extractor's scores are called.

    Raises:
        ValueError: If either has no labels.
    """
    if real.labels is None or fake.labels is None:
        raise ValueError("`real` and `fake` must have labels. Received: none")
    with warnings.catch_warnings():
        # One warning for all classes, in place of two for each.
        warnings.filterwarnings("ignore", message=".*covariance is singular")
        result = intra_frechet_distance(
            real.features, real.labels, fake.features, fake.labels
        )
    dimension = real.features.shape[1]
    smallest = min(
        np.unique(labels, return_counts=True)[1].min()
        for labels in (real.labels, fake.labels)
    )
    if smallest <= dimension:
        warnings.warn(
            f"A class has {smallest} images for {dimension} features: its covariance "
            "is singular, which biases the intra-class distance upwards.",
            UserWarning,
            stacklevel=2,
        )
    return {f"intra {names.frechet}": result.mean}
