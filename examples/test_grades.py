from grades import average, letter, report


def test_average():
    assert average([80, 90]) == 85
    assert average([1]) == 1


def test_no_points():
    assert average([]) == 0


def test_letter():
    assert [letter(p) for p in (95, 90, 75, 74, 60, 59)] == ["A", "A", "B", "C", "C", "F"]


def test_report():
    assert report({"Kim": [90, 90], "Ada": [60], "Bo": [70, 71]}) == ["Ada: C", "Bo: C", "Kim: A"]
