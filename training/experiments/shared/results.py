"""An experiment's results: a JSON file, tables for the terminal, a figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.runs.preset import Preset
from training.storage.files import replacing, write_json
from training.tables import markdown
from training.versions import versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
# What an experiment's JSON file holds.
Result = Mapping[str, Any]


def finish(
    output: Path,
    base: Preset,
    tables: Callable[[Result], str],
    draw: Callable[[Result, Path], None],
    **content: Any,
) -> None:
    """Writes `EXPERIMENT.json`, draws `EXPERIMENT.png` and prints the tables.

    Args:
        output: the experiment's folder; made if it isn't there.
        base: what its runs have in common; its name is the experiment's.
        tables: makes the tables of what the JSON file holds.
        draw: makes the figure of the same.
        **content: the results, plain JSON.
    """
    result = {
        "experiment": base.name,
        "base": base.as_dict(),
        "versions": versions(),
        **content,
    }
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / f"{base.name}.json", result)
    picture = output / f"{base.name}.png"
    draw(result, picture)
    print(f"\n{tables(result)}\n\nFigure  {picture}")


def panels(
    count: int, width: float, height: float, note: str, columns: int = 1
) -> tuple[Figure, list[Any]]:
    """Returns a figure and its panels.

    Args:
        count: panels, at least one of which there is.
        width: of a panel in inches.
        height: of a panel in inches.
        note: goes above all panels; lines are separated by the caller.
        columns: panels side by side.
    """
    from matplotlib.figure import Figure

    count = max(count, 1)
    rows = -(-count // columns)
    figure = Figure(
        figsize=(width * columns, height * rows + 0.3), layout="constrained"
    )
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.set_axis_off()
    figure.suptitle(note, fontsize="small")
    return figure, axes


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG in place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")


@dataclasses.dataclass(frozen=True)
class Summary:
    """A score over several seeds.

    Attributes:
        mean: NaN if all diverged.
        deviation: the standard deviation, 0 for a single run.
        count: runs that have a score.
        diverged: runs that have none.
    """

    mean: float
    deviation: float
    count: int
    diverged: int

    def __str__(self) -> str:
        """Returns a cell of a table."""
        if not self.count:
            return "diverged"
        text = f"{self.mean:.4g}"
        if self.count > 1:
            text += f" ± {self.deviation:.2g}"
        if self.diverged:
            text += f" ({self.diverged} diverged)"
        return text


def summary(rows: Iterable[Row], score: str, **wanted: Any) -> Summary:
    """Returns a score of the rows that have the wanted values.

    Args:
        rows: with `scores`, an object of numbers.
        score: which one.
        **wanted: column = value.
    """
    chosen = [row for row in rows if all(row[k] == v for k, v in wanted.items())]
    values = [row["scores"][score] for row in chosen if score in row["scores"]]
    count = len(values)
    return Summary(
        mean=float(np.mean(values)) if count else float("nan"),
        deviation=float(np.std(values, ddof=1)) if count > 1 else 0.0,
        count=count,
        diverged=len(chosen) - count,
    )


def distinct(rows: Iterable[Row], column: str) -> list[Any]:
    """Returns a column's values, each once, in the order they come."""
    return list(dict.fromkeys(row[column] for row in rows))


def pivot(rows: Sequence[Row], down: str, across: str, score: str) -> str:
    """Returns a Markdown table of a score: one column down, another one across."""
    columns = distinct(rows, across)
    cells = [[f"{score} by {across}", *map(str, columns)]]
    for value in distinct(rows, down):
        found = [summary(rows, score, **{down: value, across: c}) for c in columns]
        cells.append([str(value), *map(str, found)])
    return markdown(cells)
