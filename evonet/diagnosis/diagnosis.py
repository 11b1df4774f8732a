"""The diagnosis of a run's winner as plain data: findings, and the numbers they were drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evonet.diagnosis.classes import (
    Calibration,
    Confusion,
    calibration,
    calibration_finding,
    confusion,
    confusion_finding,
)
from evonet.diagnosis.curves import curves_finding
from evonet.diagnosis.finding import Finding
from evonet.diagnosis.layer_findings import (
    dead_finding,
    gradient_finding,
    pairing_finding,
    spread_finding,
)
from evonet.diagnosis.layers import LayerHealth, layer_table
from evonet.diagnosis.losses import RelativeLoss
from evonet.diagnosis.measuring import Measured, measure
from evonet.diagnosis.residuals import Residuals, residuals, residuals_findings
from evonet.diagnosis.steadiness import steadiness_finding
from evonet.diagnosis.subject import Subject, load_subject
from evonet.streams import stream


@dataclass(frozen=True)
class Diagnosis:
    """What is to be said of a run's winner, on its training and validation part.

    Attributes:
        network: in words.
        findings: a verdict with its rule and advice for each thing that was looked at.
        train_curve: mean training loss of each epoch, with dropout and noise.
        validation_curve: validation loss after each epoch.
        best_epoch: the epoch whose weights were kept, from 1.
        train: loss of the kept weights on the training part, without dropout and noise.
        validation: the same on the validation part.
        layers: each hidden layer and, last, the output layer.
        calibration: of the probabilities; None for a quantity.
        confusion: of the classes; None for a quantity.
        residuals: of a quantity; None for classes.
    """

    network: str
    findings: tuple[Finding, ...]
    train_curve: tuple[float, ...]
    validation_curve: tuple[float, ...]
    best_epoch: int
    train: RelativeLoss
    validation: RelativeLoss
    layers: tuple[LayerHealth, ...]
    calibration: Calibration | None
    confusion: Confusion | None
    residuals: Residuals | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON, pictures and pages."""
        parts = (self.calibration, self.confusion, self.residuals)
        names = ("calibration", "confusion", "residuals")
        return {
            "network": self.network,
            "findings": [finding.to_dict() for finding in self.findings],
            "train_curve": list(self.train_curve),
            "validation_curve": list(self.validation_curve),
            "best_epoch": self.best_epoch,
            "train": self.train.to_dict(),
            "validation": self.validation.to_dict(),
            "layers": [layer.to_dict() for layer in self.layers],
            **{n: p.to_dict() if p else None for n, p in zip(names, parts, strict=True)},
        }


def diagnose_run(folder: Path) -> Diagnosis:
    """Diagnose the winner of a run. The test part is not looked at.

    Raises:
        RecordError: there is no run, it has no winner yet, its model is gone or damaged, or its
            settings are not those of this evonet.
        DataError: the data cannot be read, or are not what they were.
    """
    return diagnose(load_subject(folder))


def diagnose(subject: Subject) -> Diagnosis:
    """Diagnose a fitted network."""
    dataset, genome = subject.dataset, subject.genome
    measured = measure(genome, subject.weights, dataset, subject.loss, subject.seed)
    train = RelativeLoss.of(measured.train_losses, measured.constant_train_losses)
    validation = RelativeLoss.of(measured.validation_losses, measured.constant_validation_losses)
    layers = layer_table(
        genome,
        measured.kernels,
        measured.gradient_means,
        measured.gradient_spreads,
        measured.alive,
    )
    findings = [
        curves_finding(subject.validation_curve, subject.best_epoch, train, validation),
        steadiness_finding(subject.train_curve, subject.validation_curve, validation.constant),
        gradient_finding(layers, measured.n_batches, measured.batch_rows),
        dead_finding(layers),
        spread_finding(layers),
        pairing_finding(layers),
    ]
    quantity = dataset.target.task == "regression"
    of_predictions = (_of_quantity if quantity else _of_classes)(subject, measured)
    return Diagnosis(
        str(genome),
        (*findings, *of_predictions.pop("findings")),
        subject.train_curve,
        subject.validation_curve,
        subject.best_epoch,
        train,
        validation,
        layers,
        **of_predictions,
    )


def _of_classes(subject: Subject, measured: Measured) -> dict[str, Any]:
    """What is found of predicted classes: a list of findings, and the parts of a diagnosis."""
    target, part = subject.dataset.target, subject.dataset.validation
    probabilities, balanced = (
        target.predictions(measured.validation_outputs),
        part.weight is not None,
    )
    trusted = calibration(stream(subject.seed, "calibration"), part.y, probabilities)
    confused = confusion(target.classes, part.y, probabilities)
    return {
        "findings": [
            calibration_finding(trusted, len(part), balanced),
            confusion_finding(confused, balanced),
        ],
        "calibration": trusted,
        "confusion": confused,
        "residuals": None,
    }


def _of_quantity(subject: Subject, measured: Measured) -> dict[str, Any]:
    """What is found of a predicted quantity: a list of findings, and the parts of a diagnosis."""
    target, part = subject.dataset.target, subject.dataset.validation
    found = residuals(target.truth(part.y), target.predictions(measured.validation_outputs))
    return {
        "findings": residuals_findings(found, subject.loss),
        "calibration": None,
        "confusion": None,
        "residuals": found,
    }
