"""Makes the parity report of the MNIST run for the docs, and two pictures of it.

    python -m scripts.parity_pictures

reads docs/results/mnist-parity.json, the record of `edge-rnn parity`, and writes the page beside it and
what a desk and a phone show of it.
"""

from __future__ import annotations

from pathlib import Path

from convert.evidence.page import write_page
from convert.evidence.record_file import read_evidence
from scripts.headless_browser import chromium

FOLDER = Path(__file__).parents[1] / "docs" / "results"
RECORD, PAGE = FOLDER / "mnist-parity.json", FOLDER / "mnist-parity.html"

PICTURES = {
    "parity-wide.png": (1200, 1345, "light", "#verdict"),
    "parity-narrow.png": (390, 1440, "dark", "#m0-margins"),
}
"""File -> width and height in pixels, theme, and where on the page."""

ABOVE = 20
"""Pixels of the page above that place."""


def main() -> None:
    """Write the page and its pictures."""
    write_page(read_evidence(RECORD), PAGE)
    with chromium() as browser:
        for name, (width, height, theme, place) in PICTURES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=theme,
                reduced_motion="reduce",  # the page is there at once
            )
            page.goto(PAGE.as_uri())
            show = f"document.querySelector('{place}').parentElement.scrollIntoView()"
            page.evaluate(f"{show}; scrollBy(0, -{ABOVE})")
            page.screenshot(path=FOLDER / name)


if __name__ == "__main__":
    main()
