"""The part of a training script that reads its data."""

from __future__ import annotations

from dataclasses import dataclass

from evonet.data.sources import EMBEDDED
from evonet.data.target import Target


@dataclass(frozen=True)
class Source:
    """Where a script's data come from.

    Attributes:
        file: what the file that it is given holds, in words; empty where it needs none.
        head: the first lines of the script.
        text: the function that reads them.
        packages: what has to be installed for it.
    """

    file: str
    head: str
    text: str
    packages: tuple[str, ...] = ()


def source_of(data: str, images: bool, target: Target) -> Source:
    """Where the script gets the data of a run.

    Args:
        data: where the run's data came from.
        images: whether they are images.
        target: what is predicted.
    """
    if data in EMBEDDED:
        return Source("", "from pathlib import Path\n", _EMBEDDED[data], ("scikit-learn",))
    if data.endswith(".npz"):
        made = _MADE_OF_IMAGES if images else _MADE_OF_A_MATRIX
        text = _READ_ARRAYS.format(made=made, what="Images" if images else _A_TABLE)
        return Source("an NPZ file with x_train and y_train", _HEAD.format(more=""), text)
    numbers = all(type(label) in (int, float) for label in target.classes)  # a quantity has none
    text = _READ_TABLE.format(
        target=repr(target.name),
        too=f" + [{target.name!r}]" if numbers else "",
        numbers=_NUMBERS.format(target=repr(target.name)) if numbers else "",
    )
    what = "a CSV, TSV, Parquet or Feather file"
    # By pyarrow pandas reads Parquet and Feather.
    return Source(what, _HEAD.format(more="import gzip\nimport re\n"), text, ("pyarrow",))


_HEAD = """{more}import sys
from pathlib import Path

if __name__ == "__main__":  # before all that takes long to load
    if len(sys.argv) != 2:
        sys.exit(f"Usage: python {{sys.argv[0]}} DATA")
    if not Path(sys.argv[1]).is_file():
        sys.exit(f"No file at {{sys.argv[1]}}")
"""
_READ_TABLE = '''
def read(file):
    """Features and labels of a table."""
    separator = ""
    if file.endswith((".parquet", ".feather")):
        table = pd.read_parquet(file) if file.endswith(".parquet") else pd.read_feather(file)
    else:
        separator = separator_of(file)
        how = {{"keep_default_na": False, "na_values": [""], "low_memory": False}}
        table = pd.read_csv(file, sep=separator, **how)
    if missing := [name for name in [*COLUMNS, {target}] if name not in table]:
        sys.exit(f"{{file}} has no column {{', '.join(map(repr, missing))}}; see COLUMNS.")
    if separator == ";":  # which leaves the comma to decimals
        for name in [name for name, known in COLUMNS.items() if len(known) == 4]{too}:
            table[name] = [v.replace(",", ".") if isinstance(v, str) else v for v in table[name]]
{numbers}    table = table.dropna(subset=[{target}])
    return table, table[{target}]


def separator_of(file):
    """What separates cells: a comma, or what the first line has instead."""
    if ".tsv" in file:
        return "\\t"
    with (gzip.open if file.endswith(".gz") else open)(file, "rt", errors="replace") as opened:
        line = re.sub('"[^"]*"', "", opened.readline())
    return next((separator for separator in ",;\\t|" if separator in line), ",")
'''
_NUMBERS = """    # Words for "missing" beside numbers are missing.
    table[{target}] = pd.to_numeric(table[{target}], errors="coerce")
"""
_READ_ARRAYS = '''
def read(file):
    """{what}, and labels."""
    arrays = np.load(file)
    if missing := sorted({{"x_train", "y_train"}} - set(arrays.files)):
        sys.exit(f"{{file}} has no array {{', '.join(missing)}}; expected x_train and y_train.")
    labels = arrays["y_train"].reshape(-1)
    known = labels == labels  # a missing one is not equal to itself
    return {made}, labels[known]
'''
_A_TABLE = "Features, as a table with the columns x0, x1, ..."
_MADE_OF_IMAGES = 'arrays["x_train"][known]'
_MADE_OF_A_MATRIX = 'pd.DataFrame(arrays["x_train"][known]).add_prefix("x")'
_EMBEDDED_CLASSES = '''
def read():
    """Features and labels of a data set that scikit-learn brings."""
    loaded = datasets.load_{name}(as_frame=True)
    return loaded.data, loaded.target_names[loaded.target]
'''
_EMBEDDED = {
    name: _EMBEDDED_CLASSES.format(name=name) for name in ("iris", "wine", "breast_cancer")
}
_EMBEDDED["digits"] = '''
def read():
    """Images and labels of a data set that scikit-learn brings."""
    loaded = datasets.load_digits()
    return loaded.images, loaded.target
'''
_EMBEDDED["diabetes"] = '''
def read():
    """Features and labels of a data set that scikit-learn brings."""
    loaded = datasets.load_diabetes(as_frame=True)
    return loaded.data, loaded.target
'''
_EMBEDDED["circles"] = '''
def read():
    """Points in two rings, and which ring each is of."""
    x, y = datasets.make_circles(1000, factor=0.5, noise=0.1, random_state=0)
    return pd.DataFrame(x, columns=["x0", "x1"]), np.where(y == 1, "inner", "outer")
'''
