"""Recipes: their effect on the graph, and the messages for broken ones."""

from __future__ import annotations

import numpy as np
import pytest

from convert.compiler.compile import lower
from convert.compiler.recipe import read_recipe
from edge_runtime.errors import InputError
from tests.support.networks import random_network, random_windows

NETWORK = random_network()
WINDOWS = random_windows(NETWORK)


def lowered(tmp_path, text, precision, target="any"):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return lower(NETWORK, WINDOWS, precision=precision, target=target, recipe=read_recipe(path))


def test_a_range_holds_for_the_tensor_and_all_that_share_its_scale(tmp_path):
    text = "[[range]]\ntensors = 'x[23]'\nlow = -16\nhigh = 16\n"
    graph = lowered(tmp_path, text, "int8")
    chosen = graph.tensors["x2"].affine
    assert chosen.scale[0] * 255 == pytest.approx(32, rel=0.02)
    # CONCATENATION moves bytes: x and h must have the scale of its output.
    assert graph.tensors["h1"].affine == graph.tensors["xh2"].affine == chosen
    plain = lower(NETWORK, WINDOWS, precision="int8")
    assert plain.tensors["xh2"].affine != chosen
    assert plain.tensors["c2"].affine == graph.tensors["c2"].affine


def test_weights_get_the_format_of_their_pattern(tmp_path):
    text = "[[weights]]\ntensors = 'dense*'\nprecision = 'float32'\n"
    graph = lowered(tmp_path, text, "dynamic")
    assert graph.tensors["dense_kernel"].dtype == np.float32
    assert graph.tensors["kernel"].dtype == np.int8


def test_the_last_rule_that_matches_wins(tmp_path):
    rule = "[[weights]]\ntensors = '{}'\nprecision = '{}'\n"
    text = rule.format("*kernel", "float16") + rule.format("dense_kernel", "float32")
    graph = lowered(tmp_path, text, "float32")
    stored = {op.inputs[1] for op in graph.operators if op.op.name == "FULLY_CONNECTED"}
    assert "dense_kernel" in stored
    halves = [item.name for item in graph.constants() if item.dtype == np.float16]
    assert len(halves) == 2


@pytest.mark.parametrize(
    ("text", "precision", "words"),
    [
        ("[[range]]\ntensors = 'sig*'\nlow = 0\nhigh = 1\n", "int8", "fixed by the TFLite format"),
        ("[[range]]\ntensors = 'nothing*'\nlow = 0\nhigh = 1\n", "int8", "matches no tensor"),
        ("[[range]]\ntensors = 'c*'\nlow = 1\nhigh = 0\n", "int8", "Expected low < high"),
        ("[[range]]\ntensors = 'c*'\nlow = nan\nhigh = 0\n", "int8", "Expected low < high"),
        ("[[range]]\ntensors = 'c*'\nlow = 0\nhigh = inf\n", "int8", "needs two finite numbers"),
        ("[[range]]\ntensors = 'c*'\nlow = 0\n", "int8", "lacks high"),
        ("[[range]]\ntensors = 'c*'\nlow = 0\nhigh = 1\n", "dynamic", "goes with int8 and mixed only"),
        ("[[weights]]\ntensors = 'd*'\nprecision = 'int8'\n", "int8", "goes with float activations"),
        ("[[weights]]\ntensors = 'd*'\nprecision = 'int2'\n", "dynamic", "Choose float32, float16"),
        ("[[weights]]\ntensors = 'd*'\nprecision = 'int4'\n", "dynamic", "target any"),
        (
            "[[weight]]\ntensors = 'd*'\n",
            "dynamic",
            "has the unknown key 'weight'. Choose precision, range",
        ),
        ("precision = 'int3'\n", "int8", "unknown precision 'int3'"),
        ("precision = int8\n", "int8", "not TOML"),
        ("range = 3\n", "int8", "range has the wrong type (3)"),
        ("range = [3]\n", "int8", "expected a table"),
    ],
)
def test_a_broken_recipe_is_refused_with_its_name(tmp_path, text, precision, words):
    with pytest.raises(InputError, match="recipe.toml: ") as caught:
        lowered(tmp_path, text, precision)
    assert words in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot read the recipe"):
        read_recipe(tmp_path / "none.toml")
