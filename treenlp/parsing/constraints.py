"""What a user, a tokenizer or a partial annotation knows about a tree, as masks on the scores.

A constraint forbids entries of the chart, whose scores become `NEG`; the inputs are never
changed. Two things are no matter of single entries. That a span is a constituent is required of
whole trees (`Forest` does it with a bonus that it takes off again), since forbidding what crosses
the span still lets a flat phrase run through it. And the score of one whole tree is read off with
`tree_items` and `tree_scores`, since a chart that allows only the parts of a tree also holds the
flatter trees made of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import torch
from torch import Tensor

from treenlp.errors import GrammarError, InputError
from treenlp.parsing.chart import NEG, ChartScores
from treenlp.parsing.grammar import CHAIN_SEPARATOR, Grammar

__all__ = [
    "Constraint",
    "ConstraintKind",
    "TreeItems",
    "constraint_masks",
    "mask_scores",
    "partial_brackets",
    "tree_items",
    "tree_scores",
    "weigh_span",
    "word_mask",
]

Span = tuple[int, int]
Node = tuple[int, int, int, bool]


class ConstraintKind(Enum):
    """What a constraint says about its spans."""

    IS = "is"
    IS_NOT = "is not"
    WORDS = "words"
    TAG = "tag"
    UNCROSSED = "uncrossed"


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """One thing that is known of a sentence's tree; make it with the class methods.

    Attributes:
        kind: what is said.
        spans: half-open; of atoms where a `Forest` takes it, of chart units otherwise.
        label: a label of the chain (``VP`` of ``IP::VP``) or the whole chain; None for any.

    Example:
        >>> Constraint.constituent(0, 4, label="NP").kind
        <ConstraintKind.IS: 'is'>
    """

    kind: ConstraintKind
    spans: tuple[Span, ...]
    label: str | None = None

    def __post_init__(self) -> None:
        """Check the spans."""
        for start, end in self.spans:
            if not 0 <= start < end:
                raise InputError(f"found the span [{start}, {end}), expected 0 <= start < end")

    @classmethod
    def constituent(cls, start: int, end: int, *, label: str | None = None) -> Constraint:
        """The span is a phrase or a word, of this label if one is given."""
        return cls(kind=ConstraintKind.IS, spans=((start, end),), label=label)

    @classmethod
    def no_constituent(cls, start: int, end: int, *, label: str | None = None) -> Constraint:
        """The span is neither phrase nor word, at least not of this label."""
        return cls(kind=ConstraintKind.IS_NOT, spans=((start, end),), label=label)

    @classmethod
    def words(cls, spans: Sequence[Span]) -> Constraint:
        """These are words; where they lie there are no others."""
        return cls(kind=ConstraintKind.WORDS, spans=tuple(spans))

    @classmethod
    def tag(cls, start: int, end: int, tag: str) -> Constraint:
        """The span is one word of this part of speech."""
        return cls(kind=ConstraintKind.TAG, spans=((start, end),), label=tag)

    @classmethod
    def uncrossed(cls, start: int, end: int) -> Constraint:
        """No phrase crosses the span: it may be a constituent or a row of them."""
        return cls(kind=ConstraintKind.UNCROSSED, spans=((start, end),))


def mask_scores(
    scores: ChartScores,
    phrase_allowed: Tensor | None = None,
    word_allowed: Tensor | None = None,
) -> ChartScores:
    """Make entries impossible; gradients flow through the others.

    Args:
        scores: any batch.
        phrase_allowed: bool, broadcasts to (B, F, F, Lp); None allows all.
        word_allowed: bool, broadcasts to (B, F, W, Lw); None allows all.

    Returns:
        New scores; what was not masked is shared with the old ones.
    """
    phrase, word = scores.phrase, scores.word
    if phrase_allowed is not None:
        phrase = phrase.masked_fill(~phrase_allowed.to(phrase.device), NEG)
    if word_allowed is not None:
        word = word.masked_fill(~word_allowed.to(word.device), NEG)
    return replace(scores, phrase=phrase, word=word)


def weigh_span(scores: ChartScores, span: Span, nats: float) -> ChartScores:
    """Add a weight to every tree in which a span is a phrase or a word.

    A tree holds a span once at most, under one chain of labels, so its score changes by the
    weight exactly.

    Args:
        scores: any batch.
        span: of chart units, half-open.
        nats: the weight; below 0 it makes the span less likely.

    Returns:
        New scores; what is impossible stays so.
    """
    start, end = span
    phrase = scores.phrase.clone()
    entry = phrase[:, start, end]
    phrase[:, start, end] = torch.where(entry > NEG / 2, entry + nats, entry)
    word, width = scores.word, end - start
    if width <= word.shape[2]:
        word = word.clone()
        entry = word[:, start, width - 1]
        word[:, start, width - 1] = torch.where(entry > NEG / 2, entry + nats, entry)
    return replace(scores, phrase=phrase, word=word)


def partial_brackets(spans: Sequence[Sequence[Span]], fenceposts: int) -> Tensor:
    """Mask of the phrases that cross none of each sentence's spans.

    Args:
        spans: per sentence, half-open spans of chart units.
        fenceposts: F of the batch.

    Returns:
        (B, F, F, 1) bool, a `phrase_allowed` for `mask_scores`.

    Example:
        >>> allowed = partial_brackets([[(1, 3)]], 4)
        >>> bool(allowed[0, 0, 2]), bool(allowed[0, 0, 3]), bool(allowed[0, 1, 2])
        (False, True, True)
    """
    allowed = np.ones((len(spans), fenceposts, fenceposts, 1), dtype=bool)
    for mask, brackets in zip(allowed, spans, strict=True):
        for start, end in brackets:
            mask[:start, start + 1 : end] = False
            mask[start + 1 : end, end + 1 :] = False
    return torch.from_numpy(allowed)


def word_mask(words: Sequence[Sequence[Span]], fenceposts: int, max_word_units: int) -> Tensor:
    """Mask of the words that are given or overlap none that is given.

    Args:
        words: per sentence, half-open spans of chart units that are words; they need not cover
            the sentence.
        fenceposts: F of the batch.
        max_word_units: W of the grammar.

    Returns:
        (B, F, W, 1) bool, a `word_allowed` for `mask_scores`.

    Raises:
        GrammarError: if a word is longer than the grammar's longest.
    """
    allowed = np.ones((len(words), fenceposts, max_word_units, 1), dtype=bool)
    length = np.arange(1, max_word_units + 1)
    for mask, given in zip(allowed, words, strict=True):
        for start, end in given:
            if end - start > max_word_units:
                raise GrammarError(
                    f"the word [{start}, {end}) has {end - start} units, expected at most "
                    f"{max_word_units}; split it or cut the chart at its ends only"
                )
            for i in range(max(0, start - max_word_units + 1), end):
                mask[i, i + length > start] = False
        for start, end in given:
            mask[start, end - start - 1] = True
    return torch.from_numpy(allowed)


def constraint_masks(
    constraints: Sequence[Constraint], grammar: Grammar, fenceposts: int
) -> tuple[Tensor, Tensor, tuple[Span, ...]]:
    """Masks of one sentence's chart, and the spans that must be constituents.

    Args:
        constraints: with spans of chart units.
        grammar: whose labels are masked.
        fenceposts: F of the chart.

    Returns:
        (1, F, F, Lp) and (1, F, W, Lw) bool of what is allowed, and the required spans.

    Raises:
        GrammarError: if a label is none of the grammar's.
    """
    size = fenceposts - 1
    phrase = np.ones((1, fenceposts, fenceposts, len(grammar.phrase_labels)), dtype=bool)
    word = np.ones((1, fenceposts, grammar.max_word_units, len(grammar.word_labels)), dtype=bool)
    required: list[Span] = []
    for constraint in constraints:
        for start, end in constraint.spans:
            if end > size:
                raise InputError(f"found the span [{start}, {end}) in a chart of {size} units")
        if constraint.kind is ConstraintKind.IS:
            _require(constraint, grammar, phrase, word)
            required.extend(constraint.spans)
        elif constraint.kind is ConstraintKind.IS_NOT:
            _forbid(constraint, grammar, phrase, word)
        elif constraint.kind is ConstraintKind.UNCROSSED:
            phrase &= partial_brackets([constraint.spans], fenceposts).numpy()
        else:
            word &= word_mask([constraint.spans], fenceposts, grammar.max_word_units).numpy()
            # A word is no phrase of parts: nothing else may start or end inside it.
            if constraint.label is not None:
                ((start, end),) = constraint.spans
                tags = [x.split(CHAIN_SEPARATOR)[-1] for x in grammar.word_labels]
                word[0, start, end - start - 1] &= _known(constraint.label, tags)
    return torch.from_numpy(phrase), torch.from_numpy(word), tuple(dict.fromkeys(required))


def _known(tag: str, tags: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = np.array([x == tag for x in tags], dtype=bool)
    if not found.any():
        raise GrammarError(
            f"the tag {tag!r} is none of the grammar's; use one of {', '.join(sorted(set(tags)))}"
        )
    return found


def _holding(
    label: str, grammar: Grammar
) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Which phrase and word labels have a label in their chain."""
    found = tuple(
        np.array([label == x or label in x.split(CHAIN_SEPARATOR) for x in labels], dtype=bool)
        for labels in (grammar.phrase_labels, grammar.word_labels)
    )
    if not found[0].any() and not found[1].any():
        known = {part for x in grammar.phrase_labels for part in x.split(CHAIN_SEPARATOR)}
        raise GrammarError(
            f"the label {label!r} is none of the grammar's; use one of {', '.join(sorted(known))}"
        )
    return found[0], found[1]


def _require(
    constraint: Constraint,
    grammar: Grammar,
    phrase: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    word: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> None:
    """Forbid what crosses a required span, and other labels over it."""
    for start, end in constraint.spans:
        phrase &= partial_brackets([[(start, end)]], phrase.shape[1]).numpy()
        if constraint.label is None:
            continue
        phrases, words = _holding(constraint.label, grammar)
        phrase[0, start, end] &= phrases
        if end - start <= grammar.max_word_units:
            word[0, start, end - start - 1] &= words


def _forbid(
    constraint: Constraint,
    grammar: Grammar,
    phrase: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    word: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> None:
    """Forbid a span, or some labels over it."""
    phrases, words = np.array([True]), np.array([True])
    if constraint.label is not None:
        phrases, words = _holding(constraint.label, grammar)
    for start, end in constraint.spans:
        phrase[0, start, end] &= ~phrases
        if end - start <= grammar.max_word_units:
            word[0, start, end - start - 1] &= ~words


@dataclass(frozen=True, kw_only=True)
class TreeItems:
    """Where the scores of whole trees stand in a batch of charts, as flat indices.

    Attributes:
        phrase: (n, 4) int64, (tree's sentence, i, j, label).
        word: (n, 4) int64, (sentence, i, units - 1, label).
        child: (n, 2) int64, (parent class, child class) of every edge.
        affinity: (n, 4) int64, (sentence, k, j, parent class).
        root: (n, 1) int64 child class.
        phrase_owner: (n,) int64 number of the tree of each row of `phrase` and `affinity`.
        word_owner: (n,) likewise for `word`.
        child_owner: (n,) likewise for `child`.
        num_trees: N; `root` has one row for each.
    """

    phrase: Tensor
    word: Tensor
    child: Tensor
    affinity: Tensor
    root: Tensor
    phrase_owner: Tensor
    word_owner: Tensor
    child_owner: Tensor
    num_trees: int


def tree_items(
    trees: Sequence[Sequence[Node]],
    grammar: Grammar,
    *,
    sentences: Sequence[int] | None = None,
) -> TreeItems:
    """Find the entries of the chart that make up each tree.

    Args:
        trees: nodes (start, end, label, is_word) in preorder, chart units, chains collapsed.
        grammar: whose labels the nodes index.
        sentences: item of the batch that each tree belongs to; by default the same number.
    """
    phrase: list[tuple[int, int, int, int]] = []
    word: list[tuple[int, int, int, int]] = []
    child: list[Span] = []
    affinity: list[tuple[int, int, int, int]] = []
    root: list[tuple[int]] = []
    owners: tuple[list[int], list[int], list[int]] = ([], [], [])
    batch = range(len(trees)) if sentences is None else sentences
    for owner, (b, nodes) in enumerate(zip(batch, trees, strict=True)):
        path: list[tuple[int, int]] = []  # (end, inner class) of the open phrases
        is_first = False
        for start, end, label, is_word in nodes:
            outer = (grammar.word_outer if is_word else grammar.phrase_outer)[label]
            while path and path[-1][0] <= start:
                path.pop()
            if path:
                child.append((path[-1][1], outer))
                owners[2].append(owner)
                if is_first:
                    affinity.append((b, end, path[-1][0], path[-1][1]))
            else:
                root.append((outer,))
            is_first = not is_word
            if is_word:
                word.append((b, start, end - start - 1, label))
                owners[1].append(owner)
            else:
                phrase.append((b, start, end, label))
                owners[0].append(owner)
                path.append((end, grammar.phrase_inner[label]))

    def rows(values: Sequence[Sequence[int]], width: int) -> Tensor:
        return torch.tensor(values, dtype=torch.int64).reshape(-1, width)

    return TreeItems(
        phrase=rows(phrase, 4),
        word=rows(word, 4),
        child=rows(child, 2),
        affinity=rows(affinity, 4),
        root=rows(root, 1),
        phrase_owner=torch.tensor(owners[0], dtype=torch.int64),
        word_owner=torch.tensor(owners[1], dtype=torch.int64),
        child_owner=torch.tensor(owners[2], dtype=torch.int64),
        num_trees=len(trees),
    )


def tree_scores(scores: ChartScores, items: TreeItems) -> Tensor:
    """Unnormalized log scores of whole trees, differentiable.

    Args:
        scores: a batch.
        items: where its trees' scores stand.

    Returns:
        (N,) nats; subtract `log_partition` of each tree's sentence for log probabilities.
    """
    device = scores.phrase.device
    total = scores.root[items.root[:, 0].to(device)]
    for table, index, owner in (
        (scores.phrase, items.phrase, items.phrase_owner),
        (scores.affinity, items.affinity, items.phrase_owner),
        (scores.word, items.word, items.word_owner),
        (scores.child, items.child, items.child_owner),
    ):
        values = table[tuple(index.to(device).T)]
        total = total.index_add(0, owner.to(device), values.to(total.dtype))
    return total
