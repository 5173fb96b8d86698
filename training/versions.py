"""The versions of what a run or a score rests on."""

from __future__ import annotations

import importlib.util
import platform
import re
from pathlib import Path


def versions() -> dict[str, str]:
    """Returns the versions by name."""
    import keras
    import numpy as np
    import tensorflow as tf

    return {
        "sn_keras": own_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def own_version() -> str:
    """Returns `sn_keras.__version__` without importing it, which imports Keras."""
    spec = importlib.util.find_spec("sn_keras")
    text = "" if spec is None else Path(spec.origin or "").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return "unknown" if found is None else found[1]
