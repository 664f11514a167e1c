from schedule import free_slots


def test_a_day():
    assert free_slots([(9, 10), (12, 13)], 8, 18) == [(8, 9), (10, 12), (13, 18)]


def test_a_booking_at_the_start():
    assert free_slots([(8, 10), (12, 13)], 8, 18) == [(10, 12), (13, 18)]


def test_touching():
    assert free_slots([(8, 10), (10, 12)], 8, 12) == []


def test_an_empty_day():
    assert free_slots([], 8, 18) == [(8, 18)]
