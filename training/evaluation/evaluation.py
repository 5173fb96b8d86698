"""Scores of a run's generator, by a protocol, with all that they rest on."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import DataSource
from training.evaluation.extractors.extraction import Extracted, Progress, extract
from training.evaluation.extractors.feature_extractor import (
    FeatureExtractor,
    ScoreNames,
)
from training.evaluation.generation import generated_batches
from training.evaluation.generators import load_with_step
from training.evaluation.protocol import Protocol
from training.evaluation.real_images import fingerprint, real_features
from training.evaluation.reports import Report
from training.evaluation.scores import intra_frechet_distance as intra_class
from training.evaluation.scores.density_coverage import density_coverage
from training.evaluation.scores.frechet_distance import frechet_distance
from training.evaluation.scores.inception_score import inception_score
from training.evaluation.scores.kernel_distance import kernel_distance
from training.evaluation.scores.ms_ssim import intra_ms_ssim, scales_of
from training.evaluation.scores.precision_recall import precision_recall
from training.storage.folder import RunFolder
from training.versions import versions

KERNEL_SUBSETS = 100
KERNEL_SUBSET_SIZE = 1000
# Images that the pairs of MS-SSIM are drawn from; 5,000 of 128 px would be 250 MB.
SIMILARITY_IMAGES = 1000
# Classes that they are of: 1,000 images of ImageNet's classes have no pair of one.
SIMILARITY_CLASSES = 100


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How generators are scored: on which features, against which images.

    Args:
        extractor: makes the features.
        protocol: numbers of images.
        real: the real images.
        others: further real images, which take the place of generated ones for
            "real against real", a bound on what a generator can reach; `None` for none.
        intra: generated images a class for the intra-class distance of conditional
            generators, against all images of `intra_real`; 0 for none. The paper
            takes 5,000.
        intra_real: real images for it, in the paper all training images; `None`:
            those of `real`.
        seed: seed of the latents.
        batch_size: images a call of generator and extractor.
        cache: folder of cached real features; `None` for `default_cache_folder()`.
        progress: makes a progress line of a label.
    """

    extractor: FeatureExtractor
    protocol: Protocol
    real: DataSource
    others: DataSource | None = None
    intra: int = 0
    intra_real: DataSource | None = None
    seed: int = 0
    batch_size: int = 64
    cache: Path | None = None
    progress: Callable[[str], Progress] | None = None

    def score_run(self, folder: RunFolder, weights: str = "last") -> Report:
        """Scores one of a run's generators.

        Args:
            folder: the run's folder.
            weights: `"last"`, `"ema"` (averaged), `"best"` or `"ema-best"`.

        Raises:
            ValueError: if the run has no such generator or is of other images.
        """
        start = time.perf_counter()
        config = folder.config()
        generator, step = load_with_step(folder, weights)
        latent_dim = config["generator"]["latent_dim"]
        classes = config["generator"]["num_classes"]
        shape = tuple(config["data"]["image_shape"])
        if shape != tuple(self.real.image_shape):
            raise ValueError(
                f"`real` must be images of the run's shape {shape}. "
                f"Received: {tuple(self.real.image_shape)}"
            )
        of_classes: Extracted | None = None
        if self.intra and classes:
            source = self.intra_real or self.real
            of_classes = self._real_features(source, len(source))
            intra_class.check_classes(of_classes.labels, classes)
        real = self._real_features(self.real, self.protocol.n_real)
        kept: list[NDArray[np.uint8]] = []
        kept_labels: list[NDArray[np.int32]] = []

        def keeping(count: int, seed: int, keep: int = 0) -> Any:
            for images, labels in generated_batches(
                generator, count, self.batch_size, seed, latent_dim, classes
            ):
                if sum(map(len, kept)) < keep:
                    of_few: Any = slice(None)
                    if labels is not None:
                        of_few = labels < SIMILARITY_CLASSES
                        kept_labels.append(labels[of_few])
                    kept.append(images[of_few])
                yield images, labels

        count = self.protocol.generated
        fake = extract(
            self.extractor,
            keeping(count, self.seed, SIMILARITY_IMAGES),
            count,
            self._progress("generated images"),
        )
        names = self.extractor.scores_of(config["generator"].get("class_names"))
        scores = score(real, fake, self.protocol, names)
        if scales_of(shape):
            few, few_labels = np.concatenate(kept)[:SIMILARITY_IMAGES], None
            if kept_labels:
                few_labels = np.concatenate(kept_labels)[: len(few)]
                paired = np.bincount(few_labels)[few_labels] > 1
                few, few_labels = few[paired], few_labels[paired]
            if len(few):
                scores["MS-SSIM"] = intra_ms_ssim(few, few_labels).mean
        if of_classes is not None:
            count = self.intra * classes
            by_class = extract(
                self.extractor,
                keeping(count, self.seed + 1),
                count,
                self._progress("generated images by class"),
            )
            intra = score_classes(of_classes, by_class, self.extractor.scores)
            # The number is part of the name: without it two don't compare.
            scores |= {f"{name} ({self.intra})": intra[name] for name in intra}
        return Report(
            step=step,
            weights=weights,
            scores=scores,
            conditions=self.conditions(),
            seed=self.seed,
            versions=versions(),
            protocol=self.protocol.name,
            real_against_real=self.score_real(real),
            seconds=round(time.perf_counter() - start, 1),
        )

    def score_real(self, real: Extracted | None = None) -> dict[str, float]:
        """Scores further real images as if they were generated; {} if there are none.

        The Inception score is that of as many images as a generated one if there are so
        many; else of all, in as many parts as have two.
        """
        if self.others is None or len(self.others) < 2:
            return {}
        if real is None:
            real = self._real_features(self.real, self.protocol.n_real)
        others = self._real_features(self.others, self.protocol.generated)
        protocol = self.protocol
        if len(others) < protocol.splits * protocol.split_size:
            splits = min(protocol.splits, len(others) // 2)
            size = len(others) // splits
            protocol = dataclasses.replace(protocol, splits=splits, split_size=size)
        scores = score(real, others, protocol, self.extractor.scores)
        n_fake = min(len(others), protocol.n_fake)
        return scores | {"n_real": len(real), "n_fake": n_fake}

    def _real_features(self, source: DataSource, count: int) -> Extracted:
        return real_features(
            self.extractor,
            source,
            count,
            self.cache,
            self.batch_size,
            self._progress(f"real images ({source.split})"),
        )

    def conditions(self) -> dict[str, Any]:
        """Returns what must be equal for two scores to compare, see `Report`."""
        n_real = min(self.protocol.n_real, len(self.real))
        return {
            "extractor": self.extractor.name,
            "graph": self.extractor.identity,
            "resize": self.extractor.preprocessing,
            "data": self.real.name,
            "split": self.real.split,
            "image_shape": list(self.real.image_shape),
            "n_real": n_real,
            "n_fake": self.protocol.n_fake,
            "splits": self.protocol.splits,
            "split_size": self.protocol.split_size,
            "images": fingerprint(self.real, n_real)[:16],
        }

    def _progress(self, label: str) -> Progress | None:
        return None if self.progress is None else self.progress(label)


def score(
    real: Extracted, fake: Extracted, protocol: Protocol, names: ScoreNames
) -> dict[str, float]:
    """Scores features of generated images against those of real ones.

    Args:
        real: features of the real images.
        fake: features of `protocol.generated` generated images, or fewer.
        protocol: the numbers of images.
        names: what the extractor's scores are called.

    Returns:
        Score → value: the Fréchet distance, the Inception score and its deviation (if
        there are logits), the share of images whose class the logits name (if they
        have labels and the extractor knows the data's classes; GAN-test in Shmelkov et
        al. 2018), the kernel distance and its deviation, precision and recall (of 4
        images of each kind or more), density and coverage (6).

    Warns:
        UserWarning: if there are too few images for a score, which is left out.
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
        if names.accuracy is not None and part.labels is not None:
            named = np.argmax(part.logits, axis=1)
            scores[names.accuracy] = float(np.mean(named == part.labels))
    mean, deviation = kernel_distance(
        real.features,
        part.features,
        KERNEL_SUBSETS,
        min(KERNEL_SUBSET_SIZE, len(real), len(part)),
    )
    scores[names.kernel] = mean
    scores[f"{names.kernel} deviation"] = deviation
    fewest = min(len(real), len(part))
    for scorer, neighbours in ((precision_recall, 3), (density_coverage, 5)):
        if fewest > neighbours:
            found = scorer(real.features, part.features, neighbours)
            scores |= found._asdict()
    if fewest < 6:
        warnings.warn(
            "Precision and recall need 4 images of each kind, density and coverage 6: "
            f"what {fewest} don't allow is left out.",
            UserWarning,
            stacklevel=2,
        )
    return scores


def score_classes(
    real: Extracted, fake: Extracted, names: ScoreNames
) -> dict[str, float]:
    """Returns the intra-class Fréchet distance of labelled features.

    Args:
        real: features and labels of the real images.
        fake: features and labels of the generated images.
        names: what the extractor's scores are called.

    Raises:
        ValueError: if either has no labels.
    """
    if real.labels is None or fake.labels is None:
        raise ValueError("`real` and `fake` must have labels. Received: none")
    with warnings.catch_warnings():
        # One warning for all classes, in place of two for each.
        warnings.filterwarnings("ignore", message=".*covariance is singular")
        result = intra_class.intra_frechet_distance(
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
