"""Plans lose nothing, fit into the memory, and predict more for what takes longer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import genomes

from evonet.evaluation import Budget, Request
from evonet.genome import Genome, Layer
from evonet.training.costs import Rows
from evonet.training.plan import Plan, Planned, make_plan

GIB = 2**30
ROWS = Rows(n_inputs=30, n_outputs=3, n_train=1000, n_validation=300)
BUDGET = Budget(20, 5)
SMALL = Genome((Layer(8, "relu"),), "matched_normal", "adam", 0.01, 32)

REQUESTS = st.lists(st.builds(Request, genomes(max_units=3000), st.integers(0, 99)), max_size=40)
ROW_COUNTS = st.integers(1, 1_000_000)
PLANS = {
    "requests": REQUESTS,
    "rows": st.builds(Rows, st.integers(1, 3000), st.integers(1, 100), ROW_COUNTS, ROW_COUNTS),
    "workers": st.integers(1, 64),
    "memory": st.one_of(st.floats(0.1 * GIB, 64.0 * GIB), st.just(float("inf"))),
}


def one(genome: Genome = SMALL, rows: Rows = ROWS, budget: Budget = BUDGET) -> Planned:
    """What is planned for one training."""
    (planned,) = make_plan([Request(genome, 1)], rows, budget, 1).planned
    return planned


def data_bytes(rows: Rows) -> int:
    """Float32 rows with their target and weight."""
    return 4 * (rows.n_train + rows.n_validation) * (rows.n_inputs + 2)


class TestPlans:
    @given(**PLANS)
    def test_every_request_occurs_once(
        self, requests: list[Request], rows: Rows, workers: int, memory: float
    ) -> None:
        plan = make_plan(requests, rows, BUDGET, workers, memory)
        found = [t.request for t in (*plan.planned, *plan.too_large)]
        assert Counter(found) == Counter(requests)
        assert all(plan.portions)

    @given(**PLANS)
    def test_the_longer_come_first_and_portions_of_several_are_short(
        self, requests: list[Request], rows: Rows, workers: int, memory: float
    ) -> None:
        plan = make_plan(requests, rows, BUDGET, workers, memory)
        seconds = [t.seconds for t in plan.planned]
        assert seconds == sorted(seconds, reverse=True)
        for portion in plan.portions:
            several = sum(t.seconds for t in portion)
            assert len(portion) == 1 or several <= min(1.0, sum(seconds) / (4 * workers)) + 1e-9

    @given(**PLANS)
    def test_workers_are_what_was_asked_for_and_memory_and_portions_allow(
        self, requests: list[Request], rows: Rows, workers: int, memory: float
    ) -> None:
        plan = make_plan(requests, rows, BUDGET, workers, memory)
        assert 1 <= plan.workers <= workers
        assert plan.workers <= max(1, len(plan.portions))
        if not plan.planned:
            return
        each = data_bytes(rows) + max(t.bytes for t in plan.planned)
        assert plan.workers * each <= plan.memory <= memory
        if plan.workers < min(workers, len(plan.portions)):  # then one more would not fit
            assert (plan.workers + 1) * (each + GIB) > plan.memory

    @pytest.mark.parametrize(("seconds", "shortest_first"), [(1e9, False), (1e-9, True)])
    def test_where_time_will_not_do_the_shortest_come_first(
        self, seconds: float, shortest_first: bool
    ) -> None:
        large = replace(SMALL, layers=(Layer(1024, "relu"),) * 3)
        requests = [Request(g, seed) for seed in range(3) for g in (large, SMALL)]
        plan = make_plan(requests, ROWS, BUDGET, 2, seconds_wanted=seconds)
        first = [training.request.genome for training in plan.planned][:3]
        assert first == [SMALL if shortest_first else large] * 3
        unlimited = make_plan(requests, ROWS, BUDGET, 2)
        assert sorted(map(len, plan.portions)) == sorted(map(len, unlimited.portions))

    @given(**PLANS)
    def test_what_is_too_large_is_larger_than_all_that_fits(
        self, requests: list[Request], rows: Rows, workers: int, memory: float
    ) -> None:
        plan = make_plan(requests, rows, BUDGET, workers, memory)
        if plan.too_large and plan.planned:
            largest = max(t.bytes for t in plan.planned)
            assert min(t.bytes for t in plan.too_large) > largest

    @given(**PLANS)
    def test_equal_requests_have_equal_plans(
        self, requests: list[Request], rows: Rows, workers: int, memory: float
    ) -> None:
        def planned() -> Plan:
            return make_plan(list(requests), rows, BUDGET, workers, memory)

        assert planned() == planned()

    def test_without_memory_nothing_fits(self) -> None:
        requests = [Request(SMALL, seed) for seed in range(3)]
        plan = make_plan(requests, ROWS, BUDGET, 4, 0.1 * GIB)
        assert (plan.portions, plan.workers) == ((), 1)
        assert [t.request for t in plan.too_large] == requests

    def test_a_large_training_is_refused_and_leaves_the_small_ones_alone(self) -> None:
        large = replace(SMALL, layers=(Layer(65_536, "relu"),) * 2)
        plan = make_plan([Request(large, 1), Request(SMALL, 1)], ROWS, BUDGET, 4, 8 * GIB)
        assert [t.request.genome for t in plan.too_large] == [large]
        assert [t.request.genome for t in plan.planned] == [SMALL]

    def test_no_worker_waits_for_one_long_portion(self) -> None:
        plan = make_plan([Request(SMALL, seed) for seed in range(64)], ROWS, BUDGET, 4)
        assert plan.workers == 4
        total = sum(t.seconds for t in plan.planned)
        for portion in plan.portions:
            assert len(portion) == 1 or sum(t.seconds for t in portion) <= total / 12

    @pytest.mark.parametrize(("gpus", "used"), [(1, 1), (2, 2), (8, 3)])
    def test_groups_are_for_as_many_gpus_as_there_are(self, gpus: int, used: int) -> None:
        requests = [
            Request(replace(SMALL, batch_size=size), seed)
            for size in (16, 32, 64)
            for seed in range(5)
        ]
        plan = make_plan(requests, ROWS, BUDGET, gpus, device="gpu")
        assert [len(group) for group in plan.portions] == [5, 5, 5]
        assert plan.workers == used


class TestPredictions:
    @given(genomes(max_units=600), st.integers(1, 100), st.integers(1, 100))
    def test_seconds_grow_with_epochs(self, genome: Genome, epochs: int, more: int) -> None:
        short, long = (one(genome, budget=Budget(n, 5)) for n in (epochs, epochs + more))
        one_epoch, two = (one(genome, budget=Budget(n, 5)).seconds for n in (1, 2))
        once = 2 * one_epoch - two
        ratio = (epochs + more) / epochs
        assert long.seconds - once == pytest.approx((short.seconds - once) * ratio, rel=1e-6)

    @given(genomes(max_units=600), st.integers(1, 10**6), st.integers(1, 10**6))
    def test_seconds_grow_with_rows(self, genome: Genome, n: int, more: int) -> None:
        few, many = (one(genome, replace(ROWS, n_train=k)) for k in (n, n + more))
        assert many.seconds > few.seconds
        checked = one(genome, replace(ROWS, n_validation=ROWS.n_validation + more))
        assert checked.seconds > one(genome).seconds

    @given(genomes(max_depth=3, max_units=600))
    def test_seconds_and_bytes_grow_with_parameters(self, genome: Genome) -> None:
        deeper = replace(genome, layers=(*genome.layers, Layer(64, "relu")))
        small, large = one(genome), one(deeper)
        if large.parameters > small.parameters:  # a last layer without skip may hide a wide one
            assert large.seconds > small.seconds
        assert one(replace(genome, layers=(Layer(3000, "relu"),) * 3)).bytes > small.bytes

    def test_bytes_hold_weights_gradients_moments_and_the_best(self) -> None:
        wide = replace(SMALL, layers=(Layer(3968, "relu"),) * 2)
        parameters = wide.parameter_count(ROWS.n_inputs, ROWS.n_outputs)
        assert one(wide).bytes > 4 * 5 * parameters  # weights, gradient, m, v, the best

    def test_more_workers_need_less_time(self) -> None:
        requests = [Request(SMALL, seed) for seed in range(64)]
        one_core, two = (make_plan(requests, ROWS, BUDGET, n) for n in (1, 2))
        assert two.seconds == pytest.approx(one_core.seconds / 2)
