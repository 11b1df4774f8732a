"""Numbers as people read them, the same on the terminal and in pictures."""

from __future__ import annotations


def number(value: float) -> str:
    """A score or a gene: four digits, thousands apart.

    Example:
        >>> number(0.97222), number(1.0), number(54.3210), number(1234.6), number(0.0001)
        ('0.9722', '1.000', '54.32', '1,235', '0.0001000')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")
