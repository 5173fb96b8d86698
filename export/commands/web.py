"""`python -m export web`: writes a page that draws in the browser."""

from __future__ import annotations

import argparse

from export.formats.names import PRECISIONS
from export.web.page import write_page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument("folder", metavar="DIR", help="what `python -m export` wrote")
    parser.add_argument(
        "--output", metavar="DIR", help="to write; default: web inside the folder"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="default: the first there is of int8-dynamic, float16, float32, int8-full",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier page"
    )
    parser.add_argument(
        "--runtime",
        metavar="DIR",
        help="`node_modules/@litertjs` of an earlier npm install; default: run npm",
    )


def run(options: argparse.Namespace) -> None:
    """Runs the command."""
    page = write_page(
        options.folder,
        options.output,
        options.precision,
        options.overwrite,
        options.runtime,
    )
    print(f"page written; look at it with: python -m http.server --directory {page}")
