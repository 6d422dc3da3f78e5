"""Numbered lines of a UTF-8 file, compressed or not, for the readers of this folder."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from treenlp.errors import TreeFormatError

__all__ = ["numbered_lines"]


def numbered_lines(
    path_or_lines: str | os.PathLike[str] | Iterable[str], source: str | None
) -> Iterator[tuple[int, str]]:
    r"""Yield the lines with their numbers from 1, without a byte order mark.

    A line ends at ``\n`` and nowhere else; its end is kept.

    Args:
        path_or_lines: path of a UTF-8 file (gzip if its name ends in .gz), or its lines.
        source: name for error messages.

    Yields:
        Number and text of each line.

    Raises:
        TreeFormatError: if the file is not UTF-8.

    Example:
        >>> list(numbered_lines(["a", "b"], None))
        [(1, 'a'), (2, 'b')]
    """
    if not isinstance(path_or_lines, str | os.PathLike):
        for number, line in enumerate(path_or_lines, start=1):
            yield number, line.removeprefix("\ufeff") if number == 1 else line
        return
    path = Path(path_or_lines)
    # Bytes are split before they are decoded, so that an error is known to the line.
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise TreeFormatError(
                    f"found bytes that are not UTF-8 ({error.reason}); convert the file to UTF-8",
                    source=source,
                    line=number,
                ) from error
            yield number, line
