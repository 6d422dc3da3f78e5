"""Which words agree, learned from running text: classifiers with nouns, verbs with their objects.

Where nothing stands between, a classifier counts the noun after it and a verb acts on the noun after
it. A parser that is trained on trees alone sees too few such pairs to know who agrees with whom when
a modifier stands between. Here the affinity of observed pairs is raised over that of pairs put
together at random: the contrastive objective of van den Oord, Li & Vinyals (2018), "Representation
Learning with Contrastive Predictive Coding", eq. 4, in both directions; at its optimum the affinity
is the pointwise mutual information of the two words, up to a constant for each.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from treenlp.data.pku import TaggedText, counted_nouns, verb_objects
from treenlp.encoder import PieceTokenizer, Trunk
from treenlp.parsing.scorer import SpanScorer
from treenlp.trees.tree import Tree

__all__ = ["Agreement", "AgreementPairs", "tag_as_pku"]

_PKU_TAGS = {
    "CD": "m", "OD": "m", "DT": "r", "M": "q", "NN": "n", "NR": "nr", "VV": "v", "AS": "u",
    "DEC": "u", "DEG": "u", "CC": "c", "PU": "w",
}  # fmt: skip
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


@dataclass(frozen=True, kw_only=True)
class _Relation:
    """Pairs of one kind, ready to be drawn."""

    parent: str
    pairs: Sequence[tuple[str, str]]
    weights: Sequence[float]
    known: frozenset[tuple[str, str]]
    before: Callable[[random.Random], str]


class Agreement:
    """Contrastive loss of the affinity over observed pairs.

    Args:
        pairs: what was observed.
        tokenizer: of the trunk.
        size: pairs a step of each kind; cost grows with its square, a few milliseconds at 384.
    """

    def __init__(
        self, pairs: AgreementPairs, tokenizer: PieceTokenizer, *, size: int = 384
    ) -> None:
        """Prepare drawing; a frequent pair is drawn with the square root of its count."""
        self.tokenizer = tokenizer
        self.size = size
        numerals = "一两三四五六几十这那某每"

        def before_classifier(rng: random.Random) -> str:
            return rng.choice(_BEFORE_NUMERALS) + rng.choice(numerals)

        def before_verb(rng: random.Random) -> str:
            return rng.choice(_BEFORE_VERBS) + rng.choice(_BEFORE_VERBS)

        self.relations = [
            _Relation(
                parent=parent,
                pairs=list(found),
                weights=[n**0.5 for n in found.values()],
                known=frozenset(found),
                before=before,
            )
            for parent, found, before in (
                ("NP", pairs.counted, before_classifier),
                ("VP", pairs.objects, before_verb),
            )
            if found
        ]

    def loss(self, scorer: SpanScorer, trunk: Trunk, rng: random.Random) -> Tensor:
        """Mean over kinds and directions, nats a pair."""
        window = scorer.config.affinity_window
        grammar = scorer.grammars["zh"]
        losses = []
        for relation in self.relations:
            drawn = rng.choices(relation.pairs, relation.weights, k=self.size)
            heads = sorted({head for head, _ in drawn})
            nouns = sorted({noun for _, noun in drawn})
            scores = scorer.agreement(
                "zh",
                grammar.parent_classes.index(relation.parent),
                trunk,
                self._windows(heads, relation.before, window, rng),
                self._windows(nouns, _before_noun, window, rng),
            ).float()
            row = {head: n for n, head in enumerate(heads)}
            column = {noun: n for n, noun in enumerate(nouns)}
            right = torch.zeros_like(scores)
            for head, noun in drawn:
                right[row[head], column[noun]] += 1.0
            known = torch.tensor(
                [[(head, noun) in relation.known for noun in nouns] for head in heads]
            )
            losses += [_contrast(scores, right, known), _contrast(scores.T, right.T, known.T)]
        return torch.stack(losses).mean()

    def _windows(
        self,
        words: Iterable[str],
        before: Callable[[random.Random], str],
        window: int,
        rng: random.Random,
    ) -> Tensor:
        """Static pieces (N, W) of the last characters of words, nearest first."""
        rows = list(self._characters(words, before, window, rng))
        return torch.tensor(rows, dtype=torch.int64)

    def _characters(
        self,
        words: Iterable[str],
        before: Callable[[random.Random], str],
        window: int,
        rng: random.Random,
    ) -> Iterator[list[int]]:
        for word in words:
            text = before(rng) + word
            yield [self.tokenizer.character(c) for c in reversed(text[-window:])]


def _before_noun(rng: random.Random) -> str:
    # never the noun's own classifier: next to each other the two would agree by sight
    return rng.choice(_BEFORE_NOUNS) + rng.choice(_BEFORE_NOUNS)


def _contrast(scores: Tensor, right: Tensor, known: Tensor) -> Tensor:
    """Cross entropy of the drawn pairs against what was never observed together.

    Args:
        scores: (N, M).
        right: (N, M) how often each pair was drawn.
        known: (N, M) bool, observed somewhere: such a pair is no counter-example.
    """
    others = scores.masked_fill(known, -1e4).logsumexp(1, keepdim=True)
    each = F.softplus(others - scores)
    return (each * right).sum() / right.sum()
