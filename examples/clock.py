"""Times of day as text and as minutes."""


def minutes(text):
    """Minutes since midnight of a time such as "7:30"."""
    hours, _, rest = text.partition(":")
    if not hours.isdigit() or not rest.isdigit()
        raise ValueError(f"expected h:mm, got {text!r}")
    return int(hours) * 60 + int(rest)


def span(start, end):
    """Minutes from one time to another, past midnight if need be."""
    return (minutes(end) - minutes(start)) % (24 * 60)
