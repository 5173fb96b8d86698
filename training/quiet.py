"""TensorFlow, imported without the lines that it logs each time."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile

# What says nothing to a user, whatever the log level: C++ code writes it before
# TensorFlow has read the level.
_NOISE = re.compile(
    r"All log messages before absl::InitializeLog"
    r"|oneDNN custom operations are on"
    r"|Could not find cuda drivers"
    r"|Unable to register cu\w+ factory"
    r"|computation placer already registered"
    r"|This TensorFlow binary is optimized"
    r"|To enable the following instructions"
)


def import_tensorflow() -> None:
    """Imports TensorFlow; what it writes to standard error is shown but for noise.

    Raises:
        ImportError: if it isn't there.
        ValueError: if Keras runs on another backend, or wants channels before height
            and width.
    """
    # What TensorFlow calls an error at level 2 is a graph rewrite that it left out
    # ("remapper failed"); a real one raises an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    use_onednn()
    if "tensorflow" not in sys.modules:
        _import_quietly()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`KERAS_BACKEND` must be 'tensorflow': `training` needs tf.distribute. "
            f"Received: KERAS_BACKEND={keras.backend.backend()!r}, of the environment "
            "or of keras.json"
        )
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "`image_data_format` must be 'channels_last' in keras.json. "
            f"Received: image_data_format={keras.config.image_data_format()!r}"
        )


def use_onednn() -> None:
    """Lets TensorFlow use oneDNN, unless the user's environment says otherwise.

    To be called before TensorFlow is imported. By itself it uses oneDNN only on
    processors with AVX512-VNNI, AVX-VNNI or AMX; on an EPYC with AVX2 the quarter-width
    CNN's step took 3.5 times as long without. For the commands' own networks alone: on
    that processor oneDNN in TensorFlow 2.21 returned wrong gradients for kernels of 1×1
    with strides (and for nothing else in 3,700 convolutions), which they don't have and
    a user's network may.
    """
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _import_quietly() -> None:
    try:
        sys.stderr.flush()
        descriptor = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no standard error to redirect
        import tensorflow  # noqa: F401

        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(descriptor, 2)
            os.close(descriptor)
            log.seek(0)
            for line in log.read().decode(errors="replace").splitlines():
                if not _NOISE.search(line):
                    print(line, file=sys.stderr)
