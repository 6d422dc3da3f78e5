"""What is judged: items of leaves, with trees of several kinds and classes of their phrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from treenlp.composition import ControlName, TreeShape, control_shape
from treenlp.errors import DataError
from treenlp.experiment.lab.leaves import TunedLeaves

__all__ = ["PARTS", "Corpus", "Item", "Part"]

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = ("train", "dev", "test")
_CONTROLS: tuple[ControlName, ...] = ("right", "left", "balanced", "random")


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
    """

    start: int
    size: int
    shapes: Mapping[str, TreeShape] = field(default_factory=dict)
    labels: Mapping[tuple[int, int], int] = field(default_factory=dict)
    root: float
    candidates: tuple[int, ...] = ()
    second: Item | None = None
    heads: tuple[int, ...] = ()

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Items in three parts.

    Attributes:
        vectors: (N, D) float16 leaf vectors, by the kind of leaves.
        symbols: row of each leaf's vector, where leaves recur; None where each leaf has its own.
        parts: items of each part.
        classes: names of the classes.
        digest: SHA-256 of texts and classes.
        tuned: what tuned leaves are made of; None if they were not asked for.
        is_graded: whether answers are grades from 0 to 1, of which the classes are as many steps.
    """

    vectors: Mapping[str, NDArray[np.float16]]
    parts: Mapping[Part, Sequence[Item]]
    classes: tuple[str, ...]
    digest: str
    symbols: NDArray[np.int32] | None = None
    tuned: TunedLeaves | None = None
    is_graded: bool = False
