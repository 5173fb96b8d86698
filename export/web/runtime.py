"""LiteRT.js: which files of it a page takes, and where they come from."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile

from export.errors import ConversionError

# The runtime, from npm. `compat` is the variant that every browser runs, Safari's
# included; the others take relaxed SIMD, threads or JSPI, and each is 9 MB.
LITERT_JS = "@litertjs/core@2.5.3"
_RUNTIME_FILES = {
    "core/dist/index.js": "core.js",
    "core/wasm/litert_wasm_compat_internal.js": "litert_wasm_compat_internal.js",
    "core/wasm/litert_wasm_compat_internal.wasm": "litert_wasm_compat_internal.wasm",
    "wasm-utils/dist/index.js": "wasm-utils.js",
}


def copy(target: pathlib.Path, packages: str | os.PathLike[str] | None) -> None:
    """Copies the files of LiteRT.js that a page takes into a new folder.

    Args:
        target: folder to make.
        packages: `node_modules/@litertjs` of an earlier npm install; None to run npm.

    Raises:
        ConversionError: if they can't be had.
    """
    target.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        found = pathlib.Path(packages) if packages else install(scratch)
        for source, name in _RUNTIME_FILES.items():
            if not (found / source).is_file():
                raise ConversionError(f"{found} lacks {source} of {LITERT_JS}.")
            shutil.copyfile(found / source, target / name)
    # A bare name takes an import map, which is an inline script, which a strict
    # Content-Security-Policy forbids.
    core = target / "core.js"
    text = core.read_text(encoding="utf-8")
    for quote in ("'", '"'):
        text = text.replace(f"{quote}@litertjs/wasm-utils{quote}", "'./wasm-utils.js'")
    core.write_text(text, encoding="utf-8")


def install(scratch: str) -> pathlib.Path:
    """Fetches LiteRT.js with npm; returns the folder with its packages.

    Args:
        scratch: folder to install into.

    Raises:
        ConversionError: if there is no npm or it fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ConversionError(
            "The page takes LiteRT.js, which is fetched with npm, and there is no npm "
            "on this machine. Install it, or pass the folder `node_modules/@litertjs` "
            "of another one with `--runtime`."
        )
    command = [npm, "install", "--prefix", scratch, "--no-audit", "--no-fund"]
    process = subprocess.run(
        # No package's own code is run on this machine.
        [*command, "--ignore-scripts", "--no-save", LITERT_JS],
        capture_output=True,
        text=True,
    )
    if process.returncode != 0:
        lines = process.stderr.strip().splitlines() or ["no message"]
        raise ConversionError(f"npm can't install {LITERT_JS}: {lines[-1]}")
    return pathlib.Path(scratch, "node_modules", "@litertjs")
