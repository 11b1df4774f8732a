"""A run's winner as a local web service, and the requests it refuses."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served import Served
from strategies import examples

from evonet.champion.prediction import load_predictor
from evonet.champion.predictor import Predictor
from evonet.config import make_config
from evonet.deploy.endpoint import MOST_BYTES, answer, prediction_service, service_signature
from evonet.errors import ConfigError, DataError
from evonet.genome import Genome, Layer
from evonet.local_server import require_server
from evonet.run import train

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

GENOME = Genome((Layer(5, "relu"),), "matched_normal", "adam", 0.01, 16)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs with words and missing values, with a quantity, and with images."""
    folder = tmp_path_factory.mktemp("serve")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(40, 9, 200), "town": rng.choice(["A", "B", None], 200)})
    frame["kind"] = np.where(frame["age"] + 9 * (frame["town"] == "A") > 42, "old", "new")
    frame.to_csv(folder / "t.csv", index=False)
    words = {"data": str(folder / "t.csv"), "target": "kind"}
    made: dict[str, dict[str, str]] = {"words": words}
    made |= {"quantity": {"data": "diabetes"}, "images": {"data": "digits"}}
    settings: dict[str, Any] = {"results": folder, "final_epochs": 3, "final_fits": 1}
    return {
        name: train(GENOME, make_config({**settings, **own, "name": name})).folder
        for name, own in made.items()
    }


@pytest.fixture(scope="module")
def words(runs: dict[str, Path]) -> Predictor:
    return load_predictor(runs["words"])


def asked(predictor: Predictor, *instances: object) -> dict[str, Any]:
    return answer(predictor, json.dumps({"instances": instances}).encode())


@pytest.fixture(scope="module")
def served(runs: dict[str, Path]) -> Iterator[Served]:
    started = Served("serve", runs["words"])
    yield started
    started.end()


ROWS = [{"age": 39.5, "town": "A"}, {"town": None, "age": None, "more": [1]}]


def test_rows_are_answered_as_predict_answers_them(served: Served, words: Predictor) -> None:
    body = json.dumps({"instances": ROWS}).encode()
    status, headers, text = served.ask("/predict", method="POST", body=body)
    assert (status, headers["content-type"]) == (200, "application/json")
    frame = pd.DataFrame({"age": [39.5, np.nan], "town": ["A", None]})
    expected = words.predictions(frame)
    said = json.loads(text)
    assert said["predictions"] == words.target.labels(expected)
    for row, own in zip(said["probabilities"], expected, strict=True):
        assert row == {"new": pytest.approx(own[0]), "old": pytest.approx(own[1])}


def test_words_that_training_had_not_are_noted(words: Predictor) -> None:
    assert "notes" not in asked(words, *ROWS)
    said = asked(words, *ROWS, {"age": 1, "town": "Rome"})
    assert said["notes"] == [
        "Column 'town': 1 row has words that training had not, such as 'Rome'."
    ]
    assert len(said["predictions"]) == 3


def test_it_says_what_it_takes_and_gives(served: Served) -> None:
    said = json.loads(served.ask("/")[2])
    row = {"age": "a number or null", "town": "a word or null"}
    assert said["POST /predict"] == {"instances": [row]}
    assert said["answer"]["predictions"] == ["one of 'new', 'old'"]


def test_what_is_wrong_comes_back_in_words(served: Served) -> None:
    status, _, text = served.ask("/predict", method="POST", body=b'{"instances": [{"age": 1}]}')
    assert (status, json.loads(text)) == (
        400,
        {"error": "Row 1 lacks 'town'; give null where it is not known."},
    )
    status, _, text = served.ask("/predict")
    assert (status, json.loads(text)["error"]) == (
        405,
        "Method Not Allowed: got GET /predict; POST /predict predicts, and GET / says what it "
        "takes.",
    )
    assert served.ask("/run.sqlite")[0] == 404
    assert served.ask("/predict", "evil.example", "POST", b"{}")[0] == 400
    status, _, text = served.ask("/predict", method="POST", body=b" " * (MOST_BYTES + 1))
    assert (status, json.loads(text)["error"]) == (413, "A request has at most 67,108,864 bytes.")


async def status_of(service: Any, method: str, path: str, body: bytes = b"") -> int:
    """The status of a service's answer, without a server."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b""}
    await service({**scope, "headers": [(b"host", b"localhost")]}, receive, send)
    return sent[0]["status"]


def test_it_answers_others_while_it_predicts_one_request_at_a_time(
    words: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, go_on, busy, most = prediction_service(words), threading.Event(), [0], [0]

    def slow(*_: object) -> dict[str, Any]:
        busy[0] += 1
        most[0] = max(most[0], busy[0])
        assert go_on.wait(20)
        time.sleep(0.05)
        busy[0] -= 1
        return {}

    async def main() -> list[int]:
        asked = [asyncio.create_task(status_of(service, "POST", "/predict")) for _ in range(3)]
        while not busy[0]:
            await asyncio.sleep(0.01)
        described = await asyncio.wait_for(status_of(service, "GET", "/"), 10)
        assert not any(task.done() for task in asked)
        go_on.set()
        return [described, *await asyncio.gather(*asked)]

    monkeypatch.setattr("evonet.deploy.endpoint.answer", slow)
    assert asyncio.run(main()) == [200] * 4
    assert most == [1]


def test_it_predicts_before_it_serves(words: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    predictions = Predictor.predictions

    def counted(self: Predictor, features: Any) -> np.ndarray:
        seen.append(len(features))
        return predictions(self, features)

    monkeypatch.setattr(Predictor, "predictions", counted)
    prediction_service(words)
    assert len(seen) == 1


def test_ctrl_c_ends_it_without_a_word(runs: dict[str, Path]) -> None:
    started = Served("serve", runs["quantity"])
    assert started.ask()[0] == 200
    started.process.send_signal(signal.SIGINT)
    _, errors = started.process.communicate(timeout=60)
    assert (started.process.returncode, errors) == (0, "")


def test_quantities_have_no_probabilities(runs: dict[str, Path]) -> None:
    predictor = load_predictor(runs["quantity"])
    names = [column.name for column in predictor.preparation.columns]
    said = asked(predictor, dict.fromkeys(names, 0.01))
    assert list(said) == ["predictions"]
    assert said["predictions"] == pytest.approx(
        predictor.predictions(pd.DataFrame([dict.fromkeys(names, 0.01)]))
    )


def test_images_are_nested_lists(runs: dict[str, Path]) -> None:
    predictor = load_predictor(runs["images"])
    image = np.full((8, 8), 3.0)
    said = asked(predictor, image.tolist())
    assert said["predictions"] == predictor.target.labels(predictor.predictions(image[None]))
    assert asked(predictor, np.full((8, 8), 3).tolist()) == said  # as JavaScript writes it
    assert "(8, 8)" in service_signature(predictor)["POST /predict"]["instances"][0]
    with pytest.raises(DataError, match=r"Expected images \(8, 8\) as nested lists of numbers"):
        asked(predictor, [[1, 2], [3]])
    with pytest.raises(DataError, match=r"shape \(8, 8\), got \(1, 1\)"):
        asked(predictor, [[1.0]])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"age=3", "The request is no JSON"),
        (b"\xff\xfe", "The request is no JSON"),
        (b"[" * 100_000, "The request is no JSON"),
        (b"[1]", "The request has no rows; expected"),
        (b'{"instances": []}', "The request has no rows; expected"),
        (b'{"instances": {"age": 1}}', "instances is {'age': 1}, no list of rows; expected"),
        (b'{"instances": 3}', "instances is 3, no list of rows; expected"),
        (b'{"instances": [[1, 2]]}', "Row 1 is no object"),
        (b'{"instances": [{"age": 1, "town": ["A"]}]}', "'town' is neither a word, a number nor"),
        (b'{"instances": [{"age": "old", "town": "A"}]}', "'age' holds 'old' in row"),
        (b'{"instances": [{"age": 1e999, "town": "A"}]}', "'age' is infinite in row"),
        (rb'{"instances": [{"age": 1, "town": "x\ud800"}]}', r"'town' holds half a character, 'x"),
        (b'{"instances": [{"age": "\xed\xa0\x80", "town": "A"}]}', "'age' holds half a char"),
    ],
)
def test_other_requests_are_refused(words: Predictor, body: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        answer(words, body)


#: Halves of pairs of UTF-16 are among it, which JSON can write and UTF-8 cannot.
TEXT = st.text(st.characters() | st.characters(categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)
ROW = st.fixed_dictionaries({"age": JSON, "town": JSON}) | JSON


@given(st.fixed_dictionaries({"instances": st.lists(ROW, max_size=4) | JSON}) | JSON)
@examples(200)
def test_any_request_is_answered_or_refused(words: Predictor, content: Any) -> None:
    try:
        said = answer(words, json.dumps(content).encode())
    except DataError:
        return
    json.dumps(said, allow_nan=False)
    assert len(said["predictions"]) == len(content["instances"])


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evonet.local_server.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"evonet serve needs .*: pip install 'evonet\[serve\]'"):
        require_server("serve")
