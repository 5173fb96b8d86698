"""Scores in `fit`: every N steps, and the best generator kept beside the last."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from training import values
from training.evaluation.extractors.feature_extractor import FeatureExtractor
from training.evaluation.generation import generated_batches
from training.evaluation.scores.statistics import GaussianStatistics
from training.evaluation.streaming import FrechetDistance, InceptionScore
from training.gan.after_step import AfterStep
from training.storage.files import replacing, write_json


@dataclasses.dataclass(frozen=True)
class Best:
    """The best score so far and the step it was reached at."""

    step: int
    score: str
    value: float


class Score(AfterStep):
    """Scores the generator every `every` steps; keeps the best one if given a folder.

    Images are generated and scored batch by batch on the training device, in O(d²)
    memory. If G's optimizer averages the weights (Keras' `use_ema`), the averaged
    generator is scored too, under names that begin with `ema_`, and kept apart.

    Invariant: training isn't touched. Latents come from a seed of their own, the same
    each time, and no weight or state of the model is written.

    `best_step` is the newest step at which the generator was the best so far.
    After training, and in `fit`'s logs after each scored step, the newest scores are in
    `scores`, and all of them, by step, in `history`.

    Args:
        extractor: makes the features.
        real: statistics of the real images' features.
        every: steps (updates of G) between two scores; also scored is the last step.
        count: generated images. Defaults to 5,000.
        batch_size: images a call. Defaults to 64.
        folder: gets `generator-best.keras` and `best.json` (and `generator-ema-best`…)
            whenever the Fréchet distance is lower than ever before, in earlier
            sessions of the run too. `None`, the default: none is kept.
        writes: whether this process writes files; `False` for workers but the chief.
        on_scores: called as `on_scores(step, scores)`, such as to log them.
        last_step: a step that is scored in any case; `None`: the end of `fit`.

    Raises:
        ValueError: if a count is below 1.

    Example:

    <!-- not run: it takes a GAN and real images' features -->
    ```python
    callback = Score(extractor, gaussian_statistics(real_features), every=1000)
    gan.fit(images, epochs=10, callbacks=[callback])
    callback.history  # {1000: {"FID": …, "IS": …}, …}
    ```
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        real: GaussianStatistics,
        every: int,
        count: int = 5000,
        batch_size: int = 64,
        folder: Path | str | None = None,
        writes: bool = True,
        on_scores: Callable[[int, dict[str, float]], None] | None = None,
        last_step: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(every, last_step)
        self._count = values.integer("count", count, minimum=2)
        self._batch_size = values.integer("batch_size", batch_size)
        self._extractor = extractor
        self._real = real
        self._folder = None if folder is None else Path(folder)
        self._writes = writes
        self._on_scores = on_scores
        self._seed = seed
        self.scores: dict[str, float] = {}
        self.history: dict[int, dict[str, float]] = {}
        self.best_step: int | None = None

    def after(self, step: int, due: bool, logs: Any) -> None:
        """Scores a step that is due."""
        if due:
            self._score(step)

    def _score(self, step: int) -> None:
        scores = self._scores_of(step, self.model.generator, "")
        averaged = self.model.averaged_generator()
        if averaged is not None:
            scores |= self._scores_of(step, averaged, "ema_")
        self.scores = self.history[step] = scores
        if self._on_scores is not None:
            self._on_scores(step, scores)

    def _scores_of(
        self, step: int, generator: keras.Model, prefix: str
    ) -> dict[str, float]:
        names = self._extractor.scores
        distance = FrechetDistance(self._real, name=prefix + names.frechet)
        confidence: InceptionScore | None = None
        for images, _ in generated_batches(
            generator,
            self._count,
            self._batch_size,
            self._seed,
            self.model.latent_dim,
            self.model.num_classes,
        ):
            features, logits = self._extractor(images)
            distance.update_state(features)
            if logits is not None:
                confidence = confidence or InceptionScore(
                    logits.shape[1],
                    splits=1,
                    split_size=self._count,
                    name=prefix + names.inception,
                )
                confidence.update_state(logits)
        found = [metric for metric in (distance, confidence) if metric is not None]
        scores = {metric.name: float(np.asarray(metric.result())) for metric in found}
        self._keep_if_best(step, generator, prefix, scores[distance.name])
        return scores

    def _keep_if_best(
        self, step: int, generator: keras.Model, prefix: str, value: float
    ) -> None:
        if self._folder is None or not self._writes or not math.isfinite(value):
            return
        name = prefix + self._extractor.scores.frechet
        best = read_best(self._folder, prefix)
        # A best by another extractor's score says nothing about this one's.
        if best is not None and best.score == name and best.value <= value:
            # A run that was killed before its next checkpoint finds its own best again.
            if best != Best(step, name, value):
                return
        with replacing(best_generator_path(self._folder, prefix)) as temporary:
            generator.save(temporary)
        write_json(_best_path(self._folder, prefix), vars(Best(step, name, value)))
        if not prefix:
            self.best_step = step


def best_generator_path(folder: Path | str, prefix: str = "") -> Path:
    """Returns the file of the best generator, `"ema_"` for the averaged one."""
    return Path(folder) / f"generator-{prefix.replace('_', '-')}best.keras"


def read_best(folder: Path | str, prefix: str = "") -> Best | None:
    """Returns what is known of the best generator in a folder; `None` if nothing is."""
    try:
        return Best(**json.loads(_best_path(Path(folder), prefix).read_text("utf-8")))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def _best_path(folder: Path, prefix: str) -> Path:
    return folder / f"{prefix.replace('_', '-')}best.json"
