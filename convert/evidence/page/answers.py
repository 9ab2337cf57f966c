"""The worst windows, each with its picture and both answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.evidence.figures import ShownWindow, WorstWindow
from convert.evidence.page.model_view import ModelView
from convert.evidence.page.window_pictures import window_picture

MOST_ANSWERS = 4
"""Classes or outputs of each window."""


@dataclass(frozen=True)
class BothAnswers:
    """One class with both probabilities, or one output with both values."""

    label: str
    reference: float
    model: float
    is_true: bool = False


@dataclass(frozen=True)
class DrawnWindow:
    """A window with its picture, as SVG, and its answers, the reference's favourite first."""

    worst: WorstWindow
    picture: str | None
    answers: tuple[BothAnswers, ...]


def drawn_windows(view: ModelView, windows: dict[int, ShownWindow]) -> list[DrawnWindow]:
    """The worst windows of the shown result."""
    if view.result is None:
        return []
    drawn = []
    for worst in view.result.worst:
        raw = windows.get(worst.window)
        has_values = raw is not None and raw.rows and raw.rows[0]
        picture = window_picture(f"{view.key}-w{worst.window}", raw) if raw and has_values else None
        answers = _values(view, worst) if view.result.numbers else _probabilities(view, worst)
        drawn.append(DrawnWindow(worst, picture, answers))
    return drawn


def _probabilities(view: ModelView, worst: WorstWindow) -> tuple[BothAnswers, ...]:
    reference, model = _softmax(worst.reference_logits), _softmax(worst.model_logits)
    named = [item for item in (worst.reference, worst.model, worst.truth) if item is not None]
    likely = np.argsort(-np.maximum(reference, model), kind="stable").tolist()
    chosen = list(dict.fromkeys([*named, *likely]))[: max(MOST_ANSWERS, len({*named}))]
    chosen.sort(key=lambda place: -reference[place])
    return tuple(
        BothAnswers(
            view.label(place), float(reference[place]), float(model[place]), place == worst.truth
        )
        for place in chosen
    )


def _values(view: ModelView, worst: WorstWindow) -> tuple[BothAnswers, ...]:
    both = list(zip(worst.reference_logits, worst.model_logits))
    order = sorted(range(len(both)), key=lambda place: -abs(both[place][0] - both[place][1]))
    return tuple(BothAnswers(view.label(place), *both[place]) for place in order[:MOST_ANSWERS])


def _softmax(logits: tuple[float, ...]) -> NDArray[np.float64]:
    powers = np.exp(np.asarray(logits) - np.max(logits))
    return np.asarray(powers / powers.sum())
