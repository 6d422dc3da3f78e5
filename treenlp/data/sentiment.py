"""Sentiment labels: English phrases (Stanford Sentiment Treebank) and Chinese reviews.

The treebank is that of Socher et al. (2013), "Recursive Deep Models for Semantic
Compositionality Over a Sentiment Treebank", with its official parts. The reviews are
ChnSentiCorp (hotels) and online_shopping_10_cats, which share thousands of texts: they are read
as one set in which every text stands once, and split once.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from treenlp.data.keys import seeded_fraction, text_key
from treenlp.data.parts import Part
from treenlp.data.paths import find_file, open_text, read_lines
from treenlp.data.treebanks import SpelledTree, spell_english
from treenlp.errors import DataError, TreeFormatError
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree

__all__ = [
    "REVIEW_SETS",
    "REVIEW_SPLIT_SHA256",
    "RawReview",
    "Review",
    "ReviewPart",
    "SentimentTree",
    "join_reviews",
    "read_reviews",
    "read_sst",
    "review_split_digest",
]

ReviewPart = Literal["train", "tune", "held_out"]

REVIEW_SETS = ("ChnSentiCorp", "online_shopping_10_cats")
REVIEW_SPLIT_SHA256 = "67d5eaadbd0396df7affeb6cdb24eef6a3b8892135c6bcf415d07d47658aa9b2"

_SST_SIZES: dict[Part, int] = {"train": 8544, "dev": 1101, "test": 2210}
_SEED = "treenlp reviews 1"
_HOTEL = "酒店"


@dataclass(frozen=True, kw_only=True)
class SentimentTree:
    """A sentence with a sentiment class on every phrase.

    Attributes:
        tree: binary; every label is "0" (very negative) to "4" (very positive), on words, too.
            The words are spelled as typed: ( for -LRB-, " for `` and ''.
        text: the sentence as running English, a guess at what was typed.
        words: half-open code-point offsets of each word in `text`.
        part: "train", "dev" or "test".
    """

    tree: Tree
    text: str
    words: tuple[tuple[int, int], ...]
    part: Part

    @property
    def label(self) -> int:
        """Class of the sentence, 0 to 4."""
        return int(self.tree.label)

    @property
    def node_labels(self) -> tuple[int, ...]:
        """Classes of all nodes, in preorder."""
        return tuple(map(int, self.tree.node_labels))


def read_sst(part: Part, *, check_size: bool = True) -> Iterator[SentimentTree]:
    """Yield the sentences of an official part of the Stanford Sentiment Treebank, in order.

    Args:
        part: "train" (8,544), "dev" (1,101) or "test" (2,210; to be scored once).
        check_size: whether another number of sentences is an error. A copy in circulation has
            the dev sentences appended to train.

    Raises:
        DataError: if the part is unknown, or the file is missing or has another size.
        TreeFormatError: at a malformed tree or a label that is not 0 to 4.
    """
    if part not in get_args(Part):
        raise DataError(f"unknown part of sst: {part!r}; expected one of train, dev, test")
    path = find_file("sst", f"{part}.txt")
    lines = [(n, line) for n, line in enumerate(read_lines(path), start=1) if line.strip()]
    if check_size and len(lines) != _SST_SIZES[part]:
        raise DataError(
            f"{path}: found {len(lines)} sentences, expected {_SST_SIZES[part]}; fetch the edition "
            "that the registry describes (one in circulation has dev appended to train)"
        )
    for number, line in lines:
        try:
            tree = parse_brackets(line, unescape=False)
        except TreeFormatError as error:
            raise TreeFormatError(
                error.message, source=str(path), line=number, column=error.column
            ) from error
        odd = {label for label in tree.node_labels if label not in ("0", "1", "2", "3", "4")}
        if odd:
            raise TreeFormatError(
                f"found the label {min(odd)!r}; expected 0 to 4 on every node",
                source=str(path),
                line=number,
            )
        spelled = _spell(tree)
        yield SentimentTree(tree=spelled.tree, text=spelled.text, words=spelled.words, part=part)


_WORDS = {"``": '"', "''": '"', "`": "'", "-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]"}


def _spell(tree: Tree) -> SpelledTree:
    """Spell the words as typed and join them; 2 1/2 is one word with a no-break space in it."""
    words = [_WORDS.get(word, word) for word in tree.leaves]
    return spell_english(
        tree.with_leaves([word.replace("\\/", "/").replace("\\*", "*") for word in words])
    )


@dataclass(frozen=True, kw_only=True)
class RawReview:
    """A row of one of the two sets.

    Attributes:
        text: the review.
        label: 1 positive, 0 negative.
        source: name from `REVIEW_SETS`.
        category: what is reviewed; 酒店 for hotels.
    """

    text: str
    label: int
    source: str
    category: str


@dataclass(frozen=True, kw_only=True)
class Review:
    """A review that stands in one or both sets, once or several times.

    Attributes:
        text: the review as it is written where it stands first, ChnSentiCorp before the other.
        label: 1 positive, 0 negative.
        sets: the sets it stands in, in the order of `REVIEW_SETS`.
        category: what is reviewed; where the same text stands in several, the first.
        part: "train" (about 80 %), "tune" (10 %) or "held_out" (10 %).
    """

    text: str
    label: int
    sets: tuple[str, ...]
    category: str
    part: ReviewPart


def read_reviews(
    part: ReviewPart | None = None, *, expected: str | None = REVIEW_SPLIT_SHA256
) -> tuple[Review, ...]:
    """Return the reviews of both sets, each text once, with the part it belongs to.

    Args:
        part: only these; all by default.
        expected: what `review_split_digest` must give for all of them; None checks nothing.

    Raises:
        DataError: if a file is missing or malformed, the part is unknown, or the split is not
            the one recorded.
    """
    if part is not None and part not in get_args(ReviewPart):
        raise DataError(
            f"unknown part of the reviews: {part!r}; expected one of train, tune, held_out"
        )
    reviews = join_reviews(_raw_reviews())
    digest = review_split_digest(reviews)
    if expected is not None and digest != expected:
        raise DataError(
            f"the split of the reviews has the hash {digest}, expected {expected}; other files or "
            "another rule would mix held-out reviews into training: fetch the files that "
            "treenlp.data.registry describes"
        )
    return tuple(review for review in reviews if part is None or review.part == part)


def join_reviews(rows: Iterable[RawReview]) -> tuple[Review, ...]:
    """Join rows with the same `text_key`, drop what cannot be learned from, and split.

    Reviews without a letter or digit are dropped, and so are texts that stand there with both
    labels. The part follows from a seeded hash of the key, so it depends neither on the order
    nor on the other reviews, and it is the same whichever set a text is found in.

    Example:
        >>> first, second = (RawReview(text=text, label=1, source=source, category="酒店")
        ...     for text, source in zip(("很好！", "很好"), REVIEW_SETS))
        >>> [(review.text, len(review.sets)) for review in join_reviews([first, second])]
        [('很好！', 2)]
    """
    groups: dict[str, list[RawReview]] = {}
    for row in rows:
        key = text_key(row.text)
        if key:
            groups.setdefault(key, []).append(row)
    reviews = []
    for key, group in groups.items():
        if len({row.label for row in group}) > 1:
            continue
        sources = {row.source for row in group}
        reviews.append(
            Review(
                text=group[0].text,
                label=group[0].label,
                sets=tuple(name for name in REVIEW_SETS if name in sources),
                category=group[0].category,
                part=_part(key),
            )
        )
    return tuple(reviews)


def review_split_digest(reviews: Sequence[Review]) -> str:
    """Return the SHA-256 of all keys with label and part, whatever their order.

    Example:
        >>> len(review_split_digest(()))
        64
    """
    lines = sorted(f"{text_key(r.text)}\t{r.label}\t{r.part}\n" for r in reviews)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _part(key: str) -> ReviewPart:
    fraction = seeded_fraction(_SEED, key)
    return "train" if fraction < 0.8 else "tune" if fraction < 0.9 else "held_out"


def _raw_reviews() -> Iterator[RawReview]:
    hotels, shopping = REVIEW_SETS
    yield from _rows("ChnSentiCorp_htl_all.csv", hotels, ["label", "review"])
    yield from _rows("online_shopping_10_cats.csv.gz", shopping, ["cat", "label", "review"])


def _rows(file: str, source: str, header: list[str]) -> Iterator[RawReview]:
    path = find_file("sentiment_zh", file)
    try:
        with open_text(path) as opened:
            content = opened.read()
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch the file again") from error
    reader = csv.reader(io.StringIO(content.removeprefix("\ufeff"), newline=""))
    found = next(reader, [])
    if found != header:
        raise DataError(f"{path}: found the header {found}, expected {header}")
    for row in reader:
        label = row[-2] if len(row) == len(header) else ""
        if label not in ("0", "1"):
            raise DataError(
                f"{path}, line {reader.line_num}: found {len(row)} fields and the label {label!r}, "
                f"expected {len(header)} fields and the label 0 or 1"
            )
        yield RawReview(
            text=row[-1].replace("\ufeff", "").strip(),
            label=int(label),
            source=source,
            category=row[0] if len(header) == 3 else _HOTEL,
        )
