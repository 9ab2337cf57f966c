"""The page of a parity record in Chromium: its figures, its tables, both themes, a desk and a phone."""

from __future__ import annotations

import html
import io
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from convert.evidence.page import write_page
from convert.evidence.page.model_view import MOST_LISTED, ModelView
from convert.evidence.record_file import read_evidence
from edge_runtime.errors import EngineError
from scripts.headless_browser import chromium
from tests.support.commands import ROOT
from tests.support.parity_records import MATHEMATICS, QUOTES, RECORDS, SCRIPT, hostile, measured

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser(shared_folder):
    """Chromium. The tests are skipped where Debian's cannot be unpacked or does not start."""
    with FileLock(shared_folder / "chromium.lock"):
        try:
            running = chromium()
            opened = running.__enter__()
        except EngineError as error:
            pytest.skip(str(error))
    yield opened
    running.__exit__(None, None, None)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    """Each record of tests/support/parity_records.py -> its page."""
    folder = tmp_path_factory.mktemp("pages")
    for name, make in RECORDS.items():
        write_page(make(), folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in RECORDS}


@pytest.fixture
def opened(browser, written):
    """A function that opens a record's page and checks that all was quiet: no request, no error."""
    pages, trouble = [], []

    def open_page(name: str, viewport=DESK, **options):
        page = browser.new_page(viewport=viewport, **options)
        pages.append(page)
        address = written[name].as_uri()
        page.on(
            "request", lambda request: trouble.append(request.url) if request.url != address else None
        )
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.goto(address)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert [item for item in trouble if not item.startswith("data:")] == []


def column(page, table: str, name: str) -> list[str | None]:
    """What the cells of a column hold for programs, from top to bottom."""
    return page.eval_on_selector_all(
        f"#{table} tbody td[data-name={name}]", "cells => cells.map(cell => cell.dataset.value)"
    )


def numbers(page, table: str, name: str) -> list[float | None]:
    return [float(text) if text else None for text in column(page, table, name)]


def test_the_verdict_comes_first(opened):
    page, evidence = opened("measured"), measured()
    first = page.inner_text("h1")
    assert first.casefold() == evidence.summary.casefold()
    assert page.get_attribute("h1", "data-verdict") == evidence.verdict
    assert page.evaluate("document.body.innerText.indexOf(document.querySelector('h1').innerText)") < 100
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize(
    ("name", "colour"),
    [("unlabelled", "good"), ("measured", "warn"), ("several", "bad"), ("nothing_ran", "bad")],
)
def test_the_verdict_has_the_colour_of_its_exit_code(opened, name, colour):
    page = opened(name)
    edge = "getComputedStyle(document.querySelector('header')).borderLeftColor"
    wanted = page.evaluate(COLOURS.replace("NAMES", json.dumps([colour])))[colour]
    assert page.evaluate(edge) == f"rgb({', '.join(map(str, wanted))})"


def test_figures_of_the_page_are_those_of_the_record(opened):
    page, evidence = opened("measured"), measured()
    (model,) = evidence.models
    results = [model.results[run.result] for run in model.runs]
    assert numbers(page, "m0-runs", "agreement") == [item.agreement.share for item in results]
    assert numbers(page, "m0-runs", "accuracy") == [item.accuracy.share for item in results]
    assert numbers(page, "m0-runs", "p") == [item.mcnemar.p_value for item in results]
    for name in ("mean", "p99", "max"):
        assert numbers(page, "m0-runs", name) == [getattr(item.logit_errors, name) for item in results]
    shown = ModelView(model, evidence.reference, 0).result
    assert numbers(page, "m0-classes-table", "windows") == [item.windows for item in shown.per_class]
    assert numbers(page, "m0-classes-table", "model-f1") == [item.model.f1 for item in shown.per_class]
    assert numbers(page, "m0-flips-table", "windows") == [item.windows for item in shown.flips]
    assert numbers(page, "m0-groups-table", "agreement") == [
        item.agreement.share for item in shown.groups
    ]
    assert numbers(page, "m0-margins-table", "different") == list(shown.margins.disagreements)
    assert numbers(page, "m0-sizes-table", "file_bytes") == [model.sizes.file_bytes]
    differences = model.baseline.differences
    assert numbers(page, "m0-differences", "broken") == [len(item.broken) for item in differences]
    assert page.inner_text("[data-name=sha256]") == model.sha256
    drawn = page.eval_on_selector_all(".windows > li", "items => items.map(item => item.dataset.window)")
    assert [int(window) for window in drawn] == [item.window for item in shown.worst]


def test_probabilities_of_the_worst_windows_are_drawn_to_scale(opened):
    page = opened("measured")
    cells = page.eval_on_selector_all(
        ".answers td",
        """cells => cells.map(cell => [
            Number(cell.dataset.value),
            parseFloat(cell.textContent),
            parseFloat(cell.querySelector('.bar').style.width)])""",
    )
    assert len(cells) >= 20
    for value, shown, bar in cells:
        assert shown == pytest.approx(100 * value, abs=0.01)
        assert bar == pytest.approx(100 * value, abs=0.051)


def test_pairs_of_engines_are_equal_where_the_record_says_so(opened):
    page, (model,) = opened("measured"), measured().models
    rows = page.eval_on_selector_all(
        "#m0-pairs-table tbody tr",
        "rows => rows.map(row => [...row.querySelectorAll('td')].map(cell => cell.textContent))",
    )
    places = [run.result for run in model.runs]
    for row, (cells, place) in enumerate(zip(rows, places)):
        equal = [text == "=" for text in cells]
        assert equal == [other == place and index != row for index, other in enumerate(places)]


def test_pressing_a_heading_sorts_the_table(opened):
    page = opened("measured")
    heading = page.locator("#m0-classes-table thead th", has_text="change")
    before = numbers(page, "m0-classes-table", "f1-change")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert numbers(page, "m0-classes-table", "f1-change") == sorted(before, reverse=True) != before
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert numbers(page, "m0-classes-table", "f1-change") == sorted(before)
    by_name = page.locator("#m0-classes-table thead th").first
    by_name.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None
    names = page.locator("#m0-classes-table tbody th").all_inner_texts()
    assert names == sorted(names)


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_is_wider_than_the_screen(opened, name, viewport):
    page = opened(name, viewport)
    page.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1] == viewport["width"]
    outside = page.evaluate(
        """() => [...document.querySelectorAll('h1, h2, h3, p, dt, dd, figure, .pill, .windows > li')]
            .filter(item => !item.closest('.table'))  // a table scrolls
            .filter(item => item.getBoundingClientRect().right > window.innerWidth + 0.5)
            .map(item => item.textContent.slice(0, 40))"""
    )
    assert outside == []


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_pictures_of_both_screens_have_their_theme(opened, viewport):
    brightness = {}
    for scheme in ("light", "dark"):
        page = opened("measured", viewport, color_scheme=scheme)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("L")
        assert picture.size == (viewport["width"], viewport["height"])
        brightness[scheme] = np.asarray(picture)
    assert np.median(brightness["light"]) > 220
    assert np.median(brightness["dark"]) < 40
    for pixels in brightness.values():
        assert np.mean(np.abs(pixels - np.median(pixels)) > 60) > 0.02  # something is written on it


def luminance(color: list[int]) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [part / 255 for part in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[int], other: list[int]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


COLOURS = """() => {
    const colour = (name) => {
        const probe = document.body.appendChild(document.createElement('i'));
        probe.style.color = `var(--${name})`;
        const found = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
        probe.remove();
        return found;
    };
    return Object.fromEntries(NAMES.map(name => [name, colour(name)]));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_and_lines_can_be_told_from_what_is_behind_them(opened, scheme):
    page = opened("measured", color_scheme=scheme)
    letters = ["text", "muted", "accent", "good", "bad", "warn", "reference", "model"]
    series = [f"series-{index}" for index in range(1, 9)]
    grounds = ["page", "card", "sunken", "good-soft", "bad-soft", "warn-soft"]
    found = page.evaluate(COLOURS.replace("NAMES", json.dumps([*letters, *series, *grounds])))
    for letter in letters:
        assert contrast(found[letter], found["card"]) >= 4.5, letter
    for letter in ("text", "muted"):
        assert min(contrast(found[letter], found[ground]) for ground in grounds[:3]) >= 4.5, letter
    for state in ("good", "bad", "warn"):
        assert contrast(found[state], found[f"{state}-soft"]) >= 4.5, state
    for line in series:
        assert contrast(found[line], found["card"]) >= 3, line
    assert (luminance(found["page"]) < 0.1) == (scheme == "dark")


def test_plots_have_the_colours_of_the_theme(opened):
    page = opened("measured", color_scheme="dark")
    styles = page.eval_on_selector_all(
        "figure svg text", "items => items.map(item => getComputedStyle(item).fill)"
    )
    assert len(styles) > 50
    assert "rgb(0, 0, 0)" not in styles
    assert (
        page.eval_on_selector_all(
            "figure svg [style*='#0000'], figure svg [style*='#0001']", "l => l.length"
        )
        == 0
    )


def test_paper_gets_light_colours_and_whole_tables(opened):
    page = opened("measured", color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.querySelector('.table')).overflowX") == "visible"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"


def test_text_from_files_is_only_text(opened, written):
    page, (model,) = opened("hostile"), hostile().models
    assert page.title() != "taken over"
    assert page.locator("script").count() == 1
    assert page.locator("img, iframe, object, link").count() == 0
    assert page.inner_text("h1").endswith(SCRIPT)
    shown = page.content()
    assert MATHEMATICS in shown
    assert re.search("[\x00-\x08\ud800-\udfff]", shown) is None
    assert "bell\N{REPLACEMENT CHARACTER} and \N{REPLACEMENT CHARACTER}4" in shown
    names = page.locator("#m0-runs tbody th").all_inner_texts()
    assert all(name.startswith(QUOTES) for name in names)
    assert len(names) == len(model.runs)
    (figure,) = page.locator("figure svg[aria-labelledby=m0-groups-title]").all()
    assert SCRIPT[:20] in "".join(figure.locator("text").all_text_contents())


class Markup(HTMLParser):
    """Collects what a reader of the page without eyes, or without a network, needs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.addresses, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [
            found[name] for name in ("src", "href", "xlink:href", "action") if name in found
        ]


@pytest.mark.parametrize("name", RECORDS)
def test_the_page_needs_nothing_but_itself(written, name):
    text = written[name].read_text("utf-8")
    markup = Markup(text)
    assert {address for address in markup.addresses if not address.startswith(("#", "data:"))} == set()
    assert "url(http" not in text
    assert "@import" not in text
    assert len(text.encode()) < 1_500_000


@pytest.mark.parametrize("name", RECORDS)
def test_names_are_unique_and_what_is_named_exists(written, name):
    markup = Markup(written[name].read_text("utf-8"))
    assert sorted(markup.ids) == sorted({*markup.ids})
    anchors = {address[1:] for address in markup.addresses if address.startswith("#")}
    labelled = {found["aria-labelledby"] for _, found in markup.tags if "aria-labelledby" in found}
    assert (anchors | labelled) - {*markup.ids} == set()


@pytest.mark.parametrize("name", RECORDS)
def test_tables_and_pictures_have_descriptions(written, name):
    tags = Markup(written[name].read_text("utf-8")).tags
    counted = Counter(tag for tag, _ in tags)
    assert counted["table"] == counted["caption"]
    pictures = [found for tag, found in tags if tag == "svg"]
    assert all(found["role"] == "img" and "aria-labelledby" in found for found in pictures)
    assert all("scope" in found for tag, found in tags if tag == "th")


def test_several_models_have_an_overview(opened):
    page, evidence = opened("several"), RECORDS["several"]()
    assert page.locator("#models tbody tr").count() == len(evidence.models)
    assert numbers(page, "models", "bytes") == [model.sizes.file_bytes for model in evidence.models]
    assert numbers(page, "models", "agreement")[-1] is None
    assert "It has an operator too many." in page.inner_text("#m2-runs")


def test_a_page_of_a_very_different_model_stays_small(opened, written):
    page = opened("very_different")
    assert page.locator("#m0-discordant tbody tr").count() == MOST_LISTED
    assert "The 300 clearest of all windows with different classes" in page.inner_text(
        "#m0-flips ~ details"
    )
    margins = numbers(page, "m0-discordant", "margin")
    assert min(margins) > 700


def test_numbers_take_the_place_of_classes_in_a_regression(opened):
    page = opened("forecast")
    assert numbers(page, "m0-outputs-table", "spread") == [2.5, 2.5]
    assert page.locator("#m0-classes, #m0-flips").count() == 0
    assert "The worst output is kWh" in page.inner_text("section:has(#m0-outputs)")
    assert "0.51\N{NO-BREAK SPACE}% to 0.62\N{NO-BREAK SPACE}% at 95" in page.inner_text(
        "section:has(#m0-outputs)"
    )
    assert "7.25" in page.inner_text(".windows > li:first-child")


def test_the_page_in_the_docs_shows_the_record_beside_it():
    page = (ROOT / "docs" / "results" / "mnist-parity.html").read_text("utf-8")
    record = read_evidence(ROOT / "docs" / "results" / "mnist-parity.json")
    shown = {record.summary, record.identity.made, *(model.sha256 for model in record.models)}
    assert {text for text in shown if html.escape(text) not in page} == set()


def test_the_same_record_gives_the_same_page(written, tmp_path):
    write_page(measured(), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == written["measured"].read_bytes()


def test_a_page_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    evidence = measured()
    (window, *_) = evidence.windows
    damaged = replace(evidence, windows=(replace(window, rows=((1.0, 2.0), (3.0,))),))
    with pytest.raises((ValueError, IndexError)):
        write_page(damaged, path)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]
