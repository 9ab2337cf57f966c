"""Pictures of raw windows: a line for each feature, or an image where there are many features."""

from __future__ import annotations

from convert.evidence.figures import ShownWindow
from convert.evidence.page.svg import SERIES_INKS, drawing

MOST_LINES = len(SERIES_INKS)
"""A window with more features is an image."""

WINDOW_WIDTH, WINDOW_HEIGHT = 280, 150
LARGEST_SIDE = 150


def window_picture(name: str, window: ShownWindow) -> str:
    """The window as SVG: the rows to the right as lines, or downwards as an image."""
    features = len(window.rows[0])
    title = f"Window {window.window}: {len(window.rows)} rows of {features} features"
    lines = features <= MOST_LINES
    return _lines(name, title, window) if lines else _image(name, title, window, features)


def _lines(name: str, title: str, window: ShownWindow) -> str:
    places = [1 + index * window.row_step for index in range(len(window.rows))]
    with drawing(name, title, WINDOW_WIDTH, WINDOW_HEIGHT) as drawn:
        axis = drawn.figure.subplots()
        for feature, color in enumerate(SERIES_INKS[: len(window.rows[0])]):
            axis.plot(places, [row[feature] for row in window.rows], color=color, linewidth=1.3)
        axis.set(xlabel="row")
        axis.margins(x=0)
    return drawn.svg


def _image(name: str, title: str, window: ShownWindow, features: int) -> str:
    rows = len(window.rows)
    scale = LARGEST_SIDE / max(rows, features)
    # A very long or wide window is drawn out, so that its short side can be seen.
    height, width = max(60, scale * rows), max(60, scale * features)
    last = 1 + (rows - 1) * window.row_step
    with drawing(name, title, width + 50, height + 40) as drawn:
        axis = drawn.figure.subplots()
        place = (0.5, features + 0.5, last + window.row_step / 2, 1 - window.row_step / 2)
        axis.imshow(window.rows, aspect="auto", cmap="viridis", interpolation="none", extent=place)
        axis.set(xlabel="feature", ylabel="row")
        axis.grid(visible=False)
    return drawn.svg
