"""What an export says about itself, and whether it still is what it says.

A manifest is a JSON file in the folder that it describes, and lists every other file
there with its size and SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import math
import pathlib
import re
from collections.abc import Callable
from typing import Any

from export.formats import names

NAME = "export.json"
# The manifest of a page, and where one is inside of an export.
PAGE = "page.json"
PAGE_FOLDER = "web"


def write(folder: pathlib.Path, content: dict[str, Any], name: str = NAME) -> None:
    """Writes a manifest into a folder that is complete otherwise.

    Args:
        folder: what is exported.
        content: anything that JSON can express; infinities and NaN become null. The
            list of files is added as `contents`.
        name: of the file. Defaults to `export.json`.
    """
    files = {path: file for path, file in _files(folder).items() if path != name}
    listed = {path: digest(file) for path, file in files.items()}
    content = {**content, "contents": listed}
    text = json.dumps(finite(content), indent=2)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def finite(value: Any) -> Any:
    """Returns a nested value with infinite numbers as None: JSON has none."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(folder: pathlib.Path, name: str = NAME) -> dict[str, Any]:
    """Returns a manifest, of which nothing but the list of files is checked.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no JSON object with a list of files.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is no export: it has no {name}. Make one with "
            "`python -m export GENERATOR --output DIR`."
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {manifest!r:.80}")
    if "contents" not in manifest:
        raise ValueError(
            f"{path} has no list of files (`contents`): an earlier version wrote it. "
            "Export again into another folder."
        )
    listed = manifest["contents"]
    good = isinstance(listed, dict) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and isinstance(entry.get("bytes"), int)
        for entry in listed.values()
    )
    if not good:
        raise ValueError(f"{path} has a damaged list of files (`contents`).")
    return manifest


def read_generator(folder: pathlib.Path, whole: bool = True) -> dict[str, Any]:
    """Returns the manifest of an exported generator, whose every field is checked.

    Args:
        folder: what `export_generator` wrote, here or elsewhere.
        whole: whether the files must be those that were verified. Defaults to True.

    Raises:
        FileNotFoundError: if `folder` is no export of a generator.
        ValueError: if a field is missing or not as it must be, such as a file outside
            of the folder, or a file is not the one that was verified.
    """
    manifest = read(folder)
    if "latent_dim" not in manifest and "files" not in manifest:
        raise FileNotFoundError(f"{folder} is no export of a generator.")
    for key in _CHECKS:
        if key not in manifest:
            raise ValueError(f"{folder / NAME} has no `{key}`. Export again.")
    check_values(manifest, folder / NAME)
    if whole:
        check_whole(folder)
    return manifest


def check_values(content: dict[str, Any], source: Any) -> None:
    """Refuses what the manifest of a generator must not say.

    Args:
        content: the manifest, or a part of it.
        source: what messages call it.

    Raises:
        ValueError: if a field that it has is not as it must be.
    """
    for key, (wanted, good) in _CHECKS.items():
        if key in content and not good(content[key]):
            raise ValueError(
                f"{source}: `{key}` must be {wanted}. "
                f"Received: {key}={content[key]!r:.80}"
            )


def changes(folder: pathlib.Path, name: str = NAME) -> dict[str, str]:
    """Returns what is not as the manifest says: a word for each file, by its path.

    Args:
        folder: an export or a page. A page inside an export is one by itself.
        name: of the manifest.

    Raises:
        FileNotFoundError, ValueError: as for `read`.
    """
    listed = read(folder, name)["contents"]
    found = _files(folder)
    page = folder / PAGE_FOLDER
    differ: dict[str, str] = {}
    if name == NAME and (page / PAGE).is_file():
        inside = changes(page, PAGE)
        differ = {f"{PAGE_FOLDER}/{path}": word for path, word in inside.items()}
        found = {path: file for path, file in found.items() if page not in file.parents}
    for path, file in found.items():
        if path == name:
            continue
        if path not in listed:
            differ[path] = "added"
        elif not _is_as_listed(file, listed[path]):
            differ[path] = "changed"
    missing = [path for path in listed if path not in found]
    return {**differ, **dict.fromkeys(missing, "missing")}


def check_whole(folder: pathlib.Path, name: str = NAME) -> None:
    """Refuses an export of which a file is not the one that was verified.

    Raises:
        FileNotFoundError, ValueError: as for `read`, and if a listed file is
            missing or changed. Files that were added are no part of it.
    """
    differ = {k: v for k, v in changes(folder, name).items() if v != "added"}
    if differ:
        told = ", ".join(f"{path} ({word})" for path, word in sorted(differ.items()))
        raise ValueError(
            f"{folder} is not what was exported and verified: {told}. Export again."
        )


def digest(path: pathlib.Path) -> dict[str, Any]:
    """Returns a file's size and SHA-256."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return {"bytes": path.stat().st_size, "sha256": found.hexdigest()}


def _files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns all that is no folder, by its path inside; a link is not followed."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def _is_as_listed(file: pathlib.Path, entry: dict[str, Any]) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    # The size first: a large file that was cut short need not be read.
    return file.stat().st_size == entry["bytes"] and digest(file) == entry


def _is_integer(value: Any, least: int, most: int) -> bool:
    kind = isinstance(value, int) and not isinstance(value, bool)
    return kind and least <= value <= most


def _is_number(value: Any) -> bool:
    kind = isinstance(value, (int, float)) and not isinstance(value, bool)
    return kind and math.isfinite(value)


def _is_list(value: Any, least: int, most: int, good: Callable[[Any], bool]) -> bool:
    kind = isinstance(value, list) and least <= len(value) <= most
    return kind and all(good(entry) for entry in value)


def _is_file_entry(value: Any) -> bool:
    # Nothing outside the folder is run, or copied into a page.
    return (
        isinstance(value, dict)
        and isinstance(value.get("file"), str)
        and _FILE.fullmatch(value["file"]) is not None
        and value.get("format") in names.FORMATS
        and value.get("precision") in names.PRECISIONS
        and all(
            key in value and (value[key] is None or _is_number(value[key]))
            for key in ("psnr", "largest", "bound")
        )
    )


_FILE = re.compile(r"\w[\w-]*(\.\w+)?", re.ASCII)
# What a page or a runtime does with a number of a file from elsewhere is bounded by it.
MOST_CLASSES = 100_000
MOST_LATENT = 1 << 20  # a latent may be an image
_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "latent_dim": (
        f"an integer from 1 to {MOST_LATENT}",
        lambda x: _is_integer(x, 1, MOST_LATENT),
    ),
    "image_shape": (
        "[height, width, channels], 1 to 8192 pixels a side and 1, 3 or 4 channels",
        lambda x: (
            _is_list(x, 3, 3, lambda side: _is_integer(side, 1, 8192))
            and x[2] in (1, 3, 4)
        ),
    ),
    "num_classes": (
        f"an integer from 1 to {MOST_CLASSES}, or null",
        lambda x: x is None or _is_integer(x, 1, MOST_CLASSES),
    ),
    "class_names": (
        "a list of names",
        lambda x: _is_list(x, 0, MOST_CLASSES, lambda name: isinstance(name, str)),
    ),
    "output_range": (
        "two numbers, the lower one first",
        lambda x: _is_list(x, 2, 2, _is_number) and x[0] < x[1],
    ),
    "batch_sizes": (
        "a list of integers from 1 to 4096",
        lambda x: _is_list(x, 1, 4096, lambda size: _is_integer(size, 1, 4096)),
    ),
    "files": (
        "a list of files of the folder, with format, precision, psnr, largest and "
        "bound",
        lambda x: _is_list(x, 1, 100, _is_file_entry),
    ),
}
