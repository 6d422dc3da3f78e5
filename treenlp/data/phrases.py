"""Phrases with a sentiment class that this project wrote, to measure with and never to train.

The file is ``corpora/phrases/zh.tsv`` of a checkout; corpora/README.md says how it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from treenlp.data.paths import read_table
from treenlp.errors import DataError

__all__ = ["JudgedPhrase", "PhraseKind", "read_phrases"]

PhraseKind = Literal["negation", "contrast", "degree", "irony", "neutral"]

_HEADER = ["class", "kind", "phrase"]


@dataclass(frozen=True, kw_only=True)
class JudgedPhrase:
    """A phrase and what a reader takes it to say.

    Attributes:
        text: the phrase.
        label: 0 very negative, 1 negative, 2 neutral, 3 positive, 4 very positive.
        kind: what makes it hard.
    """

    text: str
    label: int
    kind: PhraseKind


def read_phrases(path: Path) -> tuple[JudgedPhrase, ...]:
    """Read phrases in the order of the file.

    Args:
        path: tab-separated, with the header ``class kind phrase``.

    Raises:
        DataError: if the file is missing, the header is another, a row is malformed or a phrase
            stands there twice. The message names file and line.
    """
    found: dict[str, JudgedPhrase] = {}
    for number, row in read_table(path, _HEADER):
        if len(row) != len(_HEADER) or row[0] not in ("0", "1", "2", "3", "4"):
            raise DataError(
                f"{path}, line {number}: found {row}, expected a class from 0 to 4, a kind and a "
                "phrase with tabs between them"
            )
        label, kind, text = int(row[0]), row[1], row[2].strip()
        if kind not in get_args(PhraseKind):
            raise DataError(
                f"{path}, line {number}: found the kind {kind!r}, expected one of "
                f"{', '.join(get_args(PhraseKind))}"
            )
        if not text or text in found:
            raise DataError(
                f"{path}, line {number}: found the phrase {text!r} "
                f"{'again' if text else 'where there is none'}; expected each once"
            )
        found[text] = JudgedPhrase(text=text, label=label, kind=cast(PhraseKind, kind))
    return tuple(found.values())
