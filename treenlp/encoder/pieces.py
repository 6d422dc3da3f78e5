"""Text to pieces of the trunk's unigram vocabulary, with code-point offsets, and rows of them.

Kudo (2018), "Subword Regularization", is the model of the vocabulary. Pieces that join Chinese
characters prejudge segmentation; `PieceTokenizer.sample` splits them at random for training.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from treenlp.errors import ModelError

__all__ = ["PieceBatch", "PieceTokenizer", "Pieces"]

BEGIN, PAD, END, UNKNOWN = 0, 1, 2, 3
"""Ids of the special pieces."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Pieces of one text, special ones left out.

    Attributes:
        ids: vocabulary ids.
        offsets: half-open code-point offsets into the text; empty for a piece of white space.
    """

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]

    def __getitem__(self, places: slice) -> Pieces:
        """Pieces of a part of the text; their offsets remain those in the whole."""
        return Pieces(ids=self.ids[places], offsets=self.offsets[places])


class PieceTokenizer:
    """Unigram tokenizer of the trunk."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Wrap a tokenizer whose special pieces are 0 (begin), 1 (pad), 2 (end), 3 (unknown)."""
        self._tokenizer = tokenizer
        self._characters: dict[str, int] = {}
        self._blank = tokenizer.token_to_id("\u2581")  # it covers nothing, or white space

    @classmethod
    def load(cls, path: Path) -> PieceTokenizer:
        """Read a ``tokenizer.json``."""
        if not path.is_file():
            raise ModelError(f"no tokenizer at {path}; reinstall treenlp or give another --model")
        return cls(Tokenizer.from_file(str(path)))

    @property
    def vocab_size(self) -> int:
        """Number of pieces, special ones included."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> Pieces:
        """Most probable pieces of a text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Pieces]:
        """`encode` for many texts at once."""
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            Pieces(
                ids=tuple(one.ids),
                offsets=tuple(
                    (start, start) if piece == self._blank else (start, end)
                    for piece, (start, end) in zip(one.ids, one.offsets, strict=True)
                ),
            )
            for one in found
        ]

    def sample(self, text: str, *, alpha: float, rng: random.Random) -> Pieces:
        """Pieces with each longer piece of Chinese split into characters with probability alpha."""
        best = self.encode(text)
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for piece, (start, end) in zip(best.ids, best.offsets, strict=True):
            part = text[start:end]
            if len(part) > 1 and all("\u3400" <= c <= "\u9fff" for c in part):
                if rng.random() < alpha:
                    ids.extend(self.character(c) for c in part)
                    offsets.extend((start + n, start + n + 1) for n in range(len(part)))
                    continue
            ids.append(piece)
            offsets.append((start, end))
        return Pieces(ids=tuple(ids), offsets=tuple(offsets))

    def character(self, character: str) -> int:
        """Id of the piece that is one character (`UNKNOWN` if there is none)."""
        if character not in self._characters:
            found = self._tokenizer.token_to_id(character)
            if found is None:
                found = self._tokenizer.token_to_id("\u2581" + character)
            self._characters[character] = UNKNOWN if found is None else int(found)
        return self._characters[character]


@dataclass(frozen=True, kw_only=True)
class PieceBatch:
    """Pieces of several texts as padded rows; a long text takes several rows (windows).

    Attributes:
        ids: (R, P) int64, begin and end pieces included.
        mask: (R, P) bool, True at pieces.
        flat: (N,) int64, for every piece of every text in order (special ones left out) its index
            in the flattened (R * P) rows.
        starts: (B + 1,) int64, where each text begins in `flat`.
    """

    ids: Tensor
    mask: Tensor
    flat: Tensor
    starts: Tensor

    @classmethod
    def build(cls, texts: Sequence[Pieces], *, max_positions: int) -> PieceBatch:
        """Lay texts out in rows of at most `max_positions` pieces."""
        room = max_positions - 2
        rows: list[tuple[int, ...]] = []
        counts = np.zeros(len(texts) + 1, dtype=np.int64)
        for b, pieces in enumerate(texts):
            counts[b + 1] = len(pieces.ids)
            for at in range(0, max(len(pieces.ids), 1), room):
                rows.append(pieces.ids[at : at + room])
        width = max((len(row) for row in rows), default=0) + 2
        ids = np.full((len(rows), width), PAD, dtype=np.int64)
        flat = []
        for r, row in enumerate(rows):
            ids[r, 0] = BEGIN
            ids[r, 1 : len(row) + 1] = row
            ids[r, len(row) + 1] = END
            flat.append(np.arange(len(row)) + r * width + 1)
        return cls(
            ids=torch.from_numpy(ids),
            mask=torch.from_numpy(ids != PAD),
            flat=torch.from_numpy(np.concatenate(flat) if flat else np.zeros(0, np.int64)),
            starts=torch.from_numpy(np.cumsum(counts)),
        )

    def to(self, device: torch.device | str) -> PieceBatch:
        """The batch on another device."""
        return PieceBatch(
            ids=self.ids.to(device),
            mask=self.mask.to(device),
            flat=self.flat.to(device),
            starts=self.starts.to(device),
        )

    def gather(self, hidden: Tensor) -> Tensor:
        """Vectors (N, H) of the texts' pieces out of rows (R, P, H)."""
        return hidden.flatten(0, 1)[self.flat]
