"""`python -m training fit`: trains a GAN in a folder, or carries on with one."""

from __future__ import annotations

import argparse
import dataclasses

from training import arguments as options
from training.data import known_names
from training.gan.losses import LOSSES
from training.networks import NETWORKS
from training.networks.conditional import CONDITIONINGS
from training.normalizers import NORMALIZERS
from training.runs import fit, paper
from training.runs.options import RunOptions
from training.runs.preset import SETTINGS, Preset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument(
        "--preset",
        default="mnist-demo",
        help="what to train; `python -m training presets` lists them",
    )
    parser.add_argument(
        "--run",
        required=True,
        help="the run's folder; one that is there is carried on",
    )
    options.add_options(
        parser.add_argument_group(
            "what is trained, in place of the preset's value",
            "The default is that of presets that say nothing else; "
            "`python -m training presets NAME` shows what one says.",
        ),
        Preset,
        known={
            "data": known_names(),
            **dict.fromkeys(("network", "normalizer", "loss"), ("see below",)),
            "conditioning": ("none", *CONDITIONINGS),
            "setting": SETTINGS,
        },
    )
    options.add_options(parser.add_argument_group("how it is run"), RunOptions)
    networks = {
        name: f"{one.description}; {one.image_sizes}" for name, one in NETWORKS.items()
    }
    normalizers = {name: one.description for name, one in NORMALIZERS.items()}
    losses = {name: one.description for name, one in LOSSES.items()}
    for title, texts in (
        ("networks", networks),
        ("normalizers", normalizers),
        ("losses", losses),
    ):
        lines = [f"{name}: {text}" for name, text in texts.items()]
        parser.add_argument_group(title, "\n".join(lines))


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    preset = dataclasses.replace(
        paper.get(arguments.preset), **options.given(arguments, Preset)
    )
    how = RunOptions(**options.given(arguments, RunOptions))
    result = fit.fit(arguments.run, preset, how)
    if not result.chief:
        return 0 if result.finished else result.exit_code
    folder = result.folder
    if not result.finished:
        print(
            f"Stopped at step {result.step}, with a checkpoint. The same command "
            "carries on."
        )
        return result.exit_code
    print(f"Samples      {folder.samples}")
    print(f"Generator    {folder.generator}")
    print(f"TensorBoard  tensorboard --logdir {folder.logs}")
    return 0
