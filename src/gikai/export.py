"""A fine-tuned BERT as an ONNX graph with int8 weights for CPUs; it takes sequences of one length, without padding.

Library module; no command of its own: `backend=onnx` and `backend=auto` write `<run>/onnx/` when it is first needed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from transformers import PreTrainedModel

from gikai import InputError, runs

FORMAT = 2
"""Version of the graph that `export` builds; a run's export of another version is made again."""

_CONTRIB = "com.microsoft"


def export(model: PreTrainedModel, path: Path) -> None:
    """Write `model` to `path` as ONNX: input `ids` `(n, length)` int64, output `logits` `(n, all labels)` float32.

    Weights are int8 with one scale a column, activations are quantised as they come (dynamic quantisation); attention,
    norms and the head are float32. GELU takes its form with tanh, which is 5e-4 from the other at most, far below what
    int8 rounds away. Only [CLS] is read from the last layer, so only [CLS] is computed there. Raises InputError for a
    model that is not a `BertForSequenceClassification` with GELU.
    """
    config = model.config
    if type(model).__name__ != "BertForSequenceClassification" or config.hidden_act != "gelu":
        raise InputError(f"no ONNX form is known for {type(model).__name__} with {config.hidden_act}; use backend=torch")
    graph = _Graph({name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}, config)
    hidden = graph.embeddings()
    for layer in range(config.num_hidden_layers - 1):
        hidden = graph.layer(f"bert.encoder.layer.{layer}.", hidden)
    graph.head(graph.last_layer(f"bert.encoder.layer.{config.num_hidden_layers - 1}.", hidden))
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "length"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", config.num_labels])
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "gikai", [ids], [logits], graph.constants),
        opset_imports=[helper.make_opsetid("", 23), helper.make_opsetid(_CONTRIB, 1)],
        ir_version=10,
    )
    with runs.written(path) as partial:
        onnx.save(proto, str(partial))


class _Graph:
    """Nodes and constants of the graph as it grows; every method returns the name of the tensor it made."""

    def __init__(self, weights: dict[str, np.ndarray], config: Any) -> None:
        self.weights, self.config = weights, config
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: Any) -> str:
        """Add a node; its outputs are named after its number, further ones with .1, .2 behind."""
        name = f"{operator}_{len(self.nodes)}"
        names = [name, *(f"{name}.{index}" for index in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, inputs, names, name, domain=domain, **attributes))
        return name

    def constant(self, value: np.ndarray | list[int] | int) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(self.weights[name])

    def quantised(self, name: str) -> tuple[str, str, str]:
        """Return int8 weights `(in, out)`, their scales `(out,)` and the bias of the linear layer `name`."""
        weight = self.weights[f"{name}.weight"].T
        scale = np.abs(weight).max(axis=0) / 127
        scale[scale == 0] = 1
        return self.constant(np.round(weight / scale).astype(np.int8)), self.constant(scale), self.weight(f"{name}.bias")

    def linear(self, name: str, x: str) -> str:
        weight, scale, bias = self.quantised(name)
        return self.node("DynamicQuantizeMatMul", x, weight, scale, "", bias, domain=_CONTRIB)

    def norm(self, name: str, x: str) -> str:
        epsilon = self.config.layer_norm_eps
        return self.node("LayerNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), axis=-1, epsilon=epsilon)

    def dense(self, name: str, x: str) -> str:
        """A linear layer in float32, over `(n, width)`."""
        return self.node("Gemm", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), transB=1)

    def embeddings(self) -> str:
        prefix = "bert.embeddings."
        positions = self.weights[f"{prefix}position_embeddings.weight"] + self.weights[f"{prefix}token_type_embeddings.weight"][0]
        words = self.node("Gather", self.weight(f"{prefix}word_embeddings.weight"), "ids")
        length = self.node("Shape", "ids", start=1, end=2)
        here = self.node("Slice", self.constant(positions), self.constant([0]), length, self.constant([0]))
        return self.norm(f"{prefix}LayerNorm", self.node("Add", words, here))

    def layer(self, prefix: str, x: str) -> str:
        """Return the output of one encoder layer for all tokens; query, key and value share one quantised input."""
        once = self.node("DynamicQuantizeLinear", x, outputs=3)
        projected = []
        for name in ("query", "key", "value"):
            weight, scale, bias = self.quantised(f"{prefix}attention.self.{name}")
            projected.append(self.node("MatMulIntegerToFloat", once, weight, f"{once}.1", scale, f"{once}.2", "", bias, domain=_CONTRIB))
        heads = self.config.num_attention_heads
        attended = self.node("Attention", *projected, q_num_heads=heads, kv_num_heads=heads)
        return self.rest(prefix, x, attended)

    def rest(self, prefix: str, x: str, attended: str) -> str:
        """Return what a layer makes of its input `x` and what attention gave: projection, feed-forward, norms."""
        x = self.norm(f"{prefix}attention.output.LayerNorm", self.node("Add", x, self.linear(f"{prefix}attention.output.dense", attended)))
        inner = self.node("FastGelu", self.linear(f"{prefix}intermediate.dense", x), domain=_CONTRIB)
        return self.norm(f"{prefix}output.LayerNorm", self.node("Add", x, self.linear(f"{prefix}output.dense", inner)))

    def last_layer(self, prefix: str, x: str) -> str:
        """Return the output of one encoder layer for [CLS] alone, `(n, width)`.

        With one query a sequence, keys and values need no projection of their own: q·(Wk x + bk) = (Wkᵀ q)·x + a constant
        that softmax takes out, and Σ p (Wv x + bv) = Wv (Σ p x) + bv.
        """
        heads, width = self.config.num_attention_heads, self.config.hidden_size
        size = width // heads
        attention = f"{prefix}attention.self."
        first = self.node("Gather", x, self.constant(0), axis=1)
        root = np.float32(np.sqrt(size))
        query = self.node(
            "Gemm",
            first,
            self.constant(self.weights[f"{attention}query.weight"] / root),
            self.constant(self.weights[f"{attention}query.bias"] / root),
            transB=1,
        )
        key = self.weights[f"{attention}key.weight"].reshape(heads, size, width)
        value = self.weights[f"{attention}value.weight"].reshape(heads, size, width).transpose(0, 2, 1)
        query = self.node("MatMul", self.node("Reshape", query, self.constant([0, heads, 1, size])), self.constant(key))
        query = self.node("Reshape", query, self.constant([0, heads, width]))
        shares = self.node("Softmax", self.node("FusedMatMul", query, x, domain=_CONTRIB, transB=1), axis=-1)
        summed = self.node("Reshape", self.node("MatMul", shares, x), self.constant([0, heads, 1, width]))
        attended = self.node("Reshape", self.node("MatMul", summed, self.constant(value)), self.constant([0, width]))
        attended = self.node("Add", attended, self.weight(f"{attention}value.bias"))
        return self.rest(prefix, first, attended)

    def head(self, first: str) -> None:
        self.dense("classifier", self.node("Tanh", self.dense("bert.pooler.dense", first)))
        self.nodes[-1].output[0] = "logits"
