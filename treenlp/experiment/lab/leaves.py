"""Frozen vectors of leaves, made once: a run over them takes minutes.

"Static" leaves are the means of a word's piece embeddings, "contextual" ones the means of its
pieces after the trunk's lower layers, which no task has tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from treenlp.encoder import PieceTokenizer, Trunk
from treenlp.experiment.meaning_stage import PieceStore
from treenlp.parsing.parser import load_trunk
from treenlp.tasks.meaning import leaf_piece_ranges
from treenlp.text import Sentence

__all__ = ["FROZEN_LAYERS", "piece_vectors", "sentence_vectors"]

FROZEN_LAYERS = 6
"""Trunk layers under contextual leaves; those above were tuned to tasks, one of them this one."""


def sentence_vectors(
    cache: Path,
    sentences: Sequence[Sentence],
    leaves: Sequence[Sequence[tuple[int, int]]],
    *,
    kinds: Sequence[str],
    tokenizer: PieceTokenizer,
    trunk: Trunk,
) -> tuple[dict[str, NDArray[np.float16]], NDArray[np.int64]]:
    """Make the vectors of the leaves of sentences, each sentence read by itself.

    Args:
        cache: folder of the trunk's output, which is made once.
        sentences: S of them.
        leaves: half-open code-point offsets of each sentence's leaves, from the sentence's start.
        kinds: "static", "contextual" or both.
        tokenizer: of the trunk.
        trunk: in float32.

    Returns:
        Vectors (N, D) by kind, N leaves in all, zero where a leaf has no piece; and (S + 1,) int64
        where each sentence's leaves begin.
    """
    store = PieceStore.build(
        cache,
        [sentence.model_text for sentence in sentences],
        tokenizer,
        trunk,
        fork=FROZEN_LAYERS,
        with_pooled=False,
    )
    starts = np.concatenate([[0], np.cumsum([len(own) for own in leaves], dtype=np.int64)])
    vectors = {
        kind: np.zeros((int(starts[-1]), store.hidden.shape[1]), dtype=np.float16) for kind in kinds
    }
    for n, own in enumerate(leaves):
        first, last = int(store.starts[n]) + 1, int(store.starts[n + 1]) - 1
        ranges = leaf_piece_ranges(own, store.offsets[first:last]).tolist()
        rows = {"contextual": np.asarray(store.hidden[first:last], dtype=np.float32)}
        if "static" in kinds:
            ids = torch.from_numpy(store.ids[first:last].astype(np.int64))
            rows["static"] = trunk.pieces(ids).float().numpy()
        for kind, table in vectors.items():
            for leaf, (start, end) in enumerate(ranges, start=int(starts[n])):
                if end > start:
                    table[leaf] = rows[kind][start:end].mean(0)
    return vectors, starts


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
