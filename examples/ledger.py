"""A ledger: entries of text such as "rent -420.50", and what they add up to."""


def read_entry(line):
    """The name and the amount of a line."""
    name, amount = line.rsplit(" ", 1)
    return name, amount


def balance(lines):
    """The sum of all amounts; empty lines are left out."""
    total = 0.0
    for line in lines:
        if line.strip():
            total += read_entry(line)[1]
    return round(total, 2)
