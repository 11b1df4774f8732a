"""evonet's web services in processes of their own."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from pathlib import Path

Answer = tuple[int, dict[str, str], str]


class Served:
    """`evonet watch` or `evonet serve` of a run."""

    def __init__(self, command: str, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "evonet", command, str(folder), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line
        self.port = int(found[1])

    def ask(
        self,
        path: str = "/",
        host: str | None = None,
        method: str = "GET",
        body: bytes | None = None,
    ) -> Answer:
        """Status, headers and text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Host": host} if host is not None else {}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text

    def end(self) -> None:
        """End the process, if it has not ended."""
        self.process.kill()
        self.process.communicate()
