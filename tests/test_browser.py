"""The page in a real browser: Chromium without a window, through playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from planted import Planted, add, genome, plant
from served import Served
from test_page import HARD, HOSTILE, rows

from evonet.data.preparation import CategoricalColumn
from evonet.page.html import write_report
from evonet.store.record import RunRecord

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

SCREENS = [(w, c) for w in (1280, 390) for c in ("light", "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    installed = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no Chromium that starts: {str(error).splitlines()[0]}")
        yield started
        started.close()


class Tab:
    """A page in the browser, and everything it complained about or asked the network for."""

    def __init__(self, browser: Any, width: int, scheme: str, **options: Any) -> None:
        size = {"width": width, "height": 844}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, **options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, file: Path) -> Any:
        self.page.goto(file.as_uri())
        return self.page


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    runs: dict[str, dict] = {
        **{name: HARD[name] for name in ("finished", "two objectives", "under way", "given")},
        "hostile": {
            "generations": rows(2),
            "winner": rows(2)[-1][-1],
            "target": HOSTILE[-1],
            "data_name": HOSTILE[1],
            "classes": HOSTILE,
            "notes": HOSTILE,
            "columns": [CategoricalColumn(n, tuple(HOSTILE), False) for n in HOSTILE],
        },
    }
    return {name: write_report(plant(folder / name, **run)) for name, run in runs.items()}


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
@pytest.mark.parametrize("name", ["finished", "two objectives", "under way", "given", "hostile"])
def test_page_has_no_errors_no_overflow_and_asks_nobody(
    browser: Any, reports: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    tab = Tab(browser, width, scheme)
    page = tab.open(reports[name])
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.hacked") is None
    assert tab.complaints == []
    assert [url for url in tab.asked if not url.startswith(("file:", "data:"))] == []
    tab.context.close()


def test_dark_is_dark_and_text_can_be_read_in_both(browser: Any, reports: dict[str, Path]) -> None:
    contrast = """() => {
      const parts = (c) => c.match(/[0-9.]+/g).slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      const light = (c) => { const [r, g, b] = parts(c); return 0.2126*r + 0.7152*g + 0.0722*b; };
      const card = light(getComputedStyle(document.querySelector("section")).backgroundColor);
      return [".lead", "h2", "summary", "figcaption", ".note", "svg .tick"].map((s) => {
        const style = getComputedStyle(document.querySelector(s));
        const own = light(s.startsWith("svg") ? style.fill : style.color);
        return (Math.max(own, card) + 0.05) / (Math.min(own, card) + 0.05);
      });
    }"""
    for scheme in ("light", "dark"):
        tab = Tab(browser, 1280, scheme)
        page = tab.open(reports["finished"])
        # WCAG 2.1, 1.4.3: 4.5 for text of this size.
        assert min(page.evaluate(contrast)) >= 4.5, scheme
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(paper.split("(")[1].split(",")[0]) < 60) == (scheme == "dark")
        tab.context.close()


def test_pointing_at_a_network_tells_what_it_is_and_lights_up_its_kin(
    browser: Any, reports: dict[str, Path]
) -> None:
    tab = Tab(browser, 1280, "light")
    page = tab.open(reports["finished"])
    mark = page.locator("#fitness .wide circle[data-c='17']")
    mark.scroll_into_view_if_needed()
    mark.hover()
    said = page.locator("#tip").inner_text()
    assert said.splitlines()[0] == "accuracy 0.6700"
    assert said.splitlines()[1] == str(genome(17))
    assert "generation 2, made by widen" in said
    assert f"parent: 0.5900, {genome(9)}" in said
    kin = page.evaluate("[...document.querySelectorAll('.kin')].map((e) => +e.dataset.c)")
    assert set(kin) == {9, 25}
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    assert tab.complaints == []
    tab.context.close()


def test_keyboard_walks_through_the_marks_of_a_picture(
    browser: Any, reports: dict[str, Path]
) -> None:
    tab = Tab(browser, 1280, "light")
    page = tab.open(reports["finished"])
    page.locator("#fitness .wide svg").focus()
    said = []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        said.append(page.locator("#tip").inner_text())
    assert len(set(said)) == 3
    assert all(text.startswith("accuracy ") for text in said)
    page.keyboard.press("ArrowLeft")
    assert page.locator("#tip").inner_text() == said[1]
    tab.context.close()


def test_the_first_step_back_is_to_the_last_mark(browser: Any, reports: dict[str, Path]) -> None:
    tab = Tab(browser, 1280, "light")
    page = tab.open(reports["finished"])
    page.locator("#fitness .wide svg").focus()
    said = []
    for key in ("ArrowLeft", "ArrowRight", "ArrowLeft"):  # there, around to the first, and back
        page.keyboard.press(key)
        box = page.locator("#fitness .wide .hot").first.bounding_box()
        said.append(box["x"] + box["width"] / 2)
    places = page.locator("#fitness .wide [data-c]").evaluate_all(
        "(marks) => marks.map((m) => m.getBoundingClientRect()).map((b) => b.x + b.width / 2)"
    )
    expected = [max(places), min(places), max(places)]
    assert said == pytest.approx(expected, abs=1)  # pixel
    tab.context.close()


def test_a_request_that_fails_once_is_forgotten(browser: Any, tmp_path: Path) -> None:
    watched = Served("watch", plant(tmp_path / "run", rows(2)))
    try:
        tab = Tab(browser, 1280, "light")
        page = tab.page
        page.goto(f"http://127.0.0.1:{watched.port}/")
        before = page.locator("#state").evaluate("(e) => e.outerHTML")
        page.route("**/state", lambda route: route.abort())
        page.get_by_text("the server has ended").wait_for(timeout=60_000)
        page.wait_for_timeout(2500)  # for a second failure, which is not to be taken for the state
        page.unroute("**/state")
        page.get_by_text("the server has ended").wait_for(state="detached", timeout=60_000)
        assert page.locator("#state").evaluate("(e) => e.outerHTML") == before
        tab.context.close()
    finally:
        watched.end()


def test_tap_shows_and_a_tap_elsewhere_hides(browser: Any, reports: dict[str, Path]) -> None:
    tab = Tab(browser, 390, "light", has_touch=True)
    page = tab.open(reports["finished"])
    mark = page.locator("#fitness .narrow circle[data-c='39']")
    mark.scroll_into_view_if_needed()
    mark.tap(force=True)
    assert page.locator("#tip").inner_text().startswith("accuracy 0.8900")
    box = page.locator("#tip").bounding_box()
    assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
    page.locator("#fitness h2").tap()
    assert page.locator("#tip").is_hidden()
    tab.context.close()


def test_live_page_takes_over_what_changed_and_stays_where_it_is(
    browser: Any, tmp_path: Path
) -> None:
    watched = Served("watch", plant(tmp_path / "run", rows(2)))
    try:
        tab = Tab(browser, 1280, "light")
        page = tab.page
        page.goto(f"http://127.0.0.1:{watched.port}/")
        page.locator("#protocol summary").first.click()
        page.locator("#fitness summary").first.focus()
        page.evaluate("document.getElementById('protocol').scrollIntoView({behavior: 'instant'})")
        place = "document.getElementById('protocol').getBoundingClientRect().top"
        before = None
        while before != (before := page.evaluate(place)):  # until what was opened lies still
            page.wait_for_timeout(500)
        figure = page.locator("#fitness figure").first.inner_html()
        with RunRecord(watched.folder) as record:
            add(record, "later", Planted(genome(99), 0.999))
        page.get_by_text("scores 0.9990 on the validation part").wait_for(timeout=60_000)
        assert page.locator("#fitness figure").first.inner_html() != figure
        focus = "[document.activeElement.tagName, document.activeElement.closest('section').id]"
        assert page.evaluate(focus) == ["SUMMARY", "fitness"]
        after = page.evaluate(place)
        assert after == pytest.approx(before, abs=2)  # pixels
        assert page.locator("#protocol details").first.get_attribute("open") is not None
        assert "1 trained" in page.locator("#state").inner_text()
        assert tab.complaints == []
        tab.context.close()
    finally:
        watched.end()
