"""Training of the parser: sources of targets, mixed in fixed proportions, and the CRF objective."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.data.treebanks import SpelledTree
from treenlp.encoder import PieceBatch, PieceTokenizer, Trunk
from treenlp.encoder.pieces import UNKNOWN
from treenlp.experiment.agreement import Agreement
from treenlp.experiment.planning import plan_batches
from treenlp.parsing.atoms import AtomBatch
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.scorer import SpanScorer
from treenlp.parsing.targets import ChartTarget, TargetBatch, crf_loss
from treenlp.text import Lang, Sentence
from treenlp.trees.transforms import collapse_unary

__all__ = ["ParserBatch", "ParserTask", "Source", "tree_target"]


def tree_target(
    spelled: SpelledTree,
    grammar: Grammar,
    lang: Lang,
    *,
    unknown: Sequence[tuple[int, int]] = (),
    barriers: Sequence[tuple[int, int]] = (),
    max_atoms: int = 64,
) -> ChartTarget | None:
    """Target of a tree, or None if the chart cannot hold it.

    Args:
        spelled: tree and text.
        grammar: labels; a tree with another label is refused.
        lang: language.
        unknown: regions, in leaves, whose inner brackets are not believed.
        barriers: code-point spans that no constituent may cross; the tree's constituents that do
            are dropped and their parents become unknown regions.
        max_atoms: longest sentence.
    """
    if lang == "zh":
        sentence = Sentence.from_text(spelled.text, lang="zh")
    else:
        sentence = Sentence(
            text=spelled.text, start=0, end=len(spelled.text), lang="en", atoms=spelled.words
        )
    if sentence is None or sentence.num_atoms > max_atoms:
        return None
    starts = {start: n for n, (start, _) in enumerate(sentence.atoms)}
    ends = {end: n + 1 for n, (_, end) in enumerate(sentence.atoms)}
    leaves: list[tuple[int, int]] = []
    for start, end in spelled.words:
        if start not in starts or end not in ends:
            return None
        leaves.append((starts[start], ends[end]))
    tree = collapse_unary(spelled.tree)
    phrase_ids = {label: n for n, label in enumerate(grammar.phrase_labels)}
    word_ids = {label: n for n, label in enumerate(grammar.word_labels)}
    regions = [(leaves[s][0], leaves[e - 1][1]) for s, e in unknown]
    walls = [(starts[s], ends[e]) for s, e in barriers if s in starts and e in ends and e - s > 1]
    spans = tree.node_spans()
    parents = tree.node_parents()
    phrases: list[tuple[int, int, int]] = []
    words: list[tuple[int, int, int]] = []
    for node, (label, size) in enumerate(zip(tree.node_labels, tree.node_sizes, strict=True)):
        s, e = spans[node]
        first, last = leaves[s][0], leaves[e - 1][1]
        if size == 1:
            if label not in word_ids or last - first > grammar.max_word_units:
                return None
            words.append((first, last, word_ids[label]))
            continue
        if label not in phrase_ids:
            return None
        if any(_crosses((first, last), wall) for wall in walls):
            p = parents[node]
            ps, pe = spans[p] if p >= 0 else (s, e)
            regions.append((leaves[ps][0], leaves[pe - 1][1]))
            continue
        phrases.append((first, last, phrase_ids[label]))
    if any(_crosses((s, e), wall) for s, e, _ in words for wall in walls):
        return None
    return ChartTarget(
        sentence=sentence,
        phrases=tuple(phrases),
        words=tuple(words),
        free=tuple(regions),
        barriers=tuple(walls) if regions else (),
    )


def _crosses(one: tuple[int, int], other: tuple[int, int]) -> bool:
    (a, b), (c, d) = one, other
    return a < c < b < d or c < a < d < b


@dataclass(frozen=True, kw_only=True)
class Source:
    """Targets of one kind and language.

    Attributes:
        name: for reports.
        lang: of all its sentences.
        targets: at least one; a tuple of several is a toss-up, of which one is drawn each time.
        share: of the atoms that are learned from.
        alpha: probability of splitting a Chinese piece into characters.
        hide: probability of hiding a piece from the trunk, so that what remains visible of it,
            its context-free vector, has to tell.
        dropout: share of entries dropped inside the trunk's layers; for sentences that are seen
            many times.
    """

    name: str
    lang: Lang
    targets: Sequence[ChartTarget | tuple[ChartTarget, ...]]
    share: float
    alpha: float = 0.1
    hide: float = 0.0
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ParserBatch:
    """Inputs and targets of one step; `dropout` as in `Source`."""

    atoms: AtomBatch
    targets: TargetBatch
    rng: random.Random
    dropout: float


class ParserTask(nn.Module):
    """Batches of about equal size from each source in turn, by share."""

    def __init__(
        self,
        scorer: SpanScorer,
        trunk: Trunk,
        tokenizer: PieceTokenizer,
        sources: Sequence[Source],
        *,
        steps: int,
        seed: int,
        atoms_per_batch: Mapping[Lang, int],
        dropout: float = 0.1,
        boundary_weight: float = 0.5,
        agreement: Agreement | None = None,
        agreement_weight: float = 0.15,
    ) -> None:
        """Plan all batches of a run."""
        super().__init__()
        self.scorer = scorer
        self._trunk = (trunk,)  # in a tuple: not a submodule, it is not trained
        self.tokenizer = tokenizer
        self.sources = sources
        self.seed = seed
        self.dropout = dropout
        self.boundary_weight = boundary_weight
        self.agreement = agreement
        self.agreement_weight = agreement_weight
        self.plan = plan_batches(
            [[_num_atoms(target) for target in source.targets] for source in sources],
            [source.share for source in sources],
            [atoms_per_batch[source.lang] for source in sources],
            steps=steps,
            seed=seed,
        )

    def batch(self, step: int) -> ParserBatch:
        """Batch of a step."""
        source = self.sources[self.plan[step][0]]
        rng = random.Random(self.seed * 1_000_003 + step)
        drawn = [source.targets[n] for n in self.plan[step][1]]
        targets = [rng.choice(t) if isinstance(t, tuple) else t for t in drawn]
        grammar = self.scorer.grammars[source.lang]
        atoms = AtomBatch.build(
            [target.sentence for target in targets],
            self.tokenizer,
            max_positions=self._trunk[0].config.max_positions,
            alpha=source.alpha if source.lang == "zh" else 0.0,
            rng=rng,
        )
        if source.hide > 0:
            atoms = replace(atoms, pieces=_hide(atoms.pieces, source.hide, rng))
        return ParserBatch(
            atoms=atoms,
            targets=TargetBatch.build(targets, grammar),
            rng=rng,
            dropout=source.dropout,
        )

    def loss(self, batch: object) -> Tensor:
        """Mean CRF loss an atom, with the loss of word boundaries."""
        if not isinstance(batch, ParserBatch):
            raise TypeError(f"found {type(batch).__name__}, expected ParserBatch")
        atoms = batch.atoms
        scorer, lang = self.scorer, atoms.lang
        hidden = scorer.contextualize(self._trunk[0], atoms, dropout=batch.dropout)
        vectors, static = scorer.atoms(self._trunk[0], atoms, hidden)
        vectors = F.dropout(vectors, self.dropout, self.training)
        fence, words = scorer.fenceposts(atoms, vectors, static)
        packed = scorer.score_fenceposts(lang, fence, words, atoms.lengths)
        head = scorer.head(lang)
        with torch.autocast("cpu", enabled=False):
            each = crf_loss(packed, batch.targets, head.child, head.root, scorer.grammars[lang])
            loss = (each * batch.targets.weight).sum() / atoms.lengths.sum()
            known = batch.targets.boundary >= 0
            if lang == "zh" and bool(known.any()):
                loss = loss + self.boundary_weight * F.binary_cross_entropy_with_logits(
                    packed.boundary[known], batch.targets.boundary[known]
                )
            if lang == "zh" and self.agreement is not None:
                loss = loss + self.agreement_weight * self.agreement.loss(
                    scorer, self._trunk[0], batch.rng
                )
        return loss


def _num_atoms(target: ChartTarget | tuple[ChartTarget, ...]) -> int:
    return (target[0] if isinstance(target, tuple) else target).sentence.num_atoms


def _hide(pieces: PieceBatch, probability: float, rng: random.Random) -> PieceBatch:
    """Replace pieces by the unknown one in half of the rows."""
    generator = torch.Generator().manual_seed(rng.getrandbits(62))
    rows, width = pieces.ids.shape
    hidden = torch.rand(rows, width, generator=generator) < probability
    hidden &= torch.rand(rows, 1, generator=generator) < 0.5
    inner = torch.zeros(rows * width, dtype=torch.bool)
    inner[pieces.flat] = True
    return replace(pieces, ids=pieces.ids.masked_fill(hidden & inner.view(rows, width), UNKNOWN))
