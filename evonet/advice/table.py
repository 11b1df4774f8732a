"""Columns that say nothing, that name their rows, or that are mostly missing."""

from __future__ import annotations

import pandas as pd

from evonet.advice.evidence import Evidence, is_identifier
from evonet.advice.finding import Finding
from evonet.phrases import drops, listed, percent

#: Columns with a larger share of missing values are named. Untuned.
_MOSTLY = 0.5
#: A column that says something in fewer rows cannot be learned from and judged. Untuned.
_FEW_ROWS = 5
#: A date, and perhaps a time of day.
_DATE = (
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/])\d{1,2}\3\d{2,4}|\d{1,2}\.\d{1,2}\.\d{4})"
    r"([T ]\d{1,2}:\d{2}.*)?"
)
#: Words that are looked at, and the share of them that has to be dates. Untuned.
_SAMPLE = 1000
_NEARLY_ALL = 0.95
#: Words in the mean from which a column holds texts, not names or addresses. Untuned.
_WORDS_OF_A_TEXT = 5
#: A name of a row that tells so much of the target follows something. Untuned.
_ORDERED = 0.1


def find_identifiers(evidence: Evidence) -> list[Finding]:
    """Columns that name their rows, and are no texts."""
    texts = _texts(evidence)
    return [
        Finding(
            "identifier",
            "notable",
            f"{c.name[:40]!r} has {c.n_distinct:,} different values in {c.counts.sum():,} rows, as "
            "a name or a number of the row has.",
            _worth(evidence.told[c.name]),
            "Leave it out; of dates, codes or texts, derive what they say (a month, a region).",
            drops([c.name]),
            (c.name,),
            {"distinct": c.n_distinct},
        )
        for c in evidence.columns.values()
        if is_identifier(c) and c.name not in texts
    ]


def find_texts(evidence: Evidence) -> list[Finding]:
    """Columns of texts."""
    return [
        Finding(
            "texts",
            "notable",
            f"{name[:40]!r} holds texts, of {n_words:.0f} words in the mean, which evonet does not "
            "read.",
            "Each text is a category of its own to it; new rows bring texts that nobody has seen.",
            "Put numbers in its place (length, words that matter, an embedding), or leave it out.",
            drops([name]),
            (name,),
            {"words": n_words},
        )
        for name, n_words in _texts(evidence).items()
    ]


def _texts(evidence: Evidence) -> dict[str, float]:
    """Words in the mean of each column that holds texts: of several words, and mostly different."""
    frame = evidence.checked.found.features
    if not isinstance(frame, pd.DataFrame):
        return {}
    columns = [
        c
        for c in evidence.columns.values()
        if not c.numeric and c.n_distinct and c.distinct_share > _MOSTLY
    ]
    lengths = {c.name: _mean_words(frame[str(c.name)]) for c in columns}
    return {name: n_words for name, n_words in lengths.items() if n_words >= _WORDS_OF_A_TEXT}


def _mean_words(values: pd.Series) -> float:
    return float(values.dropna().astype(str).head(_SAMPLE).str.count(r"\S+").mean())


def find_dates(evidence: Evidence) -> list[Finding]:
    """Columns of dates that are taken for words."""
    frame = evidence.checked.found.features
    if not isinstance(frame, pd.DataFrame):
        return []
    columns = [c for c in evidence.columns.values() if not c.numeric and not is_identifier(c)]
    dates = [c.name for c in columns if _holds_dates(frame[str(c.name)])]
    if not dates:
        return []
    verb = "holds" if len(dates) == 1 else "hold"
    return [
        Finding(
            "dates",
            "notable",
            f"{listed(dates)} {verb} dates, which are words to evonet: each of the commonest is a "
            "category of its own, without an order.",
            "What a date says is in its parts; new rows mostly bring dates that nobody has seen.",
            "Put numbers in their place: days since a start, month, weekday. Or leave them out.",
            drops(dates),
            tuple(dates),
        )
    ]


def _holds_dates(values: pd.Series) -> bool:
    """Whether words are dates, by the ISO form or by slashes or points between three numbers."""
    words = values.dropna().astype(str).head(_SAMPLE)
    return len(words) > 0 and words.str.fullmatch(_DATE).mean() > _NEARLY_ALL


def _worth(told: float) -> str:
    """What a name of a row is good for."""
    if told < _ORDERED:
        return "A network can learn it by heart, and it says nothing of new rows."
    return (
        f"It tells {percent(told)} of what is uncertain about the target all the same: it follows "
        "a time, a place or a group, and new rows may lie beyond those it was learned from."
    )


def find_constants(evidence: Evidence) -> list[Finding]:
    """Columns with one value only, or with another in a few rows only."""
    columns = evidence.columns.values()
    values = {c.name: c.n_distinct + bool(c.missing.any()) for c in columns}
    same = [name for name, n_values in values.items() if n_values == 1]
    nearly = {
        c.name: evidence.n_rows - int(max(c.counts.max(initial=0), c.missing.sum()))
        for c in columns
        if values[c.name] > 1
    }
    nearly = {name: rows for name, rows in nearly.items() if rows < _FEW_ROWS}
    findings = []
    if same:
        seen = f"{listed(same)}: the same in every row, or empty."
        why = "It says nothing; evonet leaves it out by itself."
        findings.append(Finding("constant", "notable", seen, why, "", drops(same), tuple(same)))
    if nearly:
        seen = f"{listed(list(nearly))}: the same in all but {_most(nearly)}."
        why = "So few rows can neither be learned from nor be judged by."
        advice = "Leave it out, unless these rows matter."
        names = tuple(nearly)
        findings.append(
            Finding("constant", "notable", seen, why, advice, drops(names), names, nearly)
        )
    return findings


def _most(rows: dict[str, int]) -> str:
    least, most = min(rows.values()), max(rows.values())
    rows_of = f"{least}" if least == most else f"{least} to {most}"
    return f"{rows_of} {'row' if most == 1 else 'rows'}"


def find_missing(evidence: Evidence) -> list[Finding]:
    """Columns of which most values are missing."""
    shares = {n: c.missing_share for n, c in evidence.columns.items() if c.n_distinct}
    mostly = sorted((n for n in shares if shares[n] > _MOSTLY), key=lambda name: -shares[name])
    if not mostly:
        return []
    shown = ", ".join(f"{name[:40]!r} {percent(shares[name])}" for name in mostly[:6])
    more = f" and {len(mostly) - 6} more" if len(mostly) > 6 else ""
    return [
        Finding(
            "missing",
            "notable",
            f"Mostly missing: {shown}{more}.",
            "Numbers are filled with the median and marked as missing, of words missing is a "
            "category; little else is left of such a column.",
            "If missing means none, write none or 0 into the table; or leave the column out.",
            drops(mostly),
            tuple(mostly),
            {name: shares[name] for name in mostly},
        )
    ]
