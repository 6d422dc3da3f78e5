"""Pairs of sentences of the same words that this project wrote, to measure with and never to train.

The files are ``corpora/structure/en.tsv`` and ``zh.tsv`` of a checkout; corpora/README.md says how
they were made. Whoever forgets the order of the words cannot tell the two sides of a pair apart.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from treenlp.data.keys import text_key
from treenlp.data.paths import read_table
from treenlp.errors import DataError
from treenlp.text.characters import HAN

__all__ = ["StructureKind", "StructurePair", "bare_words", "read_structure_pairs"]

StructureKind = Literal[
    "roles",
    "modifier",
    "comparison",
    "clauses",
    "negation",
    "speech",
    "parallel",
    "direction",
    "focus",
]

_HEADER = ["label", "kind", "first", "second"]
_WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:['’-][^\W_{HAN}]+)*")


@dataclass(frozen=True, kw_only=True)
class StructurePair:
    """Two sentences of the same words, and whether they say the same.

    Attributes:
        first: one sentence.
        second: the other.
        label: 1 for the same meaning, 0 for another.
        kind: where the two differ if they do not say the same: who does what to whom, which
            noun is modified, what is more than what, which clause comes first or is the cause,
            what is negated, who says it of whom, which half goes with which, from where to
            where, what "only", "even" or a bound on a number belongs to.
    """

    first: str
    second: str
    label: int
    kind: StructureKind


def bare_words(text: str) -> tuple[str, ...]:
    """Return a text's words without case and punctuation; a Chinese character counts as a word.

    Example:
        >>> bare_words("Ann's dog, then 老猫。")
        ("ann's", 'dog', 'then', '老', '猫')
    """
    return tuple(_WORD.findall(text.lower()))


def read_structure_pairs(path: Path) -> tuple[StructurePair, ...]:
    """Read pairs in the order of the file.

    Args:
        path: tab-separated, with the header ``label kind first second``.

    Raises:
        DataError: if the file is missing, the header is another, a row is malformed, the sides of
            a pair differ in their words or not at all, or a sentence stands there twice. The
            message names file and line.
    """
    pairs: list[StructurePair] = []
    seen: dict[str, int] = {}
    for number, row in read_table(path, _HEADER):
        pair = _pair(row, f"{path}, line {number}")
        for text in (pair.first, pair.second):
            before = seen.setdefault(text_key(text), number)
            if before != number:
                raise DataError(
                    f"{path}, line {number}: found {text!r} again, which stands in line {before}; "
                    "expected each sentence once"
                )
        pairs.append(pair)
    return tuple(pairs)


def _pair(row: list[str], where: str) -> StructurePair:
    """Check one row and make it a pair; `where` begins every message."""
    fields = [field.strip() for field in row]
    if len(fields) != len(_HEADER) or fields[0] not in ("0", "1") or not all(fields):
        raise DataError(
            f"{where}: found {row}, expected a label of 0 or 1, a kind and two sentences with tabs "
            "between them"
        )
    label, kind, first, second = fields
    if kind not in get_args(StructureKind):
        known = ", ".join(get_args(StructureKind))
        raise DataError(f"{where}: found the kind {kind!r}, expected one of {known}")
    one, other = Counter(bare_words(first)), Counter(bare_words(second))
    if one != other:
        odd = sorted(((one - other) + (other - one)).elements())
        raise DataError(
            f"{where}: found words that only one side has ({', '.join(odd)}), expected the same "
            "words on both, as often; reword the pair"
        )
    if text_key(first) == text_key(second):
        raise DataError(f"{where}: found {first!r} on both sides, expected another order of words")
    return StructurePair(
        first=first, second=second, label=int(label), kind=cast(StructureKind, kind)
    )
