r"""Where texts come from: arguments, files and standard input, as bytes cut at ``\n`` only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from treenlp.errors import InputError

__all__ = ["from_arguments", "from_files", "source"]


def from_arguments(texts: Sequence[str]) -> Iterator[bytes]:
    """Yield each argument as the bytes that the shell gave."""
    for text in texts:
        yield os.fsencode(text)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    for line in file:  # a binary file is cut at \n and nowhere else
        yield line.removesuffix(b"\n").removesuffix(b"\r")


def from_files(paths: Sequence[Path]) -> Iterator[bytes]:
    """Yield the lines of files, one after another; ``-`` is standard input.

    Raises:
        InputError: if a file cannot be opened.
    """
    for path in paths:
        if str(path) == "-":
            yield from _lines(sys.stdin.buffer)
            continue
        try:
            file = path.open("rb")
        except OSError as error:
            raise InputError(
                f"found no readable file {str(path)!r} ({error.strerror}); give -f an existing one"
            ) from error
        with file:
            yield from _lines(file)


def source(texts: Sequence[str], files: Sequence[Path]) -> Iterator[bytes]:
    """Choose: arguments if there are any, otherwise files, otherwise standard input.

    Raises:
        InputError: if arguments and files are both given.
    """
    if texts and files:
        raise InputError("found texts and -f together, expected one of them; drop the other")
    if texts:
        return from_arguments(texts)
    return from_files(files or [Path("-")])


@contextmanager
def closing_quietly() -> Iterator[None]:
    """Let a reader that goes away (``| head``) end the program without a trace."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes standard output once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
