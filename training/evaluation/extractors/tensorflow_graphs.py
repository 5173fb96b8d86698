"""Feature networks from TensorFlow files: SavedModels and frozen graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from training.evaluation.extractors.graph_operations import (
    check_graph,
    check_saved_model,
)

Network = Callable[[tf.Tensor], tuple[tf.Tensor, "tf.Tensor | None"]]

# The input after resizing and scaling. Feeding it, rather than the graph's own resize,
# lets the batch be any size: the 2015 graph decodes one JPEG file.
INPUT = "Mul:0"
FEATURES = "pool_3:0"
LOGITS_PRODUCT = "softmax/logits/MatMul"
LOGITS = "logits:0"


def load_frozen_graph(path: Path) -> Network:
    """Loads a frozen Inception graph (`.pb`), 2015's or TF-GAN's.

    The 2015 graph's own logits come out of a reshape to one image, so they are computed
    here as pool3 times the weights that its `softmax/logits/MatMul` takes: the logits
    without bias. TF-GAN's graph has them as `logits`.

    Raises:
        ValueError: if the file isn't a graph, lacks these nodes, or may do more than
            compute.
    """
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
    except Exception as error:
        raise ValueError(
            f"`path` must be a frozen TensorFlow graph. Received: {path}, which can't "
            f"be parsed ({error})"
        ) from error
    check_graph(path, graph_def)
    for node in graph_def.node:
        # Shapes of one image, stored by old exporters, would refuse a batch.
        node.attr.pop("_output_shapes", None)
    names = {node.name for node in graph_def.node}
    own_logits = LOGITS_PRODUCT not in names
    wanted = {"Mul", "pool_3", "logits" if own_logits else LOGITS_PRODUCT}
    if not wanted <= names:
        raise ValueError(
            f"`path` must have the nodes {sorted(wanted)}. Received: {path} without "
            f"{sorted(wanted - names)}"
        )

    def imported(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if own_logits:
            elements = [FEATURES, LOGITS]
        else:
            elements = [FEATURES, LOGITS_PRODUCT]
        features, last = tf.graph_util.import_graph_def(
            graph_def, {INPUT: images}, elements, name=""
        )
        features = tf.reshape(features, [-1, features.shape[-1]])
        return features, last if own_logits else features @ last.inputs[1]

    return tf.compat.v1.wrap_function(
        imported, [tf.TensorSpec([None, None, None, 3], tf.float32)]
    )


def load_saved_model(path: Path) -> tuple[Network, bool]:
    """Loads a SavedModel's default signature; returns it and whether it takes uint8.

    Raises:
        ValueError: if the folder isn't a SavedModel, or its signature has not one
            input of images and the outputs `features` (or `pool_3`) and `logits`, or
            it may do more than compute.
    """
    try:
        saved = saved_model_pb2.SavedModel.FromString(
            (path / "saved_model.pb").read_bytes()
        )
        for part in saved.meta_graphs:
            check_saved_model(path, part)
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
    except (OSError, KeyError, DecodeError) as error:
        raise ValueError(
            "`path` must be a SavedModel with a signature `serving_default`. "
            f"Received: {path} ({error})"
        ) from error
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    features = next((name for name in ("features", "pool_3") if name in outputs), None)
    if len(inputs) != 1 or features is None or "logits" not in outputs:
        raise ValueError(
            "`path` must be a SavedModel that maps images to `features` and `logits`. "
            f"Received: inputs {sorted(inputs)}, outputs {sorted(outputs)}"
        )
    ((argument, spec),) = inputs.items()

    def run(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        # The loaded object owns the variables: it must live as long as its signature.
        result = loaded.signatures["serving_default"](**{argument: images})
        values = result[features]
        return tf.reshape(values, [-1, values.shape[-1]]), result["logits"]

    return run, spec.dtype == tf.uint8
