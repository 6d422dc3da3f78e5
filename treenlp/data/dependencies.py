"""Gold Chinese dependencies (`ud_zh`): what may teach, what tunes, what is measured on.

A dependency treebank says nothing about phrases directly, but the words that depend on one
word belong together: no phrase may cross them. So every sentence comes with the spans of its
subtrees as partial brackets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from treenlp.data.paths import find_file, read_lines
from treenlp.errors import DataError
from treenlp.parsing.metrics import AttachmentCase, trim_offsets
from treenlp.trees.conllu import DependencyTree, read_conllu

__all__ = [
    "UD_ZH_PARTS",
    "GoldSentence",
    "UdPart",
    "Use",
    "attachment_cases",
    "counted_phrases",
    "gold_subtrees",
    "read_ud_zh",
]

Offsets = tuple[int, int]
Use = Literal["train", "tune", "measure"]


@dataclass(frozen=True, kw_only=True)
class UdPart:
    """A stretch of one file with one use.

    Attributes:
        name: the part's name.
        file: file name in the folder ``ud_zh``.
        first: index of its first sentence in the file.
        last: index after its last sentence.
        total: number of sentences that the file must have.
        use: what the part is for.
    """

    name: str
    file: str
    first: int
    last: int
    total: int
    use: Use


_GSD_TRAIN = "zh_gsd-ud-train.simplified.conllu.gz"
_HK, _BEGINNER = "zh_hk-ud-test.conllu", "zh_beginner-ud-test.conllu"
_DEV, _TEST = "zh_gsdsimp-ud-dev.conllu", "zh_gsdsimp-ud-test.conllu"

UD_ZH_PARTS: tuple[UdPart, ...] = (
    UdPart(name="gsd_train", file=_GSD_TRAIN, first=0, last=3997, total=3997, use="train"),
    UdPart(name="hk_first", file=_HK, first=0, last=502, total=1004, use="train"),
    UdPart(name="beginner_first", file=_BEGINNER, first=0, last=1147, total=2295, use="train"),
    UdPart(name="gsdsimp_dev", file=_DEV, first=0, last=500, total=500, use="tune"),
    UdPart(name="gsdsimp_test", file=_TEST, first=0, last=500, total=500, use="measure"),
    UdPart(name="hk_second", file=_HK, first=502, last=1004, total=1004, use="measure"),
    UdPart(
        name="beginner_second", file=_BEGINNER, first=1147, last=2295, total=2295, use="measure"
    ),
)


@dataclass(frozen=True, kw_only=True)
class GoldSentence:
    """A sentence with gold words, tags and dependencies.

    Attributes:
        text: the words without space between, in the script of the treebank (HK and Beginner
            hold traditional characters): what a constituency tree of the sentence spells.
        words: half-open code-point offsets of each word (T).
        tree: the dependencies.
        subtrees: offsets of the partial brackets, as `gold_subtrees` gives them.
        part: name of the part it is from.
    """

    text: str
    words: tuple[Offsets, ...]
    tree: DependencyTree
    subtrees: tuple[Offsets, ...]
    part: str


def read_ud_zh(
    parts: Sequence[str] | None = None, *, use: Use | None = None
) -> Iterator[GoldSentence]:
    """Yield the sentences of parts of `ud_zh`, in the order of the files.

    Args:
        parts: names from `UD_ZH_PARTS`; all parts with the given use by default.
        use: "train", "tune" or "measure". A part named in `parts` must have this use.

    Raises:
        DataError: if a part is unknown or has another use, or a file is missing or has another
            number of sentences than recorded.

    Example:
        >>> callable(read_ud_zh)
        True
    """
    known = {part.name: part for part in UD_ZH_PARTS}
    if parts is None:
        if use is None:
            raise DataError(
                "found neither parts nor use; say use='train' (or 'tune', 'measure'), so that "
                "nothing that is measured on slips into training"
            )
        parts = [part.name for part in UD_ZH_PARTS if part.use == use]
    for name in parts:
        if name not in known:
            raise DataError(f"unknown part of ud_zh: {name!r}; expected one of {', '.join(known)}")
        if use is not None and known[name].use != use:
            raise DataError(f"part {name!r} of ud_zh is for {known[name].use!r}, not for {use!r}")
    for name in parts:
        yield from _read_part(known[name])


def _read_part(part: UdPart) -> Iterator[GoldSentence]:
    path = find_file("ud_zh", part.file)
    trees = list(read_conllu(read_lines(path), source=str(path)))
    if len(trees) != part.total:
        raise DataError(
            f"{path}: found {len(trees)} sentences, expected {part.total}; another edition would "
            "mix what is measured on with what is trained on: fetch the edition of the registry"
        )
    for tree in trees[part.first : part.last]:
        text, words = _text_and_words(tree)
        yield GoldSentence(
            text=text, words=words, tree=tree, subtrees=gold_subtrees(tree), part=part.name
        )


def _text_and_words(tree: DependencyTree) -> tuple[str, tuple[Offsets, ...]]:
    """Return the words without white space inside or between, and where each one stands."""
    words = ["".join(word.split()) for word in tree.words]
    ends = tuple(accumulate(map(len, words)))
    return "".join(words), tuple(zip((0, *ends[:-1]), ends, strict=True))


def gold_subtrees(tree: DependencyTree) -> tuple[Offsets, ...]:
    """Return the spans of text that no phrase may cross.

    They are the yields of all words whose yield is contiguous, without punctuation, symbols
    and white space at the edges, where two or more characters are left. Yields with a gap say
    nothing.

    Args:
        tree: gold dependencies.

    Returns:
        Half-open code-point offsets into the words joined without space, sorted, each once.

    Example:
        >>> tree = DependencyTree(words=("两", "所", "大学"), tags=("NUM", "NOUN", "NOUN"),
        ...     language_tags=("_",) * 3, heads=(2, 0, -1), relations=("nummod", "clf", "root"),
        ...     space_after=(False,) * 3)
        >>> gold_subtrees(tree)
        ((0, 2), (0, 4))
    """
    text, words = _text_and_words(tree)
    spans: set[Offsets] = set()
    for subtree in tree.subtree_spans():
        if not subtree.is_contiguous:
            continue
        start, end = trim_offsets(words[subtree.start][0], words[subtree.end - 1][1], text)
        if end - start >= 2:
            spans.add((start, end))
    return tuple(sorted(spans))


_SPECIFIERS = frozenset(["NUM", "DET"])
_NOUNS = frozenset(["NOUN", "PROPN"])
_DATE_UNITS = frozenset(["年", "月", "日", "号"])
_CLASSIFIER_TAG = "NNB"
"""Of classifiers in the treebanks that have no relation `clf`."""
_MODIFIERS = frozenset(["acl", "acl:relcl", "amod", "clf", "compound", "det", "nmod", "nummod"])


def attachment_cases(sentences: Iterable[GoldSentence]) -> Iterator[AttachmentCase]:
    """Yield the natural `Num CL … N1 的 N2` of gold dependencies.

    A case is a numeral or determiner with a classifier (relation `clf`) after it, dates left
    out, then anything, a noun N1, 的 right after it, and N2, the first noun after 的. The
    word that the numeral depends on is N2 (it attaches high) or stands between the classifier
    and 的 (it attaches low); otherwise it is no case. If several 的 follow, each that fits is
    a case. The measured parts hold 77.

    Args:
        sentences: gold dependencies.

    Example:
        >>> list(attachment_cases([]))
        []
    """
    for sentence in sentences:
        tree = sentence.tree
        for numeral, tag in enumerate(tree.tags):
            if tag not in _SPECIFIERS:
                continue
            classifiers = (
                word
                for word in range(numeral + 1, len(tree.words))
                if tree.relations[word] == "clf" and tree.heads[word] == numeral
            )
            classifier = next(classifiers, None)
            if classifier is None or tree.words[classifier] in _DATE_UNITS:
                continue
            yield from _cases_of(sentence, numeral, classifier)


def _cases_of(sentence: GoldSentence, numeral: int, classifier: int) -> Iterator[AttachmentCase]:
    tree, words = sentence.tree, sentence.words
    counted = tree.heads[numeral]
    for de in range(classifier + 2, len(tree.words)):
        if tree.words[de] != "的" or tree.tags[de - 1] not in _NOUNS:
            continue
        after = range(de + 1, len(tree.words))
        noun = next((word for word in after if tree.tags[word] in _NOUNS), None)
        if noun is not None and (counted == noun or classifier < counted < de):
            yield AttachmentCase(
                text=sentence.text,
                start=words[numeral][0],
                classifier_end=words[classifier][1],
                counted_end=words[counted][1],
                de_start=words[de][0],
                noun_end=words[noun][1],
                is_high=counted == noun,
                part=sentence.part,
            )


def counted_phrases(sentence: GoldSentence) -> Iterator[tuple[int, int, str]]:
    """Yield the phrases that gold dependencies say are there: counted nouns with all before them.

    `gold_subtrees` only forbids, and a flat tree breaks no prohibition; but where a numeral or
    determiner and a classifier count a noun, everything that depends on the noun, up to the noun
    itself, is a noun phrase, and with 的 after it a phrase with 的. Both ways of annotating are
    read: the classifier depends on the numeral, or the numeral on the classifier.

    Args:
        sentence: gold dependencies.

    Yields:
        Half-open code-point offsets and the label in the style of the Chinese treebank, NP or
        DNP. A noun whose yield has a gap, ends with anything else, or holds more than modifiers
        before it (it may be a predicate then) gives none.
    """
    tree, words = sentence.tree, sentence.words
    spans = tree.subtree_spans()
    for numeral, tag in enumerate(tree.tags):
        if tag not in _SPECIFIERS:
            continue
        noun = _counted_noun(tree, numeral)
        if noun is None or not spans[noun].is_contiguous:
            continue
        start, end = spans[noun].start, spans[noun].end
        has_de = end == noun + 2 and tree.words[noun + 1] == "的"
        before = {tree.relations[n] for n in range(start, noun) if tree.heads[n] == noun}
        if (has_de or end == noun + 1) and before <= _MODIFIERS:
            yield words[start][0], words[noun][1], "NP"
            if has_de:
                yield words[start][0], words[noun + 1][1], "DNP"


def _counted_noun(tree: DependencyTree, numeral: int) -> int | None:
    """The noun that a numeral with a classifier counts, or None."""
    classifier = numeral + 1
    if classifier >= len(tree.words) or tree.words[classifier] in _DATE_UNITS:
        return None
    if tree.heads[classifier] == numeral and tree.relations[classifier] == "clf":
        noun = tree.heads[numeral]
    elif tree.heads[numeral] == classifier and tree.language_tags[classifier] == _CLASSIFIER_TAG:
        noun = tree.heads[classifier]
    else:
        return None
    return noun if noun > classifier and tree.tags[noun] in _NOUNS else None
