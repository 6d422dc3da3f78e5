"""The rows of the lexicon: what they hold, how they are read and how they are looked up.

The sources are tab-separated files with a header (see `corpora/README.md`). Every value is
checked when it is read, and an error names the file and the line. A `Lexicon` also says which
words are kept out of training: a classifier, duration or case by its own column, a noun or verb
by a checksum of its characters, so that the answer never depends on the order of a file.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from treenlp.errors import LexiconError

__all__ = [
    "Carrier",
    "Classifier",
    "ClauseVerbs",
    "ContextCase",
    "Duration",
    "EitherPairs",
    "Frequency",
    "Lexicon",
    "Localizer",
    "NaturalCase",
    "Noun",
    "Relation",
    "SegmentationCase",
    "Split",
    "TimedNoun",
    "Verb",
    "choices",
    "default_folder",
    "load_context_cases",
    "load_lexicon",
    "load_natural_cases",
]

Split = Literal["train", "validation"]
Row = TypeVar("Row")

NOUN_CLASSES = frozenset(
    "animal belonging bodypart building clothing container device document drink event food "
    "furniture idea illness institution material nature part person place plant quantity room "
    "time tool vehicle work".split()
)
_DURATION_FORMS = frozenset({"M", "个", "CD", "NN", "整"})
_CARRIER_USES = frozenset(
    {"np", "np.", "person", "thing", "any", "either", "either.", "verbal", "nominal", "vp"}
)
_CONTEXT_KINDS = frozenset("classifier noun person predicate inside none".split())
_KINDS = frozenset(
    {"toss-up", "classifier", "relative", "duration", "segmentation", "coordination"}
)


@dataclass(frozen=True, kw_only=True)
class Noun:
    """A noun, what it names, and the classifiers that count it specifically."""

    text: str
    noun_class: str
    classifiers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A classifier and the classes of nouns that it may count in some use or dialect.

    `counts` is generous on purpose: a classifier is evidence against a noun only where neither
    the noun's own row nor its class admits it.
    """

    text: str
    counts: frozenset[str]
    split: Split


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A transitive verb with what it acts on, who does it, and what belongs to its objects."""

    text: str
    objects: tuple[str, ...]
    agents: tuple[str, ...]
    belongings: tuple[str, ...]
    frequency_ok: bool
    duration_ok: bool


@dataclass(frozen=True, kw_only=True)
class Duration:
    """A unit of time with the numerals it takes.

    `form` is how it combines: "M" as a classifier (十分钟), "个" as a noun after 个 (两个小时),
    "CD" as a noun after the bare numeral (一晚上), "整" as a classifier after 整 (一整天), "NN"
    alone (半天).
    """

    unit: str
    form: str
    numbers: tuple[str, ...]
    split: Split


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """A verbal measure with verbs and objects that go with it; "AD" alone for 一下."""

    measure: str
    numbers: tuple[str, ...]
    verbs: tuple[str, ...]
    objects: tuple[str, ...]
    split: Split


@dataclass(frozen=True, kw_only=True)
class TimedNoun:
    """A noun that a duration can measure (三天假), verbs that take it so, and verbs that wait.

    With `verbs` the duration belongs to the noun, with `waiting` to the verb (盼了三天假).
    """

    text: str
    verbs: tuple[str, ...]
    waiting: tuple[str, ...]
    split: Split


@dataclass(frozen=True, kw_only=True)
class Localizer:
    """A word of place after a noun, its tag (LC or NN), and the noun classes it follows."""

    text: str
    tag: str
    classes: frozenset[str]
    split: Split


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Two noun classes that `first 的 second` joins, directly (的) or by a localizer."""

    first: str
    second: str
    forms: tuple[str, ...]
    weight: int


@dataclass(frozen=True, kw_only=True)
class ClauseVerbs:
    """Verbs with the classes of nouns that do it and of those it is done to."""

    verbs: tuple[str, ...]
    agents: tuple[str, ...]
    objects: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EitherPairs:
    """Verbs and pairs of persons for which `V N1 的 N2` is a toss-up."""

    verbs: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    split: Split


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """A sentence around a phrase, as a bracketed tree with slots such as <X> and <S>."""

    use: str
    tree: str


@dataclass(frozen=True, kw_only=True)
class SegmentationCase:
    """A string of overlapping words in a context: one tree, or two where it is a toss-up."""

    group: str
    reading: str
    trees: tuple[str, ...]
    split: Split


@dataclass(frozen=True, kw_only=True)
class NaturalCase:
    """A sentence to test with, never to train on.

    Attributes:
        name: identifier of the case.
        kind: the construction.
        text: the sentence.
        must: spans (start, end), code points of `text`, that must be constituents of the best
            tree; a word counts as a constituent.
        must_not: spans that must not be constituents.
        readings_min: least number of readings to be listed, or None.
        readings_max: greatest number of readings to be listed, or None.
        note: why.
    """

    name: str
    kind: str
    text: str
    must: tuple[tuple[int, int], ...]
    must_not: tuple[tuple[int, int], ...]
    readings_min: int | None
    readings_max: int | None
    note: str


@dataclass(frozen=True, kw_only=True)
class ContextCase:
    """A sentence that may count one of two nouns, and what follows it.

    Attributes:
        part: "dev", by which the rules were made, or "test".
        kind: what tells; "none" where nothing does.
        first: the sentence; with the kind "inside" it also holds what tells.
        following: the next sentence; empty with the kind "inside".
        near: span of the phrase that counts the nearer noun, code points of `first`.
        is_near: whether the nearer noun is counted; None where that stays open.
    """

    part: Literal["dev", "test"]
    kind: str
    first: str
    following: str
    near: tuple[int, int]
    is_near: bool | None


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Everything that the generator knows, with lookup.

    Example:
        >>> noun = Noun(text="大学", noun_class="institution", classifiers=("所", "个"))
        >>> only = Classifier(text="位", counts=frozenset({"person"}), split="train")
        >>> lexicon = Lexicon(nouns={"大学": noun}, classifiers={"位": only})
        >>> lexicon.counts("所", "大学"), lexicon.may_count("位", "大学")
        (True, False)
    """

    nouns: Mapping[str, Noun] = field(default_factory=dict)
    classifiers: Mapping[str, Classifier] = field(default_factory=dict)
    verbs: tuple[Verb, ...] = ()
    durations: tuple[Duration, ...] = ()
    frequencies: tuple[Frequency, ...] = ()
    timed_nouns: tuple[TimedNoun, ...] = ()
    localizers: Mapping[str, Localizer] = field(default_factory=dict)
    relations: tuple[Relation, ...] = ()
    either: tuple[EitherPairs, ...] = ()
    clause_verbs: tuple[ClauseVerbs, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    segmentations: tuple[SegmentationCase, ...] = ()

    def counts(self, classifier: str, noun: str) -> bool:
        """Return whether the noun's own row lists the classifier."""
        return noun in self.nouns and classifier in self.nouns[noun].classifiers

    def may_count(self, classifier: str, noun: str) -> bool:
        """Return whether the classifier cannot be excluded for the noun."""
        if noun not in self.nouns or self.counts(classifier, noun):
            return True
        return self.nouns[noun].noun_class in self.classifiers[classifier].counts

    @cached_property
    def carrier_words(self) -> frozenset[str]:
        """The words of all carrier sentences; they are never kept out of training."""
        return frozenset(
            word for carrier in self.carriers for word in _template_words(carrier.tree)
        )

    @cached_property
    def _reserved(self) -> Mapping[str, Split]:
        rows: list[tuple[Split, Iterable[str]]] = [("train", self.carrier_words)]
        rows += [(row.split, (row.text,)) for row in self.classifiers.values()]
        rows += [(row.split, (row.unit,)) for row in self.durations]
        rows += [(row.split, (row.measure, *row.verbs, *row.objects)) for row in self.frequencies]
        rows += [(row.split, (row.text, *row.verbs, *row.waiting)) for row in self.timed_nouns]
        rows += [(row.split, row.verbs) for row in self.either]
        rows += [(row.split, pair) for row in self.either for pair in row.pairs]
        rows += [
            (row.split, _template_words(tree)) for row in self.segmentations for tree in row.trees
        ]
        reserved: dict[str, Split] = {}
        for split, words in sorted(rows, key=lambda row: row[0] != "train"):
            for word in words:
                reserved.setdefault(word, split)
        return reserved

    def split_of(self, word: str) -> Split:
        """Return to which part a noun or verb belongs.

        A word of a carrier sentence trains; a word of a row with a split of its own follows the
        row, and trains if it stands in rows of both; a noun that only kept-out classifiers count
        is kept out; of all others one in five is, by the CRC-32 of its UTF-8 bytes.
        """
        if word in self._reserved:
            return self._reserved[word]
        noun = self.nouns.get(word)
        if noun is not None and all(
            self.classifiers[name].split == "validation" for name in noun.classifiers
        ):
            return "validation"
        return "validation" if zlib.crc32(word.encode("utf-8")) % 5 == 0 else "train"


def default_folder() -> Path:
    """Return the lexicon's folder in a checkout of the project (`corpora/lexicon`).

    The checkout is the one that this module is in or, for an installed package, the working
    directory.
    """
    checkout = Path(__file__).resolve().parents[2] / "corpora" / "lexicon"
    here = Path.cwd() / "corpora" / "lexicon"
    return here if here.is_dir() and not checkout.is_dir() else checkout


def load_lexicon(folder: Path | None = None) -> Lexicon:
    """Read and check every file of the lexicon.

    Args:
        folder: where the tab-separated files are; None for `default_folder()`.

    Returns:
        The lexicon.

    Raises:
        LexiconError: if the folder or a file is missing, or a row is malformed; the message
            names file and line.
    """
    folder = default_folder() if folder is None else folder
    if not folder.is_dir():
        raise LexiconError(
            f"found no lexicon at {folder}; expected the folder corpora/lexicon of a source "
            "checkout: pass its path"
        )
    nouns: dict[str, Noun] = {}
    for path in _files(folder, "nouns*.tsv"):
        for noun in read_rows(path, ("noun", "class", "classifiers"), _noun):
            if noun.text in nouns:
                raise LexiconError(f"{path}: found {noun.text!r} twice; keep one row of it")
            nouns[noun.text] = noun
    classifiers = {
        row.text: row
        for row in read_rows(
            folder / "classifiers.tsv", ("classifier", "counts", "split"), _classifier
        )
    }
    for noun in nouns.values():
        for name in noun.classifiers:
            if name not in classifiers:
                raise LexiconError(
                    f"{folder}: found the classifier {name!r} of {noun.text!r}, which "
                    "classifiers.tsv does not have; add a row there"
                )
    verbs: dict[str, Verb] = {}
    header = ("verb", "objects", "agents", "belongings", "frequency_ok", "duration_ok")
    for path in _files(folder, "verbs*.tsv"):
        for verb in read_rows(path, header, _verb):
            verbs.setdefault(verb.text, verb)
    return Lexicon(
        nouns=nouns,
        classifiers=classifiers,
        verbs=tuple(verbs.values()),
        durations=tuple(
            read_rows(folder / "durations.tsv", ("unit", "form", "numbers", "split"), _duration)
        ),
        frequencies=tuple(
            read_rows(
                folder / "frequencies.tsv",
                ("measure", "numbers", "verbs", "objects", "split"),
                _frequency,
            )
        ),
        timed_nouns=tuple(
            read_rows(folder / "timed_nouns.tsv", ("noun", "verbs", "waiting", "split"), _timed)
        ),
        localizers={
            row.text: row
            for row in read_rows(
                folder / "localizers.tsv", ("localizer", "tag", "classes", "split"), _localizer
            )
        },
        relations=tuple(
            read_rows(folder / "relations.tsv", ("first", "second", "forms", "weight"), _relation)
        ),
        either=tuple(read_rows(folder / "either.tsv", ("verbs", "pairs", "split"), _either)),
        clause_verbs=tuple(
            read_rows(folder / "clause_verbs.tsv", ("verbs", "agents", "objects"), _clause_verbs)
        ),
        carriers=tuple(read_rows(folder / "carriers.tsv", ("use", "tree"), _carrier)),
        segmentations=tuple(
            read_rows(
                folder / "segmentation.tsv", ("group", "reading", "trees", "split"), _segmentation
            )
        ),
    )


def load_natural_cases(path: Path | None = None) -> tuple[NaturalCase, ...]:
    """Read the cases that are only ever tested with.

    Args:
        path: the file; None for `corpora/ambiguity/natural_cases.tsv` of a checkout.

    Returns:
        The cases in the order of the file.

    Raises:
        LexiconError: if the file is missing or a row is malformed.
    """
    if path is None:
        path = default_folder().parent / "ambiguity" / "natural_cases.tsv"
    header = (
        "id",
        "kind",
        "text",
        "must",
        "must_not",
        "readings_min",
        "readings_max",
        "note",
    )
    return tuple(read_rows(path, header, _natural_case))


def load_context_cases(path: Path | None = None) -> tuple[ContextCase, ...]:
    """Read the sentences that what follows decides; they are only ever tested with.

    Args:
        path: the file; None for `corpora/ambiguity/contexts.tsv` of a checkout.

    Returns:
        The cases in the order of the file.

    Raises:
        LexiconError: if the file is missing or a row is malformed.
    """
    if path is None:
        path = default_folder().parent / "ambiguity" / "contexts.tsv"
    header = ("part", "kind", "first", "following", "counted")
    return tuple(read_rows(path, header, _context_case))


def _files(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern))
    if not found:
        raise LexiconError(f"found no {pattern} in {folder}; expected at least one such file")
    return found


def read_rows(
    path: Path, header: tuple[str, ...], convert: Callable[[tuple[str, ...]], Row]
) -> Iterator[Row]:
    """Yield the converted rows of one file; a ValueError of `convert` gets file and line."""
    if not path.is_file():
        raise LexiconError(f"found no file {path}; expected columns {', '.join(header)}")
    with path.open(encoding="utf-8", newline="\n") as file:
        seen_header = False
        for number, line in enumerate(file, start=1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            cells = tuple(line.split("\t"))
            if not seen_header:
                if cells != header:
                    raise LexiconError(
                        f"{path}:{number}: found the header {cells}; expected {header}"
                    )
                seen_header = True
                continue
            if len(cells) != len(header):
                raise LexiconError(
                    f"{path}:{number}: found {len(cells)} columns; expected {len(header)} "
                    f"({', '.join(header)}), separated by tabs"
                )
            try:
                yield convert(cells)
            except ValueError as error:
                raise LexiconError(f"{path}:{number}: {error}") from error


def _list(cell: str) -> tuple[str, ...]:
    parts = tuple(part for part in cell.split(",") if part)
    if len(set(parts)) != len(parts):
        raise ValueError(f"found a repeated entry in {cell!r}; expected each once")
    return parts


def _filled(cell: str, column: str) -> tuple[str, ...]:
    parts = _list(cell)
    if not parts:
        raise ValueError(f"found an empty {column}; expected a list separated by commas")
    return parts


def _split(cell: str) -> Split:
    if cell == "train":
        return "train"
    if cell == "validation":
        return "validation"
    raise ValueError(f"found the split {cell!r}; expected train or validation")


def _one_of(cell: str, allowed: frozenset[str], column: str) -> str:
    if cell not in allowed:
        raise ValueError(f"found the {column} {cell!r}; expected one of {sorted(allowed)}")
    return cell


def _flag(cell: str) -> bool:
    if cell not in ("0", "1"):
        raise ValueError(f"found the flag {cell!r}; expected 0 or 1")
    return cell == "1"


def _noun(cells: tuple[str, ...]) -> Noun:
    return Noun(
        text=cells[0],
        noun_class=_one_of(cells[1], NOUN_CLASSES, "class"),
        classifiers=_filled(cells[2], "classifiers"),
    )


def _classifier(cells: tuple[str, ...]) -> Classifier:
    counts = frozenset(_one_of(name, NOUN_CLASSES, "class") for name in _filled(cells[1], "counts"))
    return Classifier(text=cells[0], counts=counts, split=_split(cells[2]))


def _verb(cells: tuple[str, ...]) -> Verb:
    return Verb(
        text=cells[0],
        objects=_filled(cells[1], "objects"),
        agents=_filled(cells[2], "agents"),
        belongings=_filled(cells[3], "belongings"),
        frequency_ok=_flag(cells[4]),
        duration_ok=_flag(cells[5]),
    )


def _duration(cells: tuple[str, ...]) -> Duration:
    form = _one_of(cells[1], _DURATION_FORMS, "form")
    numbers = _list(cells[2])
    if bool(numbers) == (form == "NN"):
        raise ValueError(
            f"found the numerals {cells[2]!r} with the form {form}; expected none with NN and "
            "some with every other form"
        )
    return Duration(unit=cells[0], form=form, numbers=numbers, split=_split(cells[3]))


def _frequency(cells: tuple[str, ...]) -> Frequency:
    return Frequency(
        measure=cells[0],
        numbers=_filled(cells[1], "numbers"),
        verbs=_filled(cells[2], "verbs"),
        objects=_filled(cells[3], "objects"),
        split=_split(cells[4]),
    )


def _timed(cells: tuple[str, ...]) -> TimedNoun:
    return TimedNoun(
        text=cells[0],
        verbs=_filled(cells[1], "verbs"),
        waiting=_list(cells[2]),
        split=_split(cells[3]),
    )


def _localizer(cells: tuple[str, ...]) -> Localizer:
    return Localizer(
        text=cells[0],
        tag=_one_of(cells[1], frozenset({"LC", "NN"}), "tag"),
        classes=frozenset(_filled(cells[2], "classes")),
        split=_split(cells[3]),
    )


def _relation(cells: tuple[str, ...]) -> Relation:
    return Relation(
        first=_one_of(cells[0], NOUN_CLASSES, "class"),
        second=_one_of(cells[1], NOUN_CLASSES, "class"),
        forms=_filled(cells[2], "forms"),
        weight=int(cells[3]),
    )


def _either(cells: tuple[str, ...]) -> EitherPairs:
    pairs: list[tuple[str, str]] = []
    for cell in _filled(cells[1], "pairs"):
        first, colon, second = cell.partition(":")
        if not (first and colon and second):
            raise ValueError(f"found the pair {cell!r}; expected two nouns joined by a colon")
        pairs.append((first, second))
    return EitherPairs(verbs=_filled(cells[0], "verbs"), pairs=tuple(pairs), split=_split(cells[2]))


def _clause_verbs(cells: tuple[str, ...]) -> ClauseVerbs:
    agents, objects = _filled(cells[1], "agents"), _filled(cells[2], "objects")
    for name in (*agents, *objects):
        _one_of(name, NOUN_CLASSES, "class")
    return ClauseVerbs(verbs=_filled(cells[0], "verbs"), agents=agents, objects=objects)


def _carrier(cells: tuple[str, ...]) -> Carrier:
    if cells[1].count("<X") != 1:
        raise ValueError(f"found {cells[1]!r}; expected exactly one slot <X>, <X:IP> or <X:VP>")
    return Carrier(use=_one_of(cells[0], _CARRIER_USES, "use"), tree=cells[1])


def _segmentation(cells: tuple[str, ...]) -> SegmentationCase:
    trees = tuple(part.strip() for part in cells[2].split("|"))
    for choice in range(max(len(slot) for tree in trees for slot in choices(tree))):
        texts = {_text_of(tree, choice) for tree in trees}
        if len(texts) != 1:
            raise ValueError(f"found trees over the texts {sorted(texts)}; expected one text")
    return SegmentationCase(group=cells[0], reading=cells[1], trees=trees, split=_split(cells[3]))


def _natural_case(cells: tuple[str, ...]) -> NaturalCase:
    text = cells[2]
    return NaturalCase(
        name=cells[0],
        kind=_one_of(cells[1], _KINDS, "kind"),
        text=text,
        must=_spans(cells[3], text),
        must_not=_spans(cells[4], text),
        readings_min=int(cells[5]) if cells[5] else None,
        readings_max=int(cells[6]) if cells[6] else None,
        note=cells[7],
    )


def _context_case(cells: tuple[str, ...]) -> ContextCase:
    part, kind, first, following, counted = cells
    place = re.search("[两三四五六七八九十]个(.+?)的", first)
    if place is None:
        raise ValueError(f"found {first!r}; expected a numeral, 个, a noun and 的")
    if counted not in ("", place[1]) and not first.startswith(counted, place.end()):
        raise ValueError(f"found {counted!r}; expected {place[1]}, what follows 的, or nothing")
    return ContextCase(
        part="test" if _one_of(part, frozenset(("dev", "test")), "part") == "test" else "dev",
        kind=_one_of(kind, _CONTEXT_KINDS, "kind"),
        first=first,
        following=following,
        near=(place.start(), place.end(1)),
        is_near=counted == place[1] if counted else None,
    )


def _spans(cell: str, text: str) -> tuple[tuple[int, int], ...]:
    """Read `words@start-end` separated by semicolons, and check the words against the text."""
    spans: list[tuple[int, int]] = []
    for part in cell.split(";") if cell else ():
        words, _, offsets = part.rpartition("@")
        first, _, last = offsets.partition("-")
        start, end = int(first), int(last)
        if text[start:end] != words or start >= end:
            raise ValueError(f"found {part!r}, but the text has {text[start:end]!r} there")
        spans.append((start, end))
    return tuple(spans)


def choices(template: str) -> list[tuple[str, ...]]:
    """Return the alternatives of every leaf of a template from left to right.

    A leaf `<a/b>` has the alternatives a and b; `<S>` and every plain word has one, itself.

    Example:
        >>> choices("(NP (NN <书/报>) (NN 店))")
        [('书', '报'), ('店',)]
    """
    found: list[tuple[str, ...]] = []
    for part in template.split():
        word = part.rstrip(")")
        if part.startswith("("):
            continue
        inner = word[1:-1] if word.startswith("<") and "/" in word else ""
        found.append(tuple(inner.split("/")) if inner else (word,))
    return found


def _text_of(template: str, choice: int) -> str:
    """Return the text with one alternative of every leaf (the last one where there are fewer)."""
    return "".join(slot[min(choice, len(slot) - 1)] for slot in choices(template))


def _template_words(template: str) -> list[str]:
    """Return the words of a template without its slots <X> and <S>."""
    return [word for slot in choices(template) for word in slot if not word.startswith("<")]
