"""Which words agree, learned from running text: classifiers with nouns, verbs with objects.

Where nothing stands between, a classifier counts the noun after it and a verb acts on the noun
after it. A parser that is trained on trees alone sees too few such pairs to know who agrees with
whom when a modifier stands between. Here the affinity of observed pairs is raised over that of
pairs put together at random: the contrastive objective of van den Oord, Li & Vinyals (2018),
"Representation Learning with Contrastive Predictive Coding", eq. 4, in both directions; at its
optimum the affinity is the pointwise mutual information of the two words, up to a constant for
each. Departure: other pairs that were observed are no counter-examples.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from treenlp.data.pku import TaggedText, counted_nouns, verb_objects
from treenlp.encoder import PieceTokenizer, Trunk
from treenlp.errors import DataError
from treenlp.parsing.scorer import SpanScorer
from treenlp.trees.tree import Tree

__all__ = ["Agreement", "AgreementPairs", "contrastive_loss", "tag_as_pku"]

_PKU_TAGS = {
    "CD": "m", "OD": "m", "DT": "r", "M": "q", "NN": "n", "NR": "nr", "VV": "v", "AS": "u",
    "DEC": "u", "DEG": "u", "CC": "c", "PU": "w",
}  # fmt: skip
_NUMERALS = "一两三四五六几十这那某每"
_BEFORE_NUMERALS = "，了是的有在见着过这那这那把对给"
_BEFORE_NOUNS = "的的的的大小新老本该个位"
_BEFORE_VERBS = "，我他们去要想会人的在不也"


def tag_as_pku(tree: Tree) -> TaggedText:
    """Words of a Chinese tree under the PKU tags that agreement is read from."""
    tags = tuple(_PKU_TAGS.get(tag, "x") for tag in tree.tags)
    return TaggedText(words=tree.leaves, tags=tags)


@dataclass(frozen=True, kw_only=True)
class AgreementPairs:
    """Observed pairs and how often each was seen.

    Attributes:
        counted: (classifier, noun).
        objects: (verb, noun).
    """

    counted: Mapping[tuple[str, str], int]
    objects: Mapping[tuple[str, str], int]

    @classmethod
    def collect(
        cls, texts: Iterable[TaggedText], *, leave_out: Callable[[str, str], bool]
    ) -> AgreementPairs:
        """Count the pairs of `texts`, without those that `leave_out` says are measured on."""
        counted: Counter[tuple[str, str]] = Counter()
        objects: Counter[tuple[str, str]] = Counter()
        for text in texts:
            counted.update((pair.classifier, pair.noun) for pair in counted_nouns([text]))
            objects.update((pair.verb, pair.noun) for pair in verb_objects([text]))

        def kept(pairs: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
            return {pair: n for pair, n in sorted(pairs.items()) if not leave_out(*pair)}

        return cls(counted=kept(counted), objects=kept(objects))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Relation:
    """Pairs of one kind, ready to be drawn.

    Attributes:
        parent: parent class of a phrase in which the two agree.
        heads: words that come first, each once, sorted.
        nouns: words that they agree with, each once, sorted.
        rows: (N,) int64 place in `heads` of each pair's first word.
        columns: (N,) int64 place in `nouns` of its second.
        weights: (N,) cumulative weights of drawing.
        before: makes up the characters in front of a head.
    """

    parent: str
    heads: Sequence[str]
    nouns: Sequence[str]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: Sequence[float]
    before: Callable[[random.Random], str]

    @classmethod
    def of(
        cls,
        parent: str,
        found: Mapping[tuple[str, str], int],
        before: Callable[[random.Random], str],
    ) -> _Relation:
        heads = sorted({head for head, _ in found})
        nouns = sorted({noun for _, noun in found})
        row = {head: n for n, head in enumerate(heads)}
        column = {noun: n for n, noun in enumerate(nouns)}
        return cls(
            parent=parent,
            heads=heads,
            nouns=nouns,
            rows=np.array([row[head] for head, _ in found]),
            columns=np.array([column[noun] for _, noun in found]),
            weights=list(accumulate(n**0.5 for n in found.values())),
            before=before,
        )

    def draw(self, size: int, rng: random.Random) -> _Draw:
        """Draw pairs, more often those that were seen often."""
        pairs = rng.choices(range(len(self.rows)), cum_weights=self.weights, k=size)
        heads, row = np.unique(self.rows[pairs], return_inverse=True)
        nouns, column = np.unique(self.columns[pairs], return_inverse=True)
        right = np.zeros((len(heads), len(nouns)), dtype=np.float32)
        np.add.at(right, (row, column), 1.0)
        # where each word of the vocabulary stands in the draw, -1 for nowhere
        row_of = np.full(len(self.heads), -1)
        column_of = np.full(len(self.nouns), -1)
        row_of[heads], column_of[nouns] = np.arange(len(heads)), np.arange(len(nouns))
        at, to = row_of[self.rows], column_of[self.columns]
        is_drawn = (at >= 0) & (to >= 0)
        known = np.zeros(right.shape, dtype=np.bool_)
        known[at[is_drawn], to[is_drawn]] = True
        return _Draw(
            heads=[self.heads[n] for n in heads],
            nouns=[self.nouns[n] for n in nouns],
            right=torch.from_numpy(right),
            known=torch.from_numpy(known),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Draw:
    """Words of the pairs drawn for one step; matrices as for `contrastive_loss`."""

    heads: Sequence[str]
    nouns: Sequence[str]
    right: Tensor
    known: Tensor


class Agreement:
    """Contrastive loss of the affinity over observed pairs.

    Args:
        pairs: what was observed, some pair at least.
        tokenizer: of the trunk.
        size: pairs a step of each kind; cost grows with its square, a few milliseconds at 384.

    Raises:
        DataError: if there are no pairs.
    """

    def __init__(
        self, pairs: AgreementPairs, tokenizer: PieceTokenizer, *, size: int = 384
    ) -> None:
        """Prepare drawing; a frequent pair is drawn with the square root of its count."""
        self.tokenizer = tokenizer
        self.size = size
        self.relations = [
            _Relation.of(parent, found, before)
            for parent, found, before in (
                ("NP", pairs.counted, _before_classifier),
                ("VP", pairs.objects, _before_verb),
            )
            if found
        ]
        if not self.relations:
            raise DataError("found no pair of words that agree, expected some; train without")

    def loss(self, scorer: SpanScorer, trunk: Trunk, rng: random.Random) -> Tensor:
        """Mean over kinds and directions, nats a pair; under autocast it is inexact."""
        window = scorer.config.affinity_window
        parents = scorer.grammars["zh"].parent_classes
        losses = []
        for relation in self.relations:
            drawn = relation.draw(self.size, rng)
            scores = scorer.agreement(
                "zh",
                parents.index(relation.parent),
                trunk,
                self._windows(drawn.heads, relation.before, window, rng),
                self._windows(drawn.nouns, _before_noun, window, rng),
            )
            right, known = drawn.right.to(scores), drawn.known.to(scores.device)
            losses += [
                contrastive_loss(scores, right, known),
                contrastive_loss(scores.T, right.T, known.T),
            ]
        return torch.stack(losses).mean()

    def _windows(
        self,
        words: Iterable[str],
        before: Callable[[random.Random], str],
        window: int,
        rng: random.Random,
    ) -> Tensor:
        """Static pieces (N, W) of the last characters of words, nearest first."""
        rows = []
        for word in words:
            text = before(rng) + word
            while len(text) < window:
                text = before(rng) + text
            rows.append([self.tokenizer.character(c) for c in reversed(text[-window:])])
        return torch.tensor(rows, dtype=torch.int64)


def _before_classifier(rng: random.Random) -> str:
    return rng.choice(_BEFORE_NUMERALS) + rng.choice(_NUMERALS)


def _before_verb(rng: random.Random) -> str:
    return rng.choice(_BEFORE_VERBS) + rng.choice(_BEFORE_VERBS)


def _before_noun(rng: random.Random) -> str:
    # whatever the noun is: next to its own classifier the two would agree by sight
    return rng.choice(_BEFORE_NOUNS) + rng.choice(_BEFORE_NOUNS)


def contrastive_loss(scores: Tensor, right: Tensor, known: Tensor) -> Tensor:
    """Cross entropy of the drawn pairs against what was never observed together.

    Args:
        scores: (N, M) float.
        right: (N, M) float, how often each pair was drawn, at least one pair.
        known: (N, M) bool, observed somewhere: such a pair is no counter-example.

    Returns:
        Scalar, nats a pair.

    Example:
        >>> scores, right = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
        >>> round(contrastive_loss(scores, right, right > 0).item(), 4)
        0.6931
    """
    others = scores.masked_fill(known, -1e4).logsumexp(1, keepdim=True)
    return (F.softplus(others - scores) * right).sum() / right.sum()
