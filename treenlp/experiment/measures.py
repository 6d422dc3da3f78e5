"""What is measured of a model: parser, sentiment and similarity, each on data given.

Every measure takes a `System` and data, and returns figures with an interval over independent
units. Which data, and which of it is for tuning or for the end, is said in
`treenlp.experiment.evaluate`.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from treenlp.data.dependencies import GoldSentence, attachment_cases
from treenlp.data.sentiment import Review, SentimentTree
from treenlp.data.similarity import SentencePair
from treenlp.encoder.device import check_device, has_fast_bfloat16
from treenlp.errors import InputError, ModelError
from treenlp.experiment.calibration import expected_error
from treenlp.experiment.planning import cut_by_size
from treenlp.experiment.scores import (
    Direction,
    Figure,
    Split,
    bootstrap_pairs,
    bootstrap_ratio,
    bootstrap_units,
    digest_texts,
)
from treenlp.lexicon import GeneratedItem
from treenlp.lexicon.entries import NaturalCase
from treenlp.parsing.forest import Forest
from treenlp.parsing.metrics import (
    bracket_counts,
    crossings,
    is_attached,
    trim_offsets,
    word_counts,
)
from treenlp.parsing.parser import load_parser, load_trunk, read_model_config
from treenlp.tasks.reader import TreeMeaning, leaf_offsets, load_meaning
from treenlp.tasks.sentiment import NEUTRAL, best_class, is_positive, span_labels
from treenlp.tasks.similarity import pearson, spearman
from treenlp.text import Document, Sentence
from treenlp.trees.tree import Tree

__all__ = [
    "Predictions",
    "ReadingPredictions",
    "Report",
    "Result",
    "System",
    "is_case_right",
    "measure_attachment_pairs",
    "measure_brackets",
    "measure_calibration",
    "measure_cases",
    "measure_dependencies",
    "measure_reviews",
    "measure_similarity",
    "measure_treebank_sentiment",
    "predict_phrases",
    "predict_readings",
    "to_stderr",
]

Offsets = tuple[int, int]
Report = Callable[[str, int, int], None]
"""Gets what is being done, the number of units done and the number of all."""

_CHUNK = 256
_ATOMS = 3_000  # of a batch that is composed at once, padding included
_READINGS, _MIN_PROB = 5, 0.05  # what a user is shown unless he asks for something else


class Parser(Protocol):
    """What the measures ask of a parser."""

    max_atoms: int

    def parse(self, sentences: Sequence[Sentence]) -> Sequence[Tree]:
        """Return the best tree of every sentence."""

    def forests(self, sentences: Sequence[Sentence]) -> Sequence[Forest]:
        """Return the forest of every sentence."""


class Meaning(Protocol):
    """What the measures ask of a meaning model."""

    def judge(
        self,
        sentences: Sequence[Sentence],
        trees: Sequence[Sequence[Tree]],
        *,
        spans: bool = True,
    ) -> Sequence[Sequence[TreeMeaning]]:
        """Compose every tree of every sentence, and judge the nodes if `spans`."""

    def judge_nodes(
        self, sentences: Sequence[Sentence], trees: Sequence[Tree]
    ) -> Sequence[Mapping[Offsets, Sequence[float]]]:
        """Return five sentiment probabilities of every node of one tree for each sentence."""

    def judge_texts(self, texts: Sequence[Sequence[TreeMeaning]]) -> Sequence[Sequence[float]]:
        """Return five sentiment probabilities for every text from its sentences."""

    def similarity(
        self, pairs: Sequence[tuple[Sequence[TreeMeaning], Sequence[TreeMeaning]]]
    ) -> Sequence[float]:
        """Return the similarity in [0, 1] of every pair of texts."""


@dataclass(frozen=True, kw_only=True)
class System:
    """What is measured.

    Attributes:
        name: name of the model.
        parser: of the model.
        meaning: of the model; None if it only parses.
    """

    name: str
    parser: Parser
    meaning: Meaning | None

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> System:
        """Read a model folder.

        Raises:
            ModelError: if a file is missing, damaged or of another version.
            ConfigError: if torch cannot use the device.
        """
        check_device(device)
        trunk = load_trunk(folder, bf16=has_fast_bfloat16(device))
        has_meaning = "meaning" in read_model_config(folder)
        return cls(
            name=folder.resolve().name,
            parser=load_parser(folder, device, trunk=trunk),
            meaning=load_meaning(folder, device, trunk=trunk) if has_meaning else None,
        )

    def judge(self) -> Meaning:
        """Return the meaning model.

        Raises:
            ModelError: if there is none.
        """
        if self.meaning is None:
            raise ModelError(
                f"the model {self.name!r} only parses; name the measures of trees with --only"
            )
        return self.meaning


@dataclass(frozen=True, kw_only=True)
class Result:
    """A figure before it is known what it was measured for; see `Figure`."""

    name: str
    direction: Direction
    value: float
    low: float
    high: float
    n: int
    inputs: str
    details: Mapping[str, float]

    def figure(self, *, prefix: str, split: Split, seconds: float) -> Figure:
        """Return the figure of a set."""
        return Figure(
            name=f"{prefix}.{self.name}",
            split=split,
            direction=self.direction,
            value=self.value,
            low=self.low,
            high=self.high,
            n=self.n,
            inputs=self.inputs,
            seconds=seconds,
            details=self.details,
        )


def to_stderr(what: str, done: int, total: int) -> None:
    """Say on standard error how far a measure is: one line, rewritten at a terminal."""
    end = "\n" if done >= total or not sys.stderr.isatty() else ""
    start = "\r" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{start}evaluate: {what} {done}/{total}{end}")
    sys.stderr.flush()


def _share(
    name: str,
    counts: ArrayLike,
    inputs: str,
    *,
    direction: Direction = "higher",
    details: Mapping[str, float] | None = None,
) -> Result:
    """A share, or a mean: (U, 2) of counted and all, for every independent unit."""
    table = np.asarray(counts, dtype=np.float64).reshape(-1, 2)
    value, low, high = bootstrap_ratio(table, lambda s: float(s[0] / s[1]) if s[1] else math.nan)
    return Result(
        name=name,
        direction=direction,
        value=value,
        low=low,
        high=high,
        n=int(table[:, 1].sum()),
        inputs=inputs,
        details={"count": float(table[:, 0].sum()), **(details or {})},
    )


def _by_kind(kinds: Sequence[str], rights: Sequence[bool]) -> dict[str, float]:
    """Share of right answers for each kind."""
    totals, right = Counter(kinds), Counter(k for k, r in zip(kinds, rights, strict=True) if r)
    return {kind: right[kind] / totals[kind] for kind in sorted(totals)}


T = TypeVar("T")


def _chunks(
    items: Sequence[T], what: str, report: Report | None, *, size: int = _CHUNK
) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
        if report is not None:
            report(what, min(start + size, len(items)), len(items))


def _parse(
    system: System, sentences: Sequence[Sentence], what: str, report: Report | None
) -> list[Tree]:
    return [
        tree
        for part in _chunks(sentences, what, report)
        for tree in system.parser.parse(list(part))
    ]


def _sentence(text: str) -> Sentence:
    """A Chinese sentence of raw text, whatever marks it holds."""
    sentence = Sentence.from_text(text, lang="zh")
    if sentence is None:
        raise InputError(f"found the blank sentence {text!r}, expected text; check the data")
    return sentence


def _words(tree: Tree, sentence: Sentence) -> list[Offsets]:
    """Offsets of a tree's leaves in the caller's text."""
    return [(s + sentence.start, e + sentence.start) for s, e in leaf_offsets(tree, sentence)]


def _phrases(tree: Tree, words: Sequence[Offsets]) -> list[Offsets]:
    return [(words[c.start][0], words[c.end - 1][1]) for c in tree.constituents()]


def measure_cases(
    system: System,
    cases: Sequence[NaturalCase],
    *,
    name: str = "right",
    report: Report | None = None,
) -> list[Result]:
    """Judge hand-written sentences: the phrases of the best tree, and the readings listed.

    Args:
        system: what is measured.
        cases: the sentences.
        name: of the figure.
        report: told about progress.

    Returns:
        The share of cases that are right, with the share of each kind.
    """
    rights = []
    for part in _chunks(cases, "cases", report):
        for case in part:
            document = Document.from_text(case.text, lang="zh")
            sentences = [s for d in document for s in d.stretches(system.parser.max_atoms)]
            rights.append(is_case_right(case, sentences, system.parser.forests(sentences)))
    inputs = digest_texts(
        f"{c.text} {c.must} {c.must_not} {c.readings_min} {c.readings_max}" for c in cases
    )
    details = _by_kind([case.kind for case in cases], rights)
    return [_share(name, [(right, 1) for right in rights], inputs, details=details)]


def is_case_right(
    case: NaturalCase, sentences: Sequence[Sentence], forests: Sequence[Forest]
) -> bool:
    """Return whether a hand-written case is right.

    The best tree has every phrase that it must have (a word counts as one) and none that it must
    not, and the number of readings listed by default is within the case's bounds. Of two readings
    of a toss-up over a numeral and a classifier, one counts the first noun and one the second.

    Args:
        case: the case.
        sentences: its sentences.
        forests: one for each.
    """
    spans: set[Offsets] = set()
    for sentence, forest in zip(sentences, forests, strict=True):
        spans |= _units(forest.argmax(), sentence, case.text)
    wanted = {trim_offsets(start, end, case.text) for start, end in case.must}
    banned = {trim_offsets(start, end, case.text) for start, end in case.must_not}
    if not wanted <= spans or banned & spans:
        return False
    if case.readings_min is None and case.readings_max is None:
        return True
    listed = [forest.readings(_READINGS, _MIN_PROB).listed for forest in forests]
    most = max((len(readings) for readings in listed), default=0)
    low = 0 if case.readings_min is None else case.readings_min
    high = math.inf if case.readings_max is None else case.readings_max
    if not low <= most <= high:
        return False
    if case.text == _TOSS_UP:
        sides = [
            _TOSS_UP_LOW in _units(reading.tree, sentences[0], case.text) for reading in listed[0]
        ]
        return any(sides) and not all(sides)
    return True


_TOSS_UP, _TOSS_UP_LOW = "两个大学的老师", (0, 4)


def _units(tree: Tree, sentence: Sentence, text: str) -> set[Offsets]:
    """Offsets of all phrases and words, without marks at their edges."""
    words = _words(tree, sentence)
    return {trim_offsets(start, end, text) for start, end in (*_phrases(tree, words), *words)}


def measure_attachment_pairs(
    system: System, items: Sequence[GeneratedItem], *, report: Report | None = None
) -> list[Result]:
    """Judge generated pairs over the same nouns: a pair is right if all its members are.

    Args:
        system: what is measured.
        items: members of pairs, in any order. Toss-ups, items without a partner of another
            structure, and pairs whose structures cannot be told by a phrase take no part.
        report: told about progress.

    Returns:
        The share of pairs that are right, with the shares of each construction and structure.
    """
    groups: dict[int, list[GeneratedItem]] = defaultdict(list)
    for item in items:
        if not item.alternatives:
            groups[item.pair_id].append(item)
    pairs = [
        (group, contrasts)
        for _, group in sorted(groups.items())
        if len({item.member for item in group}) > 1
        and all(contrasts := [_contrast(item, group) for item in group])
    ]
    sentences = [_sentence(item.text) for group, _ in pairs for item in group]
    trees = iter(_parse(system, sentences, "generated pairs", report))
    where = iter(sentences)
    rights, kinds, members, member_rights = [], [], [], []
    for group, contrasts in pairs:
        own = [
            _has_structure(contrast, next(trees), next(where), item.text)
            for item, contrast in zip(group, contrasts, strict=True)
        ]
        rights.append(all(own))
        kinds.append(group[0].kind)
        members += [f"{item.kind}.{item.member}" for item in group]
        member_rights += own
    details = {**_by_kind(kinds, rights), **_by_kind(members, member_rights)}
    details["members"] = sum(member_rights) / len(member_rights) if members else math.nan
    inputs = digest_texts(f"{i.pair_id} {i.text} {i.tree}" for group, _ in pairs for i in group)
    return [_share("pairs", [(right, 1) for right in rights], inputs, details=details)]


@dataclass(frozen=True, kw_only=True)
class _Contrast:
    """What tells the structure of an item from those of its partners.

    Attributes:
        wanted: offsets of phrases that only its own tree has.
        banned: offsets of phrases that only a partner's tree has.
        gold: offsets of the phrases of its tree where the trees differ.
    """

    wanted: frozenset[Offsets]
    banned: frozenset[Offsets]
    gold: frozenset[Offsets]

    def __bool__(self) -> bool:
        return bool(self.wanted or self.banned)


def _contrast(item: GeneratedItem, group: Sequence[GeneratedItem]) -> _Contrast:
    """What tells an item of a group from those of another structure."""
    return _contrasts(_structures(item, group))[0]


def _structures(item: GeneratedItem, group: Sequence[GeneratedItem]) -> list[frozenset[Offsets]]:
    """Phrases of an item's tree, then of its partners' trees laid over its text."""
    found = [_structure(item.tree, item)]
    for other in group:
        if other.member != item.member:
            found.append(_structure(other.tree, item))
    return found


def _structure(tree: Tree, item: GeneratedItem) -> frozenset[Offsets]:
    """Phrases of a tree in the text of an item; a partner's words are laid over the item's."""
    leaves = tree.leaves if "".join(tree.leaves) == item.text else item.tree.leaves
    starts = [0]
    for word in leaves:
        starts.append(starts[-1] + len(word))
    places = _align(tree.leaves, leaves)
    spans = {
        (places[c.start], places[c.end])
        for c in tree.constituents()
        if c.start in places and c.end in places
    }
    placed = (trim_offsets(starts[i], starts[j], item.text) for i, j in spans)
    return frozenset((s, e) for s, e in placed if e - s >= 2)


def _contrasts(structures: Sequence[frozenset[Offsets]]) -> list[_Contrast]:
    """What tells each structure of one text from all the others."""
    found = []
    for place, own in enumerate(structures):
        rest = [*structures[:place], *structures[place + 1 :]]
        others: frozenset[Offsets] = frozenset().union(*rest)
        shared = own.intersection(*rest)
        differing = (own - shared) | (others - own)
        inside = own
        if differing:
            start, end = min(s for s, _ in differing), max(e for _, e in differing)
            inside = frozenset((s, e) for s, e in own if start <= s and e <= end)
        found.append(_Contrast(wanted=own - shared, banned=others - own, gold=inside))
    return found


def _align(first: Sequence[str], second: Sequence[str]) -> dict[int, int]:
    """Map places between words of one sentence to those of another in the same frame."""
    if len(first) == len(second):
        return {place: place for place in range(len(first) + 1)}
    places = {0: 0, len(first): len(second)}
    matcher = difflib.SequenceMatcher(None, list(first), list(second), autojunk=False)
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        places |= {i: j, i_end: j_end}
        if i_end - i == j_end - j:
            places |= {i + step: j + step for step in range(i_end - i)}
    return places


def _has_structure(contrast: _Contrast, tree: Tree, sentence: Sentence, text: str) -> bool:
    """Return whether a tree has one structure of a text and not another.

    It has the phrases that only this structure has and none that only another has, and nothing in
    it crosses a phrase of the structure where they differ.
    """
    found = {trim_offsets(s, e, text) for s, e in _phrases(tree, _words(tree, sentence))}
    if not contrast.wanted <= found or contrast.banned & found:
        return False
    return not any(
        s < first < e < last or first < s < last < e
        for s, e in found
        for first, last in contrast.gold
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Probabilities beside what came true.

    Attributes:
        probs: (N,) probabilities.
        outcomes: (N,) 1 if it came true and 0 if not; 0.5 for each side of a toss-up.
        unit: (N,) int64 independent unit of each, from 0.
        inputs: SHA-256 of what was predicted on.
    """

    probs: NDArray[np.float64]
    outcomes: NDArray[np.float64]
    unit: NDArray[np.int64]
    inputs: str


@dataclass(frozen=True, kw_only=True)
class ReadingPredictions:
    """What the parser says of generated items.

    Attributes:
        predictions: one for each competing reading of each item; a unit is a pair.
        item: (N,) int64 item of each, from 0.
        listed: (items, 4) of each item: readings listed by default, how many of them are right,
            right readings, and how many of them are listed.
        is_toss_up: (items,) bool.
        unit: (items,) int64 pair of each item.
    """

    predictions: Predictions
    item: NDArray[np.int64]
    listed: NDArray[np.float64]
    is_toss_up: NDArray[np.bool_]
    unit: NDArray[np.int64]


def predict_readings(
    system: System, items: Sequence[GeneratedItem], *, report: Report | None = None
) -> ReadingPredictions:
    """Ask for the probability of each competing reading of generated items.

    The competing readings of an item are its own structure and those of its partners over its
    text; of a toss-up, its two trees. The probability of one is that of all readings whose best
    tree has its structure and not another's; what has neither structure takes from all.

    Args:
        system: what is asked.
        items: members of pairs and toss-ups, in any order. Items without a partner of another
            structure take no part, nor do pairs whose structures cannot be told by a phrase.
        report: told about progress.
    """
    asked = _competing(items)
    probs, outcomes, owner, listed = [], [], [], []
    for part in _chunks(range(len(asked)), "readings", report, size=_FEW):
        sentences = [_sentence(asked[n][0].text) for n in part]
        forests = system.parser.forests(sentences)
        for n, sentence, forest in zip(part, sentences, forests, strict=True):
            item, contrasts = asked[n]
            num_right = len(item.trees)
            every = forest.readings(_EVERY, 0.0).listed
            shown = forest.readings(_READINGS, _MIN_PROB).listed
            has = [
                [_has_structure(c, reading.tree, sentence, item.text) for c in contrasts]
                for reading in every
            ]
            for place in range(len(contrasts)):
                mass = sum(r.prob for r, own in zip(every, has, strict=True) if own[place])
                probs.append(min(1.0, mass))
                outcomes.append(1.0 / num_right if place < num_right else 0.0)
                owner.append(n)
            hits = [
                [_has_structure(c, r.tree, sentence, item.text) for c in contrasts[:num_right]]
                for r in shown
            ]
            right = sum(any(row) for row in hits)
            found = sum(any(column) for column in zip(*hits, strict=True))
            listed.append((len(shown), right, num_right, found))
    pairs = {pair: n for n, pair in enumerate(dict.fromkeys(i.pair_id for i, _ in asked))}
    unit = np.array([pairs[item.pair_id] for item, _ in asked], dtype=np.int64)
    rows = np.array(owner, dtype=np.int64)
    return ReadingPredictions(
        predictions=Predictions(
            probs=np.array(probs),
            outcomes=np.array(outcomes),
            unit=unit[rows],
            inputs=digest_texts(
                f"{i.pair_id} {i.text} {' '.join(map(str, i.trees))}" for i, _ in asked
            ),
        ),
        item=rows,
        listed=np.array(listed, dtype=np.float64).reshape(-1, 4),
        is_toss_up=np.array([bool(item.alternatives) for item, _ in asked], dtype=np.bool_),
        unit=unit,
    )


_FEW = 32  # forests held at once
_EVERY = 128  # readings, at most, that a structure's probability is summed over


def _competing(items: Sequence[GeneratedItem]) -> list[tuple[GeneratedItem, list[_Contrast]]]:
    """Items with what tells their readings apart, the right ones first; pairs stay together."""
    groups: dict[int, list[GeneratedItem]] = defaultdict(list)
    for item in items:
        groups[item.pair_id].append(item)
    found = []
    for _, group in sorted(groups.items()):
        rows = []
        for item in group:
            if item.alternatives:
                structures = [_structure(tree, item) for tree in item.trees]
            else:
                structures = _structures(item, [i for i in group if not i.alternatives])
            distinct = list(dict.fromkeys(structures))
            if len(distinct) > 1 and len(distinct) >= len(item.trees):
                rows.append((item, _contrasts(distinct)))
        found += rows
    return found


def measure_calibration(
    system: System, items: Sequence[GeneratedItem], *, report: Report | None = None
) -> list[Result]:
    """Hold the probabilities of competing readings against which of them is right.

    Of a toss-up each reading is right with weight one half: all three losses are expectations
    over a truth drawn by that weight, so the best that can be reached on it is not 0 but a Brier
    score of 0.25 and a log loss of log 2.

    Args:
        system: what is measured.
        items: as for `predict_readings`.
        report: told about progress.

    Returns:
        The calibration error over bins of equal mass (its interval is moved back by what drawing
        again adds to any mean of absolute gaps), the Brier score, the mean over items of -log of
        the right reading's probability (nats; a probability under 0.001 counts as that), the
        share of the readings listed by default that are right, and how many are listed.
    """
    found = predict_readings(system, items, report=report)
    told, listed = found.predictions, found.listed
    probs, outcomes = told.probs, told.outcomes
    num_units, num_items = len(set(found.unit.tolist())), len(listed)
    rows = [np.flatnonzero(told.unit == unit) for unit in range(num_units)]

    def error(units: NDArray[np.int64]) -> float:
        chosen = np.concatenate([rows[unit] for unit in units.tolist()])
        return expected_error(probs[chosen], outcomes[chosen])

    value, low, high = bootstrap_units(num_units, error, is_biased=True)
    squares = outcomes * (1.0 - probs) ** 2 + (1.0 - outcomes) * probs**2
    surprise = np.zeros(num_items)
    np.add.at(surprise, found.item, -outcomes * np.log(np.maximum(probs, _FLOOR)))
    toss_ups = listed[found.is_toss_up]
    details = {
        "readings": float(len(probs)),
        "toss_ups": float(len(toss_ups)),
        "mean_prob": float(probs.mean()) if len(probs) else math.nan,
        "mean_right": float(outcomes.mean()) if len(probs) else math.nan,
    }
    of_listed = {
        "count": float(listed[:, 1].sum()),
        "right_listed": _mean_of(listed[:, 3].sum(), listed[:, 2].sum()),
        "toss_ups_both": _mean_of((toss_ups[:, 3] == 2).sum(), len(toss_ups)),
    }

    def mean(
        name: str,
        values: NDArray[np.float64],
        counts: ArrayLike,
        unit: NDArray[np.int64],
        direction: Direction,
        more: Mapping[str, float],
    ) -> Result:
        table = np.zeros((num_units, 2))
        np.add.at(table, unit, np.stack(np.broadcast_arrays(values, counts), 1))
        share = _share(name, table, told.inputs, direction=direction)
        return replace(share, details=more)

    single = found.unit
    return [
        Result(
            name="ece",
            direction="lower",
            value=value,
            low=max(0.0, low),
            high=high,
            n=len(probs),
            inputs=told.inputs,
            details=details,
        ),
        mean("brier", squares, 1.0, told.unit, "lower", {}),
        mean("log_loss", surprise, 1.0, single, "lower", {}),
        mean("listed_right", listed[:, 1], listed[:, 0], single, "higher", of_listed),
        mean("listed", listed[:, 0], 1.0, single, "information", {}),
    ]


_FLOOR = 1e-3  # less probable trees are not looked at


def _mean_of(total: float, count: float) -> float:
    return float(total / count) if count else math.nan


def predict_phrases(
    system: System, trees: Sequence[Tree], *, report: Report | None = None
) -> Predictions:
    """Ask for the probability of each phrase of the best tree over the words of gold trees.

    A phrase came true if the gold tree has its words under its label. The roots are left out:
    every tree covers the whole sentence.

    Args:
        system: what is asked.
        trees: gold trees of English sentences; each is a unit.
        report: told about progress.
    """
    probs, outcomes, unit = [], [], []
    for part in _chunks(range(len(trees)), "phrases", report, size=_FEW):
        sentences = [Sentence.from_words(trees[n].leaves, lang="en") for n in part]
        for n, forest in zip(part, system.parser.forests(sentences), strict=True):
            (best,) = forest.kbest(1)
            gold = set(trees[n].constituents())
            size = len(best.words)
            for phrase in dict.fromkeys(best.tree.constituents()):
                if phrase.end - phrase.start == size:
                    continue
                start, end = best.words[phrase.start][0], best.words[phrase.end - 1][1]
                probs.append(forest.span_prob(start, end, label=phrase.label))
                outcomes.append(float(phrase in gold))
                unit.append(n)
    return Predictions(
        probs=np.array(probs, dtype=np.float64),
        outcomes=np.array(outcomes, dtype=np.float64),
        unit=np.array(unit, dtype=np.int64),
        inputs=digest_texts(map(str, trees)),
    )


def measure_dependencies(
    system: System,
    sentences: Sequence[GoldSentence],
    *,
    attachment: bool = True,
    report: Report | None = None,
) -> list[Result]:
    """Compare best trees of raw text with gold dependencies.

    Args:
        system: what is measured.
        sentences: with gold words and dependencies.
        attachment: whether to look for natural `Num CL … N1 的 N2`, too.
        report: told about progress.

    Returns:
        The share of phrases that cross a gold subtree; with `attachment`, the share of natural
        cases attached as the gold dependencies say; F1 of words, for information.
    """
    raw = [_sentence(gold.text) for gold in sentences]
    trees = _parse(system, raw, "dependencies", report)
    crossed, segmented, attached = [], [], []
    kinds: list[str] = []
    for gold, sentence, tree in zip(sentences, raw, trees, strict=True):
        words = _words(tree, sentence)
        phrases = _phrases(tree, words)
        counts = crossings(phrases, gold.subtrees, gold.text)
        crossed.append((counts.crossing, counts.total))
        matched = word_counts(gold.words, words)
        segmented.append((matched.correct, matched.predicted, matched.gold))
        for case in attachment_cases([gold]):
            attached.append(is_attached(case, phrases))
            kinds.append("high" if case.is_high else "low")
    inputs = digest_texts(f"{gold.text} {gold.subtrees} {gold.words}" for gold in sentences)
    results = [_share("crossings", crossed, inputs, direction="lower")]
    if attachment:
        results.append(
            _share(
                "attachment", [(a, 1) for a in attached], inputs, details=_by_kind(kinds, attached)
            )
        )
    results.append(_f1("words", segmented, inputs, direction="information"))
    return results


def _f1(
    name: str,
    counts: ArrayLike,
    inputs: str,
    *,
    direction: Direction = "higher",
    details: Mapping[str, float] | None = None,
) -> Result:
    """F1 of (U, 3) of right, predicted and gold."""
    table = np.asarray(counts, dtype=np.float64).reshape(-1, 3)

    def f1(sums: NDArray[np.float64]) -> float:
        total = sums[1] + sums[2]
        return float(2 * sums[0] / total) if total else math.nan

    value, low, high = bootstrap_ratio(table, f1)
    right, predicted, gold = table.sum(0) if len(table) else (0.0, 0.0, 0.0)
    return Result(
        name=name,
        direction=direction,
        value=value,
        low=low,
        high=high,
        n=int(gold),
        inputs=inputs,
        details={
            "precision": float(right / predicted) if predicted else 0.0,
            "recall": float(right / gold) if gold else 0.0,
            **(details or {}),
        },
    )


def measure_brackets(
    system: System, domains: Mapping[str, Sequence[Tree]], *, report: Report | None = None
) -> list[Result]:
    """Compare best trees over given English words with gold trees: labelled F1.

    Args:
        system: what is measured.
        domains: gold trees of each domain.
        report: told about progress.

    Returns:
        Labelled F1 over the brackets of all domains, and that of each.
    """
    gold = [(domain, tree) for domain, trees in domains.items() for tree in trees]
    sentences = [Sentence.from_words(tree.leaves, lang="en") for _, tree in gold]
    found = _parse(system, sentences, "brackets", report)
    rows = []
    by_domain: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for (domain, tree), predicted in zip(gold, found, strict=True):
        counts = bracket_counts(tree, predicted.with_leaves(tree.leaves))
        rows.append((counts.labelled, counts.predicted, counts.gold))
        by_domain[domain].append(rows[-1])
    details = {}
    for domain, own in by_domain.items():
        right, predicted_sum, gold_sum = (sum(column) for column in zip(*own, strict=True))
        total = predicted_sum + gold_sum
        details[domain] = 2 * right / total if total else 0.0
    inputs = digest_texts(f"{domain} {tree}" for domain, tree in gold)
    return [_f1("labelled_f1", rows, inputs, details=details)]


def measure_treebank_sentiment(
    system: System, items: Sequence[SentimentTree], *, report: Report | None = None
) -> list[Result]:
    """Score sentiment classes of sentences on our own trees, and of phrases on the treebank's.

    The words are those of the treebank, in running text. Sentences are judged as users have them
    judged, by the best tree of the parser and by what is read beside it; all nodes, words and roots
    included, on the treebank's own binary trees.

    Args:
        system: what is measured.
        items: labelled sentences.
        report: told about progress.

    Returns:
        Accuracy in five classes, accuracy of the side of sentences that are not neutral, and
        accuracy over all nodes.
    """
    meaning_model = system.judge()
    fine, binary, nodes = [], [], []
    order = sorted(range(len(items)), key=lambda n: len(items[n].words))
    for part in _chunks(order, "phrases", report):
        chosen = [items[n] for n in part]
        sentences = [_with_words(item) for item in chosen]
        parsed = system.parser.parse(sentences)
        found = meaning_model.judge(sentences, [[tree] for tree in parsed], spans=False)
        by_node = meaning_model.judge_nodes(sentences, [item.tree for item in chosen])
        for item, (meaning,), own in zip(chosen, found, by_node, strict=True):
            fine.append((best_class(meaning.distribution) == item.label, 1))
            if item.label != NEUTRAL:
                side = is_positive(meaning.distribution)
                binary.append((side == (item.label > NEUTRAL), 1))
            labels = span_labels(item.tree)
            right = sum(best_class(own[span]) == label for span, label in labels.items())
            nodes.append((right, len(labels)))
    inputs = digest_texts(f"{item.text} {item.tree}" for item in items)
    return [
        _share("root", fine, inputs),
        _share("binary", binary, inputs),
        _share("nodes", nodes, inputs),
    ]


def _with_words(item: SentimentTree) -> Sentence:
    return Sentence(
        text=item.text,
        start=item.words[0][0],
        end=item.words[-1][1],
        lang="en",
        atoms=item.words,
        is_tokenized=True,
        words=tuple((n, n + 1) for n in range(len(item.words))),
    )


def measure_reviews(
    system: System, reviews: Sequence[Review], *, report: Report | None = None
) -> list[Result]:
    """Score the side of whole reviews from raw text: sentences, best trees, text.

    Args:
        system: what is measured.
        reviews: labelled positive or negative.
        report: told about progress.

    Returns:
        Accuracy, with that of each label.
    """
    texts = _read_texts(system, [review.text for review in reviews], "reviews", report)
    answered = [n for n, meanings in enumerate(texts) if meanings]
    rights = [False] * len(reviews)  # a review that shows nothing is judged neither way: wrong
    for part in _chunks(answered, "texts", None):
        judged = system.judge().judge_texts([texts[n] for n in part])
        for n, distribution in zip(part, judged, strict=True):
            rights[n] = is_positive(distribution) == (reviews[n].label == 1)
    details = _by_kind(["positive" if r.label == 1 else "negative" for r in reviews], rights)
    inputs = digest_texts(f"{review.label} {review.text}" for review in reviews)
    return [_share("binary", [(right, 1) for right in rights], inputs, details=details)]


def _read_texts(
    system: System, texts: Sequence[str], what: str, report: Report | None
) -> list[list[TreeMeaning]]:
    """Split texts as users have them split, parse and compose: meanings by text, in order."""
    meaning_model = system.judge()
    units = [
        (n, part)
        for n, text in enumerate(texts)
        for sentence in Document.from_text(text)
        for part in sentence.stretches(system.parser.max_atoms)
    ]
    atoms = [sentence.num_atoms for _, sentence in units]
    order = sorted(range(len(units)), key=lambda u: (units[u][1].lang, atoms[u]))
    found: dict[int, TreeMeaning] = {}
    for chunk in _chunks(order, what, report):
        for part in cut_by_size(chunk, atoms, _ATOMS):
            sentences = [units[u][1] for u in part]
            trees = system.parser.parse(sentences)
            judged = meaning_model.judge(sentences, [[tree] for tree in trees], spans=False)
            for u, (meaning,) in zip(part, judged, strict=True):
                found[u] = meaning
    meanings: list[list[TreeMeaning]] = [[] for _ in texts]
    for u, (n, _) in enumerate(units):
        meanings[n].append(found[u])
    return meanings


def measure_similarity(
    system: System,
    pairs: Sequence[SentencePair],
    *,
    rank: bool = False,
    report: Report | None = None,
) -> list[Result]:
    """Correlate the similarity of pairs with what people say.

    Args:
        system: what is measured.
        pairs: with graded scores.
        rank: whether Spearman's coefficient is the figure, rather than Pearson's.
        report: told about progress.

    Returns:
        The coefficient, with the other one among its details.
    """
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.first, pair.second)))
    meanings = dict(zip(texts, _read_texts(system, texts, "pairs", report), strict=True))
    answers: list[float] = []
    for part in _chunks(pairs, "pairs", None):
        answers += system.judge().similarity(
            [(meanings[pair.first], meanings[pair.second]) for pair in part]
        )
    targets = [pair.score for pair in pairs]
    name, other = ("spearman", "pearson") if rank else ("pearson", "spearman")
    functions = {"pearson": pearson, "spearman": spearman}
    value, low, high = bootstrap_pairs(answers, targets, functions[name])
    return [
        Result(
            name=name,
            direction="higher",
            value=value,
            low=low,
            high=high,
            n=len(pairs),
            inputs=digest_texts(f"{p.score:.6f}\t{p.first}\t{p.second}" for p in pairs),
            details={other: functions[other](answers, targets)},
        )
    ]
