"""Scores of spans, words and word pairs: the neural part of the chart parser.

The span score follows Kitaev & Klein (2018), "Constituency Parsing with a Self-Attentive Encoder"
(a perceptron over the two ends of a span) and Zhang, Zhou & Li (2020), "Fast and Accurate Neural
CRF Constituency Parsing". Departures: words are scored as spans of their own, the ends are
fenceposts that see the atom on each side, and a low-rank bilinear score over context-free vectors
lets the last words of a phrase's first child and of the phrase itself agree (a classifier with its
noun, a verb with its object).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.encoder import EncoderLayer, Trunk, run_layers
from treenlp.encoder.low_rank import AdaptedLayer
from treenlp.parsing.atoms import NUM_PLACES, AtomBatch
from treenlp.parsing.chart import NEG, ChartScores
from treenlp.parsing.grammar import Grammar
from treenlp.text import Lang

__all__ = ["LanguageHead", "LanguageView", "PackedScores", "ParserConfig", "SpanScorer"]


@dataclass(frozen=True, kw_only=True)
class ParserConfig:
    """Sizes of the parser.

    Attributes:
        fork: first trunk layer that the parser holds a copy of its own of.
        last: one past the last trunk layer that it uses.
        atom_size: width of atom vectors.
        span_size: width of the hidden layer that scores phrases.
        word_size: width of the hidden layer that scores words.
        affinity_rank: rank of the bilinear word-pair score, for each parent class.
        affinity_window: atoms before a fencepost that its context-free vector sees.
        english_rank: rank of the changes that make the trunk's layers English's own; 0 lets
            English use the same copies as Chinese.
        english_last: one past the last trunk layer that English uses then.
        temperature_zh: divides all Chinese scores (calibration).
        temperature_en: divides all English scores.
        boundary_floor: fenceposts of Chinese less likely than this to end a word are pruned.
    """

    fork: int = 2
    last: int = 6
    atom_size: int = 384
    span_size: int = 256
    word_size: int = 192
    affinity_rank: int = 24
    affinity_window: int = 3
    english_rank: int = 0
    english_last: int = 8
    temperature_zh: float = 1.0
    temperature_en: float = 1.0
    boundary_floor: float = 0.002


@dataclass(frozen=True, kw_only=True)
class PackedScores:
    """Label scores of the spans that exist, without padding.

    Attributes:
        phrase: (S, Lp) of spans of two units or more.
        phrase_at: (3, S) int64 sentence, start, end.
        word: (V, Lw).
        word_at: (3, V) int64 sentence, start, width - 1.
        affinity: (B, F, F, P).
        boundary: (B, F) logits that a word ends at a fencepost.
        lengths: (B,) int64 units.
    """

    phrase: Tensor
    phrase_at: Tensor
    word: Tensor
    word_at: Tensor
    affinity: Tensor
    boundary: Tensor
    lengths: Tensor


class LanguageHead(nn.Module):
    """Everything that depends on the labels of one language."""

    def __init__(self, config: ParserConfig, grammar: Grammar) -> None:
        super().__init__()
        fence = 2 * config.atom_size
        num_parents, num_children = len(grammar.parent_classes), len(grammar.child_classes)
        self.phrase_start = nn.Linear(fence, config.span_size)
        self.phrase_end = nn.Linear(fence, config.span_size)
        self.phrase_label = nn.Linear(config.span_size, len(grammar.phrase_labels))
        self.word_start = nn.Linear(fence, config.word_size)
        self.word_end = nn.Linear(fence, config.word_size)
        self.word_label = nn.Linear(config.word_size, len(grammar.word_labels))
        self.boundary = nn.Linear(fence, 1)
        self.child = nn.Parameter(torch.zeros(num_parents, num_children))
        self.root = nn.Parameter(torch.zeros(num_children))
        rank = num_parents * config.affinity_rank
        self.governor = nn.Linear(config.atom_size, rank)
        self.dependent = nn.Linear(config.atom_size, rank)


class LanguageView(nn.Module):
    """One language's own way from pieces to atoms, where it does not share that of the others.

    The trunk's layers with a low-rank change take the place of the shared copies: a fraction of
    their size, and as deep as the trunk.
    """

    def __init__(self, config: ParserConfig, trunk: Trunk) -> None:
        super().__init__()
        size = config.atom_size
        self.layers = nn.ModuleList(
            AdaptedLayer(cast(EncoderLayer, layer), config.english_rank)
            for layer in list(trunk.layers)[config.fork : config.english_last]
        )
        self.contextual = nn.Linear(trunk.config.hidden_size, size)
        self.atom_norm = nn.LayerNorm(size)
        self.mix_norm = nn.LayerNorm(size)
        self.edge = nn.Parameter(torch.zeros(2, size))


class SpanScorer(nn.Module):
    """Atoms of a sentence to the log-potentials of its chart."""

    def __init__(self, config: ParserConfig, trunk: Trunk, grammars: dict[Lang, Grammar]) -> None:
        """Create a scorer whose trunk layers have default weights; see `copy_layers`.

        Args:
            config: sizes.
            trunk: that it will run over; a language's own view shares its layers.
            grammars: labels of each language.
        """
        super().__init__()
        self.config = config
        self.grammars = grammars
        sizes, size = trunk.config, config.atom_size
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(config.last - config.fork))
        self.contextual = nn.Linear(sizes.hidden_size, size)
        self.static = nn.Linear(sizes.hidden_size, size)
        self.place = nn.Embedding(NUM_PLACES, size)
        self.atom_norm = nn.LayerNorm(size)
        self.mix = nn.Conv1d(size, size, 3, padding=1)
        self.mix_norm = nn.LayerNorm(size)
        self.edge = nn.Parameter(torch.zeros(2, size))
        self.window = nn.Linear(config.affinity_window * sizes.hidden_size, size)
        own = {"en": LanguageView(config, trunk)} if config.english_rank else {}
        self.views = nn.ModuleDict(own)
        self.heads = nn.ModuleDict(
            {lang: LanguageHead(config, grammar) for lang, grammar in grammars.items()}
        )

    def head(self, lang: Lang) -> LanguageHead:
        """What belongs to the labels of one language."""
        return cast(LanguageHead, self.heads[lang])

    def view(self, lang: Lang) -> LanguageView | SpanScorer:
        """Where the layers and the atoms of a language are: in its own view or here."""
        return cast(LanguageView, self.views[lang]) if lang in self.views else self

    def copy_layers(self, trunk: Trunk) -> None:
        """Start from the trunk's own layers."""
        for own, theirs in zip(
            self.layers, list(trunk.layers)[self.config.fork : self.config.last], strict=True
        ):
            own.load_state_dict(theirs.state_dict())

    def contextualize(self, trunk: Trunk, batch: AtomBatch, *, dropout: float = 0.0) -> Tensor:
        """Piece vectors (N + 1, H) after the parser's last layer; the last row is zero.

        The trunk's layers below the fork run without gradients.
        """
        pieces = batch.pieces
        mask = None if bool(pieces.mask.all()) else pieces.mask
        with torch.no_grad():
            hidden = trunk.run(trunk.embed(pieces.ids), mask, 0, self.config.fork)
        hidden = run_layers(list(self.view(batch.lang).layers), hidden, mask, dropout)
        return F.pad(pieces.gather(hidden), (0, 0, 0, 1))

    def atoms(self, trunk: Trunk, batch: AtomBatch, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Contextual (B, T, D) and context-free (B, T, H) vectors of atoms."""
        view, static = self.view(batch.lang), self.embed_static(trunk, batch.static)
        context = (hidden[batch.first] + hidden[batch.last]) * 0.5
        atoms = view.contextual(context) + self.static(static) + self.place(batch.place)
        atoms = view.atom_norm(atoms)
        inside = torch.arange(atoms.shape[1], device=atoms.device) < batch.lengths[:, None]
        atoms = atoms * inside[..., None]
        mixed = self.mix(atoms.transpose(1, 2)).transpose(1, 2)
        return view.mix_norm(atoms + F.gelu(mixed)) * inside[..., None], static

    @staticmethod
    def embed_static(trunk: Trunk, ids: Tensor) -> Tensor:
        """Context-free vectors (..., H) of piece ids (...); no gradients."""
        with torch.no_grad():
            return F.normalize(trunk.pieces(ids), dim=-1) * 4.0

    def fenceposts(self, batch: AtomBatch, atoms: Tensor, static: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of fenceposts: contextual (B, F, 2 D) and context-free (B, F, D)."""
        edge = self.view(batch.lang).edge
        left = torch.cat([edge[0].expand(len(atoms), 1, -1), atoms], 1)
        ends = torch.arange(left.shape[1], device=atoms.device) >= batch.lengths[:, None]
        right = torch.where(ends[..., None], edge[1], F.pad(atoms, (0, 0, 0, 1)))
        fence = torch.cat([left, right.to(left.dtype)], -1)
        window = self.config.affinity_window
        padded = F.pad(static, (0, 0, window, 0))  # (B, window + T, H)
        seen = [padded[:, window - n : window - n + left.shape[1]] for n in range(1, window + 1)]
        seen = [F.pad(x, (0, 0, 0, left.shape[1] - x.shape[1])) for x in seen]
        return fence, F.gelu(self.window(torch.cat(seen, -1)))

    def agreement(
        self, lang: Lang, parent: int, trunk: Trunk, governors: Tensor, dependents: Tensor
    ) -> Tensor:
        """Affinity (N, M) of words under a parent class, for each governor and dependent.

        Args:
            lang: their language.
            parent: index in the grammar's `parent_classes`.
            trunk: of the piece embeddings.
            governors: (N, W) int64 static pieces of the last atoms of a first child, the nearest
                to its end first; W is `ParserConfig.affinity_window`.
            dependents: (M, W) int64, likewise at the end of the phrase.
        """
        head = self.head(lang)
        at = slice(parent * self.config.affinity_rank, (parent + 1) * self.config.affinity_rank)

        def side(layer: nn.Linear, ids: Tensor) -> Tensor:
            seen = F.gelu(self.window(self.embed_static(trunk, ids).flatten(-2)))
            return F.linear(seen, layer.weight[at], layer.bias[at])

        scale = self.config.affinity_rank**-0.5
        left, right = side(head.governor, governors) * scale, side(head.dependent, dependents)
        affinity: Tensor = left @ right.T
        return affinity

    def score_fenceposts(
        self, lang: Lang, fence: Tensor, words: Tensor, lengths: Tensor
    ) -> PackedScores:
        """Score all spans between fenceposts (B, F, .) of sentences of `lengths` units."""
        head = self.head(lang)
        grammar = self.grammars[lang]
        batch, size = fence.shape[:2]
        at = torch.arange(size, device=fence.device)
        width = at[None, :] - at[:, None]  # [i, j] -> j - i
        valid = at[None, None, :] <= lengths[:, None, None]
        phrase_at = ((width >= 2) & valid).nonzero().T
        word_at = ((width >= 1) & (width <= grammar.max_word_units) & valid).nonzero().T

        def spans(start: nn.Module, end: nn.Module, where: Tensor) -> Tensor:
            begins, ends = start(fence).flatten(0, 1), end(fence).flatten(0, 1)
            row = where[0] * size
            hidden = begins.index_select(0, row + where[1]) + ends.index_select(0, row + where[2])
            return F.relu(hidden)

        phrase = head.phrase_label(spans(head.phrase_start, head.phrase_end, phrase_at))
        word = head.word_label(spans(head.word_start, head.word_end, word_at))
        shape = (batch, size, len(grammar.parent_classes), self.config.affinity_rank)
        governor, dependent = head.governor(words).view(shape), head.dependent(words).view(shape)
        scale = self.config.affinity_rank**-0.5
        affinity = torch.einsum("bkpr,bjpr->bkjp", governor * scale, dependent)
        return PackedScores(
            phrase=phrase.float(),
            phrase_at=phrase_at,
            word=word.float(),
            word_at=torch.stack([word_at[0], word_at[1], word_at[2] - word_at[1] - 1]),
            affinity=affinity.float(),
            boundary=head.boundary(fence).squeeze(-1).float(),
            lengths=lengths,
        )

    def chart_scores(self, lang: Lang, packed: PackedScores) -> ChartScores:
        """Lay packed scores out as a chart and apply the language's temperature."""
        grammar, head = self.grammars[lang], self.head(lang)
        config = self.config
        heat = config.temperature_zh if lang == "zh" else config.temperature_en
        batch, fence = packed.boundary.shape
        phrase = packed.phrase.new_full((batch, fence, fence, len(grammar.phrase_labels)), NEG)
        phrase[tuple(packed.phrase_at)] = packed.phrase / heat
        shape = (batch, fence, grammar.max_word_units, len(grammar.word_labels))
        word = packed.word.new_full(shape, NEG)
        word[tuple(packed.word_at)] = packed.word / heat
        return ChartScores(
            phrase=phrase,
            word=word,
            child=head.child / heat,
            root=head.root / heat,
            affinity=packed.affinity / heat,
            lengths=packed.lengths,
        )

    def to_dict(self) -> dict[str, object]:
        """Sizes and grammars as plain values for JSON."""
        return {
            "parser": asdict(self.config),
            "grammars": {lang: grammar.to_dict() for lang, grammar in self.grammars.items()},
        }
