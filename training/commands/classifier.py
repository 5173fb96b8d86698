"""`python -m training classifier`: trains the classifier that FCD and CS rest on."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.evaluation.choice import load_classifier
from training.evaluation.extractors.cache import default_cache_folder
from training.storage.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run on the data")
    parser.add_argument(
        "--classifier-seed", type=int, default=0, help="seed of its training"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=default_cache_folder(),
        help="folder of classifiers and features",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    folder = RunFolder(arguments.run)
    extractor = load_classifier(folder, arguments.cache, arguments.classifier_seed)
    print(f"{extractor.identity}\nin {arguments.cache}")
