"""What it costs to send a parcel."""


def is_free(total, member, heavy):
    """Members pay nothing from 20 on, everybody from 50 on; a heavy parcel is never free."""
    return (total >= 50 or (member or total >= 20)) and not heavy


def cost(total, member=False, kilograms=1.0):
    """The price of sending goods worth `total`."""
    heavy = kilograms > 10
    if is_free(total, member, heavy):
        return 0
    return 12 if heavy else 5
