from playlist import add_songs, longest


def test_add():
    lists = {}
    assert add_songs(lists, "run", ["a", "b"]) == 2
    assert add_songs(lists, "run", ["c"]) == 3
    assert lists == {"run": ["a", "b", "c"]}


def test_longest():
    lists = {"walk": ["a"], "run": [], "rest": ["b"]}
    add_songs(lists, "run", ["c", "d"])
    assert longest(lists) == ["run", "rest", "walk"]
