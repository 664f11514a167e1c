from ledger import balance, read_entry


def test_entry():
    assert read_entry("office rent -420.50") == ("office rent", -420.5)


def test_balance():
    assert balance(["salary 2000", "", "rent -420.50", "tea -3.25"]) == 1576.25


def test_nothing():
    assert balance([]) == 0.0
