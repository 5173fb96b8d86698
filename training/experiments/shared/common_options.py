"""Options that the experiments have in common."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Collection, Sequence
from typing import Any

from training import arguments as options
from training import values
from training.data.names import SHORT_NAMES, without_split
from training.evaluation import scoring_options as scoring
from training.experiments.shared.methods import METHODS
from training.experiments.shared.side_by_side import Jobs
from training.runs import checks
from training.runs.options import RunOptions
from training.runs.preset import Preset

# The sizes that data known by name is taken at: the paper's, or 32 px. Other data is
# taken at the experiment's.
_IMAGE_SIZES = {
    **dict.fromkeys(("mnist5k", "fashion-mnist-debian"), 32),
    **{each.dataset: each.image_size or 32 for each in SHORT_NAMES.values()},
    "imagenet": 128,
}
# What `--small` puts in the place of the paper's values.
_SMALL: dict[str, Any] = {
    "data": "mnist5k",
    "image_size": 32,
    "width_multiplier": 0.125,
    "batch_size": 32,
    "steps": 300,
}
_SMALL_SCORES = {"n_fake": 1000, "splits": 1, "split_size": 1000}


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the folder of the results, and `--small`."""
    parser.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="the folder of runs and results; what it holds is carried on",
    )
    parser.add_argument(
        "--small",
        action="store_true",
        help="a small setting, "
        + ", ".join(f"{name} {value}" for name, value in _SMALL.items())
        + ", which other options change",
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Adds how many runs train at a time."""
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="runs to train at a time, in processes that share the processors out "
        "(default: 1)",
    )
    # What each of those processes is told.
    parser.add_argument("--only-run", help=argparse.SUPPRESS)


def add_preset(
    parser: argparse.ArgumentParser, defaults: Preset, without: Collection[str] = ()
) -> None:
    """Adds an option for each field of a preset.

    Args:
        parser: gets the options.
        defaults: the experiment's values.
        without: fields that the experiment decides.
    """
    group = parser.add_argument_group("what is trained, in place of the paper's value")
    options.add_options(group, Preset, defaults, without)


def add_run_options(
    parser: argparse.ArgumentParser,
    defaults: RunOptions | None = None,
    without: Collection[str] = (),
) -> None:
    """Adds an option for each of `RunOptions`, but for what to do after a NaN."""
    group = parser.add_argument_group("how it is run")
    # Going back with other random numbers would hide what an experiment asks: which
    # method diverges.
    options.add_options(group, RunOptions, defaults, ("on_nan", *without))


def add_methods(
    parser: argparse.ArgumentParser,
    defaults: Sequence[str],
    known: Collection[str] = METHODS,
) -> None:
    """Adds the list of methods."""
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(defaults),
        metavar="METHOD",
        help=f"some of: {', '.join(known)}",
    )


def add_scoring(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """Adds the options of how runs are scored, but for those in `without`."""
    group = parser.add_argument_group("how it is scored")
    # `--split` is that of the preset: the share of the images that is held out.
    scoring.add_options(group, "--scored-split", without)


def add_seeds(parser: argparse.ArgumentParser, defaults: Sequence[int] = (0,)) -> None:
    """Adds the list of seeds."""
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        default=list(defaults),
        metavar="SEED",
        help="a run each",
    )


def seeds(arguments: argparse.Namespace) -> list[int]:
    """Returns the list of seeds.

    Raises:
        ValueError: if one is out of its range or given twice.
    """
    return each_once(
        "seeds", [values.integer("seeds", s, 0, 2**31 - 1) for s in arguments.seeds]
    )


def each_once(argument: str, given: list[Any]) -> list[Any]:
    """Returns a list of values, none of which may stand in it twice."""
    if len(set(given)) < len(given):
        raise ValueError(values.message(argument, "values, each once", given))
    return given


def every(arguments: argparse.Namespace, steps: int, parts: int = 100) -> int:
    """Returns `--every`, the steps between two measurements: by default a part of all.

    Raises:
        ValueError: if it is below 1.
    """
    if arguments.every is None:
        return max(1, steps // parts)
    return values.integer("every", arguments.every)


def base_preset(arguments: argparse.Namespace, defaults: Preset) -> Preset:
    """Returns the defaults with what was asked for in their place."""
    given = options.given(arguments, Preset)
    changes = {**(_SMALL if arguments.small else {}), **given}
    name = without_split(changes.get("data", "")).removeprefix("tfds:")
    if "image_size" not in given and name in _IMAGE_SIZES:
        changes["image_size"] = _IMAGE_SIZES[name]
    # What goes with another field keeps its proportion to it.
    if "steps" in changes and "decay_steps" not in changes:
        share = defaults.decay_steps * changes["steps"] // defaults.steps
        changes["decay_steps"] = share
    size = defaults.generator_batch_size
    if size and "batch_size" in changes and "generator_batch_size" not in changes:
        size = size * changes["batch_size"] // defaults.batch_size
        changes["generator_batch_size"] = size
    preset = dataclasses.replace(defaults, **changes)
    checks.idle(given, preset)
    return preset


def run_options(
    arguments: argparse.Namespace, defaults: RunOptions | None = None
) -> RunOptions:
    """Returns how the runs are to be carried out.

    Raises:
        ValueError: if an option is out of its range, or this process is one of several
            workers.
    """
    if os.environ.get("TF_CONFIG"):
        raise ValueError(
            "An experiment scores its runs in the process that trains them, and takes "
            "one worker. Received: the environment variable TF_CONFIG"
        )
    if "jobs" in arguments:
        jobs(arguments)  # a number out of its range is told with the other options
    given = options.given(arguments, RunOptions)
    if given.get("inception") is not None:
        given["inception"] = str(given["inception"])
    found = dataclasses.replace(defaults or RunOptions(), **given)
    if "extractor" in arguments:
        given.pop("inception", None)  # the finished runs are scored by it
    checks.idle(given, found)
    # Whether an execution's steps divide a run's is asked when its preset is known.
    return checks.options(found, found.steps_per_execution)


def jobs(arguments: argparse.Namespace) -> Jobs:
    """Returns how many runs to train at a time."""
    return Jobs(arguments.jobs, arguments.command_line, arguments.only_run)


def with_small_scores(arguments: argparse.Namespace) -> argparse.Namespace:
    """Returns the arguments with fewer images to score by, if `--small` was given."""
    if not arguments.small:
        return arguments
    return argparse.Namespace(**{**_SMALL_SCORES, **vars(arguments)})
