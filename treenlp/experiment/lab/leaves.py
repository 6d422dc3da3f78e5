"""Vectors of leaves: frozen ones, made once, so that a run takes minutes, and tuned ones.

"Static" leaves are the means of a word's piece embeddings, "contextual" ones the means of its
pieces after the trunk's lower layers, which no task has tuned. "Tuned" leaves are the means of its
pieces after all layers, of which the upper ones learn with the network that reads the leaves.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from treenlp.encoder import PieceTokenizer, Trunk, run_layers
from treenlp.experiment.meaning_stage import PieceStore
from treenlp.parsing.parser import load_trunk
from treenlp.tasks.meaning import leaf_piece_ranges
from treenlp.text import Sentence

__all__ = [
    "FROZEN_LAYERS",
    "LeafEncoder",
    "LeafPieces",
    "SentenceLeaves",
    "TunedLeaves",
    "piece_vectors",
]

FROZEN_LAYERS = 6
"""Trunk layers under contextual leaves; those above were tuned to tasks, one of them this one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LeafPieces:
    """The sentences of a batch as the upper layers read them.

    Attributes:
        hidden: (R, P, H) float32 pieces after the lower layers, begin and end included.
        mask: (R, P) bool, False where padded.
        pieces: (E,) int64 pieces of all leaves, numbered over R P.
        leaf: (E,) int64 the leaf of each.
        num_leaves: L.
    """

    hidden: Tensor
    mask: Tensor
    pieces: Tensor
    leaf: Tensor
    num_leaves: int

    def to(self, device: torch.device | str) -> LeafPieces:
        """Return the batch with its arrays on `device`."""
        return LeafPieces(
            hidden=self.hidden.to(device),
            mask=self.mask.to(device),
            pieces=self.pieces.to(device),
            leaf=self.leaf.to(device),
            num_leaves=self.num_leaves,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class TunedLeaves:
    """What tuned leaves are made of.

    Attributes:
        hidden: (P, H) float16 pieces of all sentences after the lower layers.
        starts: (S + 1,) int64 where the pieces of each sentence begin.
        sentence: (N,) int64 sentence of each leaf.
        ranges: (N, 2) int64 half-open range of each leaf's pieces within its sentence.
        layers: upper layers to begin with. They are those of the shipped trunk, which the tasks of
            the model have tuned already: the same ones for every network.
    """

    hidden: NDArray[np.float16]
    starts: NDArray[np.int64]
    sentence: NDArray[np.int64]
    ranges: NDArray[np.int64]
    layers: tuple[nn.Module, ...]

    def read(self, leaves: NDArray[np.int64]) -> LeafPieces:
        """Put the sentences together that some leaves stand in.

        Args:
            leaves: (L,) numbers of leaves; those of a sentence stand together.
        """
        sentences, row = np.unique(self.sentence[leaves], return_inverse=True)
        lengths = self.starts[sentences + 1] - self.starts[sentences]
        width = int(lengths.max())
        hidden = np.zeros((len(sentences), width, self.hidden.shape[1]), dtype=np.float32)
        for own, start, length in zip(hidden, self.starts[sentences], lengths, strict=True):
            own[:length] = self.hidden[start : start + length]
        first, last = self.ranges[leaves].T
        sizes = last - first
        leaf = np.repeat(np.arange(len(leaves)), sizes)
        within = np.arange(len(leaf)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return LeafPieces(
            hidden=torch.from_numpy(hidden),
            mask=torch.arange(width) < torch.from_numpy(lengths)[:, None],
            pieces=torch.from_numpy((row * width + first)[leaf] + within),
            leaf=torch.from_numpy(leaf),
            num_leaves=len(leaves),
        )


class LeafEncoder(nn.Module):
    """The trunk's upper layers, which learn, and the means of each leaf's pieces."""

    def __init__(self, layers: Sequence[nn.Module], dropout: float) -> None:
        """Copy the layers; `dropout` acts inside them."""
        super().__init__()
        self.layers = nn.ModuleList(copy.deepcopy(layer) for layer in layers)
        self.layers.requires_grad_(True)
        self.dropout = dropout

    def forward(self, batch: LeafPieces) -> Tensor:
        """Return (L, H) vectors of leaves, zero where one has no piece."""
        rate = self.dropout if self.training else 0.0
        hidden = run_layers(list(self.layers), batch.hidden, batch.mask, rate)
        hidden = hidden.flatten(0, 1)
        read = hidden[batch.pieces]
        sums = hidden.new_zeros(batch.num_leaves, hidden.shape[-1])
        sums = sums.index_add(0, batch.leaf, read)
        counts = hidden.new_zeros(batch.num_leaves)
        counts = counts.index_add(0, batch.leaf, read.new_ones(len(read)))
        return sums / counts.clamp_min(1.0).unsqueeze(-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class SentenceLeaves:
    """The leaves of sentences, N in all.

    Attributes:
        vectors: (N, D) float16 by kind, zero where a leaf has no piece.
        starts: (S + 1,) int64 where each sentence's leaves begin.
        tuned: what tuned ones are made of; None if they were not asked for.
    """

    vectors: dict[str, NDArray[np.float16]]
    starts: NDArray[np.int64]
    tuned: TunedLeaves | None

    @classmethod
    def read(
        cls,
        cache: Path,
        sentences: Sequence[Sentence],
        leaves: Sequence[Sequence[tuple[int, int]]],
        *,
        kinds: Sequence[str],
        tokenizer: PieceTokenizer,
        trunk: Trunk,
    ) -> SentenceLeaves:
        """Make the leaves of sentences, each sentence read by itself.

        Args:
            cache: folder of the trunk's output, which is made once.
            sentences: S of them.
            leaves: half-open code-point offsets of each sentence's leaves, from its start.
            kinds: "static", "contextual", "tuned".
            tokenizer: of the trunk.
            trunk: in float32.
        """
        store = PieceStore.build(
            cache,
            [sentence.model_text for sentence in sentences],
            tokenizer,
            trunk,
            fork=FROZEN_LAYERS,
            with_pooled=False,
        )
        sizes = [len(own) for own in leaves]
        starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        vectors = {
            kind: np.zeros((int(starts[-1]), store.hidden.shape[1]), dtype=np.float16)
            for kind in kinds
            if kind != "tuned"
        }
        ranges = np.zeros((int(starts[-1]), 2), dtype=np.int64)
        for n, own in enumerate(leaves):
            first, last = int(store.starts[n]) + 1, int(store.starts[n + 1]) - 1
            found = leaf_piece_ranges(own, store.offsets[first:last])
            ranges[starts[n] : starts[n + 1]] = found + 1  # the begin piece comes first
            rows = {"contextual": np.asarray(store.hidden[first:last], dtype=np.float32)}
            if "static" in kinds:
                ids = torch.from_numpy(store.ids[first:last].astype(np.int64))
                rows["static"] = trunk.pieces(ids).float().numpy()
            for kind, table in vectors.items():
                for leaf, (start, end) in enumerate(found.tolist(), start=int(starts[n])):
                    if end > start:
                        table[leaf] = rows[kind][start:end].mean(0)
        tuned = TunedLeaves(
            hidden=store.hidden,
            starts=store.starts,
            sentence=np.repeat(np.arange(len(leaves)), sizes),
            ranges=ranges,
            layers=tuple(trunk.layers)[FROZEN_LAYERS:],
        )
        return cls(vectors=vectors, starts=starts, tuned=tuned if "tuned" in kinds else None)


def piece_vectors(leaves: Sequence[str], *, model: Path) -> NDArray[np.float16]:
    """Means (W, D) of the piece embeddings of characters or words, each by itself."""
    tokenizer = PieceTokenizer.load(model / "tokenizer.json")
    trunk = load_trunk(model).float()
    found = np.zeros((len(leaves), trunk.config.hidden_size), dtype=np.float16)
    for n, (leaf, pieces) in enumerate(zip(leaves, tokenizer.encode_batch(leaves), strict=True)):
        ids = [i for i, (start, end) in zip(pieces.ids, pieces.offsets, strict=True) if end > start]
        if len(leaf) == 1:
            ids = [tokenizer.character(leaf)]
        if ids:
            found[n] = trunk.pieces(torch.tensor(ids)).float().mean(0).numpy()
    return found
