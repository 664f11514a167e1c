import pytest
from clock import minutes, span


def test_minutes():
    assert minutes("7:30") == 450
    assert minutes("0:05") == 5


def test_span():
    assert span("23:50", "0:10") == 20


def test_no_time():
    with pytest.raises(ValueError):
        minutes("noon")
