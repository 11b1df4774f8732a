"""The README's way from a CSV to a served prediction, run as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

README = Path(__file__).parents[1] / "README.md"
HEADING = "## From a CSV to a served prediction"

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")


@pytest.mark.skipif(not shutil.which("bash"), reason="the walk-through is for bash")
@pytest.mark.skipif(not shutil.which("curl"), reason="the walk-through asks with curl")
def test_the_walk_through_of_the_readme_ends_with_a_prediction(tmp_path: Path) -> None:
    block = README.read_text("utf-8").partition(HEADING)[2].partition("```sh\n")[2]
    lines = block.partition("```")[0].splitlines()
    assert lines[0].startswith("pip install")
    assert len(lines) < 10
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (tmp_path / "said").open("w") as out:
        shell = subprocess.Popen(
            ["bash", "-e", "-c", "\n".join(lines[1:])],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # by which the service is found and ended
        )
    try:
        status = shell.wait(timeout=600)
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
    said = (tmp_path / "said").read_text("utf-8")
    assert status == 0, said
    found = re.search(r'^\{"predictions".*\}$', said, re.MULTILINE)
    assert found, said
    answer = json.loads(found[0])
    assert answer["predictions"] == [0]
    assert answer["probabilities"][0]["0"] > 0.8
    assert (tmp_path / "results" / "iris" / "report.html").is_file()
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    right = predicted["prediction"] == pd.read_csv(tmp_path / "iris.csv")["target"]
    assert right.mean() > 0.9
