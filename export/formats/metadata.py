"""What a user of an exported file has to know, as JSON and inside `.tflite` files."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

import keras
import tensorflow as tf

import sn_keras
from export.formats import signatures
from export.reading.loading import Generator

# Name of the entry in a `.tflite` file's own table of metadata.
ENTRY = "sn_keras"


def describe(generator: Generator) -> dict[str, Any]:
    """Returns the generator's inputs, outputs, classes, configuration and versions."""
    inputs: dict[str, Any] = {
        "latents": {
            "shape": ["batch", generator.latent_dim],
            "dtype": "float32",
            "distribution": "normal, mean 0, standard deviation 1",
        }
    }
    if generator.num_classes is not None:
        inputs["labels"] = {
            "shape": ["batch"],
            "dtype": "int32",
            "range": [0, generator.num_classes - 1],
            "classes": list(generator.class_names),
        }
    return {
        "latent_dim": generator.latent_dim,
        "image_shape": list(generator.image_shape),
        "output_range": list(generator.output_range),
        "num_classes": generator.num_classes,
        "class_names": list(generator.class_names),
        "inputs": inputs,
        "outputs": {
            "images": {
                "shape": ["batch", *generator.image_shape],
                "dtype": "float32",
                "range": list(generator.output_range),
                "to_uint8": signatures.to_bytes(generator, "images"),
            }
        },
        "config": json.loads(json.dumps(generator.config, default=str)),
        "versions": {
            "sn_keras": sn_keras.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "ai_edge_litert": importlib.metadata.version("ai-edge-litert"),
        },
    }


def embed(content: bytes, description: dict[str, Any]) -> bytes:
    """Returns a `.tflite` file with a description in its table of metadata.

    Args:
        content: the file.
        description: anything that JSON can express.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    buffer = schema.BufferT()
    buffer.data = list(json.dumps(description).encode("utf-8"))
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name = ENTRY
    entry.buffer = len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    model.description = "Generator exported by sn-keras"
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def extract(content: bytes) -> dict[str, Any]:
    """Returns the description that `embed` wrote into a `.tflite` file.

    Args:
        content: the file.

    Raises:
        ValueError: if there is none.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for entry in model.metadata or []:
        name = entry.name.decode() if isinstance(entry.name, bytes) else entry.name
        if name == ENTRY:
            return json.loads(bytes(model.buffers[entry.buffer].data))
    raise ValueError(f"`content` has no metadata of the name {ENTRY!r}.")
