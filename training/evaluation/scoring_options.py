"""Options of how generators are scored, for every command that scores."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training import values
from training.evaluation.cache_folder import default_cache_folder
from training.evaluation.protocol import PROTOCOLS, Protocol
from training.storage.folder import RunFolder
from training.terminal import countdown

if TYPE_CHECKING:
    from training.data import DataSource
    from training.evaluation.evaluation import Evaluation

_OVERRIDES = {
    "n_real": "real images",
    "n_fake": "generated images for all but the Inception score, whose parts are not "
    "larger",
    "splits": "parts of the Inception score",
    "split_size": "generated images in each part",
}


def add_options(
    parser: argparse._ActionsContainer,
    split_option: str = "--split",
    without: Collection[str] = (),
) -> None:
    """Adds options of the network to score by and of the protocol.

    Args:
        parser: gets the options.
        split_option: what the option of the real images' split is called.
        without: what keeps its default, and has no option.
    """

    def add(option: str, dest: str, default: Any = None, **about: Any) -> None:
        if dest not in without:
            parser.add_argument(option, dest=dest, default=default, **about)
        elif default is not argparse.SUPPRESS:
            parser.set_defaults(**{dest: default})

    add(
        "--extractor",
        "extractor",
        "auto",
        help="inception, classifier, the path of a Keras model or of another data "
        "set's cached classifier, or auto: inception if --inception is given, else "
        "classifier",
    )
    add(
        "--inception",
        "inception",
        type=Path,
        metavar="FILE",
        help="the 2015 Inception network: torch-fidelity's .pth, the frozen .pb, or a "
        "SavedModel's folder",
    )
    add(
        "--protocol",
        "protocol",
        "paper",
        choices=sorted(PROTOCOLS),
        help="paper: 10 × 5000 images for IS, 10000 test against 5000 generated "
        "images for FID; 50k: 50000 of each, the real ones from training",
    )
    for field, text in _OVERRIDES.items():
        add(
            "--" + field.replace("_", "-"),
            field,
            argparse.SUPPRESS,
            type=int,
            help=f"{text}, in place of the protocol's",
        )
    add(
        split_option,
        "scored_split",
        metavar="SPLIT",
        help="the real images' split, in place of the protocol's",
    )
    add(
        "--classifier-seed",
        "classifier_seed",
        0,
        type=int,
        help="seed of the classifier",
    )
    add(
        "--cache",
        "cache",
        default_cache_folder(),
        type=Path,
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
    if len(source) < 2:
        raise ValueError(
            f"The data must have 2 images or more in the split {source.split!r}, which "
            f"is scored against. Received: {len(source)}"
        )
    extractor = choose_extractor(
        folder,
        arguments.extractor,
        arguments.inception,
        arguments.cache,
        classifier_seed(arguments),
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


def classifier_seed(arguments: argparse.Namespace) -> int:
    """Returns the classifier's seed, checked."""
    return values.integer("classifier_seed", arguments.classifier_seed, 0, 2**31 - 1)


def protocol(arguments: argparse.Namespace) -> Protocol:
    """Returns the protocol that was asked for, under a name of its own."""
    given = {
        field: value for field, value in vars(arguments).items() if field in _OVERRIDES
    }
    if arguments.scored_split is not None:
        given["split"] = arguments.scored_split
    base = PROTOCOLS[arguments.protocol]
    if given.get("n_fake", base.split_size) < base.split_size:
        # Few images are asked for: no ten times as many as that for one score.
        given.setdefault("split_size", given["n_fake"])
    if given:
        changed = "-".join(f"{field}={given[field]}" for field in sorted(given))
        given["name"] = f"{base.name}-{changed}".replace("/", "_")
    return dataclasses.replace(base, **given)
