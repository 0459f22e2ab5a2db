"""onnxruntime, on the same network as a graph of Gemm and Sigmoid."""

from __future__ import annotations

from typing import Any

import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tasks import Task, samples, weights
from timing import seconds_for_call

OPSET = 17
IR_VERSION = 8


def predict(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for one row."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    session = onnxruntime.InferenceSession(_graph(task), options, providers=["CPUExecutionProvider"])
    feed = {"x": samples(task)[0][:1]}
    return {
        "value": seconds_for_call(lambda: session.run(None, feed)),
        "result": session.run(None, feed)[0][0].tolist(),
    }


def _graph(task: Task) -> bytes:
    """The network, serialised; the batch is of any size."""
    nodes, arrays, value = [], [], "x"
    for index, (kernel, bias) in enumerate(weights(task)):
        arrays += [numpy_helper.from_array(kernel, f"kernel_{index}"), numpy_helper.from_array(bias, f"bias_{index}")]
        nodes += [
            helper.make_node("Gemm", [value, f"kernel_{index}", f"bias_{index}"], [f"z_{index}"]),
            helper.make_node("Sigmoid", [f"z_{index}"], [f"y_{index}"]),
        ]
        value = f"y_{index}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("x", task.sizes[0]), (value, task.sizes[-1]))
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    serialized: bytes = model.SerializeToString()
    return serialized
