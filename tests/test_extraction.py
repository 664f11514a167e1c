"""How many variables of the specifications in tests/specifications are found, with their roles and types.

A file is a list of {id, style, text, expected: {function, variables, constraints}, hidden}; a variable is {name (null
for any), role, type, also: [accepted types], element, element_also}. `score_variables` says how points are given.
Nothing of a specification but the scores of its file is ever shown.
"""

from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import yaml

from phoenix.synthesis.variables import Score, VariableExtractor, score_variables, total_score

FOLDER = Path(__file__).with_name("specifications")
FILES = pytest.mark.parametrize("name", ["open", "locked"])
TYPES = 0.9


def entries(name: str) -> list[dict[str, Any]]:
    "The specifications of a file"
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def score_file(name: str) -> Score:
    "The score of a file as a whole"
    extractor = VariableExtractor(use_llm=False)
    return total_score(score_variables(o["expected"]["variables"], extractor.extract(o["text"])) for o in entries(name))


@FILES
def test_variables_are_found_with_roles_and_types(name, report):
    score = score_file(name)
    report.append(f"specifications, {name}: names and roles {score.names:.3f}, types {score.types:.3f}")
    assert score.names >= 0.80
    assert score.types >= TYPES


@pytest.mark.parametrize(
    "text",
    [
        "1" * 10**6,
        "f(" * 500_000,
        "Take a list. " * 80_000,
        "\n" * 10**6 + "x",
        "é\u202e𝔘\x00" * 250_000,
        "a, " * 300_000,
    ],
    ids=["digits", "brackets", "sentences", "lines", "letters", "commas"],
)
def test_a_text_of_a_megabyte_is_read_soon(text):
    start = perf_counter()
    VariableExtractor(use_llm=False).extract(text)
    assert perf_counter() - start < 30  # a fraction of a second on a free machine; hours if time grew as the square


def test_the_open_specifications_name_their_functions():
    extractor = VariableExtractor(use_llm=False)
    wrong = [o["id"] for o in entries("open") if extractor.parse(o["text"]).function != o["expected"]["function"]]
    assert len(wrong) <= 3, wrong
