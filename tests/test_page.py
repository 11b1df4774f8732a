"""The page of a run: whatever the run and its names, it is whole, harmless and true."""

from __future__ import annotations

import doctest
import json
import re
import shlex
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEvaluator, fake_training
from planted import Planted, add, crown, evaluation, genome, plant

from evonet.advice.finding import Finding
from evonet.config import make_config
from evonet.data.preparation import CategoricalColumn, NumericColumn
from evonet.errors import RecordError
from evonet.genome import Layer
from evonet.page import blocks, charts_search, svg
from evonet.page.advice import RULES, advice
from evonet.page.html import render, write_report
from evonet.page.sections import SECTIONS, sections_of
from evonet.page.sections_effort import time_section
from evonet.page.sections_outcome import trust_section
from evonet.page.view import View
from evonet.phrases import drops
from evonet.run import evolve, train
from evonet.store.record import RunRecord
from evonet.store.rows import StoredCandidate, StoredEvaluation, StoredGeneration
from evonet.store.snapshot import Snapshot

__all__ = ["fake_training"]

HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror=window.hacked=1>',
    "</script><!--",
    "a\nb\tc\u202e\x00",
    "{{ 7 * 7 }} {% raw %}",
    "😀 & &amp; 'quoted'",
    "x" * 10_000,
)


class Page(HTMLParser):
    """What a browser would make of a page, as far as the tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in ("meta", "link", "br", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(folder: Path) -> str:
    with Snapshot(folder) as record:
        return render(View(record))


def rows(n_generations: int = 5, size: int = 8) -> list[list[Planted]]:
    """Generations that get better; each network has a parent in the one before."""
    made: list[list[Planted]] = []
    for number in range(n_generations):
        made.append([])
        for slot in range(size):
            index = number * size + slot
            parents = (made[-2][slot].genome,) if number else ()
            score = None if slot == 3 else 0.5 + 0.01 * index
            made[-1].append(
                Planted(genome(index), score, "widen" if parents else "random", parents)
            )
    return made


#: Runs that are hard to show: the arguments of ``plant``.
HARD: dict[str, dict] = {
    "finished": {"generations": rows(), "winner": rows()[-1][-1]},
    "under way": {"generations": rows(2), "unfinished": rows(3)[2][:3]},
    "nothing yet": {"generations": [], "baselines": ()},
    "first generation under way": {"generations": [], "unfinished": rows(1)[0]},
    "nothing but failures": {"generations": [], "unfinished": [Planted(genome(0), None)]},
    "one network": {"generations": [[Planted(genome(0), 0.5)]]},
    "equal scores": {"generations": [[Planted(genome(i), 1.0) for i in range(50)]]},
    "no layers": {"generations": [[Planted(genome(i, layers=()), 0.1 * i) for i in range(5)]]},
    "64 layers": {
        "generations": [[Planted(genome(i, layers=(Layer(8, "relu"),) * 64), i) for i in range(3)]]
    },
    "minimised": {
        "generations": [[Planted(genome(i), 1e5 * (1 + i)) for i in range(5)]],
        "metric": "rmse",
        "task": "regression",
        "classes": (),
        "winner": Planted(genome(0), 1e5),
        "test_score": 2e5,
    },
    "no test score": {"generations": rows(), "winner": rows()[0][0], "test_score": None},
    "two objectives": {
        "generations": rows(),
        "winner": rows()[-1][-1],
        "config": {"objective": "score,parameters"},
    },
    "given": {"generations": [], "given": genome(0).to_dict(), "winner": Planted(genome(0), 0.8)},
    "baselines without scores": {"generations": rows(1), "baselines": (("linear", None, None),)},
}


@pytest.mark.parametrize("name", HARD)
def test_every_kind_of_run_has_a_whole_page(tmp_path: Path, name: str) -> None:
    text = page_of(plant(tmp_path / "run", **HARD[name]))
    page = Page(text)
    assert page._open == []
    assert len(page.ids) == len(set(page.ids))
    assert {"result", "data", "protocol"} <= set(page.ids)
    assert not re.search(
        r"\b(nan|NaN|None|inf)\b", text[text.index("<main") : text.index("</main")]
    )
    references = {v for k, v in page.attributes if k in ("href", "src")}
    assert all(v == "data:," or (v and v.startswith("#")) for v in references)


@pytest.mark.parametrize(
    ("name", "shown", "hidden"),
    [
        ("finished", {"trust", "next", "fitness", "family", "operators", "failures"}, {"front"}),
        ("two objectives", {"front"}, set()),
        ("under way", {"fitness", "family"}, {"trust", "front"}),
        ("given", {"trust", "curves"}, {"fitness", "importance", "genes", "parallel", "family"}),
    ],
)
def test_sections_are_those_the_run_has(
    tmp_path: Path, name: str, shown: set[str], hidden: set[str]
) -> None:
    with Snapshot(plant(tmp_path / "run", **HARD[name])) as record:
        found = set(sections_of(View(record)))
    assert shown <= found <= set(SECTIONS)
    assert not hidden & found


def test_names_from_data_are_shown_and_do_nothing(tmp_path: Path) -> None:
    columns = [
        *(CategoricalColumn(n, (*HOSTILE, None), True) for n in HOSTILE),
        NumericColumn(HOSTILE[0], 0.0, 1.0, 2.0, False),
    ]
    for target in (HOSTILE[0], HOSTILE[3], HOSTILE[-1]):
        folder = plant(
            tmp_path / f"<b>{len(target)}",
            [[replace(p, operator="</script x") for p in row] for row in rows(2)],
            winner=rows(2)[-1][-1],
            target=target,
            data_name=target,
            classes=HOSTILE,
            columns=columns,
            notes=HOSTILE,
            baselines=[(name, 0.5, 0.5) for name in HOSTILE],
            stopped=target,
        )
        text = page_of(folder)
        page = Page(text)
        assert page.tags["script"] == 2
        assert "<" not in text.split('id="points">')[1].split("</script>")[0]
        assert page.tags["img"] == page.tags["iframe"] == page.tags["b"] == 0
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert "<script>window" not in text
        assert "x" * 1000 not in text
        assert "\x00" not in text
        assert "\u202e" not in text
        assert "49 " not in page.text
        assert "{{ 7 * 7 }}" in page.text
        assert "<script>window.hacked=1</script>" in page.text
        assert "😀 & &amp; 'quoted'" in page.text


def test_page_allows_its_own_script_and_nothing_else(tmp_path: Path) -> None:
    import base64
    import hashlib

    text = page_of(plant(tmp_path / "run", **HARD["finished"]))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    policy = policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src" not in policy
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy


def test_points_name_networks_scores_and_parents(tmp_path: Path) -> None:
    text = page_of(plant(tmp_path / "run", **HARD["finished"]))
    (inside,) = re.findall(r'id="points">(.*?)</script>', text, re.DOTALL)
    points = json.loads(inside)["points"]
    assert len(points) == 40
    assert points[9] == {
        "g": str(genome(9)),
        "s": "0.5900",
        "n": 1,
        "o": "widen",
        "p": [1],
        "w": f"{genome(9).parameter_count(4, 3):,}",
    }
    assert points[3]["s"] == "diverged"
    marks = [int(i) for i in re.findall(r'data-c="(\d+)"', text)]
    assert set(marks) <= set(range(40))
    assert 3 not in marks  # it failed: there is no score to draw


def test_each_score_stands_in_its_own_row(tmp_path: Path) -> None:
    folder, best = plant(tmp_path / "run", generations=rows()), rows()[-1][-1]
    with RunRecord(folder) as record:
        record.set_facts(stopped="the last generation is done")
        crown(record, best, 0.71, repeats=(0.81, 0.83), validation_score=0.77)
    with Snapshot(folder) as record:
        view = View(record)
        section = trust_section(view)
    assert section is not None
    (chart,) = [block for block in section.blocks if isinstance(block, blocks.Chart)]
    assert chart.table is not None
    shown = {name: score for name, score, _ in chart.table.rows}
    assert shown == {
        "in the search": "0.8900",
        "trained again (2 seeds)": "0.8200",
        "final fit, validation": "0.7700",
        "final fit, test": "0.7100",
    }


def test_better_scores_stand_higher_and_later_ones_further_right(tmp_path: Path) -> None:
    text = page_of(plant(tmp_path / "run", **HARD["finished"]))
    found = re.findall(r'<circle [^>]*cx="([\d.]+)" cy="([\d.]+)"[^>]*data-c="(\d+)"', text)
    marks = {}
    for x, y, index in found:  # the first picture that shows it
        marks.setdefault(int(index), (float(x), float(y)))
    # Network i scores 0.5 + i / 100, in generation i // 8.
    pairs = [(i, j) for i in marks for j in marks if i // 8 < j // 8]
    assert len(pairs) > 100
    assert all(marks[i][0] < marks[j][0] and marks[i][1] > marks[j][1] for i, j in pairs)


def test_charts_have_words_for_who_cannot_see_them(tmp_path: Path) -> None:
    with Snapshot(plant(tmp_path / "run", **HARD["two objectives"])) as record:
        charts = [
            block
            for section in sections_of(View(record)).values()
            for block in section.blocks
            if isinstance(block, blocks.Chart)
        ]
    assert len(charts) >= 8
    for chart in charts:
        for drawn in (chart.wide, chart.narrow):
            assert re.match(r'<svg [^>]*role="img" aria-label="[^"]{10,}"', drawn), chart.title


def test_family_tree_tells_how_the_winner_came_to_be(tmp_path: Path) -> None:
    page = Page(page_of(plant(tmp_path / "run", **HARD["finished"])))
    assert "4 ancestors, the first of generation 0" in page.text
    steps = re.findall(r"layer 1: units \d+ → \d+", page.text)
    # Network 39 of 7, 15, 23 and 31: the units of network i are 8 times 2 to the i modulo 5.
    pairs = ((32, 8), (8, 64), (64, 16), (16, 128))
    assert steps == [f"layer 1: units {old} → {new}" for old, new in pairs]


def test_failures_are_counted_by_reason(tmp_path: Path) -> None:
    page = Page(page_of(plant(tmp_path / "run", **HARD["finished"])))
    assert "5 of 40 trainings failed (12%)" in page.text
    assert "the loss is not finite" in page.text


@pytest.mark.slow
def test_page_of_five_thousand_candidates_stays_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = []
    for number in range(50):
        row = []
        for slot in range(100):
            index = 100 * number + slot
            of = genome(index, learning_rate=1e-5 * (1 + index), batch_size=16 + index % 200)
            parents = (made[-1][slot].genome,) if made else ()
            row.append(Planted(of, float(rng.random()), "widen", parents))
        made.append(row)
    text = page_of(plant(tmp_path / "run", made, winner=made[-1][0]))
    assert len(text.encode()) < 4e6
    assert text.count('"g":') == 5000


@pytest.mark.usefixtures("fake_training")
def test_real_runs_have_pages(tmp_path: Path) -> None:
    config = {"data": "iris", "generations": 2, "results": tmp_path, "seed": 1}
    for name, changes in {"one": {}, "two": {"objective": "score,parameters"}}.items():
        folder = evolve(make_config({**config, **changes, "name": name})).folder
        assert write_report(folder) == folder / "report.html"
        page = Page((folder / "report.html").read_text("utf-8"))
        assert "Networks for 'class' in iris" in page.text
        assert "petal length" in page.text
        assert ("front" in page.ids) == (name == "two")
    folder = train(genome(0), make_config({"data": "iris", "results": tmp_path})).folder
    assert "none: one genome was given" in Page(page_of(folder)).text
    assert FakeEvaluator  # imported for the fixture


def test_output_that_cannot_be_written_names_the_flag(tmp_path: Path) -> None:
    folder = plant(tmp_path / "run", rows(1))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordError, match=r"Cannot write the report .*--output FILE"):
        write_report(folder, tmp_path / "file" / "report.html")
    assert write_report(folder, tmp_path / "new" / "r.html").is_file()


def test_scores_are_counted_and_only_a_search_flatters(tmp_path: Path) -> None:
    first = Planted(genome(0), 0.8)
    repeats = {"search_score": 0.9, "repeats": [0.8, 0.7]}
    for name, changes, times in (
        ("trained", {"search_score": None}, "twice"),
        ("searched", {}, "three times"),
        ("repeated", repeats, "four times"),
    ):
        folder = plant(tmp_path / name, [[first]])
        with RunRecord(folder) as record:
            crown(record, first, 0.7, **changes)
        page = Page(page_of(folder))
        assert f"The same network, scored {times}." in page.text
        assert ("luckiest" in page.text) == ("from the search to the test" in page.text)
        assert ("luckiest" in page.text) == (name != "trained")


@pytest.mark.parametrize(
    ("linear", "headline", "tile"),
    [
        (0.95, "Without any search, linear is as good or better", "behind best baseline"),
        (0.88, "but the lead over linear may be chance.", "linear: 0.8800, within chance"),
        (0.8, "That is better than what takes no search", "linear: 0.8000"),
    ],
)
def test_a_lead_within_chance_is_called_so(
    tmp_path: Path, linear: float, headline: str, tile: str
) -> None:
    baselines = (("majority", 0.3, 0.3), ("linear", linear, linear))
    text = Page(page_of(plant(tmp_path / "run", **HARD["finished"], baselines=baselines))).text
    assert headline in text  # the interval of the winner's 0.9 is ± 0.05
    assert tile in text
    assert ("within chance" in text) == (linear == 0.88)


def test_durations_have_one_unit(tmp_path: Path) -> None:
    folder = plant(tmp_path / "run", [])
    with RunRecord(folder) as record:
        for number, seconds in enumerate((75.0, 7300.0)):
            p = Planted(genome(number), 0.5)
            add(record, str(number), p)
            born = StoredCandidate(number, 0, p.genome.key, str(number), "random", ())
            record.commit_generation(
                StoredGeneration(number, ((p.genome.key, 0.5),), 0, seconds), [born]
            )
    text = page_of(folder)
    assert "\n1:15 minutes" in text
    assert re.search(r"\n2 h 01\W", text)
    assert "2 h 01 minutes" not in text


class TestAdvice:
    """Each rule speaks of a run planted for it, and is silent about its twin."""

    @staticmethod
    def of(folder: Path, rule: str, **changes: object) -> str:
        with Snapshot(plant(folder, **changes)) as record:  # type: ignore[arg-type]
            return " ".join(f"{s.title}. {s.text} {s.command}" for s in RULES[rule](View(record)))

    def test_unfinished_run(self, tmp_path: Path) -> None:
        assert "evonet resume" in self.of(tmp_path / "a", "go on", **HARD["under way"])
        assert self.of(tmp_path / "b", "go on", **HARD["finished"]) == ""

    @pytest.mark.parametrize(
        ("test", "said"),
        [(0.8, "as good"), (0.82, "within chance"), (0.95, "")],  # the interval is ± 0.05
    )
    def test_linear_model(self, tmp_path: Path, test: float, said: str) -> None:
        found = self.of(tmp_path / "a", "baselines", **{**HARD["finished"], "test_score": test})
        assert said in found
        assert bool(found) == bool(said)

    @pytest.mark.parametrize(
        ("metric", "advised"), [("accuracy", True), ("balanced_accuracy", False)]
    )
    def test_where_a_constant_is_as_good_no_model_is_advised(
        self, tmp_path: Path, metric: str, advised: bool
    ) -> None:
        equal = (("majority", 0.9, 0.9), ("linear", 0.9, 0.9))
        run = {**HARD["finished"], "test_score": 0.9, "baselines": equal, "metric": metric}
        found = self.of(tmp_path / "a", "baselines", **run)
        assert "Nothing was learned" in found
        assert "linear" not in found
        assert ("--metric balanced_accuracy" in found) == advised

    def test_columns_that_give_the_target_away(self, tmp_path: Path) -> None:
        leaks = [
            Finding(
                kind, "serious", f"{name!r} tells.", "Too late.", "Leave it out.", drops([name])
            )
            for kind, name in (("leak", "boat"), ("outcome mark", "body"), ("imbalance", "age"))
        ]
        run = {**HARD["finished"], "advice": [leak.to_dict() for leak in leaks]}
        run["config"] = {"drop": ["name"]}
        found = self.of(tmp_path / "a", "doubts", **run)
        assert "'boat' tells. Too late. Leave it out. 'body' tells." in found
        assert found.count("Too late") == 1
        assert found.endswith("a/config.toml --drop name --drop boat --drop body")
        assert self.of(tmp_path / "b", "doubts", **HARD["finished"]) == ""

    def test_a_search_with_a_perfect_score_needs_no_longer_one(self, tmp_path: Path) -> None:
        for name, best in (("a", 0.99), ("b", 1.0)):
            made = [[Planted(genome(i), best - 0.001 * i)] for i in range(10)]
            run = {"generations": made, "winner": made[0][0]}
            few = {"generations": made[:5], "winner": made[0][0]}
            assert bool(self.of(tmp_path / name / "short", "short", **few)) == (best < 1)
            assert bool(self.of(tmp_path / name / "early", "early best", **run)) == (best < 1)
            rising = [[Planted(genome(i), best - 0.01 * (9 - i))] for i in range(10)]
            run = {"generations": rising, "stopped": "the last generation is done"}
            assert bool(self.of(tmp_path / name / "rising", "rising", **run)) == (best < 1)
            run["config"] = {"objective": "score,parameters"}  # which is still to improve
            assert self.of(tmp_path / name / "front", "rising", **run)

    def test_default_network(self, tmp_path: Path) -> None:
        run = {**HARD["finished"], "baselines": (("default MLP", 0.9, 0.95),)}
        assert "default network" in self.of(tmp_path / "a", "default", **run)
        run["baselines"] = (("default MLP", 0.9, 0.85),)
        assert self.of(tmp_path / "b", "default", **run) == ""

    def test_rising_best_and_rising_median(self, tmp_path: Path) -> None:
        def run(best: list[float], others: list[float]) -> dict:
            pairs = enumerate(zip(best, others, strict=True))
            return {
                "generations": [
                    [Planted(genome(100 * i + k), b if k == 0 else o) for k in range(10)]
                    for i, (b, o) in pairs
                ],
                "stopped": "the last generation is done",
            }

        rising = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
        flat = [0.96] * 6
        assert "gained 0.05000" in self.of(tmp_path / "a", "rising", **run(rising, rising))
        assert "not settled" in self.of(tmp_path / "b", "rising", **run(flat, rising))
        settled = [0.1, 0.5, 0.9, 0.9, 0.9, 0.9]
        assert self.of(tmp_path / "c", "rising", **run(flat, settled)) == ""
        assert self.of(tmp_path / "d", "rising", **run(rising[:3], rising[:3])) == ""

    def test_a_search_that_is_not_over_has_not_ended(self, tmp_path: Path) -> None:
        made = [[Planted(genome(i), 0.1 * i)] for i in range(6)]
        over = {"stopped": "the last generation is done"}
        assert "ended" in self.of(tmp_path / "a", "rising", generations=made, **over)
        assert self.of(tmp_path / "b", "rising", generations=made) == ""

    def test_a_lead_by_chance_and_none_at_all(self, tmp_path: Path) -> None:
        # Means are those of the three scores: a lead of 0.01, and of -0.01.
        first, second = Planted(genome(0), 0.9), Planted(genome(1), 0.8)
        for name, other in (("a", 0.80), ("b", 0.82)):
            folder = plant(tmp_path / name, [[first, second]], winner=first)
            with RunRecord(folder) as record:
                for i, move in enumerate((-0.1, 0.0, 0.1)):
                    for of, mean in ((first, 0.81), (second, other)):
                        again = StoredEvaluation(
                            f"again {of.genome.key} {i}",
                            "trained",
                            of.genome,
                            evaluation(replace(of, score=mean + move)),
                            i + 2,
                        )
                        record.add_evaluation(again)
            with Snapshot(folder) as record:
                (step,) = RULES["smaller"](View(record))
            assert ("It leads the next finalist by 0.01000" in step.text) == (name == "a")
            assert ("another finalist had a mean score that is as good" in step.text) == (
                name == "b"
            )
            assert "-0.01" not in step.text

    @pytest.mark.parametrize("rule", ["go on", "rising", "early best"])
    def test_commands_can_be_pasted(self, tmp_path: Path, rule: str) -> None:
        folder = tmp_path / ("it's $HOME; a `long` name " + "x" * 150) / "my run"
        folder.parent.mkdir()
        scores = [0.9] * 10 if rule == "early best" else [0.1 * i for i in range(10)]
        made = [[Planted(genome(i), score)] for i, score in enumerate(scores)]
        stopped = None if rule == "go on" else "the last generation is done"
        with Snapshot(plant(folder, made, stopped=stopped)) as record:
            (step,) = RULES[rule](View(record))
        named = [Path(word) for word in shlex.split(step.command) if "/" in word]
        assert named == [folder / "config.toml" if rule == "early best" else folder]

    @pytest.mark.parametrize("limit", [{"max_minutes": 2.0}, {"max_trainings": 10}, {}])
    def test_searching_on_passes_the_limit_that_ended_the_search(
        self, tmp_path: Path, limit: dict[str, float]
    ) -> None:
        """Which is the generations here, though another one was set as well."""
        made = [[Planted(genome(i), 0.1 * i)] for i in range(10)]
        config = {"generations": 40, **limit}
        folder = plant(tmp_path / "run", made, stopped="generation 9, the last one", config=config)
        with Snapshot(folder) as record:
            (step,) = RULES["rising"](View(record))
        flags = shlex.split(step.command)[3:]
        assert flags[:2] == ["--generations", "40"]
        assert len(flags) == 2 + 2 * len(limit)

    def test_nothing_more_is_to_be_tried_where_all_is_tried(self, tmp_path: Path) -> None:
        made = [[Planted(genome(i), 0.1 * i) for i in range(9)]]
        run = {"generations": made, "winner": made[0][-1]}
        assert "short" in self.of(tmp_path / "a", "short", **run, stopped="the limit is reached")
        over = "the space is exhausted: 9 of at most 9 genomes are tried"
        assert self.of(tmp_path / "b", "short", **run, stopped=over) == ""

    def test_border_of_a_range(self, tmp_path: Path) -> None:
        def run(size: int) -> dict:
            made = [Planted(genome(i, batch_size=size), 0.5 + i / 100) for i in range(12)]
            return {"generations": [made]}

        found = self.of(tmp_path / "a", "border", **run(256))
        assert "batch_size sits on the border" in found
        assert "[..., 128, 256, 512]" in found
        assert "[8, 16, 32, ...]" in self.of(tmp_path / "b", "border", **run(16))
        assert "batch_size" not in self.of(tmp_path / "c", "border", **run(64))
        # 0 dropout is the border as well, and does nothing: nobody can go beyond.
        bare = [Planted(genome(i, layers=(Layer(32, "relu"),) * 2), 0.5) for i in range(12)]
        assert "dropout" not in self.of(tmp_path / "d", "border", generations=[bare])

    def test_legal_range_is_not_left(self, tmp_path: Path) -> None:
        made = [
            Planted(genome(i, optimizer="nesterov", momentum=0.99), 0.5 + i / 100)
            for i in range(12)
        ]
        assert "momentum" not in self.of(tmp_path / "a", "border", generations=[made])

    def test_failures(self, tmp_path: Path) -> None:
        def run(failed: int) -> dict:
            return {
                "generations": [
                    [Planted(genome(i), None if i < failed else 0.5) for i in range(20)]
                ]
            }

        found = self.of(tmp_path / "a", "failures", **run(5))
        assert "25% of the trainings failed" in found
        # Learning rates are 1e-4 times 1 to 5, and 6 to 20: medians 3 and 13.
        assert "that failed is 0.0003, of the others 0.0013" in found
        assert self.of(tmp_path / "b", "failures", **run(1)) == ""

    def test_the_commonest_failure_is_mended(self, tmp_path: Path) -> None:
        kinds = ["diverged"] + ["out_of_memory"] * 4
        made = [Planted(genome(i), None, status=kind) for i, kind in enumerate(kinds)]
        made += [Planted(genome(i), 0.5) for i in range(5, 12)]
        found = self.of(tmp_path, "failures", generations=[made])
        assert "4 of 5 are 'out of memory'" in found
        assert "--max-parameters" in found

    def test_epochs_that_were_too_few(self, tmp_path: Path) -> None:
        def run(best: int) -> dict:
            made = [Planted(genome(i), 0.5 + i / 100, best_epoch=best) for i in range(12)]
            return {"generations": [made]}

        assert "--epochs 8" in self.of(tmp_path / "a", "epochs", **run(4))
        assert self.of(tmp_path / "b", "epochs", **run(2)) == ""

    def test_best_that_came_early(self, tmp_path: Path) -> None:
        def run(best: int) -> dict:
            scores = [0.5 if i < best else 0.9 for i in range(10)]
            return {"generations": [[Planted(genome(i), s)] for i, s in enumerate(scores)]}

        assert "generation 1 of 9" in self.of(tmp_path / "a", "early best", **run(1))
        assert self.of(tmp_path / "b", "early best", **run(8)) == ""

    def test_too_many_given_up(self, tmp_path: Path) -> None:
        def run(dropped: int) -> dict:
            made = [Planted(genome(i), 0.5, dropped=i < dropped) for i in range(100)]
            return {"generations": [[Planted(genome(200), 0.5)], made]}

        assert "--fidelity off" in self.of(tmp_path / "a", "dropped", **run(95))
        assert self.of(tmp_path / "b", "dropped", **run(67)) == ""

    def test_short_search(self, tmp_path: Path) -> None:
        assert "40 networks" in self.of(tmp_path / "a", "short", **HARD["finished"])
        long = [Planted(genome(i), 0.5) for i in range(100)]
        assert self.of(tmp_path / "b", "short", generations=[long], winner=long[0]) == ""
        best, worse = Planted(genome(0), 0.9), [Planted(genome(i), 0.5) for i in range(1, 10)]
        stuck = {"generations": [[best], *([p] for p in worse)], "winner": best}
        assert "will hardly help" in self.of(tmp_path / "c", "early best", **stuck)
        assert self.of(tmp_path / "c2", "short", **stuck) == ""

    def test_flattered_search_and_lead_by_chance(self, tmp_path: Path) -> None:
        def said(name: str, searched: float, again: dict[int, list[float]]) -> dict[str, str]:
            best = Planted(genome(0), searched)
            folder = plant(tmp_path / name, [[best, Planted(genome(1), 0.7)]], winner=best)
            with RunRecord(folder) as record:
                for index, scores in again.items():
                    for k, score in enumerate(scores):
                        p = Planted(genome(index), score)
                        record.add_evaluation(
                            StoredEvaluation(
                                f"{index} again {k}", "trained", p.genome, evaluation(p), k + 2
                            )
                        )
                crown(record, best, 0.8, repeats=again[0])
            with Snapshot(folder) as record:
                view = View(record)
                return {
                    rule: " ".join(s.text for s in RULES[rule](view))
                    for rule in ("flattered", "smaller")
                }

        close = {0: [0.80, 0.82, 0.81], 1: [0.80, 0.81, 0.81]}
        found = said("a", 0.95, close)
        assert "0.9500 in the search and 0.8100" in found["flattered"]
        assert "leads the next finalist by 0.003333" in found["smaller"]
        assert said("b", 0.81, close)["flattered"] == ""
        apart = {0: [0.90, 0.91, 0.90], 1: [0.50, 0.51, 0.50]}
        assert said("c", 0.90, apart)["smaller"] == ""

    def test_a_training_on_every_fold_counts_as_so_many(self, tmp_path: Path) -> None:
        best = Planted(genome(0), 0.8)
        folder = plant(tmp_path / "run", [[best]], winner=best)
        with RunRecord(folder) as record:
            there = len(record.repeats())
            again = replace(evaluation(best), folds=(0.7, 0.8, 0.9, 0.8))
            record.add_evaluation(StoredEvaluation("again", "trained", best.genome, again, 2))
        with Snapshot(folder) as record:
            said = time_section(View(record))
        assert f"{there + 4} more trainings told" in str(said)

    def test_rules_come_in_their_order(self, tmp_path: Path) -> None:
        with Snapshot(plant(tmp_path / "run", **HARD["finished"])) as record:
            view = View(record)
            titles = [step.title for step in advice(view)]
            each = [step.title for rule in RULES.values() for step in rule(view)]
        assert titles == each
        assert "The best score was still rising when the search ended" in titles


def test_examples_in_the_docstrings_hold() -> None:
    for module in (blocks, svg, charts_search):
        assert doctest.testmod(module).failed == 0
