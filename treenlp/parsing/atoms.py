"""Sentences as tensors: the pieces of each sentence and the atoms laid over them.

An atom is the unit of a chart before pruning: a word of English, a character of Chinese. A piece of
the trunk may join several characters or an atom may take several pieces, so every atom names its
first and last piece, its place inside a piece that is longer than itself, and a context-free piece
of its own.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from treenlp.encoder import PieceBatch, Pieces, PieceTokenizer
from treenlp.text import Lang, Sentence

__all__ = ["NUM_PLACES", "AtomBatch"]

NUM_PLACES = 4
WHOLE, BEGIN, INSIDE, END = range(NUM_PLACES)
"""Place of an atom in its piece."""


@dataclass(frozen=True, kw_only=True)
class AtomBatch:
    """Sentences of one language.

    Attributes:
        lang: their language.
        pieces: their pieces.
        first: (B, T) int64, index of each atom's first piece in `pieces.flat`; the number of
            pieces stands for none (an atom without a piece, or padding).
        last: (B, T) int64, likewise its last piece.
        place: (B, T) int64, 0 whole, 1 begin, 2 inside, 3 end of a longer piece.
        static: (B, T) int64, vocabulary id of the atom's context-free piece.
        lengths: (B,) int64 atoms.
    """

    lang: Lang
    pieces: PieceBatch
    first: Tensor
    last: Tensor
    place: Tensor
    static: Tensor
    lengths: Tensor

    @classmethod
    def build(
        cls,
        sentences: Sequence[Sentence],
        tokenizer: PieceTokenizer,
        *,
        max_positions: int,
        alpha: float = 0.0,
        rng: random.Random | None = None,
    ) -> AtomBatch:
        """Tokenize sentences of one language and align their atoms.

        Args:
            sentences: at least one.
            tokenizer: of the trunk.
            max_positions: longest row of pieces.
            alpha: probability of splitting a Chinese piece into characters (training).
            rng: source of that randomness.
        """
        sentences = [sentence.running for sentence in sentences]
        texts = [sentence.model_text for sentence in sentences]
        if alpha > 0 and rng is not None:
            found = [tokenizer.sample(text, alpha=alpha, rng=rng) for text in texts]
        else:
            found = tokenizer.encode_batch(texts)
        pieces = PieceBatch.build(found, max_positions=max_positions)
        none = len(pieces.flat)
        lengths = np.array([sentence.num_atoms for sentence in sentences], dtype=np.int64)
        shape = (len(sentences), int(lengths.max()))
        first = np.full(shape, none, dtype=np.int64)
        last, place = first.copy(), np.zeros(shape, dtype=np.int64)
        static = np.ones(shape, dtype=np.int64)  # the padding piece
        starts = pieces.starts.tolist()
        for b, (sentence, own) in enumerate(zip(sentences, found, strict=True)):
            _align(sentence, own, tokenizer, starts[b], first[b], last[b], place[b], static[b])
        return cls(
            lang=sentences[0].lang,
            pieces=pieces,
            first=torch.from_numpy(first),
            last=torch.from_numpy(last),
            place=torch.from_numpy(place),
            static=torch.from_numpy(static),
            lengths=torch.from_numpy(lengths),
        )

    def to(self, device: torch.device | str) -> AtomBatch:
        """The batch on another device."""
        return replace(
            self,
            pieces=self.pieces.to(device),
            first=self.first.to(device),
            last=self.last.to(device),
            place=self.place.to(device),
            static=self.static.to(device),
            lengths=self.lengths.to(device),
        )


def _align(
    sentence: Sentence,
    pieces: Pieces,
    tokenizer: PieceTokenizer,
    base: int,
    first: np.ndarray,
    last: np.ndarray,
    place: np.ndarray,
    static: np.ndarray,
) -> None:
    """Fill one row of the atom arrays, walking atoms and pieces side by side."""
    text = sentence.model_text
    offsets = pieces.offsets
    at = 0
    for n, (start, end) in enumerate(sentence.atoms):
        start, end = start - sentence.start, end - sentence.start
        while at < len(offsets) and offsets[at][1] <= start:
            at += 1
        if at == len(offsets) or offsets[at][0] >= end:
            continue
        stop = at
        while stop + 1 < len(offsets) and offsets[stop + 1][0] < end:
            if offsets[stop + 1][0] == offsets[stop + 1][1]:
                break
            stop += 1
        first[n], last[n] = base + at, base + stop
        static[n] = pieces.ids[at]
        begin, finish = offsets[at][0], offsets[stop][1]
        if begin < start or finish > end:
            place[n] = BEGIN if begin >= start else END if finish <= end else INSIDE
            if end - start == 1:
                static[n] = tokenizer.character(text[start])
