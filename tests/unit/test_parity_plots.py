"""The plots of the parity report with little, or odd, to show: they are drawn without a warning."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from convert.evidence.figures import (
    Calibration,
    Drift,
    LayerDrift,
    Margins,
    Proportion,
    Reliability,
    ReliabilityBin,
    ShownWindow,
)
from convert.evidence.page import plots
from convert.evidence.page.window_pictures import window_picture

pytestmark = pytest.mark.filterwarnings("error")


def text_of(svg: str) -> list[str]:
    """What is written in a well-formed SVG."""
    return [item.text for item in ET.fromstring(svg).iter() if item.tag.endswith("}text")]


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 1), (1, 20), (400, 20), (2, 2000)])
@pytest.mark.parametrize("value", [None, 0.0])
def test_windows_of_any_shape(shape, value):
    values = np.random.default_rng(0).normal(size=shape) if value is None else np.full(shape, value)
    rows = tuple(tuple(row) for row in values.tolist())
    svg = window_picture("w", ShownWindow(5, rows, row_step=3))
    assert "row" in text_of(svg)
    assert f"Window 5: {shape[0]} rows of {shape[1]} features" in svg
    assert len(svg) < 60_000


def test_a_single_bin_without_windows():
    assert "windows" in text_of(plots.margins_plot("m", Margins((0.0, 1.0), (0,), (0,), (0,))))
    empty = Reliability(0.0, (ReliabilityBin(0.0, 1.0, 0, None, None),))
    assert "accuracy" in text_of(plots.calibration_plot("c", Calibration(empty, empty)))


def test_labels_in_a_plot_are_short_and_only_text():
    label = "$x^2$ <b>" + "a" * 50
    written = text_of(plots.intervals_plot("i", "t", [(label, Proportion(0, 1, 0.0, 0.95), "model")]))
    assert any(text.startswith("$x^2$ <b>aaa") and text.endswith("…") for text in written)


def test_drift_of_a_state_without_spread_and_a_layer_without_gates():
    silent = LayerDrift("lstm", {"h": (0.1,)}, {"h": (0.0,)}, {"i": (1.0,)})
    bare = LayerDrift("gru", {"h": (0.1, 0.2)}, {"h": (0.5, 0.5)}, {})
    drawn = plots.drift_plots("d", Drift(3, "verdict", (silent, bare)))
    assert [caption for caption, _ in drawn] == ["States of lstm", "Gates of lstm", "States of gru"]
    assert all("time step" in text_of(svg) for _, svg in drawn)
