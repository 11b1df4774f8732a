"""The page of a run as one HTML file: nothing in it is loaded from elsewhere.

What may run on it is one script and one style sheet, named by their hashes in the page's own
Content-Security-Policy: text from data is escaped, and could do nothing if it were not.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from evonet import __version__
from evonet.errors import EvonetError, RecordError
from evonet.page.blocks import brief
from evonet.page.sections import sections_of
from evonet.page.view import View
from evonet.sentences import score_text
from evonet.store.record import RunRecord
from evonet.store.snapshot import Snapshot

if TYPE_CHECKING:
    from jinja2 import Template

    from evonet.diagnosis.diagnosis import Diagnosis

FILE = "report.html"
#: Letters of a network in what is shown at a point.
_MOST_GENOME = 300


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Write the page of a run, with a diagnosis of its winner where the data are still there.

    Args:
        folder: the run's folder.
        output: file to write; report.html in the run's folder where it is None.

    Returns:
        The file.

    Raises:
        RecordError: there is no run, or the file cannot be written.
    """
    file = output or folder / FILE
    with Snapshot(folder) as record:
        text = render(View(record, diagnosis=_diagnosis(record)))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    except OSError as error:
        raise RecordError(
            f"Cannot write the report {file}: {error.strerror or error}. Pass --output FILE."
        ) from None
    return file


def _diagnosis(record: RunRecord) -> Diagnosis | None:
    """What is to be said of the winner; None where there is none, or its data or files are gone."""
    from evonet.diagnosis.diagnosis import diagnose  # loads Numba
    from evonet.diagnosis.subject import subject_of

    if not record.winners():
        return None
    try:
        return diagnose(subject_of(record))
    except EvonetError:
        return None


def render(view: View) -> str:
    """The page of a run as HTML."""
    style, script = _asset("style.css"), _asset("script.js")
    return _template().render(
        title=_title(view),
        run=brief(view.record.folder.resolve().name),
        state=_state(view),
        verdict=_verdict(view),
        sections=sections_of(view),
        style=style,
        script=script,
        points=_points(view),
        live=view.live,
        policy=_policy(style, script, bool(view.live)),
        version=__version__,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("evonet.page", "assets")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


@cache
def _asset(name: str) -> str:
    return (files("evonet.page") / "assets" / name).read_text("utf-8")


def _policy(style: str, script: str, live: bool) -> str:
    """What the browser may do on the page."""

    def named(text: str) -> str:
        digest = hashlib.sha256(text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    connect = "; connect-src 'self'" if live else ""
    return (
        f"default-src 'none'; style-src {named(style)}; script-src {named(script)}; img-src data:; "
        f"base-uri 'none'; form-action 'none'{connect}"
    )


def _points(view: View) -> str:
    """All trainings, as the script shows them, in JSON that no HTML can be hidden in."""
    said = [view.said(point) for point in view.points]
    for entry in said:
        entry["g"] = brief(entry["g"], _MOST_GENOME)
    text = json.dumps({"metric": view.metric_words, "points": said}, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _title(view: View) -> str:
    target = brief(view.data.target.name, 40)
    return f"Networks for '{target}' in {brief(view.data.name, 40)}"


def _state(view: View) -> tuple[str, str]:
    """What the run is at: a word of ``style.css``, and in words."""
    if not view.result.interrupted:
        return "done", "finished"
    n = len(view.record.generations())
    if view.live:
        under_way = sum(p.born is None for p in view.points)
        return "live", f"generation {n}, {under_way} trained" if view.searched else "under way"
    return "open", f"not finished: {n} generation{'' if n == 1 else 's'} so far"


def _verdict(view: View) -> str:
    """The run in one or two sentences."""
    winner, words = view.winner, view.metric_words
    n_test = f"{view.result.n_test:,}"
    if winner is None:
        if not view.ranked:
            return "Nothing is trained yet."
        best = score_text(view.ranked[0].score)
        return (
            f"The best of {len(view.points):,} networks so far scores {best} on the validation "
            f"part ({words}, {view.better}). The test part is used once, at the end."
        )
    if winner.test_score is None:
        return "The winner has no test score: a test row holds numbers far beyond training's."
    rivals = [b for b in view.result.baselines if b.test_score is not None]
    said = ", ".join(f"{brief(b.name, 30)} {score_text(b.test_score)}" for b in rivals)
    as_good, perhaps = (
        [brief(b.name, 30) for b in some]
        for some in (view.result.as_good, view.result.perhaps_beaten)
    )
    if not rivals:
        judged = ""
    elif perhaps and not as_good:
        judged = f" That is better than what takes no search ({said}), but the lead over "
        judged += f"{' and '.join(perhaps)} may be chance."
    elif not as_good:
        judged = f" That is better than what takes no search ({said})."
    else:
        verb = "is" if len(as_good) == 1 else "are"
        judged = f" Without any search, {', '.join(as_good)} {verb} as good or better ({said})."
    return (
        f"The network that won scores {score_text(winner.test_score)} ({words}, {view.better}) on "
        f"{n_test} rows that took part in no choice.{judged}{_doubt(view)}"
    )


def _doubt(view: View) -> str:
    """Why the score may flatter, if it may."""
    if not view.result.doubts:
        return ""
    return f" But all scores may flatter: {brief(view.result.doubts[0].seen, 200)}"
