"""What ships with the corpus: the sample set and the notices of those whose code is in it."""

import re
from collections import defaultdict
from importlib.resources import files

import pytest

FOLDER = files("phoenix").joinpath("corpus")
# changes only with the seeds, the types of bugs or the real fixes: then build the set anew (`phoenix data sample`)
CONTENT = "c54a996a8aad1eedbbb778bd4e6be4dcc54ec28462e9df1f3ed3594b200de2d6"


@pytest.fixture(scope="module")
def samples():
    from phoenix.corpus.sample_set import load_sample_set

    return load_sample_set()  # every row is checked


def test_sample_set_is_small_and_as_it_was(samples):
    from phoenix.corpus.sample_set import content_hash

    assert len(FOLDER.joinpath("samples.parquet").read_bytes()) <= 2 * 2**20
    assert content_hash(samples) == CONTENT


def test_sample_set_has_everything(samples):
    own = [s for s in samples if s.source == "phoenix seeds"]
    real = [s for s in samples if s.source != "phoenix seeds"]
    assert len(samples) >= 1000 and len(real) >= 100
    assert len({s.qualname for s in own}) >= 300 and len({s.bug_type for s in own} - {"none"}) >= 100
    assert {s.category for s in own} == {"S", "N", "L", "C", "A", "none"} and {s.category for s in real} == {"unknown"}
    assert {s.tier for s in own} == {"T0"} and {s.tier for s in real} == {"T2"}
    assert all(s.license and s.commit and s.message for s in real)


def test_splits_of_sample_set_share_no_seed_and_no_package(samples):
    where = defaultdict(set)
    for s in samples:
        where[s.source, s.qualname if s.source == "phoenix seeds" else ""].add(s.split)
    assert all(len(splits) == 1 for splits in where.values()) and len({s.split for s in samples}) == 3


def test_examples_in_sample_set_are_untouched_by_bugs(samples):
    own = [s for s in samples if s.source == "phoenix seeds"]
    described = lambda code: re.search(r'""".*?>>> .*?"""', code, re.DOTALL)[0]
    assert all(described(s.buggy) == described(s.fixed) for s in own) and all(s.examples or s.tests for s in own)


def test_notices_name_every_package_and_licence(samples):
    text = FOLDER.joinpath("NOTICES.txt").read_text(encoding="utf-8")
    for name, license in {(s.source, s.license) for s in samples if s.source != "phoenix seeds"}:
        assert f"\n{name} ({license})\n    Copyright" in text
        assert license == "Apache-2.0" or f"\n{license}\n\n" in text
