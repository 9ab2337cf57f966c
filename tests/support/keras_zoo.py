"""Builds models of every supported layer: `main`, FOLDER [tf_keras|keras daily|nightly SUFFIX SUFFIX].

Runs in a process of its own. Writes FOLDER/zoo.pkl: name -> (network as it was read, windows, the
model's own predictions, the function that they apply to the logits, the logits). With tf_keras, Keras 2
builds and saves the models and FOLDER/objects.pkl, which holds the same of its objects, and another
process with Keras 3 reads the files.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tests.support.keras_branches import Branching, branching

STEPS, FEATURES = 6, 3

NIGHTLY_OF_KERAS2 = (
    "lstm without bias",
    "lstm unroll flag",
    "lstm dropout",
    "lstm alone",
    "gru without bias",
    "gru stacked",
    "dense activations",
    "softmax layer",
    "softmax twice",
    "sigmoid layer",
    "bidirectional sum",
    "bidirectional mul",
    "conv1d valid",
    "conv1d valid dilated",
    "conv1d causal",
    "max pooling of steps valid",
    "separable conv1d valid",
    "average pooling of steps same",
    "depthwise conv1d same",
    "depthwise conv1d dilated",
    "separable conv1d dilated",
    "pooling of steps by default",
    "padded and cropped",
    "gru relu",
    "lstm elu",
    "gru elu",
    "simple rnn elu",
    "lstm linear",
    "gru linear",
    "simple rnn linear",
    "lstm sigmoid",
    "gru sigmoid",
    "simple rnn sigmoid",
    "lstm hard sigmoid",
    "gru hard sigmoid",
    "masking value",
    "masking gru",
    "masking simple rnn",
    "masking hard sigmoid",
    "masking unrolled",
    "masking stacked",
    "masking sequences",
    "masking backwards",
    "masking bidirectional",
    "masking bidirectional sum",
    "masking average",
    "masking maximum",
    "masking convolution",
    "masking time distributed",
    "masking nested",
    "masking attention",
    "embedding",
    "embedding average",
    "embedding convolution",
    "vector as steps",
    "parts by reshape",
    "parts pooled",
    "parts in a row",
    "parts joined",
    "joined by subtract",
    "joined by multiply",
    "joined by average",
    "joined by maximum",
    "joined side by side",
    "joined with a vector",
    "last row of both directions",
    "layer used on two halves",
    "state unused",
    "state used",
    "state and rows",
    "bidirectional unmerged",
    "repeat vector",
    "vector as rows",
    "reshape of rows",
    "permuted column",
    "attention",
    "attention with a key",
    "attention by a vector",
    "attention by a repeated vector",
    "attention concat",
    "attention additive",
    "attention by pooling",
    "attention by broadcasting",
    "attention of the last row",
    "static input",
)
"""Models that Keras 2 builds at night only; Keras 3 builds all of them every day."""


def zoo(keras):
    """Name -> layers after the Input, or a function from the input tensor to the output tensor."""
    layers = keras.layers
    dense = layers.Dense

    def lstm(units=4, **options):
        return layers.LSTM(units, **options)

    def nested(x):
        inner = keras.Input((STEPS, 4))
        y = dense(3)(layers.GRU(3)(inner))
        x = keras.Sequential([keras.Input((STEPS, FEATURES)), lstm(return_sequences=True)])(x)
        return layers.Softmax()(keras.Model(inner, y)(x))

    def frozen(x):
        first, last = lstm(return_sequences=True), dense(4)
        first.trainable = False
        normalized = [first, layers.BatchNormalization(), last]
        return dense(3)(lstm()(keras.Sequential([keras.Input((STEPS, FEATURES)), *normalized])(x)))

    def functional(x):
        x = lstm(return_sequences=True)(x)
        return dense(3, activation="softmax")(layers.Flatten()(layers.Dropout(0.5)(x)))

    def shared(x):
        twice = lstm(FEATURES, return_sequences=True)
        return dense(3)(lstm()(twice(twice(x))))

    models = {
        "lstm": [lstm(), dense(3)],
        "lstm without bias": [lstm(use_bias=False), dense(3, use_bias=False)],
        "lstm backwards": [lstm(go_backwards=True), dense(3)],
        "lstm stacked": [lstm(return_sequences=True), lstm(5, return_sequences=True), lstm(), dense(3)],
        "lstm backwards stacked": [lstm(return_sequences=True, go_backwards=True), lstm(), dense(3)],
        "lstm unroll flag": [lstm(unroll=True), dense(3)],
        "lstm dropout": [lstm(dropout=0.3, recurrent_dropout=0.3), dense(3)],
        "lstm alone": [lstm()],
        "gru reset after": [layers.GRU(4), dense(3)],
        "gru reset before": [layers.GRU(4, reset_after=False), dense(3)],
        "gru without bias": [layers.GRU(4, use_bias=False), dense(3)],
        "gru stacked": [layers.GRU(4, return_sequences=True), layers.GRU(3), dense(3)],
        "simple rnn tanh": [layers.SimpleRNN(4), dense(3)],
        "simple rnn relu": [layers.SimpleRNN(4, activation="relu"), dense(3)],
        "rnn of a cell": [layers.RNN(layers.GRUCell(4), return_sequences=True), lstm(), dense(3)],
        "bidirectional sequences": [
            layers.Bidirectional(lstm(return_sequences=True)),
            layers.Bidirectional(layers.GRU(3)),
            dense(3),
        ],
        "bidirectional two kinds": [
            layers.Bidirectional(lstm(), backward_layer=layers.GRU(4, go_backwards=True)),
            dense(3),
        ],
        "time distributed": [
            lstm(return_sequences=True),
            layers.TimeDistributed(dense(5, activation="relu")),
            layers.Flatten(),
            dense(3),
        ],
        "dense on rows": [dense(5, activation="tanh"), lstm(), dense(3)],
        "dense activations": [
            lstm(),
            dense(6, activation="relu"),
            dense(5, activation="sigmoid"),
            dense(4, activation="tanh"),
            dense(3),
        ],
        "batch normalization": [
            layers.BatchNormalization(),
            lstm(return_sequences=True),
            layers.BatchNormalization(scale=False),
            layers.GRU(4),
            layers.BatchNormalization(center=False),
            dense(3),
        ],
        "layer normalization": [
            lstm(return_sequences=True),
            layers.LayerNormalization(),
            layers.GRU(4),
            layers.LayerNormalization(center=False, scale=False),
            dense(3),
        ],
        "average pooling": [lstm(return_sequences=True), layers.GlobalAveragePooling1D(), dense(3)],
        "max pooling": [lstm(return_sequences=True), layers.GlobalMaxPooling1D(), dense(3)],
        "activations": [
            lstm(return_sequences=True),
            layers.Activation("relu"),
            layers.GRU(4),
            layers.ReLU(),
            dense(4),
            layers.Activation("tanh"),
            dense(3),
            layers.Activation("linear"),
        ],
        "softmax inside": [lstm(return_sequences=True), dense(4, "softmax"), layers.GRU(4), dense(3)],
        "no effect": [
            layers.GaussianNoise(0.1),
            layers.SpatialDropout1D(0.2),
            lstm(return_sequences=True),
            layers.GaussianDropout(0.2),
            layers.Reshape((STEPS, 4)),
            layers.Permute((1, 2)),
            layers.GRU(4),
            layers.AlphaDropout(0.1),
            layers.ActivityRegularization(0.1),
            dense(3),
            layers.Dropout(0.5),
        ],
        "reshape to a vector": [lstm(return_sequences=True), layers.Reshape((-1,)), dense(3)],
        "rescaling": [layers.Rescaling(0.3, offset=-0.5), lstm(), dense(3)],
        "normalization": [
            layers.Normalization(mean=[0.1, 0.2, -0.5], variance=[1.0, 4.0, 0.25]),
            lstm(),
            dense(3),
        ],
        "softmax layer": [lstm(), dense(3), layers.Softmax()],
        "softmax fused": [lstm(), dense(3, activation="softmax")],
        "softmax twice": [lstm(), dense(3, activation="softmax"), layers.Activation("softmax")],
        "sigmoid head": [lstm(), dense(1, activation="sigmoid")],
        "sigmoid layer": [layers.GRU(4), dense(1), layers.Activation("sigmoid"), layers.Dropout(0.1)],
        "sigmoid of a unit": [lstm(1), layers.Activation("sigmoid")],
        "nested": nested,
        "nested and frozen": frozen,
        "functional": functional,
        "layer used twice": shared,
    }
    for merge in ("concat", "sum", "mul", "ave"):
        models[f"bidirectional {merge}"] = [layers.Bidirectional(lstm(), merge_mode=merge), dense(3)]
    for padding in ("valid", "same", "causal"):
        models[f"conv1d {padding}"] = [
            layers.Conv1D(4, 3, padding=padding, activation="relu"),
            layers.Conv1D(5, 2, strides=2, padding=padding, use_bias=False),
            lstm(),
            dense(3),
        ]
        models[f"conv1d {padding} dilated"] = [
            layers.Conv1D(4, 3, padding=padding, dilation_rate=2),
            layers.GRU(4),
            dense(3),
        ]
    return models | shortening(keras) | gates(keras) | branching(keras, operations_of(keras))


def shortening(keras):
    """Layers that read several rows at a time."""
    layers, models = keras.layers, {}
    for padding in ("valid", "same"):
        models[f"max pooling of steps {padding}"] = [
            layers.MaxPooling1D(3, strides=2, padding=padding),
            layers.LSTM(4),
            layers.Dense(3),
        ]
        models[f"average pooling of steps {padding}"] = [
            layers.AveragePooling1D(3, strides=2, padding=padding),
            layers.GRU(4),
            layers.Dense(3),
        ]
        models[f"depthwise conv1d {padding}"] = [
            layers.DepthwiseConv1D(3, padding=padding, depth_multiplier=2, activation="relu"),
            layers.DepthwiseConv1D(2, strides=2, padding=padding, use_bias=False),
            layers.LSTM(4),
            layers.Dense(3),
        ]
        models[f"separable conv1d {padding}"] = [
            layers.SeparableConv1D(4, 3, padding=padding, depth_multiplier=2, activation="elu"),
            layers.SeparableConv1D(5, 2, strides=2, padding=padding, use_bias=False),
            layers.LSTM(4),
            layers.Dense(3),
        ]
    models["depthwise conv1d dilated"] = [
        layers.DepthwiseConv1D(3, dilation_rate=2),
        layers.LSTM(4),
        layers.Dense(3),
    ]
    models["separable conv1d dilated"] = [
        layers.SeparableConv1D(4, 3, dilation_rate=2),
        layers.LSTM(4),
        layers.Dense(3),
    ]
    models["pooling of steps by default"] = [
        layers.Conv1D(4, 2, padding="same"),
        layers.MaxPooling1D(),
        layers.LSTM(4),
        layers.Dense(3),
    ]
    models["padded and cropped"] = [
        layers.ZeroPadding1D((2, 1)),
        layers.Conv1D(4, 3),
        layers.Cropping1D((1, 0)),
        layers.LSTM(4),
        layers.Dense(3),
    ]
    return models


def gates(keras):
    """Recurrent layers with other functions."""
    layers, models = keras.layers, {}
    for function in ("relu", "elu", "linear", "sigmoid", "hard_sigmoid"):
        name = function.replace("_", " ")
        models[f"lstm {name}"] = [layers.LSTM(4, activation=function), layers.Dense(3)]
        models[f"gru {name}"] = [layers.GRU(4, activation=function), layers.Dense(3)]
        models[f"simple rnn {name}"] = [layers.SimpleRNN(4, activation=function), layers.Dense(3)]
    models["lstm hard gates"] = [layers.LSTM(4, recurrent_activation="hard_sigmoid"), layers.Dense(3)]
    models["gru hard gates"] = [
        layers.GRU(4, recurrent_activation="hard_sigmoid", reset_after=False, return_sequences=True),
        layers.GRU(3, recurrent_activation="hard_sigmoid"),
        layers.Dense(3),
    ]
    return models


def operations_of(keras):
    """sum, mean, max, softmax and concatenate on a model's tensors."""
    if getattr(keras, "__name__", "") != "tf_keras":
        return keras.ops
    import tensorflow as tf

    return SimpleNamespace(
        sum=tf.reduce_sum,
        mean=tf.reduce_mean,
        max=tf.reduce_max,
        softmax=tf.nn.softmax,
        concatenate=tf.concat,
    )


def build(keras, content):
    if isinstance(content, Branching):
        return content.build(keras)
    if callable(content):
        source = keras.Input((STEPS, FEATURES))
        return keras.Model(source, content(source))
    return keras.Sequential([keras.Input((STEPS, FEATURES)), *content])


def built(keras, names=None):
    """Name -> (model with random weights, of which variances and the like are positive; windows)."""
    models = {}
    for number, (name, content) in enumerate(zoo(keras).items()):
        if names is not None and name not in names:
            continue
        rng = np.random.default_rng(number)
        model = build(keras, content)
        models[name] = model, windows(content)
        scale = 0.4 if name in UNBOUNDED else 0.7
        if name != "normalization":
            model.set_weights(
                [
                    np.abs(rng.normal(0, 0.7, w.shape)) + 0.1
                    if "var" in v.name
                    else rng.normal(0, scale, w.shape)
                    for v, w in zip(model.weights, model.get_weights())
                ]
            )
    return models


UNBOUNDED = ("lstm relu", "lstm elu", "lstm linear", "gru relu", "gru linear", "simple rnn linear")
"""Models whose states would grow large with larger weights."""


def windows(content=None, count=20, seed=1):
    if isinstance(content, Branching):
        return content.windows(count, seed)
    return np.random.default_rng(seed).normal(0, 1, (count, STEPS, FEATURES)).astype(np.float32)


def predictions(models):
    """Name -> (windows, the model's own predictions)."""
    from convert.readers.keras.inputs import window_columns

    return {
        name: (x, np.asarray(model(window_columns(model).arrays(x))))
        for name, (model, x) in models.items()
    }


def read(models, expected):
    """Name -> what zoo.pkl holds."""
    from convert.readers.keras.read_model import read_keras

    result = {}
    for name, model in models.items():
        reading = read_keras(model)
        x, predicted = expected[name]
        result[name] = reading.network, x, predicted, reading.function, reading.logits(x)
    return result


def main() -> None:
    from convert.readers.tensorflow.full_models import load_full_model

    folder, library, suffixes = Path(sys.argv[1]), sys.argv[2:3], sys.argv[4:]
    if library == ["tf_keras"]:
        import tf_keras

        names = zoo(tf_keras)
        chosen = [name for name in names if (name in NIGHTLY_OF_KERAS2) == (sys.argv[3] == "nightly")]
        models = built(tf_keras, chosen)
        for number, (model, _) in enumerate(models.values()):
            model.save(folder / f"{number}{suffixes[number % 2]}")
        expected = predictions(models)
        save(folder / "predictions.pkl", expected)
        save(
            folder / "objects.pkl", read({name: model for name, (model, _) in models.items()}, expected)
        )
        return
    if (folder / "predictions.pkl").exists():
        expected = pickle.loads((folder / "predictions.pkl").read_bytes())
        loaded = {
            name: load_full_model(folder / f"{number}{suffixes[number % 2]}")
            for number, name in enumerate(expected)
        }
    else:
        import keras

        models = built(keras)
        expected = predictions(models)
        loaded = {name: model for name, (model, _) in models.items()}
    save(folder / "zoo.pkl", read(loaded, expected))


def save(path, content):
    with open(path, "wb") as file:
        pickle.dump(content, file)
