"""Results of evaluations in a run's folder: JSON files and TensorBoard's curves."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from training import values
from training.storage.files import write_json
from training.storage.folder import RunFolder

FOLDER = "scores"
# What must be equal for two scores to compare.
CONDITIONS = (
    "extractor",
    "graph",
    "resize",
    "data",
    "split",
    "image_shape",
    "n_real",
    "n_fake",
    "splits",
    "split_size",
    "images",
)


@dataclasses.dataclass(frozen=True)
class Report:
    """One evaluation: the scores and all that they rest on.

    Attributes:
        step: updates of G behind the generator.
        weights: `"last"`, `"ema"`, `"best"` or `"ema-best"`: which generator.
        scores: score → value.
        conditions: what must be equal for two scores to compare: extractor, graph
            (its identity), resize, data, split, image_shape, n_real, n_fake, splits,
            split_size, images (a digest of the real ones; absent before version 0.2).
        seed: seed of the latents.
        versions: software → version.
        protocol: the protocol's name.
        real_against_real: the same scores of real images in place of generated ones.
        seconds: how long it took.
    """

    step: int
    weights: str
    scores: dict[str, float]
    conditions: dict[str, Any]
    seed: int
    versions: dict[str, str]
    protocol: str
    real_against_real: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if set(self.conditions) | {"images"} != set(CONDITIONS):
            raise ValueError(
                f"`conditions` must hold {sorted(CONDITIONS)}. "
                f"Received: {sorted(self.conditions)}"
            )
        values.integer("step", self.step, minimum=0)
        for name in ("scores", "real_against_real"):
            found = getattr(self, name)
            if not isinstance(found, dict) or not all(
                isinstance(value, (int, float)) for value in found.values()
            ):
                raise ValueError(values.message(name, "numbers by name", found))

    @property
    def series(self) -> str:
        """Name of the reports that differ from this one in the step alone."""
        # Networks of one name differ by their weights.
        graph = hashlib.sha256(self.conditions["graph"].encode()).hexdigest()[:8]
        seed = f"-seed{self.seed}" if self.seed else ""
        name = f"{self.conditions['extractor']}-{graph}"
        return f"{name}-{self.protocol}-{self.weights}{seed}"

    @property
    def file_name(self) -> str:
        """Name of the JSON file."""
        return f"step-{self.step:08d}-{self.series}.json"


def save_report(folder: RunFolder, report: Report) -> Path:
    """Writes a report to the run's folder, and its series' curve for TensorBoard.

    A report of the same step and series is replaced, but for scores that it has and the
    new one wasn't asked for, such as intra-class ones. The curve is written anew from
    all the series' reports, so no point comes twice.

    Returns:
        The JSON file's path.
    """
    path = folder.path / FOLDER / report.file_name
    path.parent.mkdir(exist_ok=True)
    for old in load_reports(folder):
        same = old.file_name == report.file_name and old.versions == report.versions
        if same and old.conditions == report.conditions:
            real = {**old.real_against_real, **report.real_against_real}
            scores = {**old.scores, **report.scores}
            report = dataclasses.replace(report, scores=scores, real_against_real=real)
    write_json(path, dataclasses.asdict(report))
    curve = [r for r in load_reports(folder) if r.series == report.series]
    events = folder.logs / f"scores-{report.series}"
    shutil.rmtree(events, ignore_errors=True)
    import tensorflow as tf  # which `compare` would wait for

    writer = tf.summary.create_file_writer(str(events))
    with writer.as_default():
        for point in curve:
            for name, value in point.scores.items():
                tag = f"scores/{name.replace(' ', '_')}"
                tf.summary.scalar(tag, value, step=point.step)
    writer.close()
    return path


def load_reports(folder: RunFolder) -> list[Report]:
    """Returns the reports of a run, by step.

    Raises:
        ValueError: if a file is damaged.
    """
    reports = []
    for path in sorted((folder.path / FOLDER).glob("step-*.json")):
        try:
            reports.append(Report(**json.loads(path.read_text(encoding="utf-8"))))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is damaged: {error}. Remove it, and evaluate again."
            ) from error
    return sorted(reports, key=lambda report: (report.step, report.seed))
