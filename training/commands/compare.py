"""`python -m training compare`: scores of several runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.evaluation import compare
from training.storage.files import check_replaceable
from training.storage.folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders of runs that were evaluated"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="PNG",
        help="also draw the scores over steps",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    if arguments.plot is not None:
        check_replaceable(arguments.plot, "plot")
    folders = [RunFolder(path) for path in arguments.runs]
    for folder in folders:
        folder.config()
    groups = compare.group_reports(folders)
    print("\n\n".join(compare.table(group) for group in groups))
    if len(groups) > 1:
        print(
            "\nScores of different tables don't compare: they rest on other images, "
            "numbers of images or networks."
        )
    if arguments.plot is not None:
        arguments.plot.parent.mkdir(parents=True, exist_ok=True)
        compare.plot(groups, arguments.plot)
        print(f"\nPlot in {arguments.plot}")
