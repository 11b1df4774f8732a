"""How long networks may train, where the settings leave it open."""

from __future__ import annotations

from evonet.config import RunConfig
from evonet.evaluation import Budget

#: The final fit waits this many times longer for a lower loss than the search does. Untuned.
_FINAL_PATIENCE = 3
#: The final fit has so many times the epochs of the search. Untuned.
_FINAL_EPOCHS = 5
#: The search waits for a lower loss for its epochs divided by this. Untuned.
_PATIENCE = 4
#: Epochs for a candidate where there are many rows, and where there are few. Untuned.
_EPOCHS = 20, 100
#: Between these two, a candidate sees so many rows in all its epochs. Untuned.
_ROWS_SEEN = 50_000


def search_budget(config: RunConfig, n_train: int) -> Budget:
    """How long a candidate may train, where the config leaves it open.

    An epoch of few rows is few steps, so that there are more of them.

    Args:
        config: the run's settings.
        n_train: rows of the training part.

    Example:
        >>> [search_budget(RunConfig(), n).epochs for n in (100, 1_000, 40_000)]
        [100, 50, 20]
    """
    fewest, most = _EPOCHS
    epochs = config.epochs or min(most, max(fewest, round(_ROWS_SEEN / n_train)))
    return Budget(epochs, config.patience_epochs or max(1, epochs // _PATIENCE))


def final_budgets(config: RunConfig, search: Budget) -> list[Budget]:
    """The budgets of the final fits: long ones, and those that the finalists had, in turn.

    A longer training is another one: its learning rate falls more slowly. Which is better differs
    from data to data; a number of epochs that the user asks for is that of all.

    Args:
        config: the run's settings.
        search: budget of a candidate.
    """
    epochs = config.final_epochs or _FINAL_EPOCHS * search.epochs
    long = Budget(epochs, _FINAL_PATIENCE * search.patience_epochs)
    short = long if config.final_epochs is not None else search
    return [short if i % 2 else long for i in range(config.final_fits)]
