"""`python -m training presets`: lists what there is to train."""

from __future__ import annotations

import argparse
import dataclasses

from training.runs import checks
from training.runs.paper import PRESETS, get
from training.runs.preset import SETTINGS, Preset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("name", nargs="?", help="show all fields of this preset")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.name is not None:
        _show(get(arguments.name))
        return
    width = max(map(len, PRESETS))
    for preset in PRESETS.values():
        print(f"{preset.name:{width}}  {preset.description}")
    print("\nSettings (α, β₁, β₂, n_dis):")
    for name, setting in SETTINGS.items():
        print(f"  {name:6}  " + ", ".join(map(str, dataclasses.astuple(setting))))


def _show(preset: Preset) -> None:
    for name, value in checks.preset(preset).as_dict().items():
        print(f"{name:22}  {'none' if value is None else value}")
