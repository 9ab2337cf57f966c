"""Functional models for keras_zoo.py: joined branches, states, attention, a second input.

Each is a function from keras, the operations on tensors (keras.ops, or those of TensorFlow for Keras 2)
and the input tensors to the output tensor.
"""

from __future__ import annotations

from functools import partial

STEPS, FEATURES = 6, 3


def sequences(keras, units=FEATURES):
    return keras.layers.LSTM(units, return_sequences=True)


def rows(keras, x):
    return sequences(keras, 4)(x)


def scores(keras, x):
    return keras.layers.Dense(1, activation="tanh")(x)


def join(name, keras, ops, x):
    sources = [x, sequences(keras)(x)]
    if name != "Subtract":
        sources.append(keras.layers.Dense(FEATURES)(x))
    joined = getattr(keras.layers, name)()(sources)
    return keras.layers.Dense(3)(keras.layers.GRU(4)(joined))


def side_by_side(keras, ops, x):
    rows = keras.layers.Concatenate()([x, keras.layers.Conv1D(2, 3, padding="same")(x)])
    ends = keras.layers.Concatenate()(
        [keras.layers.LSTM(4)(rows), keras.layers.GlobalMaxPooling1D()(rows)]
    )
    return keras.layers.Dense(3)(ends)


def rows_after_rows(keras, ops, x):
    return keras.layers.Dense(3)(
        keras.layers.LSTM(4)(keras.layers.Concatenate(axis=1)([x, sequences(keras)(x)]))
    )


def broadcast(keras, ops, x):
    gate = keras.layers.Dense(FEATURES, activation="sigmoid")(keras.layers.GlobalAveragePooling1D()(x))
    return keras.layers.Dense(3)(
        keras.layers.LSTM(4)(keras.layers.Multiply()([x, keras.layers.Reshape((1, FEATURES))(gate)]))
    )


def operators(keras, ops, x):
    h = sequences(keras)(x)
    h = (h + x) * x - h
    return keras.layers.Dense(3)(keras.layers.LSTM(4)(0.5 - h / 2.0 + 1.0)) * 2.0


def reductions(keras, ops, x):
    h = sequences(keras, 4)(x)
    return keras.layers.Dense(3)(
        ops.concatenate([ops.sum(h, axis=1), ops.mean(h, axis=1), ops.max(h, axis=1)], axis=-1)
    )


def last_row(keras, ops, x):
    return keras.layers.Dense(3)(sequences(keras, 4)(x)[:, -1])


def last_of_both(keras, ops, x):
    return keras.layers.Dense(3)(keras.layers.Bidirectional(sequences(keras, 4))(x)[:, -1, :])


def slices(keras, ops, x):
    first, last = x[:, :3], x[:, 3:, :2]
    return keras.layers.Dense(3)(
        keras.layers.Concatenate()([keras.layers.LSTM(3)(first), keras.layers.GRU(3)(last), x[:, 0, 1:]])
    )


def two_halves(keras, ops, x):
    shared = keras.layers.LSTM(4)
    halves = [shared(x[:, :3]), shared(x[:, 3:])]
    return keras.layers.Dense(3)(keras.layers.Subtract()(halves))


def state_unused(keras, ops, x):
    h, _, _ = keras.layers.LSTM(4, return_state=True)(x)
    return keras.layers.Dense(3)(h)


def state_used(keras, ops, x):
    _, h, _ = keras.layers.LSTM(4, return_state=True)(x)
    return keras.layers.Dense(3)(h)


def state_and_rows(keras, ops, x):
    rows, h = keras.layers.GRU(4, return_sequences=True, return_state=True)(x)
    return keras.layers.Dense(3)(keras.layers.Concatenate()([keras.layers.Flatten()(rows), h]))


def states_of_both(keras, ops, x):
    both = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True, return_state=True))
    rows, h, _, back, _ = both(x)
    return keras.layers.Dense(3)(
        keras.layers.Concatenate()([keras.layers.GlobalMaxPooling1D()(rows), h, back])
    )


def unmerged(keras, ops, x):
    h, back = keras.layers.Bidirectional(sequences(keras, 4), merge_mode=None)(x)
    return keras.layers.Dense(3)(keras.layers.LSTM(3)(keras.layers.Maximum()([h, back])))


def repeated(keras, ops, x):
    code = keras.layers.LSTM(4)(x)
    return keras.layers.Dense(3)(keras.layers.LSTM(3)(keras.layers.RepeatVector(4)(code)))


def vector_as_rows(keras, ops, x):
    rows = keras.layers.Reshape((4, 3))(keras.layers.Dense(12)(keras.layers.LSTM(4)(x)))
    return keras.layers.Dense(3)(keras.layers.GRU(3)(rows))


def wide_rows(keras, ops, x):
    return keras.layers.Dense(3)(keras.layers.LSTM(4)(keras.layers.Reshape((3, 6))(x)))


def column(keras, ops, x):
    row = keras.layers.Permute((2, 1))(keras.layers.Dense(1)(x))
    return keras.layers.Dense(3)(keras.layers.Flatten()(row))


def more_functions(keras, ops, x):
    h = keras.layers.ELU()(keras.layers.Dense(4, activation="hard_sigmoid")(keras.layers.LSTM(4)(x)))
    return keras.layers.Dense(3)(
        keras.layers.LeakyReLU()(keras.layers.Dense(4, activation="elu")(h) - 0.3)
    )


def with_key(keras, ops, x):
    h = rows(keras, x)
    return keras.layers.Dense(3)(
        keras.layers.GRU(3)(
            keras.layers.Attention()([h, keras.layers.Dense(5)(h), keras.layers.Dense(4)(x)])
        )
    )


def spelled_by_multiply(keras, ops, x):
    h = rows(keras, x)
    weights = keras.layers.Activation("softmax")(keras.layers.Flatten()(scores(keras, h)))
    wide = keras.layers.Permute([2, 1])(keras.layers.RepeatVector(4)(weights))
    return keras.layers.Dense(3)(ops.sum(keras.layers.Multiply()([h, wide]), axis=1))


def spelled_by_pooling(keras, ops, x):
    h = rows(keras, x)
    weights = keras.layers.Softmax()(keras.layers.Flatten()(scores(keras, h)))
    wide = keras.layers.Permute([2, 1])(keras.layers.RepeatVector(4)(weights))
    return keras.layers.Dense(3)(
        keras.layers.GlobalAveragePooling1D()(keras.layers.Multiply()([h, wide]))
    )


def spelled_by_dot(keras, ops, x):
    h = rows(keras, x)
    weights = keras.layers.Softmax(axis=1)(scores(keras, h))
    return keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Dot(axes=1)([weights, h])))


def spelled_by_broadcasting(keras, ops, x):
    h = rows(keras, x)
    return keras.layers.Dense(3)(ops.sum(h * ops.softmax(scores(keras, h), axis=1), axis=1))


def luong(keras, ops, x):
    h = rows(keras, x)
    last = keras.layers.LSTM(4)(x)
    weights = keras.layers.Activation("softmax")(
        keras.layers.Dot(axes=[2, 1])([keras.layers.Dense(4, use_bias=False)(h), last])
    )
    context = keras.layers.Dot(axes=[1, 1])([h, weights])
    return keras.layers.Dense(3)(
        keras.layers.Dense(4, "tanh")(keras.layers.Concatenate()([context, last]))
    )


def at_the_end(keras, ops, x, static):
    return keras.layers.Dense(3)(
        keras.layers.Concatenate()(
            [keras.layers.LSTM(4)(x), keras.layers.Dense(2, activation="relu")(static)]
        )
    )


def in_every_row(keras, ops, x, static):
    wide = keras.layers.RepeatVector(STEPS)(static)
    return keras.layers.Dense(3)(keras.layers.GRU(4)(keras.layers.Concatenate()([x, wide])))


def attention(options, keras, ops, x):
    h = rows(keras, x)
    attended = keras.layers.Attention(**options)([h, keras.layers.Dense(4)(x)])
    return keras.layers.Dense(3)(keras.layers.Flatten()(attended))


def asked_by_a_vector(layer, options, repeats, keras, ops, x):
    h = rows(keras, x)
    form = keras.layers.RepeatVector(repeats) if repeats else keras.layers.Reshape((1, 4))
    query = form(keras.layers.GlobalMaxPooling1D()(h))
    attended = getattr(keras.layers, layer)(**options)([query, h])
    return keras.layers.Dense(3)(keras.layers.Flatten()(attended))


JOINED = {
    "joined by add": partial(join, "Add"),
    "joined by subtract": partial(join, "Subtract"),
    "joined by multiply": partial(join, "Multiply"),
    "joined by average": partial(join, "Average"),
    "joined by maximum": partial(join, "Maximum"),
    "joined side by side": side_by_side,
    "joined rows": rows_after_rows,
    "joined with a vector": broadcast,
    "operators": operators,
    "reductions": reductions,
    "last row": last_row,
    "last row of both directions": last_of_both,
    "slices": slices,
    "layer used on two halves": two_halves,
    "state unused": state_unused,
    "state used": state_used,
    "state and rows": state_and_rows,
    "states of both directions": states_of_both,
    "bidirectional unmerged": unmerged,
    "repeat vector": repeated,
    "vector as rows": vector_as_rows,
    "reshape of rows": wide_rows,
    "permuted column": column,
    "more functions": more_functions,
    "attention": partial(attention, {}),
    "attention scaled": partial(attention, {"use_scale": True}),
    "attention with a key": with_key,
    "attention by a vector": partial(asked_by_a_vector, "Attention", {}, 0),
    "attention by a repeated vector": partial(asked_by_a_vector, "Attention", {}, 2),
    "attention concat": partial(asked_by_a_vector, "Attention", {"score_mode": "concat"}, 0),
    "attention additive": partial(asked_by_a_vector, "AdditiveAttention", {}, 1),
    "attention by multiply": spelled_by_multiply,
    "attention by pooling": spelled_by_pooling,
    "attention by dot": spelled_by_dot,
    "attention by broadcasting": spelled_by_broadcasting,
    "attention of the last row": luong,
}

TWO_INPUTS = {"static input": at_the_end, "static input in every row": in_every_row}
"""Models with a static input `[2]` beside the sequence."""
