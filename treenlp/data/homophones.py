"""Sets of Chinese characters that sound the same, tone included, written by this project.

The file is ``corpora/homophones/zh.tsv`` of a checkout; corpora/README.md says how it was made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from treenlp.data.paths import read_table
from treenlp.errors import DataError
from treenlp.text.characters import is_cjk

__all__ = ["HomophoneSet", "read_homophones"]

_HEADER = ["sound", "characters"]
_SOUND = re.compile("[a-zü]+[1-4]")
_FEWEST, _MOST = 2, 6


@dataclass(frozen=True, kw_only=True)
class HomophoneSet:
    """Characters that only context tells apart when they are heard.

    Attributes:
        sound: their syllable in pinyin with the tone as a digit, such as "jing4".
        characters: 2 to 6 of them.
    """

    sound: str
    characters: tuple[str, ...]


def read_homophones(path: Path) -> tuple[HomophoneSet, ...]:
    """Read sets in the order of the file.

    Args:
        path: tab-separated, with the header ``sound characters`` and commas between characters;
            empty lines and lines that begin with ``#`` are skipped.

    Raises:
        DataError: if the file is missing or has no set, the header is another, a row is
            malformed, or a sound or a character stands there twice. The message names file and
            line.
    """
    found: dict[str, HomophoneSet] = {}
    seen: dict[str, str] = {}
    for number, row in read_table(path, _HEADER):
        where = f"{path}, line {number}"
        if len(row) != len(_HEADER) or not _SOUND.fullmatch(row[0]):
            raise DataError(
                f"{where}: found {row}, expected a syllable with its tone, such as jing4, and "
                "characters with a tab between"
            )
        sound, characters = row[0], tuple(row[1].split(","))
        if not _FEWEST <= len(characters) <= _MOST:
            raise DataError(
                f"{where}: found {len(characters)} characters, expected {_FEWEST} to {_MOST} with "
                "commas between"
            )
        if sound in found:
            raise DataError(f"{where}: found the sound {sound} again; expected each once")
        for character in characters:
            if len(character) != 1 or not is_cjk(character):
                raise DataError(f"{where}: found {character!r}, expected one Chinese character")
            if character in seen:
                raise DataError(
                    f"{where}: found {character} again, which stands under {seen[character]}; "
                    "expected each character once"
                )
            seen[character] = sound
        found[sound] = HomophoneSet(sound=sound, characters=characters)
    if not found:
        raise DataError(f"{path}: found no set, expected one or more")
    return tuple(found.values())
