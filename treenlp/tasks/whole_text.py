"""The sentiment of a text, read as one piece of running text beside its trees.

The sentiment of a text comes from the trees of its sentences. A tree ends where its sentence
does, and a review turns in mid-text ("... but then ..."). This view reads all sentences in one
window of the trunk, through layers that a low-rank change tunes to whole texts. Of a Chinese text
it knows the side alone, for reviews teach no more: it adds what a table of pieces and pairs of
pieces says and moves the odds between the positive and the negative side, while how neutral the
text is, and how strong within its side, remains what the trees say. Of an English text it knows all
five classes, from the sentences and phrases of a treebank; so it also reads phrases of an English
sentence by themselves, beside their nodes in its tree.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from treenlp.encoder import EncoderLayer, PieceBatch, Pieces, Trunk, run_layers
from treenlp.encoder.low_rank import AdaptedLayer, layers_to_read
from treenlp.errors import ConfigError
from treenlp.tasks.grams import GramScore
from treenlp.tasks.sentiment import LABELS, NEUTRAL, polarity_logit
from treenlp.text import Lang

__all__ = [
    "PHRASE_WORDS",
    "WholeText",
    "WholeTextConfig",
    "join_grades",
    "join_sides",
    "running_text",
]

PHRASE_WORDS = 2
"""The fewest words that are read as a phrase: what a word says its leaf in the tree knows best."""


@dataclass(frozen=True, kw_only=True)
class WholeTextConfig:
    """Sizes of the view.

    Attributes:
        first: first trunk layer that is changed; all above it are, too.
        rank: of the changes; 0 makes copies of the layers that learn in full, as teachers do.
        head_pieces: pieces that are read of the beginning of a text that is too long.
        tail_pieces: likewise of its end, where reviews conclude.
        gram_buckets: size of the table of pieces and pairs; 0 for none.
        side_tree: what the trees' log-odds count where only the side is judged, at least 0.
        side_view: likewise those of the layers.
        grade_tree: what the trees' log-probabilities count where five classes are judged.
        grade_view: likewise those of the layers.
        phrase_tree: what a node's log-probabilities count where its phrase is read by itself.
        phrase_view: likewise those of the layers; with 0 they read no phrases.
    """

    first: int = 0
    rank: int = 24
    head_pieces: int = 120
    tail_pieces: int = 180
    gram_buckets: int = 0
    side_tree: float = 0.05
    side_view: float = 1.0
    grade_tree: float = 0.5
    grade_view: float = 0.5
    phrase_tree: float = 1.0
    phrase_view: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        least_of = {"first": 0, "rank": 0, "head_pieces": 0, "tail_pieces": 1, "gram_buckets": 0}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                raise ConfigError(
                    f"found {name} = {getattr(self, name)}, expected at least {least}"
                )
        factors = ("side_tree", "side_view", "grade_tree", "grade_view")
        for name in (*factors, "phrase_tree", "phrase_view"):
            if not getattr(self, name) >= 0.0:
                raise ConfigError(f"found {name} = {getattr(self, name)}, expected at least 0")


class WholeText(nn.Module):
    """Running text to five classes; of Chinese only the odds between the sides are learned."""

    def __init__(self, config: WholeTextConfig, trunk: Trunk, dropout: float = 0.0) -> None:
        """Start with unchanged layers and even classes.

        Args:
            config: sizes.
            trunk: shared: neither trained nor saved here. It is to be on the same device.
            dropout: share of entries dropped in training, inside the layers and before the head.
        """
        super().__init__()
        self.config = config
        self._trunk = (trunk,)  # in a tuple: not a submodule
        self.layers = nn.ModuleList(
            AdaptedLayer(cast(EncoderLayer, layer), config.rank)
            if config.rank
            else copy.deepcopy(layer).requires_grad_(True)
            for layer in list(trunk.layers)[config.first :]
        )
        self.rate = dropout
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(2 * trunk.config.hidden_size, len(LABELS))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.grams = GramScore(config.gram_buckets) if config.gram_buckets else None

    def merge(self, dtype: torch.dtype) -> None:
        """Put plain layers in the place of changes: they read faster and learn no more.

        They take as much memory as those of the trunk.
        """
        self.layers = nn.ModuleList(layers_to_read(self.layers, dtype)).requires_grad_(False)

    def cut(self, pieces: Pieces) -> Pieces:
        """Leave out the middle of a text that is too long, so that cost and memory have a bound."""
        head, tail = self.config.head_pieces, self.config.tail_pieces
        room = min(head + tail, self._trunk[0].config.max_positions - 2)
        if len(pieces.ids) <= room:
            return pieces
        head = min(head, room // 2)
        tail = room - head
        return Pieces(
            ids=pieces.ids[:head] + pieces.ids[-tail:],
            offsets=pieces.offsets[:head] + pieces.offsets[-tail:],
        )

    def forward(self, batch: PieceBatch) -> Tensor:
        """Judge texts of a row each by the layers alone.

        Args:
            batch: B rows, one for each text, as `cut` leaves them.

        Returns:
            (B, 5) logits, without what the table adds.
        """
        trunk = self._trunk[0]
        mask = None if bool(batch.mask.all()) else batch.mask
        with torch.no_grad():
            hidden = trunk.run(trunk.embed(batch.ids), mask, 0, self.config.first)
        hidden = run_layers(list(self.layers), hidden, mask, self.rate).float()  # (B, P, H)
        inner = torch.zeros_like(batch.mask).flatten()
        inner[batch.flat] = True
        inner = inner.view(batch.mask.shape).unsqueeze(-1)
        mean = (hidden * inner).sum(1) / inner.sum(1).clamp_min(1)
        highest = hidden.masked_fill(~inner, -torch.inf).amax(1)
        highest = torch.where(inner.any(1), highest, 0.0)
        logits: Tensor = self.out(self.dropout(torch.cat([mean, highest], -1)))
        return logits

    def odds(self, texts: Sequence[Pieces]) -> Tensor:
        """Judge the side of any number of texts, by layers and table.

        Args:
            texts: the pieces of whole texts.

        Returns:
            (B,) log-odds in nats, on the CPU; above 0 means positive.
        """
        odds = self.config.side_view * polarity_logit(self.logits(texts))
        return odds if self.grams is None else odds + self.grams(texts).detach().cpu()

    def logits(self, texts: Sequence[Pieces], *, pieces_per_batch: int = 3_000) -> Tensor:
        """Judge any number of texts by the layers alone, in batches of like length.

        Args:
            texts: the pieces of whole texts.
            pieces_per_batch: most pieces, padding included, that are read at once.

        Returns:
            (B, 5) logits, on the CPU.
        """
        device = self.out.weight.device
        kept = [self.cut(text) for text in texts]
        sizes = [max(1, len(text.ids)) + 2 for text in kept]  # a text may have no piece
        found = torch.zeros(len(kept), len(LABELS))
        order = sorted(range(len(kept)), key=sizes.__getitem__, reverse=True)
        at = 0
        while at < len(order):
            chosen = order[at : at + max(1, pieces_per_batch // sizes[order[at]])]
            batch = PieceBatch.build([kept[n] for n in chosen], max_positions=sizes[chosen[0]])
            found[chosen] = self(batch.to(device)).detach().float().cpu()
            at += len(chosen)
        return found


def running_text(sentences: Iterable[tuple[str, Lang]]) -> str:
    """Write sentences one after another; only between two Chinese ones stands no space.

    Example:
        >>> running_text([("很好。", "zh"), ("下次再来。", "zh"), ("Bye.", "en"), ("Bye!", "en")])
        '很好。下次再来。 Bye. Bye!'
    """
    parts: list[str] = []
    before: Lang | None = None
    for text, lang in sentences:
        if before is not None:
            parts.append("" if before == lang == "zh" else " ")
        parts.append(text)
        before = lang
    return "".join(parts)


def join_grades(logits: Tensor, view: Tensor, tree_weight: float, view_weight: float) -> Tensor:
    """Let trees and whole text judge all five classes together, by a weighted product.

    Hinton (2002), "Training products of experts by minimizing contrastive divergence", section 1,
    with an exponent for each of the two.

    Args:
        logits: (T, 5) of texts, from their trees.
        view: (T, 5) logits of the whole texts.
        tree_weight: at least 0.
        view_weight: at least 0.

    Returns:
        (T, 5) probabilities.

    Example:
        >>> good = torch.tensor([[0.0, 0.0, 0.0, 2.0, 0.0]])
        >>> [round(p, 2) for p in join_grades(good, -good, 0.5, 0.5)[0].tolist()]
        [0.2, 0.2, 0.2, 0.2, 0.2]
    """
    trees = tree_weight * torch.log_softmax(logits.float(), -1)
    return torch.softmax(trees + view_weight * torch.log_softmax(view.float(), -1), -1)


def join_sides(logits: Tensor, odds: Tensor, tree_weight: float) -> Tensor:
    """Let the whole text decide between the sides, with the trees.

    The neutral class keeps its probability, and so do the classes of one side their proportion;
    the log-odds between the sides become tree_weight times those of the trees plus `odds`.

    Args:
        logits: (T, 5) of texts, from their trees.
        odds: (T,) log-odds of the whole texts.
        tree_weight: at least 0.

    Returns:
        (T, 5) probabilities.

    Example:
        >>> even = torch.zeros(1, 5)
        >>> [round(p, 2) for p in join_sides(even, torch.tensor([9.0]), 1.0)[0].tolist()]
        [0.0, 0.0, 0.2, 0.4, 0.4]
    """
    shares = torch.softmax(logits.float(), -1)
    side = torch.sigmoid(tree_weight * polarity_logit(logits.float()) + odds.float())
    below = torch.softmax(logits[:, :NEUTRAL].float(), -1)
    above = torch.softmax(logits[:, NEUTRAL + 1 :].float(), -1)
    neutral = shares[:, NEUTRAL : NEUTRAL + 1]
    taken = 1.0 - neutral
    side = side.unsqueeze(-1)
    return torch.cat([below * (1.0 - side) * taken, neutral, above * side * taken], -1)
