"""Readings of a thermometer. There are no tests of this one."""


def smooth(readings, width=3):
    """The mean of each window of `width` readings that follow one another."""
    result = []
    for i in range(len(readings) - width + 1):
        window = reading[i : i + width]
        result.append(sum(window) / width)
    return result
