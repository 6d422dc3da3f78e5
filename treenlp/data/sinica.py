"""Gold brackets of the Sinica treebank, as partial brackets over simplified characters.

The treebank writes trees in the notation of Information-based Case Grammar (Chen et al. 1999),
one clause a line: ``#1:1.[4257] VP(Head:VC2:按|goal:NP(Head:Nab:門鈴))#。(PERIODCATEGORY)``.
Its words and labels are not those of the Chinese Treebank, and its clauses are flatter; but what
it brackets is a unit there, too. So only the extents of its phrases are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from treenlp.data.paths import decoded_lines, find_file, zip_members
from treenlp.errors import TreeFormatError
from treenlp.parsing.metrics import trim_offsets
from treenlp.text import to_simplified

__all__ = ["BracketedClause", "parse_sinica_line", "read_sinica"]

Offsets = tuple[int, int]

_LINE = re.compile(r"^#[^\[\]]*\[[^\]]*\]\s*(?P<tree>.*?)(?:#(?P<mark>[^#()]*)\([A-Z]*\))?\s*$")
_TOKEN = re.compile(r"[()|]|[^()|]+")


@dataclass(frozen=True, kw_only=True)
class BracketedClause:
    """A clause with gold words and the extents of its phrases.

    Attributes:
        text: the clause in simplified script, with its final punctuation mark.
        original: the same in the script of the treebank; as long as `text`.
        words: half-open code-point offsets of the words.
        brackets: offsets of phrases of two or more characters, sorted, each once, without the
            whole clause. No phrase of a tree may cross one.
    """

    text: str
    original: str
    words: tuple[Offsets, ...]
    brackets: tuple[Offsets, ...]


def read_sinica(
    *, on_skip: Callable[[TreeFormatError], None] | None = None
) -> Iterator[BracketedClause]:
    """Yield the clauses of the treebank that have two or more words, marks included.

    Args:
        on_skip: gets the error of each malformed line, with file and line; without it such a
            line raises.

    Raises:
        DataError: if the corpus is missing.
        TreeFormatError: at a malformed line, if `on_skip` is not given.
    """
    path = find_file("nltk_data", "corpora/sinica_treebank.zip")
    for name, content in zip_members(path, prefix="sinica_treebank/parsed"):
        source = f"{path}/{name}"
        for number, line in enumerate(decoded_lines(content, source=source), start=1):
            if not line.strip():
                continue
            try:
                clause = parse_sinica_line(line, source=source, number=number)
            except TreeFormatError as error:
                if on_skip is None:
                    raise
                on_skip(error)
                continue
            if len(clause.words) > 1:
                yield clause


def parse_sinica_line(line: str, *, source: str | None = None, number: int = 1) -> BracketedClause:
    """Read one line of the treebank.

    Args:
        line: the line.
        source: file, for error messages.
        number: line number, for error messages.

    Raises:
        TreeFormatError: if the line is not in the treebank's notation.

    Example:
        >>> line = "#1:1.[7] VP(Head:VC2:按|goal:NP(quantifier:DM:三個|Head:Nab:門鈴))#。(STOP)"
        >>> clause = parse_sinica_line(line)
        >>> clause.text, clause.brackets
        ('按三个门铃。', ((1, 5),))
    """
    found = _LINE.match(line)
    if found is None:
        raise TreeFormatError(
            "found a line without '#number:number.[id] '; expected the notation of the treebank",
            source=source,
            line=number,
        )
    words, phrases = _parse(found["tree"], source, number, found.start("tree"))
    mark = (found["mark"] or "").strip()
    original = "".join(words) + mark
    offsets: list[Offsets] = []
    for word in (*words, mark) if mark else words:
        start = offsets[-1][1] if offsets else 0
        offsets.append((start, start + len(word)))
    whole = trim_offsets(0, len(original), original)
    brackets: set[Offsets] = set()
    for first, last in phrases:
        start, end = trim_offsets(offsets[first][0], offsets[last - 1][1], original)
        if end - start >= 2 and (start, end) != whole:
            brackets.add((start, end))
    return BracketedClause(
        text=to_simplified(original),
        original=original,
        words=tuple(offsets),
        brackets=tuple(sorted(brackets)),
    )


def _parse(
    tree: str, source: str | None, number: int, offset: int
) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the words and, for every phrase, its half-open span of words."""

    def fail(message: str, column: int) -> TreeFormatError:
        return TreeFormatError(message, source=source, line=number, column=offset + column + 1)

    words: list[str] = []
    phrases: list[tuple[int, int]] = []
    opened: list[int] = []
    previous = ""
    for match in _TOKEN.finditer(tree):
        token = match.group()
        if token == "(":
            if previous in ("", "(", "|", ")"):
                raise fail("found '(' without a label before it; expected a label", match.start())
            opened.append(len(words))
        elif token == ")":
            if not opened:
                raise fail("found ')' without a '(' before it; remove it", match.start())
            phrases.append((opened.pop(), len(words)))
        elif token != "|" and not tree.startswith("(", match.end()):
            word = token.rpartition(":")[2]
            if not word or token.count(":") < 1:
                raise fail(f"found {token!r}; expected role:tag:word", match.start())
            words.append(word)
        previous = token
    if opened or not words:
        raise fail(f"found {len(opened)} '(' not closed; add the missing ')'", len(tree))
    return words, phrases
