"""Every method of the paper on the same data, for the same number of updates of G."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from training.data import load
from training.experiments.shared import methods as known
from training.experiments.shared.timing import seconds_per_update
from training.runs import checks, fit
from training.runs.preset import Preset
from training.storage.files import replacing, write_json
from training.storage.folder import RunFolder

# What each method changes in the same base: standard loss, setting C. Frobenius
# normalization and layer norm are in the paper's appendix and table 2.
METHODS = (
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

_SHOWN = 5  # rows and columns of samples a method in the picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    parser.add_argument("--output", required=True, help="the folder of all runs")
    parser.add_argument("--data", default="fashion_mnist", help="images, as in `fit`")
    parser.add_argument("--steps", type=int, default=1000, help="updates of G")
    parser.add_argument(
        "--width-multiplier", type=float, default=0.25, help="as in `fit`"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="as in `fit`")
    parser.add_argument("--setting", default="C", help="A to F")
    parser.add_argument("--seed", type=int, default=0, help="as in `fit`")
    parser.add_argument(
        "--rounds", type=int, default=15, help="timed updates a method, in turns"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help=f"some of: {', '.join(METHODS)}; by default all of them",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    base = Preset(
        name="comparison",
        description="the same for all methods but what the method is",
        data=arguments.data,
        steps=arguments.steps,
        width_multiplier=arguments.width_multiplier,
        batch_size=arguments.batch_size,
        setting=arguments.setting,
        seed=arguments.seed,
        loss="standard",
    )
    table = compare(
        Path(arguments.output),
        base,
        arguments.methods or METHODS,
        rounds=arguments.rounds,
    )
    print(markdown(table))
    print(f"Picture  {Path(arguments.output) / 'comparison.png'}")


def compare(
    output: Path,
    base: Preset,
    methods: Sequence[str],
    rounds: int = 15,
    source: Any = None,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Trains each method in a folder of its own and puts the results side by side.

    A folder that holds a finished run is not trained again.

    Args:
        output: gets a folder a method, `comparison.png`, `.md` and `.json`.
        base: what all have in common.
        methods: some of `METHODS`.
        rounds: how many updates of each method to time, 1 or more.
        source: the images; None loads `base.data`.
        say: gets a line of text now and then.

    Returns:
        A row a method: its name, the median of seconds per update of G, and the
        median of its ratios to the first method's. The updates that are timed are
        taken in turns, one of each method a round: what slows the machine for a while
        slows them all.

    Raises:
        ValueError: if a method is unknown; the message lists the known ones.
        RuntimeError: if a run was interrupted.
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be 1 or more. Received: rounds={rounds}")
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise ValueError(
            f"`methods` must be some of {list(METHODS)}. Received: {list(methods)}"
        )
    if source is None:
        source = load(base.data, image_size=base.image_size)
    presets = {name: checks.preset(known.apply(base, name)) for name in methods}
    folders = {}
    for name, preset in presets.items():
        say(f"{name}:")
        result = fit.fit(output / name, preset, source=source, say=say)
        if not result.finished:
            raise RuntimeError(
                f"Stopped in {name!r} at step {result.step}. The same command carries "
                "on."
            )
        folders[name] = result.folder
    draw(folders, output / "comparison.png")
    times = seconds_per_update(presets, source, rounds)
    first = times[methods[0]]
    table = [
        {
            "method": name,
            "seconds_per_update": float(np.median(taken)),
            "relative": float(np.median(taken / first)),
        }
        for name, taken in times.items()
    ]
    write_json(output / "comparison.json", {"base": base.as_dict(), "rows": table})
    with replacing(output / "comparison.md") as temporary:
        temporary.write_text(markdown(table), encoding="utf-8")
    return table


def markdown(table: Sequence[dict[str, Any]]) -> str:
    """Returns the rows as a Markdown table."""
    lines = [
        f"| method | seconds per update of G | relative to {table[0]['method']} |",
        "|---|---|---|",
        *(
            f"| {row['method']} | {row['seconds_per_update']:.3f} | "
            f"{row['relative']:.2f} |"
            for row in table
        ),
    ]
    return "\n".join(lines) + "\n"


def draw(folders: dict[str, RunFolder], path: Path) -> None:
    """Draws the newest samples of each run side by side."""
    columns = min(5, len(folders))
    rows = -(-len(folders) // columns)
    figure = Figure(figsize=(2.2 * columns, 2.45 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in axes:
        place.set_axis_off()
    for place, (name, folder) in zip(axes, folders.items(), strict=False):
        place.imshow(_corner(folder), cmap="gray", vmin=0, vmax=255)
        place.set_title(name, fontsize="medium")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")


def _corner(folder: RunFolder) -> np.ndarray:
    """Returns the upper left samples of the newest grid."""
    newest = max(folder.samples.glob("step-*.png"))
    with Image.open(newest) as picture:
        pixels = np.asarray(picture)
    side = folder.config()["data"]["image_shape"][0] + 2  # the grid's gap
    return pixels[: _SHOWN * side - 2, : _SHOWN * side - 2]
