"""The job of the quality benchmark that trains with scikit-learn: Optuna around its networks."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Any

from bench.choices import Values, chosen_genome, default_values, optuna_choice
from bench.judging import Order, budget, judged, seconds_left
from bench.machine import cores
from bench.mlp import mlp_predictions, train_mlp
from evonet.data.dataset import Dataset
from evonet.genome import Genome
from evonet.metrics import METRICS, score

#: What scikit-learn's networks can be; the other genes are held at what they always do there.
_CHANGES: Values = {
    "activation": ("relu", "tanh", "sigmoid"),
    "optimizer": ("sgd", "momentum", "nesterov", "adamw"),
    "initializer": ("matched_uniform",),
    "dropout": (0.0,),
    "normalisation": ("none",),
    "skip": ("none",),
    "schedule": ("constant",),
}
_LAST_SECOND = 1.0  # more, for workers to hand over what they have; untuned


def optuna_mlp(**asked: Any) -> dict[str, Any]:
    """Optuna's TPE, asked by one process and told by a worker process for each core.

    The best trial's network is kept, with the weights of its best epoch.

    Args:
        asked: an ``Order``. Trainings that are under way at its end are cut short.
    """
    import optuna
    from joblib.externals.loky import get_reusable_executor

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    order = Order(**asked)
    dataset, end = order.read(), order.end_of_search()
    values = {**default_values(dataset.target.task), **_CHANGES}
    sign = METRICS[order.metric].sign
    sampler = optuna.samplers.TPESampler(
        seed=order.seed, constant_liar=True
    )  # for trials side by side
    study = optuna.create_study(direction="maximize", sampler=sampler)
    n = len(cores())
    executor = get_reusable_executor(n, initializer=_read, initargs=(order,))
    running: dict[Future, Any] = {}
    genomes: dict[int, Genome] = {}
    best: tuple[float, int, Any] | None = None
    done = 0
    while seconds_left(end) or (running and seconds_left(end + _LAST_SECOND)):
        while seconds_left(end) and len(running) <= n:  # one waits, so that no worker does
            trial = study.ask()
            genome = chosen_genome(optuna_choice(trial), values, alike=("activation",))
            genomes[trial.number] = genome
            own_seed = order.seed + trial.number
            future = executor.submit(_train, genome.to_dict(), own_seed, order.metric, end)
            running[future] = trial
        for future in wait(running, seconds_left(end + _LAST_SECOND), FIRST_COMPLETED).done:
            trial, (value, network) = running.pop(future), future.result()
            done += 1
            if value is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            study.tell(trial, sign * value)
            if best is None or sign * value > best[0]:
                best = sign * value, trial.number, network
    executor.shutdown(kill_workers=True)
    if best is None:
        raise RuntimeError("no training ended in time")
    predict = partial(mlp_predictions, best[2], dataset)
    return judged(dataset, order.metric, predict, done, {"genome": genomes[best[1]].to_dict()})


#: What a worker trains on.
_datasets: list[Dataset] = []


def _read(order: Order) -> None:
    _datasets.append(order.read())


def _train(genome: dict[str, Any], seed: int, metric: str, end: float) -> tuple[float | None, Any]:
    """The score on the validation part, and the network; None where there is none."""
    from threadpoolctl import threadpool_limits

    (dataset,) = _datasets
    with threadpool_limits(1):
        trained = train_mlp(Genome.from_dict(genome), seed, dataset, budget(dataset), end)
    if trained is None:
        return None, None
    network, predictions = trained
    del network._optimizer  # as large as the weights, and not needed again
    return score(METRICS[metric], dataset.target, dataset.validation.y, predictions), network
