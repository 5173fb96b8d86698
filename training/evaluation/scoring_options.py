"""Options of how generators are scored, for every command that scores."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.evaluation.cache_folder import default_cache_folder
from training.evaluation.protocol import PROTOCOLS, Protocol
from training.storage.folder import RunFolder
from training.terminal import countdown

if TYPE_CHECKING:
    from training.data import DataSource
    from training.evaluation.evaluation import Evaluation

_OVERRIDES = {
    "n_real": "real images",
    "n_fake": "generated images for all but the Inception score",
    "splits": "parts of the Inception score",
    "split_size": "generated images in each part",
}


def add_options(
    parser: argparse._ActionsContainer, split_option: str = "--split"
) -> None:
    """Adds options of the network to score by and of the protocol.

    Args:
        parser: gets the options.
        split_option: what the option of the real images' split is called.
    """
    parser.add_argument(
        "--extractor",
        default="auto",
        help="inception, classifier, the path of a Keras model or of another data "
        "set's cached classifier, or auto: inception if --inception is given, else "
        "classifier",
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
        split_option,
        dest="scored_split",
        metavar="SPLIT",
        help="the real images' split, in place of the protocol's",
    )
    parser.add_argument(
        "--classifier-seed", type=int, default=0, help="seed of the classifier"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=default_cache_folder(),
        help="folder of classifiers and real images' features",
    )


def create_evaluation(
    arguments: argparse.Namespace, folder: RunFolder, **more: Any
) -> Evaluation:
    """Returns the evaluation that was asked for.

    Args:
        arguments: those of `add_options`.
        folder: a run, whose data are the real images.
        **more: further fields of `Evaluation`.

    Raises:
        FileNotFoundError: if the file of the network isn't there.
        ValueError: if an option is out of its range, the data have no split that was
            asked for, or no labels for a classifier.
    """
    wanted = protocol(arguments)
    # Not before the options are known to be right: these import TensorFlow.
    from training.evaluation.choice import choose_extractor
    from training.evaluation.evaluation import Evaluation
    from training.evaluation.real_images import run_source, scored_source

    if arguments.scored_split is None:
        source = scored_source(folder, wanted.split)
    else:
        source = run_source(folder, wanted.split)
    extractor = choose_extractor(
        folder,
        arguments.extractor,
        arguments.inception,
        arguments.cache,
        arguments.classifier_seed,
    )
    return Evaluation(
        extractor=extractor,
        protocol=wanted,
        real=source,
        cache=arguments.cache,
        progress=countdown,
        **more,
    )


def other_images(folder: RunFolder, real: DataSource) -> DataSource | None:
    """Returns the split that isn't scored against, None if there is no other one."""
    from training.evaluation.real_images import optional_source

    found = optional_source(folder, "train" if real.split != "train" else "test")
    return None if found is None or found.split == real.split else found


def protocol(arguments: argparse.Namespace) -> Protocol:
    """Returns the protocol that was asked for, under a name of its own."""
    given = {
        field: value for field, value in vars(arguments).items() if field in _OVERRIDES
    }
    if arguments.scored_split is not None:
        given["split"] = arguments.scored_split
    base = PROTOCOLS[arguments.protocol]
    if given:
        changed = "-".join(f"{field}={given[field]}" for field in sorted(given))
        given["name"] = f"{base.name}-{changed}".replace("/", "_")
    return dataclasses.replace(base, **given)
