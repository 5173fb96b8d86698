"""Runs side by side: tables of scores that compare, and a plot over steps."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.evaluation.reports import Report, load_reports
from training.storage.files import replacing
from training.storage.folder import RunFolder
from training.tables import markdown

# Scores that are better the lower they are; those by a Keras model have its name.
_LOWER_IS_BETTER = {"FID", "FCD", "KID", "KCD", "MS-SSIM"}
_LOWER_PREFIXES = ("FD-", "KD-")


@dataclasses.dataclass(frozen=True)
class Group:
    """Reports that rest on the same conditions, by run.

    Attributes:
        conditions: what they rest on.
        runs: run's name → its reports, by step.
    """

    conditions: dict[str, Any]
    runs: dict[str, list[Report]]


def group_reports(folders: Sequence[RunFolder]) -> list[Group]:
    """Returns the runs' reports, grouped by the conditions that make them comparable.

    Args:
        folders: the runs.

    Raises:
        ValueError: if no run has a report.
    """
    groups: dict[str, Group] = {}
    names = _distinct_names(folders)
    for folder, name in zip(folders, names, strict=True):
        folder.config()
        for report in load_reports(folder):
            key = json.dumps(report.conditions, sort_keys=True)
            group = groups.setdefault(key, Group(report.conditions, {}))
            about = [] if report.weights == "last" else [report.weights]
            about += [f"seed {report.seed}"] if report.seed else []
            label = f"{name} ({', '.join(about)})" if about else name
            group.runs.setdefault(label, []).append(report)
    if not groups:
        raise ValueError(
            "`runs` must have been scored: `python -m training evaluate RUN`. "
            f"Received: {', '.join(str(folder.path) for folder in folders)}"
        )
    return list(groups.values())


def table(group: Group) -> str:
    """Returns each run's newest scores of a group as a table, one line a run."""
    newest = {name: reports[-1] for name, reports in group.runs.items()}
    columns: dict[str, None] = {}
    for report in newest.values():
        columns |= dict.fromkeys(report.scores)
    shown = [name for name in columns if not name.endswith(" deviation")]
    rows = [["run", "step", *shown]]
    for name, report in newest.items():
        rows.append([name, str(report.step), *(_cell(report, c) for c in shown)])
    bounds = [r.real_against_real for r in newest.values() if r.real_against_real]
    if bounds:
        cells = [f"{bounds[-1][c]:.4g}" if c in bounds[-1] else "" for c in shown]
        rows.append(["real against real", "", *cells])
    about = group.conditions
    return (
        f"{about['extractor']}, {about['data']} ({about['split']}), "
        f"{about['n_real']} real, {about['n_fake']} generated, inception score "
        f"{about['splits']} × {about['split_size']}\n{about['graph']}\n"
        f"real images {about.get('images', 'of an unknown digest')}\n\n"
        + markdown(rows)
    )


def plot(groups: Sequence[Group], path: Path | str) -> None:
    """Draws the distances and confidence scores of runs over steps as a PNG.

    Args:
        groups: of `group_reports`; a row of panels each.
        path: the PNG; replaced if it is there.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [_panels(group) for group in groups]
    columns = max(map(len, panels))
    figure = Figure(figsize=(4.5 * columns, 3.6 * len(groups)), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(len(groups), columns, squeeze=False)
    for row, (group, names) in enumerate(zip(groups, panels, strict=True)):
        for column in range(columns):
            axis = axes[row][column]
            if column >= len(names):
                axis.set_axis_off()
                continue
            _panel(axis, group, names[column])
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _panels(group: Group) -> list[str]:
    found: dict[str, None] = {}
    for reports in group.runs.values():
        for report in reports:
            found |= dict.fromkeys(report.scores)
    return [
        name for name in found if f"{name} deviation" in found or lower_is_better(name)
    ]


def lower_is_better(name: str) -> bool:
    """Returns whether a score's name is that of a distance or a likeness."""
    of_all = name.removeprefix("intra ").partition(" (")[0]
    return of_all in _LOWER_IS_BETTER or of_all.startswith(_LOWER_PREFIXES)


def _panel(axis: Any, group: Group, name: str) -> None:
    for label, reports in group.runs.items():
        points = [
            (r.step, r.scores[name], r.scores.get(f"{name} deviation", 0.0))
            for r in reports
            if name in r.scores
        ]
        if points:
            steps, values, errors = zip(*points, strict=True)
            axis.errorbar(steps, values, errors, marker="o", capsize=3, label=label)
    bounds = [
        report.real_against_real[name]
        for reports in group.runs.values()
        for report in reports
        if name in report.real_against_real
    ]
    if bounds:
        axis.axhline(bounds[-1], color="0.5", linestyle=":", label="real against real")
    about = group.conditions
    axis.set_title(
        f"{name}: {about['n_real']} real, {about['n_fake']} generated", fontsize=9
    )
    better = "lower" if lower_is_better(name) else "higher"
    axis.set_ylabel(f"{name} ({better} is better)")
    axis.set_xlabel("updates of G")
    axis.legend(fontsize=8)


def _cell(report: Report, name: str) -> str:
    if name not in report.scores:
        return ""
    deviation = report.scores.get(f"{name} deviation")
    text = f"{report.scores[name]:.4g}"
    return text if deviation is None else f"{text} ± {deviation:.2g}"


def _distinct_names(folders: Sequence[RunFolder]) -> list[str]:
    short = [folder.path.name for folder in folders]
    if len(set(short)) == len(short):
        return short
    return [str(folder.path) for folder in folders]
