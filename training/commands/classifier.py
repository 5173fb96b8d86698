"""`python -m training classifier`: trains the classifier that FCD and CS rest on."""

from __future__ import annotations

import argparse
from pathlib import Path

from training import quiet
from training.evaluation.cache_folder import default_cache_folder
from training.evaluation.scoring_options import classifier_seed, other_images
from training.storage.folder import RunFolder
from training.tables import markdown
from training.terminal import countdown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run on the data")
    parser.add_argument(
        "--data", help="where the run's images lie now, if they were moved"
    )
    parser.add_argument(
        "--classifier-seed", type=int, default=0, help="seed of its training"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=default_cache_folder(),
        help="folder of classifiers and features",
    )
    parser.add_argument(
        "--sensitivity",
        action="store_true",
        help="also show how FCD moves when real images get noise, are blurred, lack "
        "classes or are copies",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    folder = RunFolder(arguments.run)
    folder.moved_data = arguments.data
    folder.config()
    seed = classifier_seed(arguments)
    quiet.import_tensorflow()
    from training.evaluation.choice import load_classifier
    from training.evaluation.real_images import scored_source
    from training.evaluation.sensitivity import sensitivity

    others = None
    if arguments.sensitivity:
        real = scored_source(folder, "test")
        others = other_images(folder, real)
        if others is None:
            raise ValueError(
                "`--sensitivity` needs further images beside those that are scored "
                f"against. Received: {real.name!r}, which has one split"
            )
    extractor = load_classifier(folder, arguments.cache, seed)
    print(f"{extractor.identity}\nin {arguments.cache}")
    if others is not None:
        moved = sensitivity(extractor, real, others, progress=countdown)
        rows = [[name, f"{value:.3f}"] for name, value in moved.items()]
        head = [f"{others.split} images against {real.split} ones", "FCD"]
        print("\n" + markdown([head, *rows]))
