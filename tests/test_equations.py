"""Each numbered equation of the book has one number, a source, code that is it, and a check that holds it."""

import re
from collections import Counter

import book
import pytest
from conftest import NOTEBOOKS, each, relative
from equations import equations

LETTERS = {
    ".": "C",
    "blocks": "B",
    "training": "T",
    "ssm": "S",
    "memory": "M",
    "refine": "R",
    "sandbox": "X",
    "corpus": "D",
    "synthesis": "Y",
    "repair": "P",
    "imaging": "I",
}
MENTION = re.compile(r"\b([CBTSMRXDYPI]\d\d\.\d+)\b")


@pytest.fixture(scope="module")
def tags() -> list[str]:
    "The numbers of all equations, in reading order"
    return [equation.tag for path in NOTEBOOKS for equation in equations(path)]


def test_numbers_are_given_once(tags):
    assert tags and [tag for tag, count in Counter(tags).items() if count > 1] == []


@each(NOTEBOOKS)
def test_number_tells_the_notebook(path):
    prefix = LETTERS.get(book.part_of(path), "none of ") + re.match(r"\d*", path.name)[0]
    found = [equation.tag for equation in equations(path)]
    assert [tag for tag in found if not re.fullmatch(rf"{prefix}\.[1-9]\d*[a-z]?", tag)] == []


@each(NOTEBOOKS)
def test_equation_has_source_code_and_check(path):
    for equation in equations(path):
        lacks = [part for part in ("tex", "source", "symbols", "check") if not getattr(equation, part)]
        assert lacks == [], equation.tag


@each(NOTEBOOKS)
def test_equations_that_are_mentioned_exist(path, tags):
    mentioned = {tag for cell in book.read(path).cells for tag in MENTION.findall(cell.source)}
    assert mentioned - set(tags) == set(), relative(path)
