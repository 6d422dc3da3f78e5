"""How good a parser is: brackets, crossings of gold dependencies, attachment, words.

Counts are values that add up over sentences; figures are properties of the sums, as fractions
in [0, 1]. All positions are code-point offsets, so that trees over different words of the same
text can be compared.

Labelled brackets follow the conventions of EVALB (Sekine & Collins 1997): punctuation takes no
part in the positions, the root wrapper TOP is not scored, ADVP and PRT count as equal. Departures:
which tokens are punctuation is read off the gold tree alone, so that a wrong tag cannot shift
positions, and positions are characters (the same thing where the words agree).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from treenlp.errors import InputError
from treenlp.trees.tree import Tree

__all__ = [
    "EVALB_PUNCTUATION",
    "AttachmentCase",
    "AttachmentCounts",
    "BracketCounts",
    "CrossingCounts",
    "WordCounts",
    "bracket_counts",
    "crossings",
    "is_attached",
    "leaf_offsets",
    "phrase_offsets",
    "trim_offsets",
    "word_counts",
]

Offsets = tuple[int, int]

EVALB_PUNCTUATION = frozenset([",", ":", "``", "''", ".", "?", "!", "-NONE-", "PU"])
"""Tags of both languages: those of EVALB's parameter file, and PU of the Chinese Treebank."""

_ROOT_LABELS = frozenset(["TOP", "ROOT", "S1", ""])
_EQUAL_LABELS = {"PRT": "ADVP"}


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _harmonic(precision: float, recall: float) -> float:
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


@dataclass(frozen=True, kw_only=True)
class BracketCounts:
    """What labelled and unlabelled precision, recall and F1 are made of.

    Attributes:
        sentences: number of sentences.
        gold: brackets of the gold trees.
        predicted: brackets of the predicted trees.
        unlabelled: brackets found in both, labels aside.
        labelled: brackets found in both with the same label.
        unlabelled_exact: sentences whose brackets are all right, labels aside.
        labelled_exact: sentences whose brackets are all right.
    """

    sentences: int = 0
    gold: int = 0
    predicted: int = 0
    unlabelled: int = 0
    labelled: int = 0
    unlabelled_exact: int = 0
    labelled_exact: int = 0

    def __add__(self, other: BracketCounts) -> BracketCounts:
        return BracketCounts(
            sentences=self.sentences + other.sentences,
            gold=self.gold + other.gold,
            predicted=self.predicted + other.predicted,
            unlabelled=self.unlabelled + other.unlabelled,
            labelled=self.labelled + other.labelled,
            unlabelled_exact=self.unlabelled_exact + other.unlabelled_exact,
            labelled_exact=self.labelled_exact + other.labelled_exact,
        )

    @property
    def UP(self) -> float:
        """Unlabelled precision."""
        return _ratio(self.unlabelled, self.predicted)

    @property
    def UR(self) -> float:
        """Unlabelled recall."""
        return _ratio(self.unlabelled, self.gold)

    @property
    def UF(self) -> float:
        """Unlabelled F1."""
        return _harmonic(self.UP, self.UR)

    @property
    def LP(self) -> float:
        """Labelled precision."""
        return _ratio(self.labelled, self.predicted)

    @property
    def LR(self) -> float:
        """Labelled recall."""
        return _ratio(self.labelled, self.gold)

    @property
    def LF(self) -> float:
        """Labelled F1."""
        return _harmonic(self.LP, self.LR)

    @property
    def UCM(self) -> float:
        """Share of the sentences that match completely, labels aside."""
        return _ratio(self.unlabelled_exact, self.sentences)

    @property
    def LCM(self) -> float:
        """Share of the sentences that match completely."""
        return _ratio(self.labelled_exact, self.sentences)


def bracket_counts(
    gold: Tree, predicted: Tree, *, punctuation: frozenset[str] = EVALB_PUNCTUATION
) -> BracketCounts:
    """Compare the phrases of two trees over the same text.

    Args:
        gold: the tree to be found; its tags say which leaves are punctuation.
        predicted: the tree of the parser. Its words may be other words of the same text.
        punctuation: tags of leaves that take no part in positions; an empty set keeps all.

    Returns:
        The counts of this sentence. A bracket that stands n times in both counts n times.

    Raises:
        InputError: if the leaves of the two do not spell the same text.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> tree = parse_brackets("(S (NP (PRP I)) (VP (VB go)))")
        >>> bracket_counts(tree, tree).LF
        1.0
    """
    spelled, other = "".join(gold.leaves), "".join(predicted.leaves)
    if spelled != other:
        raise InputError(
            f"the trees spell different texts: {spelled[:40]!r} and {other[:40]!r}; compare trees "
            "of the same sentence"
        )
    # position[i]: number of scored characters before character i.
    position = [0]
    for word, tag in zip(gold.leaves, gold.tags, strict=True):
        step = 0 if tag in punctuation else 1
        for _ in word:
            position.append(position[-1] + step)
    wanted, found = _brackets(gold, position), _brackets(predicted, position)
    labelled = (wanted & found).total()
    wanted_spans, found_spans = _spans(wanted), _spans(found)
    unlabelled = (wanted_spans & found_spans).total()
    return BracketCounts(
        sentences=1,
        gold=wanted.total(),
        predicted=found.total(),
        unlabelled=unlabelled,
        labelled=labelled,
        unlabelled_exact=int(wanted_spans == found_spans),
        labelled_exact=int(wanted == found),
    )


def _brackets(tree: Tree, position: Sequence[int]) -> Counter[tuple[str, int, int]]:
    starts = [0]
    for word in tree.leaves:
        starts.append(starts[-1] + len(word))
    brackets: Counter[tuple[str, int, int]] = Counter()
    for phrase in tree.constituents():
        if phrase.label in _ROOT_LABELS:
            continue
        start, end = position[starts[phrase.start]], position[starts[phrase.end]]
        if end > start:
            brackets[_EQUAL_LABELS.get(phrase.label, phrase.label), start, end] += 1
    return brackets


def _spans(brackets: Counter[tuple[str, int, int]]) -> Counter[Offsets]:
    spans: Counter[Offsets] = Counter()
    for (_, start, end), number in brackets.items():
        spans[start, end] += number
    return spans


def leaf_offsets(leaves: Sequence[str], text: str) -> tuple[Offsets, ...]:
    """Return where each leaf stands in a text, by counting characters that are not white space.

    The characters themselves are not compared, so a tree over simplified script or other
    parentheses can be laid on the original.

    Args:
        leaves: words from left to right.
        text: the sentence they came from.

    Returns:
        Half-open code-point offsets of each leaf.

    Raises:
        InputError: if text and leaves differ in their number of characters.

    Example:
        >>> leaf_offsets(("两", "所"), "两 所")
        ((0, 1), (2, 3))
    """
    places = [index for index, character in enumerate(text) if not character.isspace()]
    sizes = [len("".join(word.split())) for word in leaves]
    if sum(sizes) != len(places) or 0 in sizes:
        raise InputError(
            f"the leaves have {sum(sizes)} characters and the text {text[:40]!r} has "
            f"{len(places)}; expected leaves that spell the text"
        )
    offsets: list[Offsets] = []
    position = 0
    for size in sizes:
        offsets.append((places[position], places[position + size - 1] + 1))
        position += size
    return tuple(offsets)


def phrase_offsets(tree: Tree, text: str, *, words: bool = False) -> tuple[Offsets, ...]:
    """Return the offsets in a text of all phrases of a tree, unary chains included.

    Args:
        tree: its leaves spell the text.
        text: the sentence.
        words: whether the words count, too.

    Returns:
        Half-open code-point offsets, in preorder.

    Raises:
        InputError: if the leaves do not spell the text.
    """
    offsets = leaf_offsets(tree.leaves, text)
    return tuple(
        (offsets[part.start][0], offsets[part.end - 1][1])
        for part in tree.constituents(preterminals=words)
    )


def trim_offsets(start: int, end: int, text: str) -> Offsets:
    """Return a span without the punctuation, symbols and white space at its edges.

    Example:
        >>> trim_offsets(0, 5, "（两所）。")
        (1, 3)
    """
    while start < end and _is_mark(text[start]):
        start += 1
    while end > start and _is_mark(text[end - 1]):
        end -= 1
    return start, end


def _is_mark(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] in "PS"


@dataclass(frozen=True, kw_only=True)
class CrossingCounts:
    """How many phrases cross a gold subtree.

    Attributes:
        crossing: phrases that cross at least one.
        total: phrases that were looked at.
    """

    crossing: int = 0
    total: int = 0

    def __add__(self, other: CrossingCounts) -> CrossingCounts:
        return CrossingCounts(
            crossing=self.crossing + other.crossing, total=self.total + other.total
        )

    @property
    def rate(self) -> float:
        """Share of the phrases that cross a gold subtree."""
        return _ratio(self.crossing, self.total)


def crossings(
    phrases: Iterable[Offsets], gold_subtrees: Iterable[Offsets], text: str
) -> CrossingCounts:
    """Count the phrases of a tree that cross a gold dependency subtree.

    A phrase counts once for each span it has after punctuation, symbols and white space were
    trimmed off its edges: a unary chain is one phrase. Phrases shorter than two characters and
    the whole sentence (trimmed likewise) are left out. Two spans cross when they overlap and
    neither holds the other.

    The trees of `measure_only_trees` come out as published: 831 of 9,977 cross on the test part
    of GSDSimp, 979 of 10,624 on its dev part, 700 of 4,900 on the second half of HK, 290 of
    8,507 on that of Beginner.

    Args:
        phrases: offsets of the phrases, as `phrase_offsets` gives them.
        gold_subtrees: offsets of the gold subtrees, trimmed.
        text: the sentence.

    Returns:
        The counts of this sentence.

    Example:
        >>> crossings([(0, 3), (0, 5)], [(2, 5)], "两个大学的")
        CrossingCounts(crossing=1, total=1)
    """
    whole = trim_offsets(0, len(text), text)
    subtrees = set(gold_subtrees)
    crossing = total = 0
    for start, end in {trim_offsets(start, end, text) for start, end in phrases}:
        if (start, end) == whole or _num_characters(text, start, end) < 2:
            continue
        total += 1
        crossing += any(
            first < start < last < end or start < first < end < last for first, last in subtrees
        )
    return CrossingCounts(crossing=crossing, total=total)


def _num_characters(text: str, start: int, end: int) -> int:
    return sum(not character.isspace() for character in text[start:end])


@dataclass(frozen=True, kw_only=True)
class AttachmentCase:
    """One natural `Num CL … N1 的 N2` and the noun that the gold dependencies let it count.

    Attributes:
        text: the sentence.
        start: offset at which the numeral or determiner begins.
        classifier_end: offset at which the classifier ends.
        counted_end: offset at which the noun that `Num CL` counts ends.
        de_start: offset of 的.
        noun_end: offset at which N2 ends.
        is_high: whether `Num CL` counts N2, rather than something before 的.
        part: name of the part the sentence is from.
    """

    text: str
    start: int
    classifier_end: int
    counted_end: int
    de_start: int
    noun_end: int
    is_high: bool
    part: str


def is_attached(case: AttachmentCase, phrases: Iterable[Offsets]) -> bool:
    """Return whether a tree attaches `Num CL` to the noun that the gold dependencies say.

    Chinese noun phrases end in their head. So the smallest phrase or word that holds the
    numeral, the classifier and something after them has to end where the counted noun ends:
    `[两所大学]的老师`, `[两位大学的老师]`. Where that phrase begins makes no difference
    (`[这两所大学]的老师`).

    Args:
        case: where to look.
        phrases: offsets of the tree's phrases and words, as `phrase_offsets(tree, text,
            words=True)` gives them.

    Example:
        >>> case = AttachmentCase(text="两所大学的老师", start=0, classifier_end=2, counted_end=4,
        ...                       de_start=4, noun_end=7, is_high=False, part="example")
        >>> is_attached(case, [(0, 7), (0, 5), (0, 4)])
        True
    """
    holding = [
        (end - start, end)
        for start, end in phrases
        if start <= case.start and end > case.classifier_end
    ]
    return bool(holding) and min(holding)[1] == case.counted_end


@dataclass(frozen=True, kw_only=True)
class AttachmentCounts:
    """How many cases a parser attaches as the gold dependencies do.

    Attributes:
        low: cases that attach low.
        high: cases that attach high.
        low_correct: those of the low ones that the parser attaches low.
        high_correct: those of the high ones that the parser attaches high.
    """

    low: int = 0
    high: int = 0
    low_correct: int = 0
    high_correct: int = 0

    def __add__(self, other: AttachmentCounts) -> AttachmentCounts:
        return AttachmentCounts(
            low=self.low + other.low,
            high=self.high + other.high,
            low_correct=self.low_correct + other.low_correct,
            high_correct=self.high_correct + other.high_correct,
        )

    @classmethod
    def of(cls, case: AttachmentCase, phrases: Iterable[Offsets]) -> AttachmentCounts:
        """Count one case."""
        is_correct = is_attached(case, phrases)
        return cls(
            low=int(not case.is_high),
            high=int(case.is_high),
            low_correct=int(is_correct and not case.is_high),
            high_correct=int(is_correct and case.is_high),
        )

    @property
    def total(self) -> int:
        """Number of cases."""
        return self.low + self.high

    @property
    def correct(self) -> int:
        """Number of cases that the parser attaches as the gold dependencies do."""
        return self.low_correct + self.high_correct


@dataclass(frozen=True, kw_only=True)
class WordCounts:
    """What precision, recall and F1 of word segmentation are made of.

    Attributes:
        gold: words of the gold segmentation.
        predicted: words of the parser.
        correct: words with the same start and end in both.
    """

    gold: int = 0
    predicted: int = 0
    correct: int = 0

    def __add__(self, other: WordCounts) -> WordCounts:
        return WordCounts(
            gold=self.gold + other.gold,
            predicted=self.predicted + other.predicted,
            correct=self.correct + other.correct,
        )

    @property
    def precision(self) -> float:
        """Share of the parser's words that are right."""
        return _ratio(self.correct, self.predicted)

    @property
    def recall(self) -> float:
        """Share of the gold words that the parser finds."""
        return _ratio(self.correct, self.gold)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _harmonic(self.precision, self.recall)


def word_counts(gold: Iterable[Offsets], predicted: Iterable[Offsets]) -> WordCounts:
    """Compare two segmentations of one text.

    Args:
        gold: offsets of the gold words.
        predicted: offsets of the parser's words.

    Example:
        >>> word_counts([(0, 1), (1, 3)], [(0, 1), (1, 2), (2, 3)]).recall
        0.5
    """
    wanted, found = set(gold), set(predicted)
    return WordCounts(gold=len(wanted), predicted=len(found), correct=len(wanted & found))
