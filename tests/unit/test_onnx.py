"""ONNX models as several exporters write them: the network against an evaluation of the model."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from convert.compiler.float_graph.unroll import unroll
from convert.readers.model_task import TaskHints
from convert.readers.onnx.file import OnnxFile, file_from_model
from convert.readers.onnx.read_model import OnnxNetwork, network_from_onnx
from convert.source_model.network import Bidirectional, Dense, Lstm
from edge_runtime.errors import DataError, InputError
from edge_runtime.numpy_engine.interpret import run

STEPS, FEATURES, UNITS, CLASSES = 6, 3, 5, 4
ANY_BATCH = ["batch", STEPS, FEATURES]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


class Graph:
    """Collects the nodes of a model with one input x and one output."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants = [], []

    def constant(self, values, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def weights(self, *shape):
        return self.constant(self.rng.normal(0, 0.7, shape))

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [f"{op}{len(self.nodes)}_{k}" for k in range(outputs)]
        name = f"my_{op.lower()}"
        if any(node.name == name for node in self.nodes):  # names are unique in a model
            name = f"{name}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, names, name=name, **attributes))
        return names[0] if outputs == 1 else names

    def recurrent(self, x, op="LSTM", features=FEATURES, directions=1, more=(), **attributes):
        rows = GATES[op] * UNITS
        if directions == 2:
            attributes["direction"] = "bidirectional"
        kernels = self.weights(directions, rows, features), self.weights(directions, rows, UNITS)
        inputs = [x, *kernels, self.weights(directions, 2 * rows), *more]
        return self.node(op, *inputs, outputs=2, hidden_size=UNITS, **attributes)

    def dense(self, x, inputs=UNITS, outputs=CLASSES):
        return self.node("Gemm", x, self.weights(outputs, inputs), self.weights(outputs), transB=1)

    def file(self, output, shape=ANY_BATCH, opset=18, outputs=(), inputs=None) -> OnnxFile:
        infos = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (output, *outputs)
        ]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        more = [
            helper.make_tensor_value_info(
                name, TensorProto.INT32 if name == "lengths" else TensorProto.FLOAT, size
            )
            for name, size in (inputs or {}).items()
        ]
        graph = helper.make_graph(self.nodes, "test", [x, *more], infos, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
        return file_from_model(model, "test.onnx")


def _steps_first(g, x="x"):
    return g.node("Transpose", x, perm=[1, 0, 2])


def _last_of_y(g, y, width=UNITS):
    """The nodes that PyTorch's exporter writes for out[:, -1] of Y [steps, directions, batch, units]."""
    turned = g.node("Transpose", y, perm=[2, 0, 1, 3])
    joined = g.node("Reshape", turned, g.constant([0, 0, -1], np.int64))
    return g.node("Gather", joined, g.constant(-1, np.int64), axis=1)


def _squeezed(g, y, axes):
    return g.node("Squeeze", y, g.constant(axes, np.int64))


def lstm_last_row(g):
    return g.file(g.dense(_last_of_y(g, g.recurrent(_steps_first(g))[0])))


def lstm_y_h(g):
    return g.file(g.dense(_squeezed(g, g.recurrent(_steps_first(g))[1], [0])))


def lstm_batchwise(g):
    return g.file(g.dense(_squeezed(g, g.recurrent("x", layout=1)[1], [1])))


def steps_first_input(g):
    y_h = g.recurrent("x")[1]
    return g.file(g.dense(_squeezed(g, y_h, [0])), [STEPS, 1, FEATURES])


def channels_first_input(g):
    turned = g.node("Transpose", "x", perm=[2, 0, 1])
    return g.file(g.dense(_squeezed(g, g.recurrent(turned)[1], [0])), ["batch", FEATURES, STEPS])


def fixed_batch_of_three(g):
    return g.file(g.dense(_last_of_y(g, g.recurrent(_steps_first(g))[0])), [3, STEPS, FEATURES])


def picture_input(g):
    rows = _squeezed(g, "x", [1])
    return g.file(g.dense(_last_of_y(g, g.recurrent(_steps_first(g, rows))[0])), [1, 1, STEPS, FEATURES])


def flat_input(g):
    rows = g.node("Reshape", "x", g.constant([-1, STEPS, FEATURES], np.int64))
    y = g.recurrent(_steps_first(g, rows))[0]
    return g.file(g.dense(_last_of_y(g, y)), ["batch", STEPS * FEATURES])


def open_steps(g):
    return g.file(g.dense(_last_of_y(g, g.recurrent(_steps_first(g))[0])), ["n", "t", FEATURES])


def both_ends(g):
    y_h = g.recurrent(_steps_first(g), "GRU", directions=2, linear_before_reset=1)[1]
    halves = [g.node("Gather", y_h, g.constant(k, np.int64), axis=0) for k in (0, 1)]
    return g.file(g.dense(g.node("Concat", *halves, axis=1), 2 * UNITS))


def backward_end_first(g):
    y_h = g.recurrent(_steps_first(g), "GRU", directions=2)[1]
    halves = [g.node("Gather", y_h, g.constant(k, np.int64), axis=0) for k in (1, 0)]
    return g.file(g.dense(g.node("Relu", g.node("Concat", *halves, axis=1)), 2 * UNITS))


def both_in_the_last_row(g):
    y = g.recurrent(_steps_first(g), "RNN", directions=2, activations=["Relu", "Relu"])[0]
    return g.file(g.dense(_last_of_y(g, y), 2 * UNITS))


def sum_of_directions(g):
    y = g.recurrent(_steps_first(g), directions=2)[0]
    split = g.constant([1, 1], np.int64)
    halves = [_squeezed(g, half, [1]) for half in g.node("Split", y, split, outputs=2, axis=1)]
    pooled = g.node("ReduceMean", g.node("Add", *halves), g.constant([0], np.int64), keepdims=0)
    return g.file(g.dense(pooled))


def sum_of_ends(g):
    y_h = g.recurrent(_steps_first(g), directions=2)[1]
    halves = [g.node("Gather", y_h, g.constant(k, np.int64), axis=0) for k in (0, 1)]
    return g.file(g.dense(g.node("Add", *halves)))


def two_nodes_as_bidirectional(g):
    x = _steps_first(g)
    ends = [_squeezed(g, g.recurrent(x, direction=way)[1], [0]) for way in ("forward", "reverse")]
    return g.file(g.dense(g.node("Concat", *ends, axis=1), 2 * UNITS))


def stacked(g):
    first = _squeezed(g, g.recurrent(_steps_first(g), direction="reverse")[0], [1])
    second = _squeezed(g, g.recurrent(first, "GRU", UNITS, direction="reverse")[0], [1])
    third = g.recurrent(second, "RNN", UNITS)[1]
    return g.file(g.dense(_squeezed(g, third, [0])))


def reversed_rows(g):
    lengths = g.constant([STEPS], np.int64)
    turned = g.node("ReverseSequence", "x", lengths, batch_axis=0, time_axis=1)
    y = g.recurrent(_steps_first(g, turned))[0]
    return g.file(g.dense(_last_of_y(g, y)), [1, STEPS, FEATURES])


def some_rows_and_features(g):
    ends = [g.constant(v, np.int64) for v in ([1, 1], [STEPS, FEATURES], [1, 2])]
    part = g.node("Slice", "x", *ends)
    y = g.recurrent(_steps_first(g, part), features=FEATURES - 1)[0]
    return g.file(g.dense(_last_of_y(g, y)))


def initial_state_by_shape(g):
    """The zeros that exporters compute from the batch size."""
    size = g.node("Gather", g.node("Shape", "x"), g.constant([0], np.int64), axis=0)
    shape = g.node("Concat", g.constant([1], np.int64), size, g.constant([UNITS], np.int64), axis=0)
    zeros = g.node("ConstantOfShape", shape)
    y = g.recurrent(_steps_first(g), more=("", zeros, zeros))[0]
    return g.file(g.dense(_last_of_y(g, y)))


def dense_on_every_row(g):
    """fc(out)[:, -1], and then a Softmax."""
    rows = _squeezed(g, g.recurrent(_steps_first(g))[0], [1])
    hidden = g.node("Relu", g.node("Add", g.node("MatMul", rows, g.weights(UNITS, 7)), g.weights(7)))
    logits = g.node("Add", g.constant([0.5]), g.node("MatMul", hidden, g.weights(7, CLASSES)))
    shares = g.node("Softmax", logits, axis=-1)
    return g.file(g.node("Gather", shares, g.constant(STEPS - 1, np.int64), axis=0))


def log_softmax(g):
    return g.file(g.node("LogSoftmax", g.dense(_last_of_y(g, g.recurrent(_steps_first(g))[0])), axis=1))


def one_output_with_sigmoid(g):
    last = _last_of_y(g, g.recurrent(_steps_first(g))[0])
    return g.file(g.node("Sigmoid", g.dense(last, outputs=1)))


def convolution_and_norms(g):
    channels = g.node("Transpose", "x", perm=[0, 2, 1])
    padded = g.node("Pad", channels, g.constant([0, 0, 2, 0, 0, 0], np.int64))
    conv = g.node("Conv", padded, g.weights(7, FEATURES, 3), g.weights(7), dilations=[1], strides=[1])
    variance = g.constant(g.rng.uniform(0.5, 2, 7))
    norm = [g.weights(7), g.weights(7), g.weights(7), variance]
    rows = g.node("Transpose", g.node("Tanh", g.node("BatchNormalization", conv, *norm)), perm=[2, 0, 1])
    y = g.recurrent(rows, features=7)[0]
    normal = g.node("LayerNormalization", y, g.weights(UNITS), g.weights(UNITS), epsilon=1e-3)
    largest = g.node("ReduceMax", normal, g.constant([0], np.int64), keepdims=0)
    return g.file(g.dense(_squeezed(g, largest, [0])))


def strided_convolution_pooled(g):
    channels = g.node("Transpose", "x", perm=[0, 2, 1])
    conv = g.node("Conv", channels, g.weights(7, FEATURES, 2), auto_pad="SAME_UPPER", strides=[2])
    rows = g.node("Transpose", g.node("Clip", conv, g.constant(0.0)), perm=[0, 2, 1])
    y = g.recurrent(rows, "GRU", 7, layout=1)[0]  # [batch, steps, 1, units]
    channels = g.node("Transpose", _squeezed(g, y, [2]), perm=[0, 2, 1])
    return g.file(g.dense(_squeezed(g, g.node("GlobalAveragePool", channels), [2])))


def convolution_of_two_dimensions(g):
    """A Conv1D as tf2onnx writes it."""
    lifted = g.node("Unsqueeze", g.node("Transpose", "x", perm=[0, 2, 1]), g.constant([2], np.int64))
    conv = g.node("Conv", lifted, g.weights(7, FEATURES, 1, 3), pads=[0, 1, 0, 1])
    rows = g.node("Transpose", _squeezed(g, conv, [2]), perm=[2, 0, 1])
    return g.file(g.dense(_squeezed(g, g.recurrent(rows, features=7)[1], [0])))


def flattened_features_first(g):
    """Flatten of [batch, units, steps]: the order of the dense layer's columns differs from ours."""
    y = _squeezed(g, g.recurrent(_steps_first(g))[0], [1])
    flat = g.node("Flatten", g.node("Transpose", y, perm=[1, 2, 0]), axis=1)
    scaled = g.node("Mul", flat, g.weights(STEPS * UNITS))
    return g.file(g.dense(scaled, STEPS * UNITS))


def rescaled_window(g):
    centered = g.node("Div", g.node("Sub", "x", g.weights(FEATURES)), g.constant([2, 3, 4]))
    turned = g.node("Neg", g.node("Sub", g.constant(1.0), centered))
    return g.file(g.dense(_last_of_y(g, g.recurrent(_steps_first(g, turned))[0])))


def dropout_casts_and_a_branch(g):
    inner = helper.make_graph(
        [helper.make_node("Identity", ["dropped"], ["picked"])],
        "then",
        [],
        [helper.make_tensor_value_info("picked", TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["dropped"], ["negated"])],
        "else",
        [],
        [helper.make_tensor_value_info("negated", TensorProto.FLOAT, None)],
    )
    wide = g.node("Cast", "x", to=TensorProto.DOUBLE)
    narrow = g.node("Cast", wide, to=TensorProto.FLOAT)
    g.nodes.append(helper.make_node("Dropout", [narrow], ["dropped"]))
    chosen = g.node("If", g.constant(True, bool), then_branch=inner, else_branch=other)
    return g.file(g.dense(_last_of_y(g, g.recurrent(_steps_first(g, chosen))[0])))


def clipped_both_ways(g):
    last = _last_of_y(g, g.recurrent(_steps_first(g))[0])
    return g.file(g.dense(g.node("Clip", last, g.constant(-0.2), g.constant(0.3))))


def other_functions(g):
    last = _last_of_y(g, g.recurrent(_steps_first(g))[0])
    hidden = g.dense(last, UNITS, UNITS)
    for op in ("Elu", "HardSwish", "LeakyRelu", "HardSigmoid"):
        hidden = g.node("Add", hidden, g.node(op, hidden))
    return g.file(g.dense(g.node("PRelu", hidden, g.constant([0.25]))))


def several_sums(g):
    a, b = (_last_of_y(g, g.recurrent(_steps_first(g), op)[0]) for op in ("LSTM", "GRU"))
    total = g.node("Sum", a, b, g.node("Sub", a, b))
    return g.file(g.dense(g.node("Max", total, g.node("Mul", a, b))))


def halves_of_an_einsum(g):
    rows = _squeezed(g, g.recurrent("x", layout=1)[0], [2])
    weights = g.node("Softmax", _squeezed(g, g.node("MatMul", rows, g.weights(UNITS, 1)), [2]), axis=1)
    return g.file(g.dense(g.node("Einsum", weights, rows, equation="bt,btn->bn")))


def pooled_after_padding(g):
    channels = g.node("Transpose", "x", perm=[0, 2, 1])
    largest = g.node("MaxPool", channels, kernel_shape=[3], strides=[2], pads=[1, 1])
    rows = g.node("Transpose", largest, perm=[2, 0, 1])
    return g.file(g.dense(_squeezed(g, g.recurrent(rows)[1], [0])))


def some_rows_pooled(g):
    rows = g.node("Slice", g.recurrent(_steps_first(g))[0], *(g.constant([k], np.int64) for k in (1, 4)))
    return g.file(g.dense(_squeezed(g, g.node("ReduceSum", rows, g.constant([0], np.int64)), [0, 1])))


MODELS = [
    clipped_both_ways,
    other_functions,
    several_sums,
    halves_of_an_einsum,
    pooled_after_padding,
    some_rows_pooled,
    lstm_last_row,
    lstm_y_h,
    lstm_batchwise,
    steps_first_input,
    channels_first_input,
    fixed_batch_of_three,
    picture_input,
    flat_input,
    open_steps,
    both_ends,
    backward_end_first,
    both_in_the_last_row,
    sum_of_directions,
    sum_of_ends,
    two_nodes_as_bidirectional,
    stacked,
    reversed_rows,
    some_rows_and_features,
    initial_state_by_shape,
    dense_on_every_row,
    log_softmax,
    one_output_with_sigmoid,
    convolution_and_norms,
    strided_convolution_pooled,
    convolution_of_two_dimensions,
    flattened_features_first,
    rescaled_window,
    dropout_casts_and_a_branch,
]


def windows(count=5):
    return np.random.default_rng(1).normal(size=(count, STEPS, FEATURES)).astype(np.float32)


def read(file: OnnxFile) -> OnnxNetwork:
    return network_from_onnx(file, STEPS, FEATURES)


@pytest.mark.parametrize("function", [None, "Sigmoid", "Softmax"])
def test_the_end_of_numbers_is_a_part_of_the_network(function):
    g = Graph()
    last = g.dense(_last(g), outputs=3)
    file = g.file(last if function is None else g.node(function, last))
    reading = network_from_onnx(file, STEPS, FEATURES, hints=TaskHints("regression"))
    assert (reading.task, reading.function) == ("regression", "linear")
    expected = reading.evaluate(file, windows())
    np.testing.assert_allclose(run(unroll(reading.network), windows()), expected, atol=1e-5)
    assert (0 < expected.min() < expected.max() < 1) == (function is not None)


def test_linear_outputs_need_a_task():
    g = Graph()
    file = g.file(g.dense(_last(g), outputs=3))
    with pytest.raises(InputError, match="--task: is missing"):
        network_from_onnx(file, STEPS, FEATURES, hints=TaskHints())


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_network_computes_what_the_model_computes(build):
    file = build(Graph())
    reading = read(file)
    found = run(unroll(reading.network), windows())
    assert np.ptp(found, axis=0).max() > 0.05  # the windows make a difference
    np.testing.assert_allclose(found, reading.evaluate(file, windows()), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_windows_together_have_the_logits_that_each_has_alone(build):
    file = build(Graph())
    reading = read(file)
    alone = [reading.evaluate(file, windows()[k : k + 1]) for k in range(5)]
    together = reading.evaluate(file, windows())
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5, atol=2e-6)


FUNCTIONS = {
    "hard sigmoid of ONNX": ("LSTM", ["HardSigmoid", "Tanh", "Tanh"], {}, ("hard_sigmoid_0.2", "tanh")),
    "hard sigmoid of PyTorch": (
        "LSTM",
        ["HardSigmoid", "Tanh", "Tanh"],
        {"activation_alpha": [1 / 6], "activation_beta": [0.5]},
        ("hard_sigmoid", "tanh"),
    ),
    "relu": ("LSTM", ["Sigmoid", "Relu", "Relu"], {}, ("sigmoid", "relu")),
    "linear": (
        "LSTM",
        ["Sigmoid", "Affine", "Affine"],
        {"activation_alpha": [1.0, 1.0], "activation_beta": [0.0, 0.0]},
        ("sigmoid", "linear"),
    ),
    "gru": ("GRU", ["HardSigmoid", "Relu"], {}, ("hard_sigmoid_0.2", "relu")),
    "gru elu": ("GRU", ["Sigmoid", "Elu"], {"activation_alpha": [1.0]}, ("sigmoid", "elu")),
    "rnn": ("RNN", ["Elu"], {"activation_alpha": [1.0]}, (None, "elu")),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions_of_gates_and_states(case):
    op, names, slopes, expected = FUNCTIONS[case]
    g = Graph()
    y = g.recurrent(_steps_first(g), op, activations=names, **slopes)[0]
    file = g.file(g.dense(_last_of_y(g, y)))
    reading = read(file)
    layer = reading.network.layers[0]
    assert (getattr(layer, "recurrent_activation", None), layer.activation) == expected
    np.testing.assert_allclose(
        run(unroll(reading.network), windows()), reading.evaluate(file, windows()), rtol=1e-5, atol=2e-6
    )


def test_initial_states_that_are_inputs_are_zero_and_said_so():
    g = Graph()
    y_h = g.recurrent(_steps_first(g), more=("", "hidden", "cell"))[1]
    file = g.file(
        g.dense(_squeezed(g, y_h, [0])), inputs={n: [1, "batch", UNITS] for n in ("hidden", "cell")}
    )
    reading = read(file)
    assert reading.inputs.notes == (
        "Initial states that are inputs of the model (hidden, cell) are zero for every window.",
    )
    without = read(lstm_y_h(Graph()))
    found = reading.evaluate(file, windows())
    np.testing.assert_allclose(found, without.evaluate(lstm_y_h(Graph()), windows()), atol=1e-6)
    np.testing.assert_allclose(run(unroll(reading.network), windows()), found, rtol=1e-5, atol=2e-6)


def test_lengths_of_packed_sequences_are_refused():
    g = Graph()
    y_h = g.recurrent(_steps_first(g), more=("lengths",))[1]
    file = g.file(g.dense(_squeezed(g, y_h, [0])), inputs={"lengths": ["batch"]})
    with pytest.raises(
        DataError, match=r"my_lstm \(LSTM\) reads the input lengths as its sequence_lens"
    ):
        read(file)


def test_a_vector_beside_the_window_is_its_last_columns():
    g = Graph()
    last = _last_of_y(g, g.recurrent(_steps_first(g))[0])
    logits = g.dense(g.node("Concat", last, "age", axis=1), UNITS + 2)
    file = g.file(logits, inputs={"age": ["batch", 2]})
    wide = np.concatenate([windows(), np.ones((5, STEPS, 1)) * [[[0.5, -1]]]], 2).astype(np.float32)
    reading = network_from_onnx(file, STEPS, FEATURES + 2)
    assert reading.network.static == 2
    found = reading.evaluate(file, wide)
    np.testing.assert_allclose(run(unroll(reading.network), wide), found, rtol=1e-5, atol=2e-6)
    with pytest.raises(DataError, match="The input age belongs into the windows' last 2 columns"):
        read(file)


def test_three_windows_are_refused():
    g = Graph()
    total = g.node("Add", g.node("Add", "x", "y"), "z")
    y_h = g.recurrent(_steps_first(g, total))[1]
    file = g.file(_squeezed(g, y_h, [0]), inputs={"y": ANY_BATCH, "z": ANY_BATCH})
    with pytest.raises(
        DataError, match="the model has the inputs x, y, z. Expected the window, at most"
    ):
        read(file)


def test_a_model_with_one_window_built_in_is_evaluated_window_by_window():
    g = Graph()
    one_row = g.node("Reshape", g.recurrent(_steps_first(g))[1], g.constant([1, UNITS], np.int64))
    file = g.file(g.dense(one_row))
    reading = read(file)
    with pytest.raises(DataError, match=r"\(Reshape\) cannot be computed"):
        reading.with_batch(file, 5)
    np.testing.assert_allclose(
        run(unroll(reading.network), windows()), reading.evaluate(file, windows()), atol=2e-6
    )


@pytest.mark.parametrize("build", [lstm_last_row, both_ends, dense_on_every_row, log_softmax])
def test_without_onnx_runtime_the_reference_evaluates(build, monkeypatch):
    file = build(Graph())
    reading = read(file)
    expected = reading.evaluate(file, windows())
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    np.testing.assert_allclose(reading.evaluate(file, windows()), expected, rtol=1e-5, atol=2e-6)


def test_softmax_is_left_out_of_both_sides():
    file = dense_on_every_row(Graph())
    logits = read(file).evaluate(file, windows(1))
    (shares,) = ReferenceEvaluator(file.proto).run(None, {"x": windows(1)})
    exponentials = np.exp(logits - logits.max())
    np.testing.assert_allclose(exponentials / exponentials.sum(), shares, atol=1e-6)


def test_layers_are_the_smallest_that_do():
    layers = read(lstm_last_row(Graph())).network.layers
    assert [type(layer) for layer in layers] == [Lstm, Dense]
    assert not layers[0].return_sequences
    layers = read(both_ends(Graph())).network.layers
    assert [type(layer) for layer in layers] == [Bidirectional, Dense]
    layers = read(dense_on_every_row(Graph())).network.layers
    assert [type(layer) for layer in layers] == [Lstm, Dense, Dense]  # one row only
    assert layers[1].activation == "relu"


def test_rows_that_nothing_reads_are_not_computed():
    graph = unroll(read(both_in_the_last_row(Graph())).network)
    backward = [op for op in graph.operators if "bw/" in op.outputs[0]]
    assert len(backward) <= 4  # one step of the backward layer, not all six


def _clipped(g):
    return g.recurrent(_steps_first(g), clip=1.0)


def _softsign(g):
    return g.recurrent(_steps_first(g), activations=["Sigmoid", "Softsign", "Tanh"])


def _slope(g):
    gates = {"activation_alpha": [0.3], "activation_beta": [0.5]}
    return g.recurrent(_steps_first(g), activations=["HardSigmoid", "Tanh", "Tanh"], **gates)


def _two_functions(g):
    return g.recurrent(_steps_first(g), activations=["Sigmoid", "Tanh", "Relu"])


def _relu_gates(g):
    return g.recurrent(_steps_first(g), "GRU", activations=["Relu", "Tanh"])


def _state_of_another(g):
    y_h = g.recurrent(_steps_first(g))[1]
    zeros = g.constant(np.zeros((1, 1, UNITS)))
    return g.recurrent(_steps_first(g), more=("", y_h, zeros))


def _cell_of_another(g):
    g.recurrent(_steps_first(g))
    g.nodes[-1].output.append("cell")
    zeros = g.constant(np.zeros((1, 1, UNITS)))
    return g.recurrent(_steps_first(g), more=("", zeros, "cell"))


def _coupled(g):
    return g.recurrent(_steps_first(g), input_forget=1)


def _short(g):
    return g.recurrent(_steps_first(g), more=(g.constant([STEPS - 1], np.int32),))


REFUSED = {
    "clip": (_clipped, "my_lstm (LSTM) clips its gates at 1.0"),
    "activation": (_softsign, "has the activation softsign. Expected Sigmoid, Tanh, Relu"),
    "slope": (_slope, "applies HardSigmoid with alpha=0.3 and beta=0.5. Expected alpha 0.2 or 1/6"),
    "two activations": (_two_functions, "and one function for the states"),
    "gates": (_relu_gates, "has activations Relu, Tanh. Expected Sigmoid or HardSigmoid for the gates"),
    "state": (_state_of_another, "my_lstm_3 (LSTM) starts from a state that depends on the window"),
    "cell state": (_cell_of_another, "(LSTM) starts from a state that depends on the window"),
    "coupled gates": (_coupled, "couples input and forget gate. Expected input_forget=0"),
    "lengths": (
        _short,
        "has sequence_lens [5]. Expected all windows to be used up to their last row",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_layer_does_not_have_is_refused_by_name(case):
    build, message = REFUSED[case]
    g = Graph()
    file = g.file(g.dense(_last_of_y(g, build(g)[0])), [1, STEPS, FEATURES])
    with pytest.raises(DataError) as raised:
        read(file)
    assert str(raised.value).startswith("test.onnx: node ")
    assert message in str(raised.value)


def _last(g):
    return _last_of_y(g, g.recurrent(_steps_first(g))[0])


def _attention(g):
    last = _last(g)
    return g.node("MatMul", last, g.node("Transpose", last, perm=[1, 0]))


def _quotient(g):
    last = _last(g)
    return g.node("Div", last, g.node("Tanh", last))


def _padded_average(g):
    channels = g.node("Transpose", "x", perm=[0, 2, 1])
    means = g.node("AveragePool", channels, kernel_shape=[3], pads=[1, 1], count_include_pad=1)
    return g.recurrent(g.node("Transpose", means, perm=[2, 0, 1]))[1]


def _constant_beside(g):
    return g.node("Concat", _last(g), g.constant(np.ones((1, 2))), axis=1)


def _scores_alone(g):
    rows = g.recurrent("x", layout=1)[0]
    rows = _squeezed(g, rows, [2])
    return g.node("Flatten", g.node("MatMul", rows, g.node("Transpose", rows, perm=[0, 2, 1])))


def _written_out(g):
    kernel, recurrent, state = g.weights(FEATURES, UNITS), g.weights(UNITS, UNITS), None
    for step in range(STEPS):
        given = g.node("MatMul", g.node("Gather", "x", g.constant(step, np.int64), axis=1), kernel)
        before = given if state is None else g.node("Add", given, g.node("MatMul", state, recurrent))
        state = g.node("Mul", g.node("Sigmoid", before), g.node("Tanh", before))
    return state


def _loop(g):
    body = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in ("go", "value")],
        "body",
        [
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.FLOAT, None),
        ],
    )
    return g.node("Loop", g.constant(3, np.int64), g.constant(True, bool), _last(g), body=body)


def _scan(g):
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "ab"]
    steps = [helper.make_node("Tanh", ["a"], ["b"])]
    body = helper.make_graph(steps, "body", infos[:1], infos[1:])
    return g.node("Scan", "x", body=body, num_scan_inputs=1)


def _positions(g):
    moved = g.node("Add", "x", g.weights(STEPS, FEATURES))
    return g.recurrent(_steps_first(g, moved))[1]


def _integers(g):
    return g.node("Cast", _last(g), to=TensorProto.INT64)


NODES = {
    "windows by windows": (_attention, "(MatMul) multiplies by a value of shape [1, 5] that depends on"),
    "quotient": (_quotient, "(Div) divides by a value that depends on the window"),
    "padded average": (_padded_average, "(AveragePool) counts padding in its averages"),
    "constant": (_constant_beside, "(Concat) puts a constant beside values. Expected zeros."),
    "scores": (_scores_alone, "depends on node my_matmul, which gives scores that are no attention"),
    "written out": (_written_out, "depends on 6 nodes with the same matrix, such as my_matmul"),
    "loop": (_loop, "my_loop (Loop) runs a loop. A recurrence that is written out is not recognized."),
    "scan": (_scan, "my_scan (Scan) runs a loop"),
    "positional encoding": (_positions, "(Add) has values of its own for every row"),
    "activation": (
        lambda g: g.node("Selu", _last(g)),
        "my_selu (Selu) is not supported. Supported nodes are LSTM",
    ),
    "elu": (lambda g: g.node("Elu", _last(g), alpha=0.5), "my_elu (Elu) has alpha=0.5. Expected 1."),
    "class": (lambda g: g.node("ArgMax", _last(g)), "my_argmax (ArgMax) is not supported"),
    "integers": (_integers, "(Cast) turns values into integers"),
    "sequence": (lambda g: g.recurrent(_steps_first(g))[0], "is a sequence of shape [6, 1, 1, 5]"),
    "cell state": (lambda g: _cell_state(g), "(Squeeze) reads a cell state Y_c"),
}


def _cell_state(g):
    y = g.recurrent(_steps_first(g))
    g.nodes[-1].output.append("cell")
    assert y
    return _squeezed(g, "cell", [0])


@pytest.mark.parametrize("case", NODES)
def test_nodes_without_a_layer_are_refused_by_name(case):
    build, message = NODES[case]
    g = Graph()
    with pytest.raises(DataError) as raised:
        read(g.file(build(g)))
    assert message in str(raised.value)


def test_several_outputs_want_a_name():
    g = Graph()
    y, y_h = g.recurrent(_steps_first(g))
    logits = g.dense(_squeezed(g, y_h, [0]))
    file = g.file(logits, outputs=(y,))
    with pytest.raises(InputError, match="--onnx-output"):
        read(file)
    with pytest.raises(InputError, match="the model has no output absent"):
        network_from_onnx(file, STEPS, FEATURES, output="absent")
    reading = network_from_onnx(file, STEPS, FEATURES, output=logits)
    assert reading.evaluate(file, windows()).shape == (5, CLASSES)


def test_windows_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"has shape \['\?', 6, 3\], but the windows have 7 steps of 3"):
        network_from_onnx(lstm_last_row(Graph()), STEPS + 1, FEATURES)


def test_wrong_order_of_axes_is_never_read():
    """Steps and batch swapped: an LSTM over [batch, steps, features] without a transpose."""
    g = Graph()
    file = g.file(_squeezed(g, g.recurrent("x")[1], [0]), [1, STEPS, FEATURES])
    with pytest.raises(DataError, match="my_lstm"):
        read(file)
