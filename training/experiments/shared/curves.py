"""Curves over a run's steps, and over what an experiment varies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from training.experiments.shared import results
from training.experiments.shared.scored import Scored
from training.storage.folder import RunFolder


def names(folder: RunFolder, prefix: str) -> list[str]:
    """Returns the names of a run's metrics that begin with `prefix`, as they come."""
    found = (name for entry in folder.metrics() for name in entry)
    return [name for name in dict.fromkeys(found) if name.startswith(prefix)]


def over_steps(folder: RunFolder, name: str) -> dict[str, list[Any]]:
    """Returns the steps of a run at which a metric was written, and its values."""
    entries = [entry for entry in folder.metrics() if name in entry]
    return {
        "steps": [entry["step"] for entry in entries],
        "values": [entry[name] for entry in entries],
    }


def draw_over(scored: Scored, varied: str, label: str, path: Path) -> None:
    """Draws each method's scores over what was varied, ± a deviation over seeds.

    Args:
        scored: rows with `method` and a number in the column `varied`.
        varied: the column.
        label: what it is called in the figure.
        path: the PNG.
    """
    rows = scored.rows
    values = sorted(results.distinct(rows, varied))
    figure, axes = results.panels(len(scored.names), 5.5, 3.6, scored.note(), columns=2)
    for axis, score in zip(axes, scored.names, strict=False):
        for i, method in enumerate(results.distinct(rows, "method")):
            found = [
                results.summary(rows, score, method=method, **{varied: value})
                for value in values
            ]
            mean = np.array([one.mean for one in found])
            deviation = np.array([one.deviation for one in found])
            axis.plot(values, mean, "o-", color=f"C{i}", label=method)
            if deviation.any():
                axis.fill_between(
                    values, mean - deviation, mean + deviation, color=f"C{i}", alpha=0.2
                )
        if score in scored.real:
            axis.axhline(scored.real[score], color="0.5", linestyle=":", label="real")
        axis.set_xscale("log", base=2)
        axis.set_xticks(values, [f"{value:g}" for value in values])
        axis.minorticks_off()
        axis.set_xlabel(label)
        axis.set_ylabel(score)
        axis.legend(fontsize="small")
    results.save_figure(figure, path)
