"""A run's winner as a local web service: JSON rows in, predictions out."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evonet.champion.predictor import Predictor
from evonet.data.files import Features
from evonet.data.preparation import ImagePreparation, NumericColumn, Preparation
from evonet.deploy.signature import example_rows, output_words
from evonet.errors import DataError, EvonetError, shown
from evonet.local_server import HEADERS, local_application

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

#: Bytes of a request; one that has more is refused while it is read.
MOST_BYTES = 2**26


def prediction_service(predictor: Predictor) -> Starlette:
    """The service's answers. Predicts once here, so that loops are compiled before it is asked.

    ``GET /`` says what it takes and gives. ``POST /predict`` takes ``{"instances": [...]}``, the
    rows as objects, as TensorFlow Serving takes them, and gives ``{"predictions": [...]}``, with
    ``"probabilities"`` where there are classes, and ``"notes"`` where words have no input. What is
    wrong with a request comes back as
    ``{"error": ...}`` with status 400.

    Args:
        predictor: what predicts.
    """
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    signature = service_signature(predictor)
    one_at_a_time = asyncio.Lock()
    predictor.predictions(example_rows(predictor.preparation, np.random.default_rng(0), 1))

    def describe(_: Request) -> JSONResponse:
        return JSONResponse(signature, headers=HEADERS)

    async def predict(request: Request) -> JSONResponse:
        body = bytearray()
        async for portion in request.stream():
            body += portion
            if len(body) > MOST_BYTES:
                raise HTTPException(413, f"A request has at most {MOST_BYTES:,} bytes.")
        async with one_at_a_time:  # in a thread: others are told meanwhile what it takes
            said = await run_in_threadpool(answer, predictor, bytes(body))
        return JSONResponse(said, headers=HEADERS)

    def refuse(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400, HEADERS)

    def fail(request: Request, error: HTTPException) -> JSONResponse:
        said = error.detail
        if error.status_code in (404, 405):
            asked = f"{request.method} {request.url.path}"
            said += f": got {asked}; POST /predict predicts, and GET / says what it takes."
        return JSONResponse({"error": said}, error.status_code, HEADERS)

    routes = [Route("/", describe), Route("/predict", predict, methods=["POST"])]
    return local_application(routes, {EvonetError: refuse, HTTPException: fail})


def service_signature(predictor: Predictor) -> dict[str, Any]:
    """What a request holds and what comes back, in words."""
    preparation = predictor.preparation
    row: object
    if isinstance(preparation, ImagePreparation):
        row = f"nested lists of pixels {preparation.shape}, from 0 to {preparation.scale:g}"
    else:
        row = {
            c.name: "a number or null" if isinstance(c, NumericColumn) else "a word or null"
            for c in preparation.columns
        }
    outputs = output_words(predictor.target)
    answer = {"predictions": [outputs["prediction"]]}
    if "probabilities" in outputs:
        answer["probabilities"] = ["of each class, by its name"]
    if preparation.words:
        answer["notes"] = ["of words that training had not; left out where there are none"]
    return {"POST /predict": {"instances": [row]}, "answer": answer}


def answer(predictor: Predictor, body: bytes) -> dict[str, Any]:
    """The predictions for a request's rows, as JSON can hold them.

    Args:
        predictor: what predicts.
        body: of the request.

    Raises:
        DataError: the request is not as expected.
    """
    features = _features(_instances(body), predictor.preparation)
    predictions = predictor.predictions(features)
    said: dict[str, Any] = {"predictions": predictor.target.labels(predictions)}
    if predictor.target.classes:
        said["probabilities"] = [
            dict(zip(map(str, predictor.target.classes), row, strict=True))
            for row in predictions.round(6).tolist()
        ]
    if unseen := predictor.preparation.unseen(features):
        said["notes"] = [str(column) for column in unseen]
    return said


def _instances(body: bytes) -> list[Any]:
    form = 'expected {"instances": [ROW, ...]}'
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError(f"The request is no JSON ({error}); {form}.") from None
    instances = request.get("instances") if isinstance(request, dict) else None
    if instances is not None and not isinstance(instances, list):
        raise DataError(f"instances is {shown(instances)}, no list of rows; {form}.")
    if not instances:
        raise DataError(f"The request has no rows; {form}.")
    return instances


def _features(instances: list[Any], preparation: Preparation) -> Features:
    if isinstance(preparation, ImagePreparation):
        try:
            images = np.asarray(instances)
        except ValueError:
            images = np.empty(0, object)
        if images.dtype.kind not in "iuf":
            raise DataError(f"Expected images {preparation.shape} as nested lists of numbers.")
        # JSON has no fractions that are whole: 0.0 may come as 0.
        return images if preparation.whole else images.astype(np.float64)
    columns: dict[str, list[Any]] = {column.name: [] for column in preparation.columns}
    for i, row in enumerate(instances, start=1):
        if not isinstance(row, dict):
            raise DataError(f"Row {i} is no object; expected one value for each column, by name.")
        for name, values in columns.items():
            if name not in row:
                raise DataError(f"Row {i} lacks {name!r}; give null where it is not known.")
            if not isinstance(row[name], str | int | float | None):
                raise DataError(f"Row {i}: {name!r} is neither a word, a number nor null.")
            if _holds_half(row[name]):
                raise DataError(
                    f"Row {i}: {name!r} holds half a character, {shown(row[name])}; expected text "
                    "that UTF-8 can write."
                )
            values.append(row[name])
    return pd.DataFrame(columns)


def _holds_half(value: object) -> bool:
    """Whether a word has one half of a pair of UTF-16 alone, which JSON can write."""
    return isinstance(value, str) and value.encode(errors="ignore").decode() != value
