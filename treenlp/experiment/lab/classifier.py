"""One classifier over every network: leaves in, a class for every phrase out.

A tree model reads a sentence's tree once and judges the phrases that are nodes of it; a sequence
model reads every phrase as a sequence of its own, for it has no vector of a phrase within a
sentence. Both learn from the same classes of the same phrases where their trees have them; of
dependencies the phrases are words with all that depends on them. Of a pair of sentences the two
roots are compared, and the pair is what has a class or a grade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.composition import (
    NETWORKS,
    NaryBatch,
    SequenceBatch,
    TreeBatch,
    make_network,
)
from treenlp.errors import ConfigError
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.experiment.lab.leaves import LeafEncoder, LeafPieces
from treenlp.experiment.lab.statistics import score
from treenlp.experiment.planning import plan_batches
from treenlp.tasks.sentiment import UNLABELLED, carry_labels

__all__ = ["Answers", "ClassifierTask", "PhraseClassifier", "answer", "grade_shares"]

_MEASURED_TOGETHER = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """A batch.

    Attributes:
        leaves: (L, D) float32 vectors of the leaves of the step's sentences, or what tuned ones are
            made of.
        places: (N,) int64 leaves in the order in which the network reads them.
        batch: of trees, sequences, dependencies or constituents.
        targets: (V,) class of each vector that the network returns, or `UNLABELLED`.
        roots: (B,) the vector of each whole sentence.
        root_targets: (B,) their classes.
        owner: (V,) sentence of each vector.
        barred: (B, classes) bool, the classes that a whole sentence cannot have; None if it can
            have all.
        sides: (2, B) vectors of the two sentences of each pair, where pairs are what is judged:
            the V = B vectors of this step are then the pairs; else None.
    """

    leaves: Tensor | LeafPieces
    places: Tensor
    batch: TreeBatch | SequenceBatch | NaryBatch
    targets: Tensor
    roots: Tensor
    root_targets: Tensor
    owner: Tensor
    barred: Tensor | None = None
    sides: Tensor | None = None

    def to(self, device: torch.device | str) -> Step:
        """Return the batch with its arrays on `device`."""
        return Step(
            leaves=self.leaves.to(device),
            places=self.places.to(device),
            batch=self.batch.to(device),
            targets=self.targets.to(device),
            roots=self.roots.to(device),
            root_targets=self.root_targets.to(device),
            owner=self.owner.to(device),
            barred=None if self.barred is None else self.barred.to(device),
            sides=None if self.sides is None else self.sides.to(device),
        )


class PairFeatures(nn.Module):
    """Two vectors to one that says how they differ.

    Tai et al. (2015), equation 15: h = sigmoid(W [a * b; |a - b|]). Departure: a - b is read, too,
    for entailment has a direction.
    """

    def __init__(self, size: int) -> None:
        """Draw the parameters; `size` is the width of all vectors."""
        super().__init__()
        self.hidden = nn.Linear(3 * size, size)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map two (B, size) to one (B, size)."""
        difference = first - second
        features = torch.cat([first * second, difference.abs(), difference], dim=-1)
        return torch.sigmoid(self.hidden(features))


class PhraseClassifier(nn.Module):
    """A network and a linear layer over its vectors, or over what two of them have in common."""

    def __init__(
        self,
        name: str,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        dropout: float,
        *,
        compares: bool = False,
        encoder: LeafEncoder | None = None,
    ) -> None:
        """Draw the parameters.

        Args:
            name: of the network, as in `NETWORKS`.
            input_size: width of the leaves.
            hidden_size: width of the network's vectors.
            num_classes: of the answers.
            dropout: of leaves and of vectors.
            compares: whether pairs are judged.
            encoder: makes the leaves, if they are tuned with the network.
        """
        super().__init__()
        self.encoder = encoder
        self.norm = nn.LayerNorm(input_size)
        self.dropout = nn.Dropout(dropout)
        self.network = make_network(name, input_size, hidden_size)
        self.compare = PairFeatures(hidden_size) if compares else None
        self.out = nn.Linear(hidden_size, num_classes)

    def forward(self, step: Step) -> Tensor:
        """Return logits (V, classes) of everything that is judged; -inf where barred."""
        if isinstance(step.leaves, LeafPieces):
            if self.encoder is None:
                raise ConfigError("found tuned leaves and no encoder, expected one")
            vectors = self.encoder(step.leaves)
        else:
            vectors = step.leaves
        leaves = self.dropout(self.norm(vectors)[step.places])
        encoding = self.network(leaves, step.batch)
        is_sequence = isinstance(step.batch, SequenceBatch)
        vectors = encoding.root if is_sequence else encoding.nodes
        if step.sides is not None and self.compare is not None:
            vectors = self.compare(vectors[step.sides[0]], vectors[step.sides[1]])
        logits: Tensor = self.out(self.dropout(vectors))
        if step.barred is not None:
            whole = logits[step.roots].masked_fill(step.barred, -torch.inf)
            logits = logits.index_copy(0, step.roots, whole)
        return logits


class ClassifierTask:
    """What a classifier learns from; batches depend on seed and step alone."""

    def __init__(
        self,
        model: PhraseClassifier,
        corpus: Corpus,
        items: Sequence[Item],
        *,
        network: str,
        trees: str,
        leaves: str,
        phrases: bool,
        batch_size: int,
        steps: int,
        seed: int,
        device: str = "cpu",
    ) -> None:
        """Plan the batches.

        Args:
            model: to be trained, on `device`.
            corpus: whose vectors are read.
            items: to learn from.
            network: its name, which says what it reads.
            trees: kind of trees that a tree model reads.
            leaves: kind of leaf vectors.
            phrases: whether phrases count, or whole sentences alone.
            batch_size: sentences in a batch.
            steps: in all.
            seed: of the order.
            device: to which batches go.
        """
        self.model = model
        self.device = device
        self.items = items
        self.vectors = None if leaves == "tuned" else corpus.vectors[leaves]
        self.tuned = corpus.tuned
        self.symbols = corpus.symbols
        self.num_classes = len(corpus.classes)
        self.is_graded = corpus.is_graded
        self.reads = NETWORKS[network].reads
        self.trees = trees
        self.phrases = phrases
        sizes = [1] * len(items)
        plan = plan_batches([sizes], [1.0], [batch_size], steps=steps, seed=seed)
        self.plan = [chosen for _, chosen in plan]

    def batch(self, step: int) -> Step:
        """Batch of a step, on the device."""
        return self.make([self.items[n] for n in self.plan[step]]).to(self.device)

    def make(self, items: Sequence[Item]) -> Step:
        """Put sentences together, or pairs of them; on the CPU."""
        read = self._sequences if self.reads == "sequences" else self._nodes
        seconds = [item.second for item in items if item.second is not None]
        if not seconds:
            return read(items)
        step, places = read([*items, *seconds]), torch.arange(len(items))
        answers = step.root_targets[: len(items)]
        return replace(
            step,
            sides=step.roots.view(2, -1),
            targets=answers,
            roots=places,
            root_targets=answers,
            owner=places,
        )

    def _nodes(self, items: Sequence[Item]) -> Step:
        """Trees or dependencies: every node is a phrase, the words below it."""
        if self.reads == "trees":
            batch: TreeBatch | NaryBatch = TreeBatch.from_shapes(
                [item.shape(self.trees) for item in items]
            )
        elif self.reads == "constituents":
            batch = NaryBatch.from_constituents([item.constituents(self.trees) for item in items])
        else:
            batch = NaryBatch.from_heads([item.heads for item in items])
        labels = [item.labels if self.phrases else {} for item in items]
        targets = carry_labels(labels, batch.spans, batch.owner)
        whole = self._answers(items)
        if not self.is_graded:
            targets[batch.roots] = whole
        return Step(
            leaves=self._read(items),
            places=torch.arange(sum(item.size for item in items)),
            batch=batch,
            targets=targets,
            roots=batch.roots,
            root_targets=whole,
            owner=batch.owner,
            barred=self._barred(items),
        )

    def _sequences(self, items: Sequence[Item]) -> Step:
        spans: list[tuple[int, int]] = []
        targets: list[float] = []
        owner: list[int] = []
        roots: list[int] = []
        first = 0  # leaf of the item among those of the step
        for number, item in enumerate(items):
            own: dict[tuple[int, int], float] = dict(item.labels) if self.phrases else {}
            own[0, item.size] = item.root
            for (start, end), label in own.items():
                if (start, end) == (0, item.size):
                    roots.append(len(spans))
                spans.append((first + start, first + end))
                targets.append(label)
                owner.append(number)
            first += item.size
        return Step(
            leaves=self._read(items),
            places=torch.cat([torch.arange(start, end) for start, end in spans]),
            batch=SequenceBatch.from_lengths([end - start for start, end in spans]),
            targets=torch.tensor(targets, dtype=torch.float if self.is_graded else torch.long),
            roots=torch.tensor(roots),
            root_targets=self._answers(items),
            owner=torch.tensor(owner),
            barred=self._barred(items),
        )

    def _answers(self, items: Sequence[Item]) -> Tensor:
        kind = torch.float if self.is_graded else torch.long
        return torch.tensor([item.root for item in items], dtype=kind)

    def _read(self, items: Sequence[Item]) -> Tensor | LeafPieces:
        """The leaves of all items, one after another."""
        rows = np.concatenate([np.arange(item.start, item.start + item.size) for item in items])
        if self.vectors is None:
            if self.tuned is None:
                raise ConfigError(
                    "found no tuned leaves, expected a corpus that was read with them"
                )
            return self.tuned.read(rows)
        own = rows if self.symbols is None else self.symbols[rows]
        return torch.from_numpy(self.vectors[own].astype(np.float32))

    def _barred(self, items: Sequence[Item]) -> Tensor | None:
        if not any(item.candidates for item in items):
            return None
        barred = torch.zeros(len(items), self.num_classes, dtype=torch.bool)
        for own, item in zip(barred, items, strict=True):
            if item.candidates:
                own.fill_(True)
                own[list(item.candidates)] = False
        return barred

    def loss(self, batch: object) -> Tensor:
        """Mean cross-entropy of phrases plus that of whole sentences, in nats."""
        if not isinstance(batch, Step):
            raise TypeError(f"found {type(batch).__name__}, expected Step")
        logits = self.model(batch).float()
        answers = batch.root_targets
        if self.is_graded:
            answers = grade_shares(answers, self.num_classes)
        whole = F.cross_entropy(logits[batch.roots], answers)
        if not self.phrases:
            return whole
        return whole + F.cross_entropy(logits, batch.targets, ignore_index=UNLABELLED)


def grade_shares(grades: Tensor, steps: int) -> Tensor:
    """Spread grades over the two nearest of so many even steps, so that the mean is the grade.

    Tai et al. (2015), section 5.2, equation for the sparse target distribution.

    Args:
        grades: (B,) in [0, 1].
        steps: number of them, the first at 0 and the last at 1.

    Returns:
        (B, steps) shares that sum to 1.

    Example:
        >>> grade_shares(torch.tensor([0.625]), 5).tolist()
        [[0.0, 0.0, 0.5, 0.5, 0.0]]
    """
    places = grades[:, None] * (steps - 1) - torch.arange(steps, device=grades.device)
    return (1.0 - places.abs()).clamp_min(0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a model said about some items.

    Attributes:
        roots: (S,) class or grade of each sentence or pair.
        targets: (S,) what was right.
        right: (S,) phrases judged right, the sentence included; of a grade its step counts.
        total: (S,) phrases judged.
        is_graded: whether answers are grades.
    """

    roots: NDArray[Any]
    targets: NDArray[Any]
    right: NDArray[np.int64]
    total: NDArray[np.int64]
    is_graded: bool = False

    @property
    def score(self) -> float:
        """What is to be high; see `statistics.score`."""
        return score(self.roots, self.targets, is_graded=self.is_graded)


@torch.no_grad()
def answer(task: ClassifierTask, items: Sequence[Item]) -> Answers:
    """Judge items with the task's model, in evaluation mode."""
    task.model.eval()
    roots: list[NDArray[Any]] = []
    right: list[NDArray[np.int64]] = []
    total: list[NDArray[np.int64]] = []
    grades = torch.linspace(0.0, 1.0, task.num_classes)
    for at in range(0, len(items), _MEASURED_TOGETHER):
        part = items[at : at + _MEASURED_TOGETHER]
        step = task.make(part)
        logits = task.model(step.to(task.device)).cpu()
        best = logits.argmax(-1)
        targets = step.targets
        if task.is_graded:
            targets = (targets * (task.num_classes - 1)).round().long()
            found = torch.softmax(logits[step.roots], -1) @ grades
        else:
            found = best[step.roots]
        known = targets != UNLABELLED
        zero = torch.zeros(len(part), dtype=torch.int64)
        hits = ((best == targets) & known).long()
        roots.append(found.numpy())
        right.append(zero.index_add(0, step.owner, hits).numpy())
        total.append(zero.index_add(0, step.owner, known.long()).numpy())
    return Answers(
        roots=np.concatenate(roots),
        targets=np.array([item.root for item in items]),
        right=np.concatenate(right),
        total=np.concatenate(total),
        is_graded=task.is_graded,
    )
