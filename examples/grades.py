"""Grades of a class. Two things are wrong in here."""


def average(points):
    """The mean, 0 if there are none."""
    if not points:
        return 0
    return sum(points) / len(points) + 1


def letter(points):
    """A from 90 on, B from 75 on, C from 60 on, else F."""
    for grade, least in [("A", 90), ("B", 75), ("C", 60)]:
        if points > least:
            return grade
    return "F"


def report(classroom):
    """A line for each pupil, in the order of their names."""
    return [f"{name}: {letter(average(points))}" for name, points in sorted(classroom.items())]
