"""The messages that documents quote are messages of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.keras_refused import CASES

PACKAGES = ("convert", "edge_rnn_pytest", "edge_runtime", "train")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LEAST_LETTERS = 8
"""Shorter literals would match almost any sentence."""

QUOTED = (
    re.compile(r"^ +Error: (.+)$", re.MULTILINE),
    re.compile(r"^ +(?:wrong: |\w+\.onnx: |test_\w+: )(.+)$", re.MULTILINE),
    re.compile(r"\"error\": \"(.+)\"\}$", re.MULTILINE),
)
"""Messages in blocks of code."""


def quoted() -> Iterator[tuple[Path, str]]:
    """Every message that a page quotes."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for pattern in QUOTED:
            yield from ((page, message) for message in pattern.findall(text))


def refused_by_keras() -> list[str]:
    """The messages in the table of Keras models in docs/reference/layers.md."""
    text = (ROOT / "docs" / "reference" / "layers.md").read_text("utf-8")
    table = text.split("| model | message |")[1].split("\n\n")[0]
    return [line.split(" | ")[1].removesuffix(" |") for line in table.splitlines()[2:]]


def sentences(text: str) -> list[str]:
    """The sentences of a text, without their full stops."""
    return [sentence.removesuffix(".") for sentence in re.split(r"\. ", text)]


def literals() -> Iterator[str]:
    """Every string of the packages, with a NUL for each value that is formatted into it."""
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.fixture(scope="module")
def patterns() -> list[re.Pattern[str]]:
    """A pattern for each sentence that the packages hold or the tests of Keras models expect.

    Anything may stand in front of a sentence.
    """
    expected = (words for _, words in CASES.values())
    texts = (*literals(), *expected)
    found = {sentence for text in texts for sentence in sentences(text.strip())}
    return [
        re.compile(rf"(?:.* )?{re.escape(sentence).replace(chr(0), '.+')}")
        for sentence in found
        if len(re.findall(r"[A-Za-z]", sentence)) >= LEAST_LETTERS
    ]


@pytest.mark.parametrize(
    "message",
    [
        *(pytest.param(text, id=f"{page.name}: {text[:40]}") for page, text in quoted()),
        *(pytest.param(text, id=f"Keras: {text[:40]}") for text in refused_by_keras()),
    ],
)
def test_quoted_message_is_one_of_the_code(message, patterns):
    unknown = [
        sentence
        for sentence in sentences(message)
        if not any(pattern.fullmatch(sentence) for pattern in patterns)
    ]
    assert not unknown


def test_quoted_messages_on_keras_models_are_those_that_are_tested():
    words = [words for _, words in CASES.values()]
    assert [text for text in refused_by_keras() if not any(word in text for word in words)] == []
