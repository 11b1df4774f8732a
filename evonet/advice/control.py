"""A control: labels that are shuffled before everything else cannot be predicted.

What a model scores on them better than chance, it has from rows or labels that came from one
part into another, in the split or in the preparation (a permutation test of the whole path;
Ojala & Garriga 2010, https://jmlr.org/papers/v11/ojala10a.html).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from evonet.config import RunConfig
from evonet.data.dataset import CheckedData, Dataset, prepare, split_as_set
from evonet.metrics import mean_interval
from evonet.streams import stream

#: Rows that the quick model is fitted on, at most. Untuned.
_MOST_ROWS = 10_000
_N_TREES = 10


@dataclass(frozen=True)
class Control:
    """What a quick model scores on shuffled labels.

    Attributes:
        measure: ROC AUC of classes (one against the rest), correlation of a quantity.
        chance: what a constant scores by it.
        scores: on the rows that the model was not fitted on, one for each shuffle.
    """

    measure: str
    chance: float
    scores: tuple[float, ...]

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the mean score."""
        low, high = mean_interval(self.scores) or (0.0, 0.0)
        return (high - low) / 2

    @property
    def leaks(self) -> bool:
        """Whether the model does better than a constant by more than chance explains.

        Twice the half width: of controls of ten shuffles, less than 1 in 1,000 says so by chance.
        """
        return fmean(self.scores) - 2 * self.half_width > self.chance

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        mean = fmean(self.scores)
        return {**asdict(self), "mean": mean, "half_width": self.half_width, "leaks": self.leaks}


def shuffled_control(checked: CheckedData, config: RunConfig, n_shuffles: int) -> Control:
    """Shuffle the labels, split and prepare as a run does, fit trees, and score them.

    Trees that are grown to the end know their own rows by heart, so that a row which comes into
    two parts shows.

    Args:
        checked: the data.
        config: the run's settings.
        n_shuffles: at least 2.
    """
    is_class = checked.task != "regression"
    scores = []
    for shuffle in range(n_shuffles):
        rng = stream(config.seed, "advice", slot=2 + shuffle)
        labels = checked.raw.labels
        order = rng.permutation(len(labels))
        shuffled = labels.iloc[order].set_axis(labels.index)
        raw = replace(checked.raw, labels=shuffled)
        again = replace(checked, raw=raw, split=split_as_set(raw, checked.task, config))
        dataset, _ = prepare(again, config.changed(folds=None), 0, 0)
        scores.append(_score(dataset, rng, is_class))
    name, chance = ("ROC AUC", 0.5) if is_class else ("correlation", 0.0)
    return Control(name, chance, tuple(scores))


def _score(dataset: Dataset, rng: np.random.Generator, is_class: bool) -> float:
    """Trees fitted on the training part, scored on the others; chance is in the middle."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    drawn = rng.permutation(len(dataset.train))[:_MOST_ROWS]
    x, y = dataset.train.x[drawn], dataset.train.y[drawn]
    rest_x = np.concatenate([dataset.validation.x, dataset.test.x])
    rest_y = np.concatenate([dataset.validation.y, dataset.test.y])
    seed = int(rng.integers(2**31))
    if not is_class:
        guess = ExtraTreesRegressor(_N_TREES, random_state=seed).fit(x, y).predict(rest_x)
        return float(np.corrcoef(guess, rest_y)[0, 1]) if guess.std() > 0 else 0.0
    from sklearn.metrics import roc_auc_score

    trees = ExtraTreesClassifier(_N_TREES, random_state=seed).fit(x, y)
    p = trees.predict_proba(rest_x)
    # A class that is in one part only cannot be ranked.
    there = [i for i, k in enumerate(trees.classes_) if 0 < (rest_y == k).sum() < len(rest_y)]
    areas = [roc_auc_score(rest_y == trees.classes_[i], p[:, i]) for i in there]
    return float(np.mean(areas)) if areas else 0.5
