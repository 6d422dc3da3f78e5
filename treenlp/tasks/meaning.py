"""The meaning model: from the trunk's piece vectors over trees to sentiment and similarity.

A leaf has two views. The static one is the mean of its pieces' embeddings and knows only the
word; the contextual one is the mean of the trunk's last layer over the same pieces and knows
its neighbours, too. Contextual leaves help the judgement of whole sentences and hurt that of
single phrases, whose labels were given out of context; so the composition is trained with and
without the contextual view, and phrases are judged by a mixture of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from treenlp.composition import Encoding, TreeBatch, TreeShape, make_composition
from treenlp.errors import ConfigError, ShapeError
from treenlp.tasks.sentiment import SentimentHead, TextPooling
from treenlp.tasks.similarity import SimilarityHead
from treenlp.trees.tree import Tree

__all__ = [
    "Judgement",
    "MeaningBatch",
    "MeaningConfig",
    "MeaningModel",
    "leaf_piece_ranges",
]


@dataclass(frozen=True, kw_only=True)
class MeaningConfig:
    """Sizes and rates of the meaning model.

    Attributes:
        trunk_size: width of the trunk's vectors, both embeddings and last layer.
        composition: name of the composition function, a key of `COMPOSITIONS`.
        hidden_size: width of node vectors.
        sentiment_size: width of the hidden layer of the sentiment head.
        similarity_size: width of the hidden layer of the similarity head.
        scales: kinds of similarity labels, see `SimilarityHead`.
        dropout: share of entries dropped before and inside the task heads, and of leaf vectors.
        leaf_dropout: share of trees that lose the contextual view in training.
        static_share: weight of the static view when phrases are judged, in [0, 1].
    """

    trunk_size: int = 384
    composition: str = "tree-lstm"
    hidden_size: int = 320
    sentiment_size: int = 192
    similarity_size: int = 192
    scales: tuple[str, ...] = ("graded", "lcqmc", "bq")
    dropout: float = 0.25
    leaf_dropout: float = 0.25
    static_share: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("trunk_size", "hidden_size", "sentiment_size", "similarity_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"found {name} = {getattr(self, name)}, expected at least 1")
        for name in ("dropout", "leaf_dropout", "static_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"found {name} = {getattr(self, name)}, expected 0 to 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class MeaningBatch:
    """Trees over rows of pieces as flat index arrays, built ahead of time on the CPU.

    Several trees may share a row, such as the readings of one sentence.

    Attributes:
        trees: the trees.
        row: (B,) int64 the row of pieces under each tree.
        contextual: (B,) bool whether the leaves of a tree have their contextual view.
        pair_leaf: (E,) int64 leaf of each pair of a leaf and a piece that overlaps it.
        pair_row: (E,) int64 row of that piece.
        pair_piece: (E,) int64 place of that piece in its row.
    """

    trees: TreeBatch
    row: Tensor
    contextual: Tensor
    pair_leaf: Tensor
    pair_row: Tensor
    pair_piece: Tensor

    @classmethod
    def build(
        cls,
        trees: Sequence[Tree | TreeShape],
        leaf_pieces: Sequence[ArrayLike],
        *,
        rows: Sequence[int] | None = None,
        contextual: Sequence[bool] | None = None,
    ) -> MeaningBatch:
        """Put trees and the pieces of their leaves together.

        Args:
            trees: B trees of any arity, or shapes made before.
            leaf_pieces: for each tree (n, 2) half-open ranges of places in its row, one for
                each leaf, as `leaf_piece_ranges` gives them; empty where no piece overlaps.
            rows: for each tree its row of pieces; None means tree b stands over row b.
            contextual: for each tree whether its leaves have their contextual view; None
                means all have.

        Returns:
            The batch, on the CPU.

        Raises:
            ShapeError: if the arguments differ in length, or a tree and its ranges do.
        """
        row = list(range(len(trees))) if rows is None else list(rows)
        views = [True] * len(trees) if contextual is None else list(contextual)
        if not len(trees) == len(leaf_pieces) == len(row) == len(views):
            raise ShapeError(
                f"found {len(trees)} trees, {len(leaf_pieces)} lists of piece ranges, {len(row)} "
                f"rows and {len(views)} views, expected as many of each"
            )
        shapes = [t if isinstance(t, TreeShape) else TreeShape.from_tree(t) for t in trees]
        tables = [np.asarray(table, dtype=np.int64).reshape(-1, 2) for table in leaf_pieces]
        for place, (shape, table) in enumerate(zip(shapes, tables, strict=True)):
            if shape.num_leaves != len(table):
                raise ShapeError(
                    f"tree {place} has {shape.num_leaves} leaves and {len(table)} piece ranges, "
                    "expected one range for each leaf"
                )
        batch = TreeBatch.from_shapes(shapes)
        ranges = np.concatenate(tables)
        counts = np.maximum(ranges[:, 1] - ranges[:, 0], 0)
        leaf = np.repeat(np.arange(len(ranges)), counts)
        within = np.arange(len(leaf)) - (np.cumsum(counts) - counts)[leaf]
        leaf_row = np.repeat(np.array(row, dtype=np.int64), [len(table) for table in tables])
        return cls(
            trees=batch,
            row=torch.tensor(row, dtype=torch.int64),
            contextual=torch.tensor(views, dtype=torch.bool),
            pair_leaf=torch.from_numpy(leaf),
            pair_row=torch.from_numpy(leaf_row[leaf]),
            pair_piece=torch.from_numpy(ranges[leaf, 0] + within),
        )

    def with_view(self, *, contextual: bool) -> MeaningBatch:
        """Return the same trees with the contextual view of all leaves on or off."""
        return MeaningBatch(
            trees=self.trees,
            row=self.row,
            contextual=torch.full_like(self.contextual, contextual),
            pair_leaf=self.pair_leaf,
            pair_row=self.pair_row,
            pair_piece=self.pair_piece,
        )

    def to(self, device: torch.device | str) -> MeaningBatch:
        """Return the batch with its arrays on `device`."""
        return MeaningBatch(
            trees=self.trees.to(device),
            row=self.row.to(device),
            contextual=self.contextual.to(device),
            pair_leaf=self.pair_leaf.to(device),
            pair_row=self.pair_row.to(device),
            pair_piece=self.pair_piece.to(device),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """What the meaning model says about a batch of trees.

    Attributes:
        encoding: vectors of all nodes, with the contextual view.
        pooled: (R, trunk_size) mean of the trunk's last layer over each row.
        sentences: (B, hidden_size) sentence vectors, what texts are pooled from.
        sentence_logits: (B, 5) sentiment of each tree as a sentence.
        node_logits: (N, 5) sentiment of each node as a phrase; natural logs of probabilities.
    """

    encoding: Encoding
    pooled: Tensor
    sentences: Tensor
    sentence_logits: Tensor
    node_logits: Tensor


class MeaningModel(nn.Module):
    """Composition over trees with the task heads for sentiment and similarity.

    Example:
        >>> model = MeaningModel(MeaningConfig(trunk_size=8, hidden_size=4)).eval()
        >>> batch = MeaningBatch.build([TreeShape.from_splits([1], 2)], [[(0, 1), (1, 3)]])
        >>> pieces = torch.zeros(1, 3, 8)
        >>> mask = torch.ones(1, 3, dtype=torch.bool)
        >>> model.judge(pieces, pieces, mask, batch).node_logits.shape
        torch.Size([3, 5])
    """

    def __init__(self, config: MeaningConfig | None = None) -> None:
        """Create the parameters; None means the default sizes."""
        super().__init__()
        self.config = config = MeaningConfig() if config is None else config
        size = config.hidden_size
        self.static_norm = nn.LayerNorm(config.trunk_size)
        self.static = nn.Linear(config.trunk_size, size)
        self.context = nn.Linear(config.trunk_size, size)
        self.gate = nn.Linear(2 * config.trunk_size, size)
        self.absent = nn.Parameter(torch.zeros(size))
        self.leaf_dropout = nn.Dropout(config.dropout)
        self.composition = make_composition(config.composition, size, size)
        self.summary = nn.Linear(config.trunk_size, size)
        self.sentiment = SentimentHead(size, config.sentiment_size, config.dropout)
        self.text = TextPooling(size, config.sentiment_size)
        self.similarity = SimilarityHead(
            config.trunk_size,
            size,
            config.similarity_size,
            scales=config.scales,
            dropout=config.dropout,
        )

    def encode(self, top: Tensor, static: Tensor, mask: Tensor, batch: MeaningBatch) -> Encoding:
        """Compose every tree from its leaves.

        Args:
            top: (R, P, trunk_size) last layer of the trunk.
            static: (R, P, trunk_size) embeddings of the same pieces, on any scale.
            mask: (R, P) bool, True at pieces and False at padding.
            batch: the trees over these rows.

        Returns:
            Vectors of all nodes, in the numbering of `batch.trees`. In training the trees of
            a share `leaf_dropout` are encoded without their contextual view.

        Raises:
            ShapeError: if the three tensors do not fit each other, or a leaf's range reaches
                beyond its row.
        """
        self._check(top, static, mask, batch)
        contextual = batch.contextual
        if self.training and self.config.leaf_dropout > 0.0:
            kept = torch.rand(len(contextual), device=contextual.device) >= self.config.leaf_dropout
            contextual = contextual & kept
        return self._compose(top, static, mask, batch, contextual)

    def encode_trees(
        self,
        top: Tensor,
        static: Tensor,
        mask: Tensor,
        leaf_pieces: Sequence[ArrayLike],
        trees: Sequence[Tree],
    ) -> Encoding:
        """Compose trees one for each row, building the batch on the spot; see `encode`."""
        batch = MeaningBatch.build(trees, leaf_pieces).to(top.device)
        return self.encode(top, static, mask, batch)

    def pool(self, top: Tensor, mask: Tensor) -> Tensor:
        """Average the pieces of each row.

        Args:
            top: (R, P, trunk_size) last layer of the trunk.
            mask: (R, P) bool, True at pieces.

        Returns:
            (R, trunk_size) 32-bit means; 0 for a row without pieces.
        """
        weight = mask.unsqueeze(-1).to(torch.float32)
        total = (top.float() * weight).sum(1)
        return total / weight.sum(1).clamp_min(1.0)

    def sentence_vectors(self, root: Tensor, pooled: Tensor) -> Tensor:
        """Join a tree's root with the mean of its pieces.

        Args:
            root: (B, hidden_size) root vectors.
            pooled: (B, trunk_size) mean-pooled trunk vectors of the same sentences.

        Returns:
            (B, hidden_size) sentence vectors for the sentiment head and for `text_logits`.
        """
        return root + torch.tanh(self.summary(pooled.to(self.summary.weight.dtype)))

    def text_logits(self, sentences: Tensor, text: Tensor, num_texts: int) -> Tensor:
        """Judge texts of one or more sentences.

        Args:
            sentences: (S, hidden_size) sentence vectors.
            text: (S,) int64 the text of each sentence.
            num_texts: number of texts T; each has a sentence at least.

        Returns:
            (T, 5) logits; those of the sentence itself for a text of one.
        """
        logits: Tensor = self.sentiment(self.text(sentences, text, num_texts))
        return logits

    def similarity_logits(
        self,
        pooled: Tensor,
        root: Tensor,
        first: Tensor,
        second: Tensor,
        *,
        scale: str | None = None,
    ) -> Tensor:
        """Compare pairs of sentences.

        Args:
            pooled: (B, trunk_size) mean-pooled trunk vectors of the sentences.
            root: (B, hidden_size) root vectors of their trees.
            first: (M,) int64 first sentence of each pair.
            second: (M,) int64 second sentence of each pair.
            scale: kind of label, see `SimilarityHead`.

        Returns:
            (M,) log-odds; `torch.sigmoid` gives the similarity in [0, 1].
        """
        logits: Tensor = self.similarity(
            pooled[first], pooled[second], root[first], root[second], scale=scale
        )
        return logits

    @torch.no_grad()
    def judge(self, top: Tensor, static: Tensor, mask: Tensor, batch: MeaningBatch) -> Judgement:
        """Judge trees as sentences and their nodes as phrases, as users see it.

        Args:
            top: (R, P, trunk_size) last layer of the trunk.
            static: (R, P, trunk_size) embeddings of the same pieces, on any scale.
            mask: (R, P) bool, True at pieces.
            batch: the trees over these rows.

        Returns:
            The judgement; the root of a tree has the sentiment of its sentence.

        Raises:
            ShapeError: as `encode`.
        """
        self._check(top, static, mask, batch)
        encoding = self._compose(top, static, mask, batch, batch.contextual)
        pooled = self.pool(top, mask)
        sentences = self.sentence_vectors(encoding.root, pooled[batch.row])
        logits = self.sentiment(sentences)
        share = self.config.static_share
        nodes = torch.softmax(self.sentiment(encoding.nodes).float(), dim=-1)
        if share > 0.0:
            none = torch.zeros_like(batch.contextual)
            bare = self._compose(top, static, mask, batch, none)
            alone = torch.softmax(self.sentiment(bare.nodes).float(), dim=-1)
            nodes = (1 - share) * nodes + share * alone
        nodes[batch.trees.roots] = torch.softmax(logits.float(), dim=-1)
        return Judgement(
            encoding=encoding,
            pooled=pooled,
            sentences=sentences,
            sentence_logits=logits,
            node_logits=nodes.clamp_min(1e-12).log(),
        )

    def _check(self, top: Tensor, static: Tensor, mask: Tensor, batch: MeaningBatch) -> None:
        if top.dim() != 3 or top.shape != static.shape or top.shape[:2] != mask.shape:
            raise ShapeError(
                f"found pieces of shapes {tuple(top.shape)} and {tuple(static.shape)} with a mask "
                f"of {tuple(mask.shape)}, expected (R, P, H) twice and (R, P)"
            )
        rows, width, _ = top.shape
        if len(batch.row) and int(batch.row.max()) >= rows:
            raise ShapeError(
                f"a tree stands over row {int(batch.row.max())}, but there are {rows} rows"
            )
        if len(batch.pair_piece) and int(batch.pair_piece.max()) >= width:
            raise ShapeError(
                f"a leaf reaches piece {int(batch.pair_piece.max())}, but rows have {width} pieces"
            )

    def _compose(
        self, top: Tensor, static: Tensor, mask: Tensor, batch: MeaningBatch, contextual: Tensor
    ) -> Encoding:
        places = batch.pair_row * top.shape[1] + batch.pair_piece  # (E,)
        weight = mask.reshape(-1)[places].to(self.absent.dtype).unsqueeze(-1)
        count = weight.new_zeros(batch.trees.num_leaves, 1)
        count = count.index_add(0, batch.pair_leaf, weight).clamp_min(1.0)

        def mean(pieces: Tensor) -> Tensor:
            flat = pieces.reshape(-1, pieces.shape[-1])[places].to(weight.dtype) * weight
            total = flat.new_zeros(len(count), flat.shape[1]).index_add(0, batch.pair_leaf, flat)
            return total / count  # (N_leaves, trunk_size)

        words, neighbours = self.static_norm(mean(static)), mean(top)
        leaf_tree = batch.trees.owner[: batch.trees.num_leaves]
        seen = contextual[leaf_tree].unsqueeze(-1)
        gate = torch.sigmoid(self.gate(torch.cat([words, neighbours], dim=-1)))
        view = torch.where(seen, gate * self.context(neighbours), self.absent)
        leaves = self.leaf_dropout(torch.tanh(self.static(words) + view))
        encoding: Encoding = self.composition(leaves, batch.trees)
        return encoding


def leaf_piece_ranges(leaves: ArrayLike, pieces: ArrayLike) -> NDArray[np.int64]:
    """Find the pieces that overlap each leaf.

    Args:
        leaves: (n, 2) half-open offsets of the leaves.
        pieces: (p, 2) half-open offsets of the pieces in the same text, in order: neither
            starts nor ends ever decrease.

    Returns:
        (n, 2) half-open ranges of pieces; empty where none overlaps. A piece over several
        leaves is in the range of each.

    Example:
        >>> leaf_piece_ranges([(0, 2), (2, 3)], [(0, 1), (1, 3)]).tolist()
        [[0, 2], [1, 2]]
    """
    spans = np.asarray(leaves, dtype=np.int64).reshape(-1, 2)
    table = np.asarray(pieces, dtype=np.int64).reshape(-1, 2)
    first = np.searchsorted(table[:, 1], spans[:, 0], side="right")
    last = np.searchsorted(table[:, 0], spans[:, 1], side="left")
    return np.stack([first, np.maximum(first, last)], axis=1)
