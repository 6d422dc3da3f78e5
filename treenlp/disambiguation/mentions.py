"""Later mentions of counted things: 这两位 …, 两个老师 …, 一个来自北大，一个来自清华.

A mention says again how many things there are, and often what they are: by a classifier that the
first mention did not use, by the noun itself, or by a predicate that fits some things only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from treenlp.errors import ModelError
from treenlp.parsing.readings import Interpretation

__all__ = [
    "GENERAL_CLASSIFIERS",
    "NOUNS",
    "NUMBERS",
    "PERSON_CLASSIFIERS",
    "SEVERAL",
    "Mention",
    "find_mentions",
    "predicate_classifiers",
]

Span = tuple[int, int]

GENERAL_CLASSIFIERS: Final = frozenset("个种些类")
"""Classifiers that tell next to nothing of what they count."""
PERSON_CLASSIFIERS: Final = ("位", "名")
"""What counts persons, the first as well for 两人 and 他们俩."""
NOUNS: Final = frozenset(("NN", "NR"))
"""Tags of what can be counted."""
SEVERAL: Final = 0
"""The number of 几: unknown, but more than one."""

NUMBERS: Final[Mapping[str, int]] = {
    **{character: value for value, character in enumerate("一二三四五六七八九十", start=1)},
    **{character: value for value, character in enumerate("123456789", start=1)},
    **{"两": 2, "俩": 2, "仨": 3, "几": SEVERAL},
}
"""Values of the numerals of one character."""
_MEASURES: Final = frozenset("年天日月周岁点分秒次遍回趟元米里斤倍成")  # of no nameable things
_LONG: Final = frozenset("一二三四五六七八九十百千万亿")  # before it: a numeral of more characters
_PAIRED: Final = ("俩", "仨")
_IN_COMPOUNDS: Final = frozenset("NN NR NT JJ DEG CD OD M PN VA".split())
_COUNTING: Final = frozenset("CD OD DT M".split())
_MARKS: Final = "PU"
_TABLE: Final = "predicates.tsv"


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A place where things are counted.

    Attributes:
        number: how many; `SEVERAL` where that is not said.
        classifier: what they are counted with, one character.
        noun: the counted noun, None where the numeral and the classifier stand alone.
        predicate: words and tags after it, up to the next mark.
        place: atoms of the numeral and the classifier, half-open.
    """

    number: int
    classifier: str
    noun: str | None
    predicate: tuple[tuple[str, str], ...]
    place: Span


def find_mentions(best: Interpretation, atoms: Sequence[str]) -> Iterator[Mention]:
    """Yield what a sentence counts, from left to right.

    Args:
        best: its best tree.
        atoms: of the sentence, as the model reads them.
    """
    skeleton, tags = best.skeleton, best.tree.tags
    words = ["".join(atoms[start:end]) for start, end in skeleton.words]
    for at, (start, end) in enumerate(skeleton.words):
        word, noun_at = words[at], None
        if word in _MEASURES:
            continue
        if word.endswith("人") and _is_numeral(atoms, end - 2):
            numeral, classifier = end - 2, PERSON_CLASSIFIERS[0]
        elif tags[at] == "M" and len(word) == 1 and _is_numeral(atoms, start - 1):
            numeral, classifier = start - 1, word
            noun_at = _counted(best, at)
        elif word.endswith(_PAIRED):
            numeral, classifier = end - 1, PERSON_CLASSIFIERS[0]
        else:
            continue
        after = (at if noun_at is None else noun_at) + 1
        stop = next((n for n in range(after, len(words)) if tags[n] == _MARKS), len(words))
        yield Mention(
            number=NUMBERS[atoms[numeral]],
            classifier=classifier,
            noun=None if noun_at is None else words[noun_at],
            predicate=tuple(zip(words[after:stop], tags[after:stop], strict=True)),
            place=(numeral, end),
        )


def _is_numeral(atoms: Sequence[str], at: int) -> bool:
    """Whether a numeral of one character stands there."""
    return at >= 0 and atoms[at] in NUMBERS and not (at and atoms[at - 1] in _LONG)


def _counted(best: Interpretation, classifier: int) -> int | None:
    """The noun that a classifier counts, with nothing but a compound between; both by number."""
    tags, heads = best.tree.tags, best.skeleton.heads
    head = heads[classifier]
    while 0 <= head < classifier and tags[head] in _COUNTING:
        head = heads[head]
    is_noun = head > classifier and tags[head] in NOUNS
    return head if is_noun and _IN_COMPOUNDS.issuperset(tags[classifier + 1 : head]) else None


def predicate_classifiers(predicate: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Classifiers that would count what the predicate is said of; none if nothing is known.

    The first word that is known decides.

    Args:
        predicate: its words and their tags.

    Example:
        >>> predicate_classifiers([("都", "AD"), ("来自", "VV"), ("北大", "NR")])
        ('位', '名')
    """
    known, endings = _predicates()
    for word, tag in predicate:
        found = known.get(word) or next(
            (value for ending, value in endings.items() if word.endswith(ending)), None
        )
        if found is not None and (not found[0] or tag in found[0]):
            return found[1]
    return ()


_Known = Mapping[str, tuple[frozenset[str], tuple[str, ...]]]


@cache
def _predicates() -> tuple[_Known, _Known]:
    """Read the table: tags (none means any) and classifiers of words and of endings."""
    path = files("treenlp").joinpath("models").joinpath(_TABLE)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ModelError(
            f"found no {_TABLE} in the package, expected it under treenlp/models; reinstall treenlp"
        ) from error
    words: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {}
    endings: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {}
    for line in [line for line in lines if line and not line.startswith("#")][1:]:
        word, tags, classifiers = line.split("\t")
        value = (frozenset(filter(None, tags.split(","))), tuple(classifiers.split(",")))
        if word.startswith("*"):
            endings[word[1:]] = value
        else:
            words[word] = value
    return words, endings
