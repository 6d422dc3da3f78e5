"""A linear score over the pieces of a text and its pairs of neighbouring pieces.

What a network of few layers smooths over, a table of words and pairs keeps: Wang & Manning (2012),
"Baselines and Bigrams". Features are hashed into buckets (Weinberger et al. 2009, "Feature Hashing
for Large Scale Multitask Learning", here without signs), so that the table has a fixed size; beside
a network it is the wide part of Cheng et al. (2016), "Wide & Deep Learning".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from treenlp.encoder import Pieces
from treenlp.errors import ConfigError

__all__ = ["GramScore", "gram_buckets"]

_WIDTH = 128  # the table is a matrix, so that it is stored in 8 bits like every other
_SINGLE, _FIRST, _SECOND = (np.uint64(odd) for odd in (2_654_435_761, 40_503, 2_246_822_519))
_PAIR = np.uint64(374_761_393)
_SHIFT = np.uint64(15)


def gram_buckets(ids: Sequence[int], num_buckets: int) -> NDArray[np.int64]:
    """Return the buckets of all pieces and neighbouring pairs of a text, each once, in order.

    Args:
        ids: pieces.
        num_buckets: of the table.

    Example:
        >>> len(gram_buckets([5, 6, 5, 6], 65_536))  # 5, 6, 5 6 and 6 5
        4
    """
    pieces = np.asarray(ids, dtype=np.uint64)
    singles = pieces * _SINGLE
    pairs = pieces[:-1] * _FIRST * _PAIR + pieces[1:] * _SECOND + _PAIR
    mixed = np.concatenate([singles, pairs])
    mixed = (mixed ^ (mixed >> _SHIFT)) % np.uint64(num_buckets)
    return np.unique(mixed).astype(np.int64)


class GramScore(nn.Module):
    """The table: a number for each bucket; a text's score is their sum over the root of how many.

    Example:
        >>> score = GramScore(256)
        >>> score([Pieces(ids=(4, 5), offsets=((0, 1), (1, 2)))]).tolist()
        [0.0]
    """

    def __init__(self, num_buckets: int) -> None:
        """Start with zeros.

        Args:
            num_buckets: a positive multiple of 128.

        Raises:
            ConfigError: if it is another number.
        """
        super().__init__()
        if num_buckets < _WIDTH or num_buckets % _WIDTH:
            raise ConfigError(
                f"found {num_buckets} buckets, expected a positive multiple of {_WIDTH}"
            )
        self.num_buckets = num_buckets
        self.table = nn.Parameter(torch.zeros(num_buckets // _WIDTH, _WIDTH))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, texts: Sequence[Pieces]) -> Tensor:
        """Score texts.

        Args:
            texts: B texts of any length.

        Returns:
            (B,) scores; the bias for a text without pieces.
        """
        table = self.table.view(-1)
        scores = [self.bias[0]] * len(texts)
        for n, text in enumerate(texts):
            found = torch.from_numpy(gram_buckets(text.ids, self.num_buckets)).to(table.device)
            if len(found):
                scores[n] = self.bias[0] + table[found].sum() / len(found) ** 0.5
        return torch.stack(scores) if scores else table.new_zeros(0)
