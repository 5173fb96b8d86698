"""Figure 10: seconds for 100 updates of G, with five updates of D each."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from training import quiet, values
from training.experiments.shared import common_options as options
from training.experiments.shared import methods, results
from training.experiments.shared.timing import seconds_per_update
from training.runs import checks, fit
from training.runs.preset import Preset
from training.storage.files import check_writable
from training.tables import markdown

_BASE = Preset(
    name="time",
    description="figure 10",
    data="cifar10",
    loss="standard",
    setting="A",
    discriminator_steps=5,
)
# Of no matter for the time.
_WITHOUT = ("steps", "decay_steps", "ema", "learning_rate", "beta_1", "beta_2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_methods(parser, ("vanilla", "weight-norm", "spectral", "wgan-gp"))
    parser.add_argument(
        "--rounds", type=int, default=30, help="timed updates of G a method, in turns"
    )
    decided = (*methods.DECIDED, *_WITHOUT, "setting", "conditioning")
    options.add_preset(parser, _BASE, decided)


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment."""
    output = Path(arguments.output)
    base = options.base_preset(arguments, _BASE)
    methods.check(arguments.methods)
    values.integer("rounds", arguments.rounds)
    presets = {m: checks.preset(methods.apply(base, m)) for m in arguments.methods}
    checks.data(base.data)
    check_writable(output, "output")
    quiet.import_tensorflow()
    source = fit.load_images(base)
    times = seconds_per_update(presets, source, arguments.rounds)
    first = times[arguments.methods[0]]
    rows = [
        {
            "method": method,
            "seconds_per_100_updates": 100 * float(np.median(taken)),
            "quartiles": (100 * np.quantile(taken, [0.25, 0.75])).tolist(),
            "relative": float(np.median(taken / first)),
            "seconds": taken.tolist(),
        }
        for method, taken in times.items()
    ]
    results.finish(output, base, tables, draw, rounds=arguments.rounds, rows=rows)


def tables(result: results.Result) -> str:
    """Returns the medians as a Markdown table."""
    rows = result["rows"]
    cells = [
        ["method", "seconds per 100 updates of G", f"relative to {rows[0]['method']}"]
    ]
    for row in rows:
        seconds, ratio = row["seconds_per_100_updates"], row["relative"]
        cells.append([str(row["method"]), f"{seconds:.4g}", f"{ratio:.3f}"])
    return markdown(cells)


def draw(result: results.Result, path: Path) -> None:
    """Draws a bar a method: the median, and the quartiles as a line."""
    rows, base = result["rows"], Preset(**result["base"])
    note = (
        f"seconds per 100 updates of G, {base.discriminator_steps} updates of D each, "
        f"{base.data}, batch {base.batch_size}, {base.width_multiplier:g} × width"
    )
    figure, axes = results.panels(1, 6.5, 3.2, note)
    median = np.array([row["seconds_per_100_updates"] for row in rows])
    low, high = np.array([row["quartiles"] for row in rows]).T
    errors = [median - low, high - median]
    axes[0].bar([row["method"] for row in rows], median, yerr=errors, capsize=4)
    axes[0].set_ylabel("seconds")
    results.save_figure(figure, path)
