"""The layers of ARCHITECTURE.md hold: a module imports only from layers below its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import fake_training

from evonet.config import make_config
from evonet.run import evolve

__all__ = ["fake_training"]

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "evonet"


def layers() -> dict[str, int]:
    """Module or folder to layer, read from the table in ARCHITECTURE.md."""
    table: dict[str, int] = {}
    for line in (ROOT / "ARCHITECTURE.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and cells[0].isdigit():
            for name in cells[1].replace("`", "").split(","):
                table[name.strip().removesuffix(".py").rstrip("/")] = int(cells[0])
    return table


def place(module: str) -> str:
    """The row of the table that a module belongs to: its folder, or itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "evonet"


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write evonet.…"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {node.module or ""} if node.module != "evonet" else names
    return found


def test_every_module_has_a_place_in_the_table_and_the_table_names_nothing_else() -> None:
    names = {
        place("evonet." + ".".join(p.relative_to(PACKAGE).with_suffix("").parts)) for p in modules()
    }
    assert names == set(layers())


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    table = layers()
    own = place("evonet." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    for name in sorted(imports(path)):
        if not name.startswith("evonet.") or place(name) == own or name == "evonet.__version__":
            continue
        assert table[place(name)] < table[own], (
            f"{path.relative_to(ROOT)} (layer {table[own]}) imports {name} (layer "
            f"{table[place(name)]}): a module imports only from layers below it."
        )


#: Packages that few modules know, and these modules.
USERS = {
    "deap": ["evolution/selection.py"],
    "optuna": ["evolution/tpe.py", "logs/optuna_storage.py", "logs/optuna_study.py"],
    "sqlalchemy": ["logs/optuna_storage.py"],
    "tensorboard": ["logs/event_files.py"],
}


@pytest.mark.parametrize("package", USERS)
def test_a_package_that_few_need_is_imported_where_it_is_needed_alone(package: str) -> None:
    users = [p for p in modules() if any(i.split(".")[0] == package for i in imports(p))]
    assert [p.relative_to(PACKAGE).as_posix() for p in users] == USERS[package]


def test_evonet_runs_without_packages_that_only_some_uses_need() -> None:
    """Modules that import them where they begin are themselves imported late."""
    absent = dict.fromkeys(set(USERS) - {"deap"})
    program = f"import sys; sys.modules |= {absent}; import evonet.cli, evonet.run"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-500:]


def test_nothing_is_ever_unpickled_or_evaluated() -> None:
    for path in modules():
        assert not {"pickle", "dill", "cloudpickle", "marshal", "shelve"} & imports(path), path
        calls = {
            n.func.id
            for n in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not {"eval", "exec", "compile"} & calls, path


COMMANDS = [
    ("-m", "evonet", "--help"),
    ("-m", "evonet", "evolve", "--help"),
    ("-m", "evonet", "list", "--results", "RESULTS"),
    ("-m", "evonet", "show", "RUN"),
    ("-m", "evonet", "plot", "RUN"),
    ("-m", "evonet", "report", "RUN"),
    ("-m", "evonet", "compare", "RUN", "--picture", "FILE.png"),
    ("-m", "evonet", "plan", "--data", "iris"),
    ("-m", "evonet", "check", "iris", "--shuffled-labels"),
    ("-m", "evonet", "save-population", "RUN", "FILE"),
    ("-m", "evonet", "to-tensorboard", "RUN"),
    ("-m", "evonet", "to-optuna", "RUN"),
    ("scripts/plot_fitness.py", "RUN"),
    ("scripts/plot_learning_curves.py", "RUN"),
    ("scripts/plot_population.py", "RUN"),
    ("scripts/plot_front.py", "RUN"),
]


@pytest.mark.usefixtures("fake_training")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_that_do_not_train_do_not_import_tensorflow(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    settings = {"data": "iris", "generations": 1, "results": tmp_path, "name": "run"}
    settings["objective"] = "score,parameters"  # so that it has every picture
    folder = evolve(make_config(settings)).folder
    names = {"RESULTS": str(tmp_path), "RUN": str(folder), "FILE": str(tmp_path / "p.json")}
    names["FILE.png"] = str(tmp_path / "p.png")
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *(names.get(word, word) for word in command)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr[-500:]
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "evonet" in imported
    assert not {"tensorflow", "keras", "jax"} & imported
