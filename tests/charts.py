"""Random and hand-made charts for the tests of the parser's algorithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import oracles
import torch
from oracles import Weights

from treenlp.parsing.chart import NEG, ChartScores
from treenlp.parsing.forest import Forest
from treenlp.parsing.grammar import Grammar
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.transforms import collapse_unary

SMALL = Grammar(
    phrase_labels=("NP", "NX", "VP"),
    word_labels=("NN", "VV", "VA"),
    parent_classes=("N", "V"),
    child_classes=("n", "v", "np", "vp"),
    phrase_inner=(0, 0, 1),
    phrase_outer=(2, 2, 3),
    word_outer=(0, 1, 1),
    max_word_units=2,
)
COUNTING = Grammar(
    phrase_labels=("X",),
    word_labels=("W",),
    parent_classes=("X",),
    child_classes=("X",),
    phrase_inner=(0,),
    phrase_outer=(0,),
    word_outer=(0,),
    max_word_units=1,
)


def random_scores(
    grammar: Grammar,
    lengths: list[int],
    *,
    seed: int = 0,
    impossible: float = 0.0,
    padding: int = 0,
    dtype: torch.dtype = torch.float64,
) -> ChartScores:
    """Normal scores; a share of the entries is impossible, the flattest tree never."""
    generator = torch.Generator().manual_seed(seed)
    fence = max(lengths) + 1 + padding
    batch = len(lengths)

    def draw(*shape: int, spare: bool = False) -> torch.Tensor:
        values = torch.randn(*shape, generator=generator, dtype=dtype)
        if not spare:
            values[torch.rand(*shape, generator=generator) < impossible] = NEG
        return values

    word = draw(batch, fence, grammar.max_word_units, len(grammar.word_labels))
    word[:, :, 0, 0] = draw(batch, fence, spare=True)
    phrase = draw(batch, fence, fence, len(grammar.phrase_labels))
    phrase[range(batch), 0, lengths, 0] = draw(batch, spare=True)
    num_parents, num_children = len(grammar.parent_classes), len(grammar.child_classes)
    return ChartScores(
        phrase=phrase,
        word=word,
        child=draw(num_parents, num_children, spare=True),
        root=draw(num_children, spare=True),
        affinity=draw(batch, fence, fence, num_parents, spare=True),
        lengths=torch.tensor(lengths),
    )


def zero_scores(grammar: Grammar, lengths: list[int]) -> ChartScores:
    """Every tree scores zero."""
    scores = random_scores(grammar, lengths)
    return ChartScores(
        phrase=torch.zeros_like(scores.phrase),
        word=torch.zeros_like(scores.word),
        child=torch.zeros_like(scores.child),
        root=torch.zeros_like(scores.root),
        affinity=torch.zeros_like(scores.affinity),
        lengths=scores.lengths,
    )


def weights_of(scores: ChartScores, grammar: Grammar, item: int) -> Weights:
    """One sentence of a batch in the plain form that the oracles take."""
    length = int(scores.lengths[item])
    word = scores.word[item].tolist()
    return Weights(
        length=length,
        phrase=scores.phrase[item].tolist(),
        # A word may not run past the end of the sentence.
        word=[word[i][: length - i] for i in range(length)],
        child=scores.child.tolist(),
        root=scores.root.tolist(),
        affinity=scores.affinity[item].tolist(),
        phrase_inner=grammar.phrase_inner,
        phrase_outer=grammar.phrase_outer,
        word_outer=grammar.word_outer,
    )


CASES = [(0, 0.0, (4, 3, 1, 2)), (1, 0.5, (5, 3, 1, 4, 2)), (2, 0.7, (5, 5, 4, 2))]
"""Seed, share of impossible entries and lengths of the batches that are compared throughout."""


@lru_cache(maxsize=64)
def trees_of(
    seed: int, impossible: float, lengths: tuple[int, ...], item: int
) -> list[tuple[float, oracles.Node]]:
    """Enumerate the trees of one sentence of a random batch, once for all tests."""
    scores = random_scores(SMALL, list(lengths), seed=seed, impossible=impossible)
    return oracles.enumerate_trees(weights_of(scores, SMALL, item))


def forest_of(
    text: str, trees: Sequence[tuple[str, float]], *, lang: Literal["zh", "en"] = "zh"
) -> Forest:
    """Forest of the given trees with the given weights, and of nothing that they do not show.

    A tree's weight stands at a constituent or word that no other has, so that trees which mix
    the parts of two come out as products.
    """
    sentence = Sentence.from_text(text, lang=lang)
    assert sentence is not None
    parsed = [collapse_unary(parse_brackets(brackets)) for brackets, _ in trees]
    grammar = Grammar.from_trees(parsed, lang=lang, max_word_units=4 if lang == "zh" else 1)
    size = len(sentence.atoms)
    scores = random_scores(grammar, [size])
    phrase, word = torch.full_like(scores.phrase, NEG), torch.full_like(scores.word, NEG)
    child, root = torch.full_like(scores.child, NEG), torch.full_like(scores.root, NEG)
    found = []
    for tree in parsed:
        edges, at = [0], 0
        for leaf in tree.leaves:
            at += len(leaf) if lang == "zh" else 1
            edges.append(at)
        nodes = []
        classes = []
        for label, nodes_below, (start, end) in zip(
            tree.node_labels, tree.node_sizes, tree.node_spans(), strict=True
        ):
            if nodes_below == 1:
                index = grammar.word_labels.index(label)
                nodes.append((edges[start], edges[end] - edges[start] - 1, index, True))
                classes.append((None, grammar.word_outer[index]))
            else:
                index = grammar.phrase_labels.index(label)
                nodes.append((edges[start], edges[end], index, False))
                classes.append((grammar.phrase_inner[index], grammar.phrase_outer[index]))
        for node, parent in enumerate(tree.node_parents()):
            if parent < 0:
                root[classes[node][1]] = 0.0
            else:
                child[classes[parent][0], classes[node][1]] = 0.0
        found.append(nodes)
    for nodes in found:
        for i, j, label, is_word in nodes:
            (word if is_word else phrase)[0, i, j, label] = 0.0
    for number, (nodes, (_, weight)) in enumerate(zip(found, trees, strict=True)):
        others = {node for other in found[:number] + found[number + 1 :] for node in other}
        own = [node for node in nodes if node not in others]
        if own:
            i, j, label, is_word = own[0]
            (word if is_word else phrase)[0, i, j, label] = math.log(weight)
    return Forest(
        sentence=sentence,
        scores=ChartScores(
            phrase=phrase,
            word=word,
            child=child,
            root=root,
            affinity=torch.zeros_like(scores.affinity),
            lengths=scores.lengths,
        ),
        grammar=grammar,
        fenceposts=tuple(range(size + 1)),
    )
