"""Images by name: from a source to an endless, resumable `tf.data.Dataset`.

```python
source = load("mnist5k", image_size=32)
dataset = make_dataset(source, batch_size=64, seed=0)
```

A new kind of source is a file with a function that returns a `DataSource`, and one
line in `loading.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.data.names import known_names

if TYPE_CHECKING:
    from training.data.loading import load, load_configured
    from training.data.pipeline import make_dataset
    from training.data.sources import (
        ArraySource,
        DataSource,
        NoSuchDataError,
        NoSuchSplitError,
    )

_HOMES = {
    "ArraySource": "sources",
    "DataSource": "sources",
    "NoSuchDataError": "sources",
    "NoSuchSplitError": "sources",
    "load": "loading",
    "load_configured": "loading",
    "make_dataset": "pipeline",
}


def __getattr__(name: str) -> Any:
    # Not imported before it is asked for: a command line needs the names alone.
    if name not in _HOMES:
        raise AttributeError(f"module 'training.data' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"training.data.{_HOMES[name]}"), name)


__all__ = [
    "ArraySource",
    "DataSource",
    "NoSuchDataError",
    "NoSuchSplitError",
    "known_names",
    "load",
    "load_configured",
    "make_dataset",
]
