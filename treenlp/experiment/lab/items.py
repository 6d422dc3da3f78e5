"""What is judged: items of leaves, with trees of several kinds and classes of their phrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from treenlp.composition import ControlName, TreeShape, control_shape
from treenlp.data.parts import Part
from treenlp.errors import DataError
from treenlp.experiment.lab.leaves import TunedLeaves
from treenlp.text import Lang
from treenlp.trees import Tree, dependencies

__all__ = ["Corpus", "Item", "preorder_spans"]

_CONTROLS: tuple[ControlName, ...] = ("right", "left", "balanced", "random")
_TOP = "TEXT"


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """A sentence or text, or two sentences that are compared.

    Attributes:
        start: row of its first leaf in the corpus's vectors.
        size: number of leaves.
        shapes: its trees by kind; control trees are made when they are asked for.
        labels: class by span of leaves.
        root: class of the whole, or its grade in [0, 1] where the corpus is graded.
        candidates: classes that it is chosen from; empty means all.
        second: the other sentence of a pair; the answer stands in the first one.
        heads: head of each leaf in the parser's tree, -1 at the root; empty if that is not known.
        phrases: spans of the constituents of the parser's tree in preorder, of any arity; likewise.
        kind: what makes it hard, where the corpus says so.
    """

    start: int
    size: int
    shapes: Mapping[str, TreeShape] = field(default_factory=dict)
    labels: Mapping[tuple[int, int], int] = field(default_factory=dict)
    root: float
    candidates: tuple[int, ...] = ()
    second: Item | None = None
    heads: tuple[int, ...] = ()
    phrases: tuple[tuple[int, int], ...] = ()
    kind: str = ""

    @classmethod
    def from_trees(cls, trees: Sequence[Tree], langs: Sequence[Lang], start: int) -> Item:
        """Make a text of its sentences, joined from the left: what was read first is deepest.

        As "parsed-balanced" they are joined so that all are about equally deep. The root of each
        later sentence depends on that of the first.

        Args:
            trees: of the sentences; none makes an item without leaves.
            langs: their languages.
            start: row of its first leaf.
        """
        if not trees:
            return cls(start=start, size=0, root=0)
        tree = reduce(lambda before, after: Tree.build(_TOP, [before, after]), trees)
        heads: list[int] = []
        top = -1
        for own, lang in zip(trees, langs, strict=True):
            shift = len(heads)
            found = dependencies(own, lang)
            heads += [top if head < 0 else head + shift for head in found]
            if top < 0:
                top = found.index(-1)
        return cls(
            start=start,
            size=tree.num_leaves,
            shapes={
                "parsed": TreeShape.from_tree(tree),
                "parsed-balanced": TreeShape.from_tree(_balanced(trees)),
            },
            root=0,
            heads=tuple(heads),
            phrases=preorder_spans(tree),
        )

    @property
    def num_leaves(self) -> int:
        """Leaves of the sentence, or of both."""
        return self.size + (0 if self.second is None else self.second.size)

    def shape(self, kind: str) -> TreeShape:
        """Return the tree of a kind; a random one is the same for the same place in the corpus."""
        if kind in self.shapes:
            return self.shapes[kind]
        for control in _CONTROLS:
            if control == kind:
                return control_shape(control, self.size, seed=self.start)
        raise DataError(
            f"found no trees of the kind {kind!r}, expected one of: "
            f"{', '.join((*self.shapes, *_CONTROLS))}"
        )

    def constituents(self, kind: str) -> Sequence[tuple[int, int]]:
        """Return the spans of a tree in preorder; only the parser's trees are more than binary."""
        if kind == "parsed" and self.phrases:
            return self.phrases
        shape = self.shape(kind)
        spans = list(zip(shape.starts.tolist(), shape.ends.tolist(), strict=True))
        return spans or [(0, self.size)]


def _balanced(trees: Sequence[Tree]) -> Tree:
    """Trees joined in the middle, as `control_shape` splits leaves."""
    if len(trees) == 1:
        return trees[0]
    middle = (len(trees) + 1) // 2
    return Tree.build(_TOP, [_balanced(trees[:middle]), _balanced(trees[middle:])])


def preorder_spans(tree: Tree) -> tuple[tuple[int, int], ...]:
    """Spans of all constituents that are more than one leaf, or of the one leaf."""
    spans = tuple((found.start, found.end) for found in tree.constituents())
    return tuple(span for span in spans if span[1] - span[0] > 1) or ((0, 1),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Items in three parts.

    Attributes:
        vectors: (N, D) float16 leaf vectors, by the kind of leaves.
        symbols: row of each leaf's vector, where leaves recur; None where each leaf has its own.
        parts: items of each part.
        transfer: items of our own that are measured on as well; the parser's trees stand in for
            gold ones.
        classes: names of the classes.
        digest: SHA-256 of texts and classes.
        tuned: what tuned leaves are made of; None if they were not asked for.
        is_graded: whether answers are grades from 0 to 1, of which the classes are as many steps.
    """

    vectors: Mapping[str, NDArray[np.float16]]
    parts: Mapping[Part, Sequence[Item]]
    classes: tuple[str, ...]
    digest: str
    transfer: Sequence[Item] = ()
    symbols: NDArray[np.int32] | None = None
    tuned: TunedLeaves | None = None
    is_graded: bool = False
