"""Newspaper text with gold words and tags (PKU), and what it tells about words that agree.

Next to each other, without a 的 that could hang them on something else, a classifier counts the
noun after it and a verb acts on the noun after it. Such pairs are unambiguous evidence for
agreement, of which treebanks hold next to nothing. PKU words differ from those of the Chinese
Treebank: the pairs are evidence, not annotation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from treenlp.data.paths import find_file, read_lines
from treenlp.errors import DataError

__all__ = [
    "CountedNoun",
    "TaggedText",
    "VerbObject",
    "counted_nouns",
    "parse_pku_line",
    "read_pku",
    "verb_objects",
]

Span = tuple[int, int]

# Full-width digits and Latin letters; punctuation keeps its width.
_HALF_WIDTH = {
    code: code - 0xFEE0
    for first, last in ((0xFF10, 0xFF19), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A))
    for code in range(first, last + 1)
}
_NOUNS = frozenset(["n", "nr", "ns", "nt", "nz", "nx", "vn", "an", "Ng", "j", "s"])
_COUNTED = frozenset(["n", "nr", "nz", "vn", "an", "Ng", "s", "nt"])
_COUNTING_PRONOUNS = frozenset("这 那 哪 每 某 几 各 这几 那几 此 本".split())
# Verbs whose noun is a topic, a subject or a predicate rather than an object.
_NOT_ACTING = frozenset(
    "是 为 有 使 令 让 叫 请 要 想 能 会 可以 像 如 成 成为 作为 等于 属于 叫做 称为 当作".split()
)


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """A paragraph or sentence with gold words and tags.

    Attributes:
        words: words from left to right (T).
        tags: PKU part-of-speech tags, such as n, v, m, q (T).
        compounds: half-open spans of words that the annotators bracketed as one name.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    compounds: tuple[Span, ...] = ()

    @property
    def text(self) -> str:
        """The words without space between."""
        return "".join(self.words)


def read_pku(*, half_width: bool = True) -> Iterator[TaggedText]:
    """Yield the lines of the tagged newspaper of January 1998.

    Args:
        half_width: write digits and Latin letters half-width, as they are typed today.

    Raises:
        DataError: if the file is missing or a line is malformed.
    """
    path = find_file("text_zh", "people_daily_199801.tagged.txt.gz")
    for number, line in enumerate(read_lines(path), start=1):
        text = parse_pku_line(line, half_width=half_width, source=path, number=number)
        if text is not None:
            yield text


def parse_pku_line(
    line: str, *, half_width: bool = True, source: Path | None = None, number: int = 1
) -> TaggedText | None:
    """Read ``word/tag  word/tag``, with names that may be bracketed as ``[a/n  b/n]nt``.

    Args:
        line: the line.
        half_width: write digits and Latin letters half-width.
        source: file, for error messages.
        number: line number, for error messages.

    Returns:
        The words with tags, or None if the line is blank.

    Raises:
        DataError: if a token has no tag or brackets do not match.

    Example:
        >>> text = parse_pku_line("[新华/nz  社/n]nt  １２/m  名/q  记者/n")
        >>> text.words, text.compounds
        (('新华', '社', '12', '名', '记者'), ((0, 2),))
    """
    words: list[str] = []
    tags: list[str] = []
    compounds: list[Span] = []
    opened: int | None = None
    where = f"{source or '<string>'}, line {number}"
    for token in line.split():
        if token.startswith("[") and not token.startswith("[/"):
            if opened is not None:
                raise DataError(f"{where}: found {token!r} inside a bracket; close it with ] first")
            opened = len(words)
            token = token[1:]
        word, slash, tag = token.rpartition("/")
        if "]" in tag:
            tag, _, _ = tag.partition("]")
            if opened is None:
                raise DataError(f"{where}: found {token!r} without a [ before it; remove the ]")
            compounds.append((opened, len(words) + 1))
            opened = None
        if not slash or not word or not tag:
            raise DataError(f"{where}: found {token!r}; expected word/tag")
        words.append(word.translate(_HALF_WIDTH) if half_width else word)
        tags.append(tag)
    if opened is not None:
        raise DataError(f"{where}: found a [ that is not closed; expected ] after its last word")
    if not words:
        return None
    return TaggedText(words=tuple(words), tags=tuple(tags), compounds=tuple(compounds))


@dataclass(frozen=True, kw_only=True)
class CountedNoun:
    """A noun with what counts it.

    Attributes:
        numeral: the numeral, or a word such as 这 or 每.
        classifier: the classifier or measure word.
        noun: the head of the nouns after it.
        is_adjacent: whether the noun follows the classifier directly; otherwise other nouns
            stand between, as in 两位大学老师.
    """

    numeral: str
    classifier: str
    noun: str
    is_adjacent: bool


def counted_nouns(texts: Iterable[TaggedText]) -> Iterator[CountedNoun]:
    """Yield every noun whose classifier cannot count anything else.

    That is numeral, classifier and a run of nouns that 的 does not follow; the last of the
    nouns is the one that is counted.

    Args:
        texts: words and tags.

    Example:
        >>> line = "两/m  所/q  大学/n  的/u  三/m  位/q  大学/n  老师/n"
        >>> [pair.noun for pair in counted_nouns([parse_pku_line(line)])]
        ['老师']
    """
    for text in texts:
        words, tags = text.words, text.tags
        for at in range(len(words) - 2):
            if tags[at + 1] != "q" or not _counts(words[at], tags[at]):
                continue
            end = _noun_run(tags, at + 2)
            if end == at + 2 or tags[end - 1] not in _COUNTED or _hangs_on(words, end):
                continue
            yield CountedNoun(
                numeral=words[at],
                classifier=words[at + 1],
                noun=words[end - 1],
                is_adjacent=end == at + 3,
            )


@dataclass(frozen=True, kw_only=True)
class VerbObject:
    """A verb with the noun it acts on.

    Attributes:
        verb: the verb.
        noun: the head of its object.
        is_adjacent: whether only an aspect particle can stand between; otherwise there are
            other nouns, or a numeral and classifier.
    """

    verb: str
    noun: str
    is_adjacent: bool


def verb_objects(texts: Iterable[TaggedText]) -> Iterator[VerbObject]:
    """Yield every verb with the noun that is its object and nothing else.

    That is a verb, maybe 了 着 过, maybe a numeral and classifier, and a run of nouns that ends
    at a punctuation mark, a conjunction or the end of the line: what follows could else make
    the noun a subject or a modifier.

    Args:
        texts: words and tags.

    Example:
        >>> line = "喝/v  了/u  两/m  杯/q  茶/n  ，/w  种/v  茶/n  的/u  人/n"
        >>> [(pair.verb, pair.noun) for pair in verb_objects([parse_pku_line(line)])]
        [('喝', '茶')]
    """
    for text in texts:
        words, tags = text.words, text.tags
        for verb, tag in enumerate(tags):
            if tag != "v" or words[verb] in _NOT_ACTING:
                continue
            start = verb + 1
            if start < len(tags) and words[start] in ("了", "着", "过"):
                start += 1
            nouns = start
            if (
                nouns + 1 < len(tags)
                and tags[nouns + 1] == "q"
                and _counts(words[nouns], tags[nouns])
            ):
                nouns += 2
            end = _noun_run(tags, nouns)
            is_closed = end == len(tags) or tags[end] in ("w", "c")
            if end > nouns and tags[end - 1] in _NOUNS and is_closed:
                yield VerbObject(
                    verb=words[verb],
                    noun=words[end - 1],
                    is_adjacent=nouns == start and end == nouns + 1,
                )


def _counts(word: str, tag: str) -> bool:
    return tag == "m" or (tag == "r" and word in _COUNTING_PRONOUNS)


def _noun_run(tags: Sequence[str], at: int) -> int:
    while at < len(tags) and tags[at] in _NOUNS:
        at += 1
    return at


def _hangs_on(words: Sequence[str], at: int) -> bool:
    return at < len(words) and words[at] in ("的", "之")
