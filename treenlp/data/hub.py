"""Rows of a corpus by its name or folder, through the ``datasets`` library.

A name is one of the Hugging Face hub and is fetched when first read; a folder (of CSV, JSON lines
or Parquet files, or one that ``save_to_disk`` wrote) is read as it is, without a connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from treenlp.data.parts import Part
from treenlp.errors import DataError

__all__ = ["HUB_PREFIX", "hub_parts"]

HUB_PREFIX = "datasets:"
"""What stands before a name or folder where a source may be other things, too."""

_SPLITS: Mapping[Part, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("validation", "dev", "valid"),
    "test": ("test",),
}


def hub_parts(name: str, columns: Sequence[str]) -> dict[Part, list[tuple[Any, ...]]]:
    """Read the wanted columns of every part that a corpus has.

    Args:
        name: folder, or name on the hub; a configuration may follow after a comma ("glue,sst2").
        columns: names of the columns, in the order in which they are wanted.

    Returns:
        Rows by part; a column of class labels gives their names, None where there is none. "train"
        is always there, the others where the corpus has them.

    Raises:
        DataError: if ``datasets`` is missing, the corpus cannot be read, or a column is not there.
    """
    found = _load(name)
    parts: dict[Part, list[tuple[Any, ...]]] = {}
    for part, names in _SPLITS.items():
        for split in names:
            if split in found:
                parts[part] = list(_rows(found[split], columns, f"{name} ({split})"))
                break
    if "train" not in parts:
        raise DataError(
            f"{name}: found the splits {', '.join(map(str, found)) or 'none'}, expected one that "
            "is called train"
        )
    return parts


def _load(name: str) -> Mapping[str, Any]:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"reading {name!r} needs the package datasets; install treenlp[datasets]"
        ) from error
    folder = Path(name).expanduser()
    try:
        if (folder / "dataset_dict.json").is_file():
            loaded: Any = datasets.load_from_disk(str(folder))
        else:
            path, _, config = name.partition(",")
            loaded = datasets.load_dataset(path, config or None)
    except Exception as error:  # whatever a loader, a file format or a connection may raise
        kind = "folder" if folder.exists() else "corpus on the hub, and there is no such folder"
        message = (str(error).splitlines() or [""])[0]
        raise DataError(
            f"{name!r} cannot be read as a {kind} ({type(error).__name__}: {message}); expected a "
            "folder of CSV, JSON lines or Parquet files called train, validation and test, or the "
            "name of a corpus and a connection"
        ) from error
    return dict(loaded)


def _rows(split: Any, columns: Sequence[str], place: str) -> Iterator[tuple[Any, ...]]:
    missing = [column for column in columns if column not in split.column_names]
    if missing:
        raise DataError(
            f"{place}: found no column {missing[0]!r}, expected one of: "
            f"{', '.join(split.column_names)}"
        )
    names = {
        column: feature.names
        for column, feature in split.features.items()
        if column in columns and hasattr(feature, "names")
    }
    for row in split.select_columns(list(columns)):
        yield tuple(_named(row[c], names.get(c)) for c in columns)


def _named(value: Any, names: Sequence[str] | None) -> Any:
    """A class label's name; None for -1, which stands for an answer that is kept back."""
    if names is None or value is None:
        return value
    return names[value] if value >= 0 else None
