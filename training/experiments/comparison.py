"""Every method of the paper on the same data, for the same number of updates of G."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training import values
from training.experiments.shared import common_options as options
from training.experiments.shared import grid, results
from training.experiments.shared import methods as known
from training.experiments.shared.grid import Member
from training.experiments.shared.timing import seconds_per_update
from training.runs.preset import Preset
from training.storage.folder import RunFolder
from training.tables import markdown

# What each method changes in the same base: standard loss, setting C. Frobenius
# normalization and layer norm are in the paper's appendix and table 2.
_METHODS = (
    "spectral",
    "spectral-hinge",
    "wgan-gp",
    "gan-gp",
    "weight-clipping",
    "weight-norm",
    "batch-norm",
    "layer-norm",
    "orthonormal",
    "frobenius",
)
_BASE = Preset(
    name="comparison",
    description="the same for all methods but what the method is",
    data="fashion_mnist",
    width_multiplier=0.25,
    steps=1000,
    loss="standard",
)
_SHOWN = 5  # rows and columns of samples a method in the picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_methods(parser, _METHODS)
    parser.add_argument(
        "--rounds", type=int, default=15, help="timed updates a method, in turns"
    )
    options.add_preset(parser, _BASE, (*known.DECIDED, "conditioning"))
    options.add_run_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    output = Path(arguments.output)
    base = options.base_preset(arguments, _BASE)
    known.check(arguments.methods)
    values.integer("rounds", arguments.rounds)
    members = [
        Member(name, known.apply(base, name), {"method": name})
        for name in arguments.methods
    ]
    how = options.run_options(arguments)
    sources = grid.load_sources(members)
    finished = list(grid.train(output, members, sources, how))
    diverged = {one.member.name: one.diverged for one in finished if one.diverged}
    for name, message in diverged.items():
        print(f"{name} diverged: {message}")
    folders = {one.member.name: one.folder for one in finished}

    def samples(result: results.Result, path: Path) -> None:
        draw(folders, path)

    results.finish(
        output,
        base,
        tables,
        samples,
        rounds=arguments.rounds,
        rows=timed(members, sources[0], arguments.rounds),
        diverged=diverged,
    )


def timed(members: Sequence[Member], source: Any, rounds: int) -> list[dict[str, Any]]:
    """Returns a row a method: seconds an update of G, and how many times the first's.

    Both are medians. The updates that are timed are taken in turns, one of each method
    a round: what slows the machine for a while slows them all.
    """
    presets = {one.name: one.preset.resolved() for one in members}
    times = seconds_per_update(presets, source, rounds)
    first = times[members[0].name]
    return [
        {
            "method": name,
            "seconds_per_update": statistics.median(taken.tolist()),
            "relative": statistics.median((taken / first).tolist()),
        }
        for name, taken in times.items()
    ]


def tables(result: results.Result) -> str:
    """Returns the rows as a Markdown table, with what diverged."""
    rows = result["rows"]
    head = ["method", "seconds per update of G", f"relative to {rows[0]['method']}"]
    cells = [
        [
            row["method"] + ", diverged" * (row["method"] in result["diverged"]),
            f"{row['seconds_per_update']:.3f}",
            f"{row['relative']:.2f}",
        ]
        for row in rows
    ]
    return markdown([head, *cells])


def draw(folders: Mapping[str, RunFolder], path: Path) -> None:
    """Draws the newest samples of each run side by side; none for one that has none."""
    figure, axes = results.panels(len(folders), 2.2, 2.3, "", min(5, len(folders)))
    for place, (name, folder) in zip(axes, folders.items(), strict=False):
        place.set_axis_off()
        place.set_title(name, fontsize="medium")
        if any(folder.samples.glob("step-*.png")):
            place.imshow(_corner(folder), cmap="gray", vmin=0, vmax=255)
    results.save_figure(figure, path)


def _corner(folder: RunFolder) -> np.ndarray:
    """Returns the upper left samples of the newest grid."""
    from PIL import Image

    newest = max(folder.samples.glob("step-*.png"))
    with Image.open(newest) as picture:
        pixels = np.asarray(picture)
    side = folder.config()["data"]["image_shape"][0] + 2  # the grid's gap
    return pixels[: _SHOWN * side - 2, : _SHOWN * side - 2]
