"""evonet as it is, but that it writes down every training of the search as it begins, ends, and is
in the record.

EVONET_TRAINING_LOG=FILE python -m bench.logged_evonet evolve --data iris
"""

from __future__ import annotations

from bench.logged import logged_add, logged_train
from evonet.__main__ import main
from evonet.store.record import RunRecord
from evonet.training import engine

if __name__ == "__main__":
    engine.train = logged_train  # type: ignore[attr-defined]
    RunRecord.add_evaluation = logged_add  # type: ignore[method-assign, assignment]
    main()
