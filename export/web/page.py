"""A web page that draws with an exported generator, in the browser alone."""

from __future__ import annotations

import os
import pathlib
import shutil
from typing import Any

from export import folder as folders
from export import manifest
from export.web import runtime as litert_js

MODEL_FILE = "generator.tflite"

# Small and fast first, and exact enough to look at; int8-full is last because it is
# the least exact.
_PREFERRED = ("int8-dynamic", "float16", "float32", "int8-full")
# Of an image, as `check` of generator.js has it: a page shows several at once.
_MOST_PIXELS = 1 << 20
_STATIC = pathlib.Path(__file__).parent / "static"


def write_page(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    overwrite: bool = False,
    runtime: str | os.PathLike[str] | None = None,
) -> pathlib.Path:
    """Writes a static folder with a page that runs a `.tflite` file of an export.

    The folder holds everything, so it works offline and from any static server.
    LiteRT.js is fetched with npm when the page is written.

    Args:
        folder: what `export_generator` wrote, with the format litert.
        output: folder to write. Defaults to `web` inside `folder`.
        precision: of the file that the page runs. Defaults to the smallest that is
            exact enough: the first of int8-dynamic, float16, float32, int8-full.
        overwrite: whether an earlier page in `output` may be replaced. Defaults to
            False.
        runtime: folder with the npm packages (`node_modules/@litertjs`), where npm
            shall not be run. Defaults to None.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: if `folder` is no export.
        ValueError: if it has no such file, images too large for a page, or is not
            what was exported.
        FileExistsError: if `output` must not be written.
        ConversionError: if LiteRT.js can't be had.
    """
    root = pathlib.Path(folder)
    described = manifest.read_generator(root)
    file = _choose(described, precision, root)
    height, width, _ = described["image_shape"]
    if height * width > _MOST_PIXELS:
        raise ValueError(
            f"{root} has images too large for a page, which takes up to "
            f"{_MOST_PIXELS} pixels. Received: {height} x {width} pixels"
        )
    target = pathlib.Path(output) if output is not None else root / manifest.PAGE_FOLDER
    with folders.replaced(target, overwrite, manifest.PAGE) as page:
        for entry in _STATIC.iterdir():
            shutil.copy(entry, page / entry.name)
        shutil.copy(root / file["file"], page / MODEL_FILE)
        litert_js.copy(page / "litert", runtime)
        content = {
            "model": MODEL_FILE,
            "file": file["file"],
            "precision": file["precision"],
            "psnr": file["psnr"],
            "largest_difference": file["largest"],
            "batch_sizes": sorted(described["batch_sizes"]),
            "latent_dim": described["latent_dim"],
            "image_shape": described["image_shape"],
            "output_range": described["output_range"],
            "num_classes": described["num_classes"],
            "class_names": described["class_names"],
        }
        manifest.write(page, content, manifest.PAGE)
    return target


def _choose(
    described: dict[str, Any], precision: str | None, root: pathlib.Path
) -> dict[str, Any]:
    files = {
        file["precision"]: file
        for file in described["files"]
        if file["format"] == "litert"
    }
    wanted = _PREFERRED if precision is None else (precision,)
    for one in wanted:
        if one in files:
            return files[one]
    raise ValueError(
        f"{root} has no `.tflite` file"
        + ("." if precision is None else f" of `precision` {precision!r}.")
        + f" Received: an export with the precisions {sorted(files)}"
    )
