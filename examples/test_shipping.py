import pytest
from shipping import cost


@pytest.mark.parametrize(
    "total, member, kilograms, price",
    [(60, False, 1, 0), (50, False, 1, 0), (49, False, 1, 5), (20, True, 1, 0), (19, True, 1, 5), (90, True, 11, 12)],
)
def test_cost(total, member, kilograms, price):
    assert cost(total, member, kilograms) == price
