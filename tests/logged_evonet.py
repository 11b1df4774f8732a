"""evonet as it is, but that it writes down every training it starts.

The file named by ``EVONET_TEST_LOG`` gets one line, "genome seed", before each of them.
"""

from __future__ import annotations

import os
import sys

import evonet.training.evaluator as evaluator
from evonet.__main__ import main

fit_network = evaluator.fit_network


def logged(genome, dataset, loss, budget, seed):
    with open(os.environ["EVONET_TEST_LOG"], "a") as log:
        log.write(f"{genome.key} {seed}\n")
    return fit_network(genome, dataset, loss, budget, seed)


if __name__ == "__main__":
    evaluator.fit_network = logged
    sys.exit(main())
