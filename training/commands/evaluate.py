"""`python -m training evaluate`: scores a run's generator."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from training import memory, quiet, values
from training.evaluation import scoring_options as scoring
from training.storage.folder import RunFolder
from training.tables import markdown

if TYPE_CHECKING:
    from training.evaluation.reports import Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--data", help="where the run's images lie now, if they were moved"
    )
    scoring.add_options(parser)
    parser.add_argument(
        "--weights",
        choices=("last", "ema", "best", "ema-best"),
        help="which of the run's generators; by default that of averaged weights "
        "(ema) where there is one, else the last",
    )
    parser.add_argument(
        "--intra",
        type=int,
        default=0,
        metavar="IMAGES",
        help="generated images a class for the intra-class distance of a conditional "
        "generator; the paper takes 5000, 0 leaves it out",
    )
    parser.add_argument(
        "--no-baseline",
        action="store_true",
        help="leave out real images against real ones",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents")
    parser.add_argument("--batch-size", type=int, default=64, help="images a call")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    folder = RunFolder(arguments.run)
    folder.moved_data = arguments.data
    config = folder.config()
    scoring.protocol(arguments)
    scoring.classifier_seed(arguments)
    size = values.integer("batch_size", arguments.batch_size)
    memory.check("batch_size", size, size * 4 * _numbers_an_image(config))
    intra = values.integer("intra", arguments.intra, minimum=0)
    if intra == 1:
        raise ValueError(values.message("intra", "0, or 2 or more", intra))
    if intra and not config.get("generator", {}).get("num_classes"):
        raise ValueError(values.message("intra", "0 for a GAN without classes", intra))
    seed = values.integer("seed", arguments.seed, minimum=0, maximum=2**31 - 1)
    quiet.import_tensorflow()
    from training.evaluation.generators import existing_generator
    from training.evaluation.real_images import optional_source
    from training.evaluation.reports import load_reports, save_report

    # Before a classifier is trained for an hour.
    weights = arguments.weights or folder.usual_weights()
    existing_generator(folder, weights)
    load_reports(folder)
    evaluation = scoring.create_evaluation(
        arguments,
        folder,
        intra=intra,
        intra_real=optional_source(folder, "train") if intra else None,
        seed=seed,
        batch_size=arguments.batch_size,
    )
    real, wanted = evaluation.real, evaluation.protocol.split
    if real.split != wanted:
        print(f"The data has no split {wanted!r}; {real.split!r} is taken.")
    if not arguments.no_baseline:
        others = scoring.other_images(folder, real)
        evaluation = dataclasses.replace(evaluation, others=others)
    report = evaluation.score_run(folder, weights)
    path = save_report(folder, report)
    print(table(report))
    print(f"\nWritten to {path} and to TensorBoard's logs in {folder.logs}.")


def _numbers_an_image(config: dict[str, Any]) -> float:
    """Returns the least that a generator holds of an image: 64 channels of its size."""
    preset = config.get("preset") or {}
    width = preset.get("width_multiplier", 1.0)
    return preset.get("image_size", 1) ** 2 * max(1, 64 * width)


def table(report: Report) -> str:
    """Returns a report as text: the scores, and what they rest on."""
    real = report.real_against_real
    cells = [["score", "generated", *(["real images"] if real else [])]]
    for name, value in report.scores.items():
        line = [name, f"{value:.4f}"]
        if real:
            line.append(f"{real[name]:.4f}" if name in real else "")
        cells.append(line)
    about = f"Step {report.step}, {report.weights} weights, seed {report.seed}"
    lines = [about, "", markdown(cells)]
    lines.append("")
    lines += [f"{name:11} {value}" for name, value in report.conditions.items()]
    if real:
        lines.append(
            f"{'real images':11} {real['n_fake']} others against the {real['n_real']}"
        )
    lines.append(
        f"{'versions':11} "
        + ", ".join(f"{name} {version}" for name, version in report.versions.items())
    )
    return "\n".join(lines)
