"""One classifier over every network: leaves in, a class for every phrase out.

A tree model reads a sentence's tree once and judges the phrases that are nodes of it; a sequence
model reads every phrase as a sequence of its own, for it has no vector of a phrase within a
sentence. Both learn from the same classes of the same phrases where their trees have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.composition import NETWORKS, SequenceBatch, TreeBatch, make_network
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.experiment.planning import plan_batches
from treenlp.tasks.sentiment import UNLABELLED, carry_labels

__all__ = ["Answers", "ClassifierTask", "PhraseClassifier", "answer"]

_MEASURED_TOGETHER = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """A batch.

    Attributes:
        leaves: (N, D) float32 vectors in the order in which the network reads them.
        batch: of trees or of sequences.
        targets: (V,) class of each vector that the network returns, or `UNLABELLED`.
        roots: (B,) the vector of each whole sentence.
        root_targets: (B,) their classes.
        owner: (V,) sentence of each vector.
        barred: (B, classes) bool, the classes that a whole sentence cannot have; None if it can
            have all.
    """

    leaves: Tensor
    batch: TreeBatch | SequenceBatch
    targets: Tensor
    roots: Tensor
    root_targets: Tensor
    owner: Tensor
    barred: Tensor | None = None


class PhraseClassifier(nn.Module):
    """A network and a linear layer over its vectors."""

    def __init__(
        self, name: str, input_size: int, hidden_size: int, num_classes: int, dropout: float
    ) -> None:
        """Draw the parameters.

        Args:
            name: of the network, as in `NETWORKS`.
            input_size: width of the leaves.
            hidden_size: width of the network's vectors.
            num_classes: of the answers.
            dropout: of leaves and of vectors.
        """
        super().__init__()
        self.norm = nn.LayerNorm(input_size)
        self.dropout = nn.Dropout(dropout)
        self.network = make_network(name, input_size, hidden_size)
        self.out = nn.Linear(hidden_size, num_classes)

    def forward(self, step: Step) -> Tensor:
        """Return logits (V, classes) of everything that is judged; -inf where barred."""
        leaves = self.dropout(self.norm(step.leaves))
        encoding = self.network(leaves, step.batch)
        is_tree = isinstance(step.batch, TreeBatch)
        vectors = encoding.nodes if is_tree else encoding.root
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
    ) -> None:
        """Plan the batches.

        Args:
            model: to be trained.
            corpus: whose vectors are read.
            items: to learn from.
            network: its name, which says what it reads.
            trees: kind of trees that a tree model reads.
            leaves: kind of leaf vectors.
            phrases: whether phrases count, or whole sentences alone.
            batch_size: sentences in a batch.
            steps: in all.
            seed: of the order.
        """
        self.model = model
        self.items = items
        self.vectors = corpus.vectors[leaves]
        self.symbols = corpus.symbols
        self.num_classes = len(corpus.classes)
        self.reads_trees = NETWORKS[network].reads == "trees"
        self.trees = trees
        self.phrases = phrases
        sizes = [1] * len(items)
        plan = plan_batches([sizes], [1.0], [batch_size], steps=steps, seed=seed)
        self.plan = [chosen for _, chosen in plan]

    def batch(self, step: int) -> Step:
        """Batch of a step."""
        return self.make([self.items[n] for n in self.plan[step]])

    def make(self, items: Sequence[Item]) -> Step:
        """Put sentences together."""
        return self._trees(items) if self.reads_trees else self._sequences(items)

    def _trees(self, items: Sequence[Item]) -> Step:
        batch = TreeBatch.from_shapes([item.shape(self.trees) for item in items])
        labels = [item.labels if self.phrases else {} for item in items]
        targets = carry_labels(labels, batch.spans, batch.owner)
        rows = np.concatenate([np.arange(item.start, item.start + item.size) for item in items])
        whole = torch.tensor([item.root for item in items])
        targets[batch.roots] = whole
        return Step(
            leaves=self._read(rows),
            batch=batch,
            targets=targets,
            roots=batch.roots,
            root_targets=whole,
            owner=batch.owner,
            barred=self._barred(items),
        )

    def _sequences(self, items: Sequence[Item]) -> Step:
        spans: list[tuple[int, int]] = []
        targets: list[int] = []
        owner: list[int] = []
        roots: list[int] = []
        for number, item in enumerate(items):
            own = dict(item.labels) if self.phrases else {}
            own[0, item.size] = item.root
            for (start, end), label in own.items():
                if (start, end) == (0, item.size):
                    roots.append(len(spans))
                spans.append((item.start + start, item.start + end))
                targets.append(label)
                owner.append(number)
        rows = np.concatenate([np.arange(start, end) for start, end in spans])
        return Step(
            leaves=self._read(rows),
            batch=SequenceBatch.from_lengths([end - start for start, end in spans]),
            targets=torch.tensor(targets),
            roots=torch.tensor(roots),
            root_targets=torch.tensor([item.root for item in items]),
            owner=torch.tensor(owner),
            barred=self._barred(items),
        )

    def _read(self, rows: NDArray[np.int64]) -> Tensor:
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
        whole = F.cross_entropy(logits[batch.roots], batch.root_targets)
        if not self.phrases:
            return whole
        return whole + F.cross_entropy(logits, batch.targets, ignore_index=UNLABELLED)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a model said about some items.

    Attributes:
        roots: (S,) class of each sentence.
        targets: (S,) what was right.
        right: (S,) phrases judged right, the sentence included.
        total: (S,) phrases judged.
    """

    roots: NDArray[np.int64]
    targets: NDArray[np.int64]
    right: NDArray[np.int64]
    total: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of sentences with the right class."""
        return float((self.roots == self.targets).mean())


@torch.no_grad()
def answer(task: ClassifierTask, items: Sequence[Item]) -> Answers:
    """Judge items with the task's model, in evaluation mode."""
    task.model.eval()
    roots: list[NDArray[np.int64]] = []
    right: list[NDArray[np.int64]] = []
    total: list[NDArray[np.int64]] = []
    for at in range(0, len(items), _MEASURED_TOGETHER):
        part = items[at : at + _MEASURED_TOGETHER]
        step = task.make(part)
        best = task.model(step).argmax(-1)
        known = step.targets != UNLABELLED
        zero = torch.zeros(len(part), dtype=torch.int64)
        hits = ((best == step.targets) & known).long()
        roots.append(best[step.roots].numpy())
        right.append(zero.index_add(0, step.owner, hits).numpy())
        total.append(zero.index_add(0, step.owner, known.long()).numpy())
    return Answers(
        roots=np.concatenate(roots),
        targets=np.array([item.root for item in items]),
        right=np.concatenate(right),
        total=np.concatenate(total),
    )
