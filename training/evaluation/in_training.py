"""Scores of a run as it trains, and its best generator."""

from __future__ import annotations

from pathlib import Path

from training.evaluation.callbacks import Score
from training.evaluation.choice import load_classifier
from training.evaluation.extractors import FeatureExtractor
from training.evaluation.protocol import PROTOCOLS
from training.evaluation.real_images import real_features, scored_source
from training.evaluation.scores.statistics import gaussian_statistics
from training.storage.folder import RunFolder
from training.storage.tensorboard import Events
from training.terminal import countdown


def score_callback(
    folder: RunFolder,
    events: Events,
    every: int,
    last_step: int,
    count: int = 5000,
    extractor: FeatureExtractor | None = None,
    cache: Path | None = None,
    writes: bool = True,
) -> Score:
    """Returns the callback that scores a run and keeps its best generator.

    Scores go to `metrics.jsonl` and TensorBoard, by the names `scores/FID` and so on.

    Args:
        folder: the run's folder, with its config.
        events: tensorBoard's files.
        every: steps between two scores.
        last_step: a step that is scored in any case.
        count: generated images; the real ones are the paper's 10,000 of the test split.
        extractor: what the run is scored by; `None`: a classifier trained on its data.
        cache: folder of classifiers and features; `None` for the default.
        writes: whether this process writes files; `False` for workers but the chief.

    Raises:
        ValueError: if the data has no labels and there is no extractor.
    """
    extractor = extractor or load_classifier(folder, cache)
    protocol = PROTOCOLS["paper"]
    real = real_features(
        extractor,
        scored_source(folder, protocol.split),
        protocol.n_real,
        cache,
        progress=countdown("real images"),
    )

    def write(step: int, scores: dict[str, float]) -> None:
        if writes:
            named = {f"scores/{name}": value for name, value in scores.items()}
            folder.append_metrics({"step": step, **named})
            events.scalars(step, named)

    return Score(
        extractor,
        gaussian_statistics(real.features),
        every,
        count,
        folder=folder.path,
        writes=writes,
        on_scores=write,
        last_step=last_step,
    )
