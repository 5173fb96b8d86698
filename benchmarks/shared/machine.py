"""What a figure was taken on: the machine, the versions, the memory in use."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

_PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "numpy")


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def versions(packages: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Returns the versions of those of the packages that are installed.

    Args:
        packages: names as in a requirements file.
    """
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe() -> dict[str, Any]:
    """Returns the machine's size and the versions of what runs on it."""
    flags = _cpu_field("flags").split()
    return {
        "cpu": _cpu_field("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "bfloat16": "avx512_bf16" in flags or "amx_bf16" in flags,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
    }


def sentence(about: dict[str, Any]) -> str:
    """Returns the description as the line that each command starts with.

    Args:
        about: what `describe` returned.
    """
    packages = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, "
        f"bfloat16 instructions: {'yes' if about['bfloat16'] else 'no'}; {packages}"
    )


def reset_peak_memory() -> None:
    """Lets `peak_memory` start anew, where the system can (Linux)."""
    path = pathlib.Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5")


def peak_memory() -> int:
    """Returns the largest resident memory of this process so far, in bytes."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * (1 if platform.system() == "Darwin" else 1024)


def _cpu_field(name: str) -> str:
    path = pathlib.Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
