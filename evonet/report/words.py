"""Numbers and names as people read them, the same on the terminal and in pictures."""

from __future__ import annotations

from evonet.metrics import Interval

_METRIC_WORDS = {
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "macro F1",
    "log_loss": "log loss",
    "roc_auc": "ROC AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}


def number(value: float) -> str:
    """A score or a gene: four digits, thousands apart.

    Example:
        >>> number(0.97222), number(1.0), number(54.3210), number(1234.6), number(0.0001)
        ('0.9722', '1.000', '54.32', '1,235', '0.0001000')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")


def interval_text(interval: Interval) -> str:
    """A 95 % interval as it stands in brackets.

    Example:
        >>> interval_text((0.96381, 0.992))
        '0.9638 to 0.9920'
    """
    return " to ".join(map(number, interval))


def metric_words(metric_name: str) -> str:
    """A metric as it stands in a sentence: "macro F1" for "f1_macro"."""
    return _METRIC_WORDS.get(metric_name, metric_name.replace("_", " "))
