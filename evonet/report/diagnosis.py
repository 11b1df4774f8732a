"""Pictures of a diagnosis of a winner; its plain data in, figures and files out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evonet.report.figures import new_figure, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FOOT = "Training and validation part; the test part was not looked at again."


def curves_figure(found: Mapping[str, Any], folder: Path) -> Figure:
    """The learning curves of the final fit, and what the verdict on them is drawn from."""
    from evonet.report.health import plot_curves
    from evonet.report.look import sign

    figure = new_figure(9.5, 5.5)
    finding = found["findings"][0]
    plot_curves(
        found["train_curve"],
        found["validation_curve"],
        found["best_epoch"],
        found["train"]["loss"],
        found["validation"]["constant"],
        figure,
        f"Learning curves: {finding['verdict']}",
    )
    sign(figure, folder, "\n".join(textwrap.wrap(f"{finding['rule']} {finding['advice']}", 120)))
    return figure


def layers_figure(found: Mapping[str, Any], folder: Path) -> Figure:
    """Gradients, dead units and weights of each layer."""
    import pandas as pd

    from evonet.report.health import plot_layers
    from evonet.report.look import sign

    layers = pd.DataFrame(found["layers"])
    figure = new_figure(12, 2.6 + 0.32 * min(len(layers), 24))
    plot_layers(layers, figure)
    topics = ("gradients", "dead ReLU units", "weight spread", "initializer")
    verdicts = [f["verdict"] for f in found["findings"] if f["topic"] in topics]
    said = "; ".join(f"{t}: {v}" for t, v in zip(topics, verdicts, strict=True))
    _head(figure, "Layers of the winner")
    sign(figure, folder, f"{said[0].upper()}{said[1:]}.")
    return figure


def predictions_figure(found: Mapping[str, Any], folder: Path) -> Figure:
    """How far probabilities can be trusted and which classes are confused, or residuals."""
    from evonet.report.errors import plot_confusion, plot_reliability, plot_residuals
    from evonet.report.look import sign

    if found["residuals"] is not None:
        figure = new_figure(12, 5.2)
        plot_residuals(found["residuals"], figure)
    else:
        figure = new_figure(12, 6.2)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
        plot_reliability(found["calibration"], left)
        plot_confusion(found["confusion"], right)
    _head(figure, "Predictions on the validation part")
    sign(figure, folder, _FOOT)
    return figure


#: By the name of their files.
DIAGNOSIS_FIGURES: Mapping[str, Callable[[Mapping[str, Any], Path], Figure]] = MappingProxyType(
    {
        "diagnosis_curves": curves_figure,
        "diagnosis_layers": layers_figure,
        "diagnosis_predictions": predictions_figure,
    }
)


def save_diagnosis(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw a diagnosis into the folder ``figures`` of its run, as PNG and SVG.

    Args:
        found: as ``Diagnosis.to_dict`` returns it.
        folder: of the run.

    Returns:
        The written files.

    Raises:
        RecordError: a file cannot be written.
    """
    from evonet.report.look import style

    with style():
        return [
            path
            for name, draw in DIAGNOSIS_FIGURES.items()
            for path in saved(draw(found, folder), folder / "figures", name)
        ]


def _head(figure: Figure, heading: str) -> None:
    from evonet.report.look import plain

    figure.suptitle(plain(heading, 100), x=0.01, ha="left", fontsize=12, fontweight="bold")
