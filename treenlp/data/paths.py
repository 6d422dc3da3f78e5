"""Where the reference sets live on this machine, and how their files are opened.

Sets are folders under one root: the environment variable ``TREENLP_DATA``, or
``~/.cache/treenlp`` where it is not set. Nothing here is read at import time.
"""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from treenlp.errors import DataError

__all__ = [
    "DATA_VARIABLE",
    "data_root",
    "decoded_lines",
    "find_file",
    "open_text",
    "read_lines",
    "read_table",
    "zip_members",
]

DATA_VARIABLE = "TREENLP_DATA"


def data_root() -> Path:
    """Return the folder that holds the reference sets; it need not exist.

    Example:
        >>> os.environ["TREENLP_DATA"] = "/somewhere"
        >>> str(data_root())
        '/somewhere'
    """
    given = os.environ.get(DATA_VARIABLE)
    return Path(given).expanduser() if given else Path.home() / ".cache" / "treenlp"


def find_file(set_name: str, file: str, *, root: Path | None = None) -> Path:
    """Return the path of one file of a set.

    Args:
        set_name: folder of the set, for instance ``"silver_zh"``.
        file: path of the file inside that folder, with forward slashes.
        root: folder that holds the sets; `data_root` by default.

    Raises:
        DataError: if the file is not there. The message names the set, the place and the remedy.
    """
    base = data_root() if root is None else root
    path = base / set_name / file
    if path.is_file():
        return path
    if root is not None:
        origin = f"root {root}"
    elif os.environ.get(DATA_VARIABLE):
        origin = f"{DATA_VARIABLE}={os.environ[DATA_VARIABLE]}"
    else:
        origin = f"{DATA_VARIABLE} is not set, so the default {base}"
    state = "the set's folder is there, this file is not"
    if not (base / set_name).is_dir():
        state = "the set's folder does not exist"
    raise DataError(
        f"data set {set_name!r}: expected the file {path} ({origin}); {state}. "
        f"Put the set under a folder of your choice and set {DATA_VARIABLE} to that folder; "
        "`treenlp data list --json` says where it comes from, `treenlp data get` gets what it can"
    )


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    r"""Open a UTF-8 text, gzipped if its name ends in ``.gz``; lines end at ``\n`` only."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            yield file
    else:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield file


def read_lines(path: Path) -> Iterator[str]:
    r"""Yield the lines of a text file without their ends; a leading byte-order mark is dropped.

    Raises:
        DataError: if the file is not UTF-8 or a compressed file is damaged.
    """
    try:
        with open_text(path) as file:
            for number, line in enumerate(file):
                text = line.rstrip("\r\n")
                yield text.removeprefix("\ufeff") if number == 0 else text
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: cannot be read as UTF-8 text ({error}); `treenlp data check` "
            "compares it with its recorded checksum; fetch it again if they differ"
        ) from error


def read_table(path: Path, header: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Read a tab-separated file of this project's own corpora.

    Args:
        path: with these names in its first row. Empty lines and lines that begin with ``#`` are
            skipped.
        header: names of the columns.

    Returns:
        Number of the line and cells of every row below the header; the cells are not checked.

    Raises:
        DataError: if the file is missing, is not UTF-8 or has another header.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); take it from a checkout") from error
    rows = [
        (number, line.split("\t"))
        for number, line in enumerate(lines, start=1)
        if line and not line.startswith("#")
    ]
    found = rows[0][1] if rows else []
    if found != list(header):
        raise DataError(f"{path}: found the header {found}, expected {list(header)}")
    return rows[1:]


def decoded_lines(content: bytes, *, source: str) -> Iterator[str]:
    """Yield the lines of a text held as bytes.

    Raises:
        DataError: if the bytes are not UTF-8.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8 ({error}); fetch the file again") from error
    for line in io.StringIO(text, newline="\n"):
        yield line.rstrip("\r\n")


def zip_members(path: Path, *, prefix: str, suffix: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the members of a zip file, sorted by name.

    Args:
        path: the zip file.
        prefix: only members whose name starts so.
        suffix: only members whose name ends so.

    Raises:
        DataError: if the file is not a zip file or no member matches.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(
                name
                for name in archive.namelist()
                if name.startswith(prefix) and name.endswith(suffix) and not name.endswith("/")
            )
            if not names:
                raise DataError(
                    f"{path}: no member matches {prefix}*{suffix}; expected the corpus as NLTK "
                    "distributes it: fetch it again"
                )
            for name in names:
                yield name, archive.read(name)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: not a zip file ({error}); fetch it again") from error
