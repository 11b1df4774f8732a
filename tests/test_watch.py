"""A run's page live: served to this machine alone, and to no page that pretends to be it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from planted import Planted, add, genome, plant
from served import Served

from evonet.errors import ConfigError, RecordError
from evonet.local_server import open_port
from evonet.page import server
from evonet.page.server import LivePage, check_watchable
from evonet.store.folders import FILE
from evonet.store.record import RunRecord

pytest.importorskip("uvicorn", reason="the extra `watch` is not installed")


def a_run(folder: Path) -> Path:
    return plant(folder, [[Planted(genome(i), i / 10) for i in range(4)]])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    started = Served("watch", a_run(tmp_path_factory.mktemp("watch") / "run"))
    yield started
    started.end()


def test_page_is_served_and_follows_the_run(watched: Served) -> None:
    status, headers, text = watched.ask()
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert f'data-live="{headers["x-version"]}"' in text
    assert "connect-src 'self'" in text.replace("&#39;", "'")
    assert f'"version":"{headers["x-version"]}"' in watched.ask("/state")[2]
    with RunRecord(watched.folder) as record:
        add(record, "later", Planted(genome(9), 0.987))
    assert headers["x-version"] not in watched.ask("/state")[2]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::1]"]
)
@pytest.mark.parametrize("path", ["/", "/state"])
def test_any_other_host_is_refused(watched: Served, host: str, path: str) -> None:
    status, _, text = watched.ask(path, host)
    assert status == 400
    assert "flowers" not in text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:80"])
def test_this_machine_is_answered(watched: Served, host: str) -> None:
    assert watched.ask("/state", host)[0] == 200


def test_nothing_else_is_served_and_nothing_is_taken(watched: Served) -> None:
    assert watched.ask("/run.sqlite")[0] == 404
    assert watched.ask("/../run.sqlite")[0] == 404
    assert watched.ask("/", method="POST")[0] == 405


def test_it_listens_at_this_machine_alone() -> None:
    with open_port(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert listening.family == socket.AF_INET


def test_ctrl_c_ends_it_and_leaves_the_record_alone(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    before, names = (folder / FILE).read_bytes(), sorted(folder.iterdir())
    started = Served("watch", folder)
    assert started.ask()[0] == 200
    started.process.send_signal(signal.SIGINT)
    _, errors = started.process.communicate(timeout=60)
    assert (started.process.returncode, errors) == (0, "")
    assert (folder / FILE).read_bytes() == before
    assert sorted(folder.iterdir()) == names


def test_port_that_is_taken_names_the_way_out() -> None:
    with open_port(0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} .*in use.* --port 0"):
            open_port(port)
    with pytest.raises(ConfigError, match="from 0 to 65535, got 99999"):
        open_port(99_999)


def test_what_cannot_be_watched_is_refused_before_a_server_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecordError, match="No run at"):
        check_watchable(tmp_path)
    monkeypatch.setattr("evonet.local_server.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"starlette and uvicorn: pip install 'evonet\[watch\]'"):
        check_watchable(a_run(tmp_path / "run"))


class TestPace:
    def test_page_is_made_anew_only_for_a_new_record_and_not_too_often(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, now, used = [], [100.0], [0.0]

        def render(view: object) -> str:
            made.append(now[0])
            used[0] += 3.0  # it takes 3 seconds of a core
            return f"page {len(made)}"

        monkeypatch.setattr(server, "render", render)
        monkeypatch.setattr(server.time, "monotonic", lambda: now[0])
        monkeypatch.setattr(server.time, "thread_time", lambda: used[0])
        folder = a_run(tmp_path / "run")
        page = LivePage(folder)
        assert page.newest()[0] == "page 1"
        now[0] += 1000
        assert page.newest()[0] == "page 1", "the record is the same"
        with RunRecord(folder) as record:
            add(record, "later", Planted(genome(9), 0.9))
            assert page.newest()[0] == "page 2"
            add(record, "later still", Planted(genome(10), 0.9))
            now[0] += 29.0
            assert page.newest()[0] == "page 2", "a page that took 3 s is kept for 30"
            now[0] += 1.5
            assert page.newest() == ("page 3", page.version())

    def test_record_that_cannot_be_read_for_once_leaves_the_page_of_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = a_run(tmp_path / "run")
        page = LivePage(folder)
        text, version = page.newest()
        (folder / FILE).write_bytes(b"not a database")
        page._due = 0.0
        assert page.newest() == (text, version)
        with pytest.raises(RecordError, match="damaged"):
            LivePage(folder).newest()
