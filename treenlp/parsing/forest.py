"""All trees of one sentence: the posterior, and questions to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from treenlp.errors import GrammarError, InputError
from treenlp.parsing.chart import ChartScores
from treenlp.parsing.constraints import Constraint, constraint_masks, mask_scores, weigh_span
from treenlp.parsing.grammar import CHAIN_SEPARATOR, Grammar
from treenlp.parsing.kbest import Derivation, LazyKBest, Node, Sampler
from treenlp.parsing.readings import Interpretation, Readings, group_readings
from treenlp.parsing.skeleton import Skeleton
from treenlp.parsing.tables import BONUS, ClassTables, InsideTables, Marginals
from treenlp.text import Sentence
from treenlp.trees.tree import Tree, TreeBuilder

__all__ = ["Forest", "ScoredTree", "nodes_to_tree"]

Span = tuple[int, int]

MAX_TREES = 1024
"""Most trees that one forest enumerates, best first."""


@dataclass(frozen=True, kw_only=True)
class ScoredTree:
    """A tree of a forest.

    Attributes:
        tree: over the caller's own words.
        words: atoms of each leaf, half-open.
        log_prob: nats, normalized over all trees of the forest.
    """

    tree: Tree
    words: tuple[Span, ...]
    log_prob: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Forest:
    """A view on one sentence of a batched chart. Values are computed when first asked for.

    A tree here is a coarse tree: labels that share their classes are one choice with their
    summed probability, shown as the best of them. `argmax(fine=True)`, `sample` and `entropy`
    are about labelled trees.

    Attributes:
        sentence: the sentence.
        scores: its scores, a batch of one.
        grammar: labels and classes.
        fenceposts: atom index of each fencepost of the chart, from 0 to the number of atoms;
            boundaries that were pruned are absent.
        required: spans in chart units that every tree has, as set by `constrain`.

    Raises:
        InputError: if the fenceposts do not fit the sentence or the scores.
    """

    sentence: Sentence
    scores: ChartScores = field(repr=False)
    grammar: Grammar = field(repr=False)
    fenceposts: tuple[int, ...] = field(repr=False)
    required: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        """Check that fenceposts, sentence and scores fit."""
        posts, atoms = self.fenceposts, len(self.sentence.atoms)
        if (
            len(posts) != int(self.scores.lengths[0]) + 1
            or (posts[0], posts[-1]) != (0, atoms)
            or any(a >= b for a, b in zip(posts, posts[1:], strict=False))
        ):
            raise InputError(
                f"found {len(posts)} fenceposts from {posts[0]} to {posts[-1]} for a chart of "
                f"{int(self.scores.lengths[0])} units and {atoms} atoms; expected one more than "
                "units, rising from 0 to the number of atoms"
            )

    @cached_property
    def _sums(self) -> InsideTables:
        tables = InsideTables.sums(
            ClassTables.from_scores(self.scores, self.grammar, required=self.required)
        )
        if tables.total < tables.scores.bonus - BONUS / 2:
            raise GrammarError(
                "found no tree that fits the scores and constraints; expected at least one: take "
                "a constraint back or allow longer words"
            )
        return tables

    @cached_property
    def _maxima(self) -> InsideTables:
        return InsideTables.maxima(self._sums.scores)

    @cached_property
    def _marginals(self) -> Marginals:
        return self._sums.marginals()

    @cached_property
    def _lazy(self) -> tuple[list[Derivation], Iterator[Derivation]]:
        return [], iter(LazyKBest(self._maxima, MAX_TREES))

    @cached_property
    def _interpretations(self) -> dict[tuple[Node, ...], Interpretation]:
        return {}

    def log_partition(self) -> float:
        """Log of the summed exponentiated scores of all trees, nats."""
        return self._sums.total - self._sums.scores.bonus

    def marginals(self) -> Marginals:
        """Posterior of every part of the chart, in chart units; see `span_prob` for atoms."""
        return self._marginals

    def span_prob(self, start: int, end: int, *, label: str | None = None) -> float:
        """Posterior probability of a constituent.

        Args:
            start: first atom.
            end: atom past the last.
            label: one label of its unary chain, a tag included; None for any.

        Returns:
            A probability; 0 where the chart has no such boundary.
        """
        unit = self._units
        if start not in unit or end not in unit or not start < end:
            return 0.0
        i, j = unit[start], unit[end]
        total = 0.0
        tables = [(self._marginals.phrase[i, j], self.grammar.phrase_labels)]
        if j - i <= self.grammar.max_word_units:
            tables.append((self._marginals.word[i, j - i - 1], self.grammar.word_labels))
        for probs, labels in tables:
            for prob, chain in zip(probs.tolist(), labels, strict=True):
                if label is None or label == chain or label in chain.split(CHAIN_SEPARATOR):
                    total += prob
        return min(1.0, total)

    def entropy(self) -> float:
        """Entropy of the labelled trees, nats."""
        return self._marginals.entropy

    def argmax(self, *, fine: bool = False) -> Tree:
        """Best tree.

        Args:
            fine: whether to take the most probable labelled tree, rather than the most probable
                coarse tree with its best labels (the first of `kbest`).
        """
        if not fine:
            return self.kbest(1)[0].tree
        tables = InsideTables.maxima(
            ClassTables.from_scores(
                self.scores, self.grammar, required=self.required, maximise=True
            )
        )
        # Raises if there is none.
        self.log_partition()
        return self._scored(next(iter(LazyKBest(tables, 1)))).tree

    def kbest(self, k: int) -> list[ScoredTree]:
        """The k best distinct trees, best first; fewer if the forest has fewer.

        Ties break by span order: the shorter first child first.
        """
        if k < 1:
            raise InputError(f"found k={k}; expected at least 1")
        return [
            self._scored(derivation)
            for _, derivation in zip(range(k), self._derivations(), strict=False)
        ]

    def sample(self, n: int, seed: int = 0) -> list[Tree]:
        """Draw labelled trees exactly from the posterior; equal seeds give equal trees."""
        if n < 0:
            raise InputError(f"found n={n}; expected 0 or more")
        sampler = Sampler(self._sums, seed)
        built: dict[tuple[Node, ...], Tree] = {}
        trees = []
        for _ in range(n):
            nodes = sampler.draw()
            if nodes not in built:
                built[nodes] = self._tree(nodes)[0]
            trees.append(built[nodes])
        return trees

    def constrain(self, *constraints: Constraint) -> Forest:
        """The same forest with only the trees that fit; this one stays as it is.

        Args:
            constraints: with spans of atoms.

        Raises:
            GrammarError: if a boundary was pruned from the chart, a label is unknown, or a word
                is too long. That no tree at all is left shows when the forest is asked.
        """
        in_units = [
            replace(constraint, spans=tuple(self._to_units(*span) for span in constraint.spans))
            for constraint in constraints
        ]
        phrase, word, required = constraint_masks(in_units, self.grammar, len(self.fenceposts))
        fence = len(self.fenceposts)
        cut = replace(
            self.scores,
            phrase=self.scores.phrase[:, :fence, :fence],
            word=self.scores.word[:, :fence],
            affinity=self.scores.affinity[:, :fence, :fence],
        )
        return replace(
            self,
            scores=mask_scores(cut, phrase, word),
            required=tuple(dict.fromkeys((*self.required, *required))),
        )

    def weigh(self, start: int, end: int, nats: float) -> Forest:
        """The same forest with other odds: for or against a constituent; this one stays as it is.

        The odds of the trees that have it, against all others, change by the factor e ** nats.

        Args:
            start: first atom.
            end: atom past the last.
            nats: the weight; below 0 it speaks against the constituent.

        Raises:
            GrammarError: if a boundary was pruned from the chart.
        """
        return replace(self, scores=weigh_span(self.scores, self._to_units(start, end), nats))

    def interpretations(self) -> Iterator[Interpretation]:
        """Trees by falling probability, with what of them matters to meaning."""
        for derivation in self._derivations():
            yield self._interpret(derivation.nodes, derivation.score - self.log_partition())

    def sampled_interpretations(self, n: int, seed: int = 0) -> list[Interpretation]:
        """Draw coarse trees; each `log_prob` says that the draws have equal weight."""
        if n < 1:
            raise InputError(f"found n={n}; expected at least 1")
        sampler = Sampler(self._sums, seed, labels=False)
        return [self._interpret(sampler.draw(), 0.0) for _ in range(n)]

    def readings(self, k: int = 5, min_prob: float = 0.05, *, max_trees: int = 128) -> Readings:
        """Ways to understand the sentence, best first; see `group_readings`.

        Args:
            k: most readings listed.
            min_prob: readings less probable are not listed; the best always is.
            max_trees: most trees looked at.
        """
        return group_readings(
            self.interpretations(), self.sentence, k=k, min_prob=min_prob, max_trees=max_trees
        )

    @cached_property
    def _units(self) -> dict[int, int]:
        return {atom: unit for unit, atom in enumerate(self.fenceposts)}

    def _to_units(self, start: int, end: int) -> Span:
        for atom in (start, end):
            if atom not in self._units:
                atoms = len(self.sentence.atoms)
                reason = (
                    "is none of the chart's boundaries; parse without pruning"
                    if 0 <= atom <= atoms
                    else f"is outside the sentence of {atoms} atoms"
                )
                raise GrammarError(f"the boundary {atom} of the span [{start}, {end}) {reason}")
        return self._units[start], self._units[end]

    def _derivations(self) -> Iterator[Derivation]:
        """Coarse trees, best first; those found before are kept."""
        found, more = self._lazy
        for rank in range(MAX_TREES):
            if rank == len(found):
                derivation = next(more, None)
                # What misses a required span is no tree of this forest.
                if derivation is None or derivation.score < self.log_partition() - BONUS / 2:
                    return
                found.append(derivation)
            yield found[rank]

    def _scored(self, derivation: Derivation) -> ScoredTree:
        tree, words = self._tree(derivation.nodes)
        return ScoredTree(
            tree=tree,
            words=words,
            log_prob=min(0.0, derivation.score - self.log_partition()),
        )

    def _interpret(self, nodes: tuple[Node, ...], log_prob: float) -> Interpretation:
        found = self._interpretations.get(nodes)
        if found is None:
            tree, words = self._tree(nodes)
            found = self._interpretations[nodes] = Interpretation(
                tree=tree,
                words=words,
                log_prob=log_prob,
                skeleton=Skeleton.of(tree, words, self.sentence.lang),
            )
        return found if found.log_prob == log_prob else replace(found, log_prob=log_prob)

    def _tree(self, nodes: Sequence[Node]) -> tuple[Tree, tuple[Span, ...]]:
        return nodes_to_tree(nodes, self.grammar, self.sentence, self.fenceposts)


def nodes_to_tree(
    nodes: Sequence[Node], grammar: Grammar, sentence: Sentence, fenceposts: Sequence[int]
) -> tuple[Tree, tuple[Span, ...]]:
    """Build a tree over the caller's own words, with its unary chains as nodes.

    Args:
        nodes: (start, end, label, is_word) in preorder, in chart units.
        grammar: whose labels the nodes index.
        sentence: where the words stand.
        fenceposts: atom index of each fencepost.

    Returns:
        The tree, and the atoms of each of its leaves. White space inside a word is left out.
    """
    builder = TreeBuilder()
    words: list[Span] = []
    open_phrases: list[tuple[int, int]] = []  # (end, nodes of the chain)
    for start, end, label, is_word in nodes:
        while open_phrases and open_phrases[-1][0] <= start:
            for _ in range(open_phrases.pop()[1]):
                builder.close()
        if not is_word:
            chain = grammar.phrase_labels[label].split(CHAIN_SEPARATOR)
            for part in chain:
                builder.open(part)
            open_phrases.append((end, len(chain)))
            continue
        *chain, tag = grammar.word_labels[label].split(CHAIN_SEPARATOR)
        first, last = fenceposts[start], fenceposts[end]
        words.append((first, last))
        for part in chain:
            builder.open(part)
        text = sentence.text[sentence.atoms[first][0] : sentence.atoms[last - 1][1]]
        builder.add_word(tag, text if last == first + 1 else "".join(text.split()))
        for _ in chain:
            builder.close()
    for _, depth in reversed(open_phrases):
        for _ in range(depth):
            builder.close()
    return builder.finish(), tuple(words)
