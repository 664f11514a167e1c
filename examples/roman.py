"""Roman numerals."""

VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def to_number(numeral):
    """The number that a numeral stands for.

    >>> to_number("XVI")
    16
    >>> to_number("XIV")
    14
    >>> to_number("MCMXC")
    1990
    """
    total = 0
    for sign, following in zip(numeral, numeral[1:]):
        value = VALUES[sign]
        total += -value if value < VALUES[following] else value
    return total + VALUES[numeral[0]]
