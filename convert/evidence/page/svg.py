"""matplotlib's figures as SVG within a page: the page's colours and letters, in light and dark.

matplotlib draws with placeholder colours, which become the CSS variables of templates/style.css. Text
stays text. Names are removed that several figures of one page would share.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edge_runtime.host.optional_packages import needs_extra

INK, MUTED_INK, GRID_INK, REFERENCE_INK, MODEL_INK, BAD_INK, CARD_INK = (
    f"#0000{index:02x}" for index in range(1, 8)
)
SERIES_INKS = tuple(f"#0001{index:02x}" for index in range(1, 9))
"""Colours of features and gates."""

VARIABLES = {
    INK: "text",
    MUTED_INK: "muted",
    GRID_INK: "line",
    REFERENCE_INK: "reference",
    MODEL_INK: "model",
    BAD_INK: "bad",
    CARD_INK: "card",
    **{color: f"series-{index}" for index, color in enumerate(SERIES_INKS, 1)},
}
"""Placeholder colour -> CSS variable."""

LETTER = 11
"""Size of letters in CSS pixels, where a figure is as wide as it was drawn."""

PIXELS = 72
"""Of an inch: the unit of matplotlib's SVG."""

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"#([\w.-]+)")
_COLOUR = re.compile("|".join(VARIABLES))
_FAMILY = re.compile(r"font-family: [^;]*;? ?")
_DECIMALS = re.compile(r"-?\d+\.\d{3,}")
_PLACES = ("d", "x", "y", "width", "height", "transform")
"""Attributes with coordinates, which a screen cannot show more finely than a tenth of a pixel."""

STYLE: dict[Any, Any] = {
    "axes.edgecolor": GRID_INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED_INK,
    "axes.labelsize": LETTER,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": LETTER,
    "grid.color": GRID_INK,
    "grid.linewidth": 0.7,
    "legend.edgecolor": "none",
    "legend.facecolor": "none",
    "legend.fontsize": LETTER,
    "legend.labelcolor": INK,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # labels are text
    "xtick.color": GRID_INK,
    "xtick.labelcolor": MUTED_INK,
    "xtick.labelsize": LETTER,
    "ytick.color": GRID_INK,
    "ytick.labelcolor": MUTED_INK,
    "ytick.labelsize": LETTER,
}


@dataclass
class Drawing:
    """A figure that is being drawn; `svg` is its text once the block of `drawing` has ended."""

    figure: Any
    """matplotlib's Figure."""
    svg: str = ""


@contextmanager
def drawing(name: str, title: str, width: float, height: float) -> Iterator[Drawing]:
    """A figure of `width` x `height` CSS pixels. Raises MissingExtraError without matplotlib.

    `name`: of the figure within its page, for what it refers to inside. `title`: what it shows, for
    those who do not see it.
    """
    with needs_extra("workstation", "matplotlib", "edge-rnn parity --report"):
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(width / PIXELS, height / PIXELS), layout="constrained")
        FigureCanvasSVG(figure)
        result = Drawing(figure)
        yield result
        written = io.BytesIO()
        figure.savefig(written, format="svg", dpi=PIXELS)
    result.svg = _for_page(written.getvalue(), name, title)


def plain_text(label: str, longest: int = 28) -> str:
    """A label as a figure can show it: without characters that XML lacks, and shortened."""
    shown = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in label
    )
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _for_page(content: bytes, name: str, title: str) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(content)
    # A style sheet within an SVG would hold for the whole page.
    for part in (
        *root.findall(f"{{{_SVG}}}metadata"),
        *root.findall(f"{{{_SVG}}}defs[{{{_SVG}}}style]"),
    ):
        root.remove(part)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    label = ET.Element(f"{{{_SVG}}}title", {"id": f"{name}-title"})
    label.text = title
    root.insert(0, label)
    _simplify(root, keep=f"{name}-title")
    return _COLOUR.sub(lambda match: f"var(--{VARIABLES[match.group()]})", _serialized(root))


def _simplify(root: ET.Element, keep: str) -> None:
    """Remove ids that nothing refers to, fonts, and decimals that nobody sees."""
    values = [value for item in root.iter() for key, value in item.attrib.items() if key != "id"]
    used = {keep, *(name for value in values for name in _REFERENCE.findall(value))}
    for item in root.iter():
        if item.get("id") not in used:
            item.attrib.pop("id", None)
        if "style" in item.attrib:
            item.set("style", _FAMILY.sub("", item.attrib["style"]))
        for place in _PLACES:
            if place in item.attrib:
                shorter = _DECIMALS.sub(lambda match: f"{float(match.group()):.2f}", item.attrib[place])
                item.set(place, " ".join(shorter.split()))


def _serialized(root: ET.Element) -> str:
    """One line, as indentation is a fifth of matplotlib's text."""
    for item in root.iter():
        for attribute in ("text", "tail"):
            if not (getattr(item, attribute) or "").strip():
                setattr(item, attribute, None)
    return ET.tostring(root, encoding="unicode")
