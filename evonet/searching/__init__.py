"""The search of a run: its two loops, when they end, and what they write down."""
