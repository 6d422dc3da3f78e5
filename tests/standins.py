"""Stand-ins for the trained models: a parser that knows a few sentences, a meaning of few words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from charts import forest_of

from treenlp.errors import InputError
from treenlp.parsing.forest import Forest
from treenlp.pipeline import Pipeline
from treenlp.tasks.reader import TreeMeaning
from treenlp.text import Sentence
from treenlp.trees.tree import Tree

LOW = "(NP (DNP (NP (QP (CD 两) (CLP (M {}))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))"
HIGH = "(NP (QP (CD 两) (CLP (M {}))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"
FILM = (
    "(S (NP (DT The) (NN film)) (VP (VBZ is) (ADJP (RB not) (JJ good))) (. .))",
    "(S (NP (DT The) (NN film)) (VP (VBZ is) (RB not) (ADJP (JJ good))) (. .))",
)
SENTENCES: dict[str, list[tuple[str, float]]] = {
    "两个大学的老师": [(LOW.format("个"), 0.55), (HIGH.format("个"), 0.45)],
    "两所大学的老师": [(LOW.format("所"), 0.98), (HIGH.format("所"), 0.02)],
    "两位大学的老师": [(LOW.format("位"), 0.03), (HIGH.format("位"), 0.97)],
    "乒乓球拍卖完了": [
        ("(IP (NP (NN 乒乓球拍)) (VP (VV 卖完) (AS 了)))", 0.6),
        ("(IP (NP (NN 乒乓球)) (VP (VV 拍卖) (VP (VV 完) (AS 了))))", 0.4),
    ],
    "The film is not good.": [(FILM[0], 0.9), (FILM[1], 0.1)],
}
WORDS = {"good": 0.9, "wonderful": 0.95, "bad": 0.08, "not": 0.3, "老师": 0.55}
POISON = "explode"


def flat_tree(sentence: Sentence) -> Tree:
    """All atoms under one phrase; the answer to every sentence that the table lacks."""
    words = sentence.words or tuple((i, i + 1) for i in range(sentence.num_atoms))
    tag, label = ("NN", "NP") if sentence.lang == "zh" else ("NN", "NP")
    leaves = [Tree.build(tag, ["".join(sentence.atom_texts[i:j])]) for i, j in words]
    return Tree.build(label, leaves) if len(leaves) > 1 else Tree.build(label, leaves)


class TableFrontend:
    """Knows `SENTENCES`; anything else is flat. A sentence with the poison fails its batch."""

    def __init__(self, *, max_atoms: int = 40) -> None:
        self.max_atoms = max_atoms
        self.batches: list[int] = []

    def forests(self, sentences: Sequence[Sentence]) -> list[Forest]:
        self._count(sentences)
        return [self._forest(sentence) for sentence in sentences]

    def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
        self._count(sentences)
        return [self._forest(sentence).argmax() for sentence in sentences]

    def _count(self, sentences: Sequence[Sentence]) -> None:
        self.batches.append(len(sentences))
        if any(POISON in sentence.surface for sentence in sentences):
            raise InputError("found the poison; expected none")

    def _forest(self, sentence: Sentence) -> Forest:
        trees = SENTENCES.get(sentence.surface)
        if trees is None or sentence.is_tokenized:
            trees = [(str(flat_tree(sentence)), 1.0)]
        forest = forest_of(sentence.surface, trees, lang=sentence.lang)
        return replace(forest, sentence=sentence)


class WordMeaning:
    """The mean of a few words' sentiment; words are alike if they share characters."""

    def judge(
        self,
        sentences: Sequence[Sentence],
        trees: Sequence[Sequence[Tree]],
        *,
        spans: bool = True,
    ) -> list[list[TreeMeaning]]:
        return [
            [self._of(tree, sentence, spans=spans) for tree in own]
            for sentence, own in zip(sentences, trees, strict=True)
        ]

    def judge_texts(self, texts: Sequence[Sequence[TreeMeaning]]) -> list[tuple[float, ...]]:
        return [_mix([m.distribution for m in text], [1.0] * len(text)) for text in texts]

    def similarity(
        self, pairs: Sequence[tuple[Sequence[TreeMeaning], Sequence[TreeMeaning]]]
    ) -> list[float]:
        scores = []
        for pair in pairs:
            first, second = (torch.stack([m.pooled for m in side]).sum(0) for side in pair)
            scores.append(float(torch.cosine_similarity(first, second, dim=0)))
        return scores

    def expect(self, meanings: Sequence[TreeMeaning], weights: Sequence[float]) -> TreeMeaning:
        mixed = _mix([m.distribution for m in meanings], weights)
        return replace(meanings[0], distribution=mixed)

    def _of(self, tree: Tree, sentence: Sentence, *, spans: bool) -> TreeMeaning:
        values = [WORDS.get(leaf.lower(), 0.5) for leaf in tree.leaves]
        scores = {}
        for start, end in tree.node_spans() if spans else ():
            scores[start, end] = _score(_spread(values[start:end]))
        letters = torch.zeros(64)
        for character in "".join(tree.leaves):
            letters[ord(character) % 64] += 1.0
        return TreeMeaning(
            distribution=_spread(values),
            span_scores=scores,
            sentence=letters,
            root=letters,
            pooled=letters,
            text=sentence.model_text,
            lang=sentence.lang,
        )


def _spread(values: Sequence[float]) -> tuple[float, ...]:
    """A distribution over five labels with the mean opinion of some words."""
    told = [value for value in values if value != 0.5] or [0.5]
    mean = sum(told) / len(told)
    weights = [math.exp(-8 * (mean - place / 4) ** 2) for place in range(5)]
    return tuple(weight / sum(weights) for weight in weights)


def _score(distribution: Sequence[float]) -> float:
    return sum((place - 2) / 2 * p for place, p in enumerate(distribution))


def _mix(rows: Sequence[Sequence[float]], weights: Sequence[float]) -> tuple[float, ...]:
    total = sum(weights)
    return tuple(
        sum(w * row[place] for w, row in zip(weights, rows, strict=True)) / total
        for place in range(5)
    )


def standin_pipeline(*, max_atoms: int = 40) -> Pipeline:
    """A pipeline over the stand-ins."""
    frontend = TableFrontend(max_atoms=max_atoms)
    return Pipeline(frontend=frontend, meaning=WordMeaning(), name="stand-in")
