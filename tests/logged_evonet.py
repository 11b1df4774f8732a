"""evonet as it is, but that it writes down every training that its own process starts.

The file named by ``EVONET_TEST_LOG`` gets one line, "genome seed", before each of them.
"""

from __future__ import annotations

import os
import sys

import evonet.training.evaluator as evaluator
from evonet.__main__ import main
from evonet.training.trainer import Trainer

fit_network, fit = evaluator.fit_network, Trainer.fit


def write_down(genome, seed):
    with open(os.environ["EVONET_TEST_LOG"], "a") as log:
        log.write(f"{genome.key} {seed}\n")


def logged_fit_network(genome, dataset, loss, budget, seed, *rest):
    write_down(genome, seed)
    return fit_network(genome, dataset, loss, budget, seed, *rest)


def logged_fit(trainer, genome, seed, *rest):
    write_down(genome, seed)
    return fit(trainer, genome, seed, *rest)


if __name__ == "__main__":
    evaluator.fit_network = logged_fit_network
    Trainer.fit = logged_fit
    sys.exit(main())
