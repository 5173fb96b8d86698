"""The peers' environments: made on first use, with pinned versions, kept for later."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_REQUIREMENTS = _ROOT / "benchmarks" / "requirements"


class SetUpError(RuntimeError):
    """An environment can't be made here."""


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        name: its folder's name.
        requirements: name of the file of pinned requirements.
        pythons: the minor versions of Python 3 that they install on, best first.
        bare: name of a second file, installed without its dependencies.
    """

    name: str
    requirements: str
    pythons: tuple[int, ...]
    bare: str | None = None


ENVIRONMENTS = {
    one.name: one
    for one in (
        Environment("tfa", "tfa.txt", (11, 10)),
        Environment("torch", "torch.txt", (12, 11, 13)),
        # Its source package asks for TensorFlow, torchvision and a dozen more, which
        # its networks and training steps don't import.
        Environment("mimicry", "torch.txt", (12, 11, 13), bare="mimicry.txt"),
        # Asks for a build of torch with several GB of CUDA libraries.
        Environment("fidelity", "torch.txt", (12, 11, 13), bare="fidelity.txt"),
    )
}


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Adds `--environments`.

    Args:
        parser: the command's.
    """
    parser.add_argument(
        "--environments",
        type=pathlib.Path,
        default=_ROOT / ".peers",
        metavar="DIR",
        help="where the peers' environments are kept; about 1 GB each, made on first "
        "use (default: .peers in the checkout)",
    )


def python_of(environment: Environment, folder: pathlib.Path) -> pathlib.Path:
    """Returns the interpreter of an environment, made first if need be.

    Args:
        environment: which one.
        folder: where environments are kept.

    Raises:
        SetUpError: if no fitting Python is there or an installation fails.
    """
    home = folder / environment.name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    files = [_REQUIREMENTS / environment.requirements]
    if environment.bare:
        files.append(_REQUIREMENTS / environment.bare)
    contents = b"".join(file.read_bytes() for file in files)
    digest = hashlib.sha256(contents).hexdigest()
    # Written last, so that an interrupted installation is begun again.
    complete = home / "requirements.sha256"
    if complete.exists() and complete.read_text() == digest and python.exists():
        return python

    print(f"Setting up the environment {environment.name} in {home} …", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    base = _find_python(environment)
    _run([base, "-m", "venv", "--clear", str(home)])
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    pip.append("--disable-pip-version-check")
    _run([*pip, "-r", str(files[0])])
    if environment.bare:
        _run([*pip, "setuptools", "wheel"])
        _run([*pip, "--no-deps", "--no-build-isolation", "-r", str(files[1])])
    complete.write_text(digest)
    return python


def _find_python(environment: Environment) -> str:
    if sys.version_info.minor in environment.pythons:
        return sys.executable
    for minor in environment.pythons:
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    wanted = ", ".join(f"3.{minor}" for minor in environment.pythons)
    raise SetUpError(
        f"the environment {environment.name} needs Python {wanted}, and none is on "
        "the path"
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = "\n".join((done.stderr or done.stdout).splitlines()[-8:])
        raise SetUpError(f"{' '.join(command)} failed:\n{lines}")
