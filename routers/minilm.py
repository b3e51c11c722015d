"""Builds the ONNX graph of a BERT sentence encoder (all-MiniLM-L6-v2) from its weights, since no package ships one.

The graph goes from token ids to unit vectors: exact GELU, layer norm with epsilon 1e-12, mean pooling over
the attention mask, Euclidean normalisation. The number of layers and all widths are read from the weights.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEAD_WIDTH = 32
EPSILON = 1e-12
MASKED = -1e9
"""Added to the attention of padding: far below every real score, and still finite in float32."""
OPSET = 20
IR_VERSION = 9


def write_graph(weights: Path, target: Path, precision: str) -> None:
    """Writes the ONNX file of the encoder whose safetensors are at `weights`, whole or not at all.
    `precision` is `fp32`, or `int8`: dynamic, one scale a channel, several times smaller and faster."""
    import onnx
    from safetensors.numpy import load_file

    # A folder of its own: several processes may find that the graph is missing, and write it at once.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as name:
        whole = part = Path(name) / "whole.onnx"
        onnx.save(_model(load_file(weights)), whole)
        if precision == "int8":
            _quantize(whole, part := Path(name) / "int8.onnx")
        os.replace(part, target)


def _quantize(whole: Path, target: Path) -> None:
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().addFilter(_not_a_hint)
    try:
        quantize_dynamic(whole, target, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
    finally:
        logging.getLogger().removeFilter(_not_a_hint)


def _not_a_hint(record: Any) -> bool:
    """The quantizer logs advice about preprocessing on the root logger; the graph here needs none."""
    return "pre-processing" not in record.getMessage()


@dataclass
class _Graph:
    """Nodes and constants under construction; every method returns the name of what it made."""

    weights: dict[str, NDArray[np.float32]]
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        import onnx.helper

        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, dtype: str = "float32") -> str:
        import numpy as np
        import onnx.numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants[name] = onnx.numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name)
        return name

    def linear(self, x: str, *names: str) -> str:
        """x @ W.T + b; several names are computed as one product, side by side."""
        import numpy as np

        weight = np.concatenate([self.weights[f"{name}.weight"] for name in names])
        bias = np.concatenate([self.weights[f"{name}.bias"] for name in names])
        return self.node("Add", self.node("MatMul", x, self.constant(weight.T)), self.constant(bias))

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.constant(self.weights[f"{name}.weight"]), self.constant(self.weights[f"{name}.bias"])
        return self.node("LayerNormalization", x, scale, bias, epsilon=EPSILON, axis=-1)


def _model(weights: dict[str, NDArray[np.float32]]) -> Any:
    """ids, mask (int64, shape (batch, tokens)) -> vectors (float32, shape (batch, width))."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(weights)
    real = graph.node("Cast", "mask", to=TensorProto.FLOAT)
    bias = _attention_bias(graph, real)
    x = _embeddings(graph)
    for layer in range(1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))):
        x = _layer(graph, x, bias, f"encoder.layer.{layer}")
    graph.nodes.append(helper.make_node("Identity", [_pool(graph, x, real)], ["vectors"]))
    width = weights["embeddings.word_embeddings.weight"].shape[1]
    tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in ("ids", "mask")]
    output = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", width])
    body = helper.make_graph(graph.nodes, "encoder", tokens, [output], list(graph.constants.values()))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model


def _attention_bias(graph: _Graph, real: str) -> str:
    """0 for real tokens and MASKED for padding, shape (batch, 1, 1, tokens)."""
    padding = graph.node("Mul", graph.node("Sub", graph.constant(1.0), real), graph.constant(MASKED))
    return graph.node("Unsqueeze", padding, graph.constant([1, 2], "int64"))


def _embeddings(graph: _Graph) -> str:
    words = graph.node("Gather", graph.constant(graph.weights["embeddings.word_embeddings.weight"]), "ids")
    length = graph.node("Slice", graph.node("Shape", "ids"), *(graph.constant([i], "int64") for i in (1, 2)))
    start, step = graph.constant([0], "int64"), graph.constant([0], "int64")
    kinds = graph.weights["embeddings.token_type_embeddings.weight"][0]  # one sentence: every token is of kind 0
    places = graph.constant(graph.weights["embeddings.position_embeddings.weight"] + kinds)
    x = graph.node("Add", words, graph.node("Slice", places, start, length, step))
    return graph.norm(x, "embeddings.LayerNorm")


def _layer(graph: _Graph, x: str, bias: str, name: str) -> str:
    attended = graph.linear(_attention(graph, x, bias, name), f"{name}.attention.output.dense")
    x = graph.norm(graph.node("Add", x, attended), f"{name}.attention.output.LayerNorm")
    inner = graph.node("Gelu", graph.linear(x, f"{name}.intermediate.dense"))
    x = graph.node("Add", x, graph.linear(inner, f"{name}.output.dense"))
    return graph.norm(x, f"{name}.output.LayerNorm")


def _attention(graph: _Graph, x: str, bias: str, name: str) -> str:
    import onnx.helper

    parts = [f"q_{len(graph.nodes)}", f"k_{len(graph.nodes)}", f"v_{len(graph.nodes)}"]
    joined = graph.linear(x, *(f"{name}.attention.self.{part}" for part in ("query", "key", "value")))
    graph.nodes.append(onnx.helper.make_node("Split", [joined], parts, axis=-1, num_outputs=3))
    split = graph.constant([0, 0, -1, HEAD_WIDTH], "int64")
    heads = [graph.node("Reshape", part, split) for part in parts]
    query, value = (graph.node("Transpose", heads[i], perm=[0, 2, 1, 3]) for i in (0, 2))
    key = graph.node("Transpose", heads[1], perm=[0, 2, 3, 1])
    scaled = graph.node("Mul", graph.node("MatMul", query, key), graph.constant(HEAD_WIDTH**-0.5))
    weights = graph.node("Softmax", graph.node("Add", scaled, bias), axis=-1)
    mixed = graph.node("Transpose", graph.node("MatMul", weights, value), perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, graph.constant([0, 0, -1], "int64"))


def _pool(graph: _Graph, x: str, real: str) -> str:
    """The mean over real tokens, of Euclidean length 1."""
    weighted = graph.node("Mul", x, graph.node("Unsqueeze", real, graph.constant([2], "int64")))
    axis = graph.constant([1], "int64")
    count = graph.node("ReduceSum", real, axis, keepdims=1)
    mean = graph.node("Div", graph.node("ReduceSum", weighted, axis, keepdims=0), count)
    return graph.node("LpNormalization", mean, axis=-1, p=2)
