"""Bookings of a room as pairs (start, end)."""


def merged(bookings):
    """The bookings in order, those that touch or overlap as one."""
    result = []
    for start, end in sorted(bookings):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def free_slots(bookings, opens, closes):
    """The gaps between the bookings of a day."""
    slots, now = [], opens
    for start, end in merged(bookings):
        if start > now:
            slots.append((now, start))
            now = end
    if now < closes:
        slots.append((now, closes))
    return slots
