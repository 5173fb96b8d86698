"""The names of what can be written."""

from __future__ import annotations

FORMATS = ("saved_model", "litert", "onnx")

# Of the weights in the files, and which formats have them.
PRECISIONS = ("float32", "float16", "int8-dynamic", "int8-full")
PRECISIONS_OF = {
    "saved_model": ("float32",),
    "litert": PRECISIONS,
    "onnx": ("float32", "float16"),
}


def signature_name(format: str, batch_size: int) -> str:
    """Returns the name of the signature that takes a batch of latents.

    Args:
        format: one of `FORMATS`.
        batch_size: for `litert`, whose files have a signature for each.
    """
    return f"batch_{batch_size}" if format == "litert" else "serving_default"
