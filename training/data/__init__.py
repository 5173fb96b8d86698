"""Images by name: from a source to an endless, resumable `tf.data.Dataset`.

```python
source = load("mnist5k", image_size=32)
dataset = make_dataset(source, batch_size=64, seed=0)
```

A new kind of source is a file with a function that returns a `DataSource`, and one
line in `loading.py`.
"""

from training.data.loading import known_names, load
from training.data.pipeline import make_dataset
from training.data.sources import ArraySource, DataSource

__all__ = ["ArraySource", "DataSource", "known_names", "load", "make_dataset"]
