"""A grid whose runs are scored as `python -m training evaluate` scores them."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import values
from training.evaluation import scoring_options as scoring
from training.experiments.shared import common_options as options
from training.experiments.shared import grid
from training.experiments.shared.grid import Member
from training.runs.options import RunOptions
from training.runs.preset import Preset
from training.storage.folder import RunFolder

if TYPE_CHECKING:
    from training.data import DataSource
    from training.evaluation.evaluation import Evaluation
    from training.evaluation.reports import Report
    from training.runs.callbacks.measurements import Measurement


@dataclasses.dataclass(frozen=True)
class Scored:
    """What a grid's runs scored.

    Attributes:
        rows: a run each: what its member is about, `run` (its folder), `step`, `scores`
            (none if it diverged), `weights` (which of G's) and `diverged` (None, or
            what happened).
        names: the scores to show: the Inception score's name and the Fréchet
            distance's, by what the runs are scored by.
        conditions: what the scores rest on, see `Report`.
        real: the scores of real images in the place of generated ones.
    """

    rows: list[dict[str, Any]]
    names: tuple[str, ...]
    conditions: dict[str, Any]
    real: dict[str, float]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Scored:
        """Returns this from what an experiment's JSON file holds."""
        return cls(
            result["rows"],
            tuple(result["names"]),
            result["conditions"],
            result["real_against_real"],
        )

    def as_json(self) -> dict[str, Any]:
        """Returns this for a JSON file."""
        return {
            "rows": self.rows,
            "names": list(self.names),
            "conditions": self.conditions,
            "real_against_real": self.real,
        }

    def note(self) -> str:
        """Returns a line that says what the scores rest on."""
        about = self.conditions
        if not about:
            return "No run has a score."
        return (
            f"{' and '.join(self.names)} by {about['extractor']}, {about['data']}: "
            f"{about['n_real']} real ({about['split']}) and {about['n_fake']} "
            f"generated images, {about['splits']} × {about['split_size']}"
        )


def train_and_score(
    output: Path,
    members: Sequence[Member],
    arguments: argparse.Namespace,
    how: RunOptions,
    sources: Sequence[DataSource] | None = None,
    measurements: Sequence[Measurement] = (),
    say: Callable[[str], None] = print,
) -> Scored:
    """Trains members and scores each; what was done before is not done again.

    Args:
        output: the experiment's folder.
        members: the runs; all on the same data.
        arguments: those of `scoring.add_options` and `--small`.
        how: how the runs are carried out.
        sources: as in `grid.train`; None loads them.
        measurements: as in `grid.train`.
        say: gets a line of text now and then.

    Raises:
        StoppedError: if a signal came.
        ValueError: if there are no labels for the classifier, no such split or
            network to score by, and as `grid.train`.
    """
    arguments = options.with_small_scores(arguments)
    scoring.protocol(arguments)
    scoring.classifier_seed(arguments)
    jobs = options.jobs(arguments)
    sources = sources or grid.load_sources(members)
    _check_scorable(arguments, [one.preset for one in members], sources)
    rows = []
    evaluation: Evaluation | None = None
    conditions: dict[str, Any] = {}
    for one in grid.train(output, members, sources, how, measurements, jobs, say):
        row = {**one.member.about, "run": f"runs/{one.member.name}", "step": None}
        scores: dict[str, float] = {}
        if one.diverged is None:
            if evaluation is None:
                evaluation = dataclasses.replace(
                    scoring.create_evaluation(arguments, one.folder), progress=None
                )
            report = _report(evaluation, one.folder)
            row["step"], scores = report.step, report.scores
            row["weights"] = report.weights
            conditions = report.conditions
            shown = ", ".join(
                f"{n} {scores[n]:.4g}" for n in _names(evaluation, scores)
            )
            say(f"{one.member.name}: {shown}")
        else:
            say(f"{one.member.name} diverged: {one.diverged}")
        rows.append({**row, "scores": scores, "diverged": one.diverged})
    scored = [row["scores"] for row in rows if row["scores"]]
    names = _names(evaluation, scored[0]) if evaluation and scored else ()
    real = _real_against_real(evaluation, output, rows)
    return Scored(rows, names, conditions, real)


def _check_scorable(
    arguments: argparse.Namespace,
    presets: Sequence[Preset],
    sources: Sequence[DataSource],
) -> None:
    from training.data import load_configured
    from training.evaluation.choice import extractor_of_file
    from training.evaluation.extractors.cache import prepare_cache
    from training.evaluation.real_images import check_labelled

    # Before days of training, not after.
    file = arguments.inception
    if file is not None and not file.exists():
        raise ValueError(values.message("inception", "a file that exists", str(file)))
    from_file = extractor_of_file(arguments.extractor, file)
    for source in sources:
        if from_file is None:
            check_labelled(source)
    if arguments.scored_split is not None:
        load_configured(presets[0].as_dict(), arguments.scored_split)
    prepare_cache(arguments.cache)


def _report(evaluation: Evaluation, folder: RunFolder) -> Report:
    """Returns the report of a run's generator, from its folder if it's there.

    It is that of `training evaluate`: averaged weights where the run has them.
    """
    from training.evaluation.generators import step_of
    from training.evaluation.reports import load_reports, save_report

    weights, conditions = folder.usual_weights(), evaluation.conditions()
    for report in load_reports(folder):
        if (
            report.step == step_of(folder, weights)
            and report.weights == weights
            and report.seed == evaluation.seed
            and report.protocol == evaluation.protocol.name
            and report.conditions == conditions
        ):
            return report
    report = evaluation.score_run(folder, weights)
    save_report(folder, report)
    return report


def _names(evaluation: Evaluation, scores: dict[str, float]) -> tuple[str, ...]:
    names = evaluation.extractor.scores
    return tuple(n for n in (names.inception, names.frechet) if n in scores)


def _real_against_real(
    evaluation: Evaluation | None, output: Path, rows: Sequence[dict[str, Any]]
) -> dict[str, float]:
    if evaluation is None:
        return {}
    folder = RunFolder(output / next(row["run"] for row in rows if row["scores"]))
    others = scoring.other_images(folder, evaluation.real)
    return dataclasses.replace(evaluation, others=others).score_real()
