"""`python -m training evaluate`: scores a run's generator."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from training.evaluation.cache import default_cache_folder
from training.evaluation.choice import choose_extractor
from training.evaluation.evaluate import Evaluation
from training.evaluation.progress import Countdown
from training.evaluation.protocol import PROTOCOLS, Protocol
from training.evaluation.real_images import optional_source, scored_source
from training.evaluation.reports import Report, save_report
from training.run_folder import RunFolder

_OVERRIDES = {
    "n_real": "real images",
    "n_fake": "generated images for all but the Inception score",
    "splits": "parts of the Inception score",
    "split_size": "generated images in each part",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--extractor",
        default="auto",
        help="inception, classifier, the path of a Keras model, or auto: inception "
        "if --inception is given, else classifier",
    )
    parser.add_argument(
        "--inception",
        type=Path,
        metavar="FILE",
        help="the 2015 Inception network: torch-fidelity's .pth, the frozen .pb, or a "
        "SavedModel's folder",
    )
    parser.add_argument(
        "--protocol",
        choices=sorted(PROTOCOLS),
        default="paper",
        help="paper: 10 × 5000 images for IS, 10000 test against 5000 generated "
        "images for FID; 50k: 50000 of each, the real ones from training",
    )
    for field, text in _OVERRIDES.items():
        parser.add_argument(
            "--" + field.replace("_", "-"),
            type=int,
            default=argparse.SUPPRESS,
            help=f"{text}, in place of the protocol's",
        )
    parser.add_argument(
        "--split",
        default=argparse.SUPPRESS,
        help="the real images' split, in place of the protocol's",
    )
    parser.add_argument(
        "--weights",
        choices=("last", "ema", "best", "ema-best"),
        default="last",
        help="which of the run's generators",
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
    parser.add_argument(
        "--classifier-seed", type=int, default=0, help="seed of the classifier"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=default_cache_folder(),
        help="folder of classifiers and real images' features",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    folder = RunFolder(arguments.run)
    protocol = _protocol(arguments)
    real = scored_source(folder, protocol.split)
    if real.split != protocol.split:
        print(f"The data has no split {protocol.split!r}; {real.split!r} is taken.")
    others = None
    if not arguments.no_baseline:
        others = optional_source(folder, "train" if real.split != "train" else "test")
    evaluation = Evaluation(
        extractor=choose_extractor(
            folder,
            arguments.extractor,
            arguments.inception,
            arguments.cache,
            arguments.classifier_seed,
        ),
        protocol=protocol,
        real=real,
        others=others,
        intra=arguments.intra,
        intra_real=optional_source(folder, "train") if arguments.intra else None,
        seed=arguments.seed,
        batch_size=arguments.batch_size,
        cache=arguments.cache,
        progress=Countdown,
    )
    report = evaluation.score_run(folder, arguments.weights)
    path = save_report(folder, report)
    print(table(report))
    print(f"\nWritten to {path} and to TensorBoard's logs in {folder.logs}.")


def table(report: Report) -> str:
    """Returns a report as text: the scores, and what they rest on."""
    real = report.real_against_real
    width = max(map(len, report.scores))
    lines = [f"Step {report.step}, {report.weights} weights, seed {report.seed}", ""]
    lines.append(f"{'':{width}}  {'generated':>10}" + ("  real images" if real else ""))
    for name, value in report.scores.items():
        line = f"{name:{width}}  {value:10.4f}"
        if name in real:
            line += f"  {real[name]:11.4f}"
        lines.append(line)
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


def _protocol(arguments: argparse.Namespace) -> Protocol:
    given = {
        field: value
        for field, value in vars(arguments).items()
        if field in (*_OVERRIDES, "split")
    }
    protocol = PROTOCOLS[arguments.protocol]
    if given:
        changed = "-".join(f"{field}={given[field]}" for field in sorted(given))
        given["name"] = f"{protocol.name}-{changed}".replace("/", "_")
    return dataclasses.replace(protocol, **given)
