"""The locked specifications are well formed: their fields, their values, and examples that are Python."""

import ast
from collections import Counter

import pytest
import yaml
from conftest import ROOT

ENTRIES = yaml.safe_load((ROOT / "tests/specifications/locked.yaml").read_text(encoding="utf-8"))
STYLES = set(
    "sentence paragraph steps signature google numpy rest doctest asserts bug-report ticket class keyword-only "
    "optional nested units relationship format".split()
)
FIELDS = {"name", "role", "type"}
ROLES = {"input", "output", "intermediate"}
TYPES = set("integer float string boolean list dict object function class unknown".split())
CONSTRAINTS = {"range", "type", "relationship", "format"}
LEVELS = {"simple", "medium", "hard"}


def squeeze(text: str) -> str:
    return " ".join(text.split())


def test_there_are_thirty_of_all_styles():
    assert [e["id"] for e in ENTRIES] == [f"locked-{n:02}" for n in range(1, 31)]
    assert {e["style"] for e in ENTRIES} == STYLES
    levels = Counter(e["level"] for e in ENTRIES)
    assert set(levels) == LEVELS and levels["simple"] >= 14 and 4 <= levels["hard"] <= 5
    assert len({squeeze(e["text"]) for e in ENTRIES}) == 30


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e["id"])
def test_entry_is_well_formed(entry):
    assert set(entry) == {"id", "style", "level", "kind", "text", "expected", "hidden"}
    text, expected = entry["text"], entry["expected"]
    assert set(expected) == {"function", "variables", "constraints"}
    assert expected["function"] is None or (expected["function"].isidentifier() and expected["function"] in text)

    for v in expected["variables"]:
        assert {"name", "role", "type"} <= set(v) <= FIELDS | {"element", "also", "element_also", "method"}
        assert v["role"] in ROLES
        assert v["name"] is None or (v["name"].isidentifier() and v["name"] in text)
        assert {v["type"], v.get("element", "unknown"), *v.get("also", []), *v.get("element_also", [])} <= TYPES
        assert "element" not in v or v["type"] in {"list", "dict"}
        assert v.get("method", "") in text
    assert any(v["role"] == "output" for v in expected["variables"])

    names = {v["name"] for v in expected["variables"]} | {"return"}
    for c in expected["constraints"]:
        assert set(c) == {"variable", "kind", "text"}
        assert c["kind"] in CONSTRAINTS and c["variable"] in names
        assert squeeze(c["text"]) in squeeze(text)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e["id"])
def test_hidden_examples_are_python(entry):
    name = entry["expected"]["function"] or "solution"
    assert 4 <= len(entry["hidden"]) <= 8
    assert len({h["call"] for h in entry["hidden"]}) == len(entry["hidden"])
    for h in entry["hidden"]:
        assert set(h) in ({"call", "result"}, {"call", "raises"})
        call = ast.parse(h["call"], mode="eval").body
        assert isinstance(call, ast.Call)
        assert any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(call))
        assert squeeze(h["call"]) not in squeeze(entry["text"])
        if "result" in h:
            ast.literal_eval(h["result"])
        else:
            assert h["raises"] == "ValueError"
