"""A lexicon of the user's own: words the parser should know, and words that go together.

It is a table of UTF-8 text with tabs between its four columns and this header::

    kind        first   second  weight
    word        球拍    NN      5
    classifier  台      机器人  4
    object      撰写    论文    4

A ``word`` is one word of that tag; a ``classifier`` counts the noun; a verb takes its ``object``.
The weight is what is added to the log score of a tree that has it so, in nats; a negative one
speaks against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from treenlp.errors import LexiconError
from treenlp.lexicon.entries import read_rows
from treenlp.text import detect_language
from treenlp.text.normalize import normalize

__all__ = ["MAX_WEIGHT", "UserLexicon"]

MAX_WEIGHT = 100.0
"""Largest weight, in nats: it overrules the parser; 3 is a strong hint."""

Kind = Literal["word", "classifier", "object"]
_HEADER = ("kind", "first", "second", "weight")


@dataclass(frozen=True, kw_only=True)
class UserLexicon:
    """Weights in nats, keyed by words as the model reads them (simplified script, half width).

    Attributes:
        words: of (word, tag).
        classifiers: of (classifier, noun).
        objects: of (verb, noun).
    """

    words: Mapping[tuple[str, str], float]
    classifiers: Mapping[tuple[str, str], float]
    objects: Mapping[tuple[str, str], float]

    @classmethod
    def read(cls, path: Path) -> UserLexicon:
        """Read a table.

        Raises:
            LexiconError: if there is no such file or a row is malformed; the message names it.
        """
        found: dict[Kind, dict[tuple[str, str], float]] = {kind: {} for kind in get_args(Kind)}
        try:
            for kind, first, second, weight in read_rows(path, _HEADER, _row):
                if (first, second) in found[kind]:
                    raise LexiconError(
                        f"{path}: found {kind} {first} {second} twice; keep one row of it"
                    )
                found[kind][first, second] = weight
        except UnicodeDecodeError as error:
            raise LexiconError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error
        return cls(words=found["word"], classifiers=found["classifier"], objects=found["object"])


def _row(cells: tuple[str, ...]) -> tuple[Kind, str, str, float]:
    kind, first, second, weight = cells
    if kind not in get_args(Kind):
        raise ValueError(f"found the kind {kind!r}; expected one of {', '.join(get_args(Kind))}")
    if not first.strip() or not second.strip():
        raise ValueError("found an empty cell; expected text in the first three columns")
    try:
        value = float(weight)
    except ValueError:
        raise ValueError(f"found the weight {weight!r}; expected a number, in nats") from None
    if not -MAX_WEIGHT <= value <= MAX_WEIGHT:
        raise ValueError(
            f"found the weight {weight}; expected {-MAX_WEIGHT:g} to {MAX_WEIGHT:g} nats"
        )
    second = second.strip() if kind == "word" else _as_read(second)
    return kind, _as_read(first), second, value  # type: ignore[return-value]  # kind is checked


def _as_read(word: str) -> str:
    return normalize(word.strip(), detect_language(word))
