"""Lengths of time, as a person says them."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def rough(seconds: float) -> str:
    """``12 s``, ``3 min``, ``5 h``, ``2 d``: the largest unit that is there once, rounded down; never negative."""
    whole = max(0, int(seconds))
    size, unit = next((each for each in _UNITS if whole >= each[0]), _UNITS[-1])
    return f"{whole // size} {unit}"
