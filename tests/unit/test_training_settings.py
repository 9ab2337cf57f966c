"""Settings of a training: hyperparameters, presets, and files of --config."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import InputError
from tests.support.commands import edge_rnn
from train.fitting.batches import batch_positions
from train.hyperparameters import PRESETS, Hyperparameters, preset
from train.recordings.data_options import DataOptions
from train.settings import TrainingSettings, config_text, read_config, settings_keys


@given(
    windows=st.integers(1, 40),
    batch=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
    first=st.integers(0, 30),
    count=st.integers(1, 9),
)
def test_the_order_of_windows_depends_on_the_iteration_alone(windows, batch, seed, first, count):
    """However the iterations are cut into calls, and every pass holds each window once."""
    whole = batch_positions(windows, batch, seed, 0, first + count)
    np.testing.assert_array_equal(batch_positions(windows, batch, seed, first, count), whole[first:])
    order = whole.ravel()
    passes = order[: len(order) // windows * windows].reshape(-1, windows)
    np.testing.assert_array_equal(np.sort(passes), np.broadcast_to(np.arange(windows), passes.shape))


@pytest.mark.parametrize("name", PRESETS)
def test_settings_survive_a_file(tmp_path, name):
    options = DataOptions(window=20, hop=5, label="pure", feature_columns=("ax", "ay"), fill="linear")
    settings = TrainingSettings("walks", None, options, preset(name, units=(9, 4), augment=("jitter",)))
    path = tmp_path / "config.toml"
    path.write_text(config_text(settings.to_config()), "utf-8")
    assert TrainingSettings.from_config(read_config(path, settings_keys())) == settings


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("s.toml", "unit = 8", "s.toml: unknown key 'unit'. Choose augment, batch-size,"),
        ("s.toml", "units = ", "s.toml: not TOML ("),
        ("s.yaml", "units: [8", "s.yaml: not YAML ("),
        ("s.yaml", "- 8", "s.yaml: expected settings such as 'units: 64', found [8]."),
        ("s.yaml", "units: {a: 8}", "s.yaml: units: expected a text, a number or a list"),
        ("s.json", "{}", "s.json: expected a name that ends in .toml, .yaml or .yml."),
        ("s.yaml", "units: eight", "--units: expected whole numbers with commas between them"),
        ("s.yaml", "cell: lstn", "--cell: cannot be 'lstn'. Choose lstm, gru, rnn."),
        ("s.yaml", "dropout: 1.5", "--dropout: expected at least 0 and below 1, found 1.5."),
        ("s.yaml", "augment: jiter", "--augment: unknown augmentation 'jiter'. Choose jitter,"),
        ("s.yaml", "out: r", "s.yaml: unknown key 'out'."),
        ("s.yaml", b"cell: \xff", "s.yaml: cannot read the settings ("),
        (None, "", "s.yaml: cannot read the settings (No such file or directory)."),
    ],
)
def test_a_bad_settings_file_is_named(tmp_path, name, content, words):
    path = tmp_path / (name or "s.yaml")
    if name is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = edge_rnn("train", "--config", path, "--data", "digits", "--out", tmp_path / "run")
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--layers", "0"), "--layers: expected 1 to 8, found 0."),
        (("--layers", "3", "--units", "8,8"), "--layers: is 3, and --units names 2. Leave one out."),
        (("--units", "8,"), "--units: expected whole numbers with commas between them, found '8,'."),
        (("--units", "8,0"), "--units: expected at least 1, found 0."),
        (("--epochs", "2", "--iterations", "9"), "--epochs: has no meaning with --iterations."),
        (("--early-stopping", "0"), "--early-stopping: expected at least 1, found 0."),
        (("--augment", "jitter=-1"), "--augment jitter: expected a strength from 0"),
        (("--schedule", "warm"), "--schedule: cannot be 'warm'. Choose cosine,"),
        (("--mixed-precision", "int8"), "--mixed-precision: cannot be 'int8'. Choose none,"),
    ],
)
def test_bad_options_are_named(tmp_path, arguments, words):
    result = edge_rnn("train", "--data", "digits", "--out", tmp_path / "run", *arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert not list(tmp_path.iterdir())


def test_hyperparameters_from_python():
    assert Hyperparameters(units=64).units == (64,)
    assert Hyperparameters(augment=("jitter",)).augment == ("jitter=0.05",)
    with pytest.raises(InputError, match="unit: not a hyperparameter"):
        preset("demo", unit=4)
