"""The built-in frontend: sentences in, forests or best trees out, batched by length."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from treenlp.encoder import PieceTokenizer, Trunk, TrunkConfig, load_table, load_weights
from treenlp.encoder.blank import without_initial_weights
from treenlp.encoder.device import has_fast_bfloat16
from treenlp.encoder.low_rank import layers_to_read
from treenlp.errors import ModelError
from treenlp.parsing.atoms import AtomBatch
from treenlp.parsing.chart import NEG, ChartScores
from treenlp.parsing.forest import Forest, nodes_to_tree
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.scorer import PackedScores, ParserConfig, SpanScorer
from treenlp.parsing.viterbi import viterbi
from treenlp.text import Lang, Sentence
from treenlp.trees.tree import Tree

if TYPE_CHECKING:
    from treenlp.parsing.lexical_scores import LexicalScores

__all__ = ["JOINT", "ChartParser", "Parser", "join_stretches", "load_parser"]

JOINT = "JOINT"
"""Label of the flat top under which the stretches of an overlong sentence are joined."""

_MAX_CELLS = 120_000
"""Most chart cells, sentences times fenceposts squared, that are scored at once."""
_MAX_SENTENCES = 64


class Parser(Protocol):
    """What turns sentences into trees."""

    max_atoms: int
    """Longest sentence that `forests` accepts; longer ones are cut into stretches first."""

    def forests(self, sentences: Sequence[Sentence]) -> list[Forest]:
        """All trees of each sentence, weighted."""

    def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
        """The best tree of each sentence, of any length."""


class ChartParser:
    """A trained `SpanScorer` with its trunk and pieces."""

    max_atoms = 150

    def __init__(
        self,
        scorer: SpanScorer,
        trunk: Trunk,
        tokenizer: PieceTokenizer,
        *,
        device: str = "cpu",
        bf16: bool | None = None,
    ) -> None:
        """Wrap trained modules; they are moved to the device and set to evaluation.

        Args:
            scorer: trained.
            trunk: that it was trained over: the layers below its fork, and those that a
                language's own view changes. It may be shared with other models.
            tokenizer: of the trunk.
            device: where to compute.
            bf16: run the encoder layers in bfloat16; None: where the processor has it.
        """
        self.device = torch.device(device)
        wanted = has_fast_bfloat16(self.device) if bf16 is None else bf16
        self.dtype = torch.bfloat16 if wanted else torch.float32
        self.scorer = scorer.to(self.device).eval().requires_grad_(False)
        self.scorer.layers.to(self.dtype)
        self.trunk = trunk.to(self.device).eval().requires_grad_(False)
        below = layers_to_read(list(trunk.layers)[: scorer.config.fork], self.dtype)
        self._layers: dict[Lang, list[torch.nn.Module]] = {}
        for lang in scorer.grammars:
            own = layers_to_read(scorer.view(lang).layers, self.dtype)
            self._layers[lang] = [*below, *own]
        self.tokenizer = tokenizer
        self._lexicon: LexicalScores | None = None

    def with_lexicon(self, path: Path) -> ChartParser:
        """Return a parser that also knows a user's own lexicon; the weights are shared.

        Args:
            path: a table as `treenlp.lexicon.user` describes it; it takes the place of an earlier
                one.

        Raises:
            LexiconError: if there is no such file, a row is malformed or a tag is unknown.
        """
        from treenlp.lexicon.user import UserLexicon
        from treenlp.parsing.lexical_scores import LexicalScores

        other = copy.copy(self)
        other._lexicon = LexicalScores(UserLexicon.read(path), self.scorer.grammars)
        return other

    def forests(self, sentences: Sequence[Sentence]) -> list[Forest]:
        """All trees of each sentence, weighted.

        Raises:
            ModelError: if a sentence is longer than `max_atoms`.
        """
        found: dict[int, Forest] = {}
        for chosen, scores, fences in self._score(sentences):
            lang = sentences[chosen[0]].lang
            for b, n in enumerate(chosen):
                found[n] = Forest(
                    sentence=sentences[n],
                    scores=scores.item(b),
                    grammar=self.scorer.grammars[lang],
                    fenceposts=fences[b],
                )
        return [found[n] for n in range(len(sentences))]

    def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
        """The best tree of each sentence; stretches of an overlong one are joined."""
        parts = [sentence.stretches(self.max_atoms) for sentence in sentences]
        flat = [part for sentence in parts for part in sentence]
        found: dict[int, Tree] = {}
        for chosen, scores, fences in self._score(flat):
            grammar = self.scorer.grammars[flat[chosen[0]].lang]
            for n, best, fence in zip(chosen, viterbi(scores, grammar), fences, strict=True):
                found[n] = nodes_to_tree(best.nodes, grammar, flat[n], fence)[0]
        trees = iter(found[n] for n in range(len(flat)))
        return [join_stretches([next(trees) for _ in sentence]) for sentence in parts]

    def _score(
        self, sentences: Sequence[Sentence]
    ) -> Iterator[tuple[list[int], ChartScores, list[tuple[int, ...]]]]:
        """Batches of alike length: which sentences, their scores, their fenceposts in atoms."""
        for sentence in sentences:
            if sentence.num_atoms > self.max_atoms:
                raise ModelError(
                    f"a sentence has {sentence.num_atoms} units, expected at most "
                    f"{self.max_atoms}; cut it with Sentence.stretches({self.max_atoms})"
                )
        for chosen in _batches(sentences):
            yield (chosen, *self.score_batch([sentences[n] for n in chosen]))

    @torch.inference_mode()
    def score_batch(
        self, sentences: Sequence[Sentence]
    ) -> tuple[ChartScores, list[tuple[int, ...]]]:
        """Chart scores of sentences of one language, boundaries pruned, and their fenceposts."""
        scorer, lang = self.scorer, sentences[0].lang
        batch = AtomBatch.build(
            sentences, self.tokenizer, max_positions=self.trunk.config.max_positions
        )
        batch = batch.to(self.device)
        fence, words = self._fenceposts(batch)
        keep = self._keep(sentences, lang, fence, batch.lengths)
        if self._lexicon is not None:
            self._lexicon.keep_ends(keep, sentences)
        counts = keep.sum(1)
        order = torch.sort((~keep).int(), dim=1, stable=True).indices[:, : int(counts.max())]
        at = order[..., None]
        packed = scorer.score_fenceposts(
            lang,
            fence.gather(1, at.expand(-1, -1, fence.shape[-1])),
            words.gather(1, at.expand(-1, -1, words.shape[-1])),
            counts - 1,
        )
        scores = scorer.chart_scores(lang, packed)
        rows = [tuple(row[:n]) for row, n in zip(order.tolist(), counts.tolist(), strict=True)]
        if self._lexicon is not None:
            scores = self._lexicon.add(scores, sentences, rows)
        return _with_given_words(scores, sentences), rows

    def pack_scores(self, batch: AtomBatch) -> PackedScores:
        """Scores of all spans of a batch, nothing pruned, at temperature 1."""
        fence, words = self._fenceposts(batch)
        return self.scorer.score_fenceposts(batch.lang, fence, words, batch.lengths)

    def _fenceposts(self, batch: AtomBatch) -> tuple[Tensor, Tensor]:
        """Contextual and context-free vectors of fenceposts."""
        scorer, pieces = self.scorer, batch.pieces
        mask = None if bool(pieces.mask.all()) else pieces.mask
        hidden = self.trunk.embed(pieces.ids).to(self.dtype)
        for layer in self._layers[batch.lang]:
            hidden = layer(hidden, mask)
        gathered = F.pad(pieces.gather(hidden).float(), (0, 0, 0, 1))
        return scorer.fenceposts(batch, *scorer.atoms(self.trunk, batch, gathered))

    def _keep(
        self, sentences: Sequence[Sentence], lang: Lang, fence: Tensor, lengths: Tensor
    ) -> Tensor:
        """Which fenceposts (B, F) may separate words."""
        at = torch.arange(fence.shape[1], device=fence.device)
        keep = at <= lengths[:, None]
        if lang == "zh":
            ends = self.scorer.head(lang).boundary(fence).squeeze(-1).float().sigmoid()
            likely = ends >= self.scorer.config.boundary_floor
            keep = keep & (likely | (at == 0) | (at == lengths[:, None]))
        for b, sentence in enumerate(sentences):
            if sentence.words is not None:
                keep[b] = False
                keep[b, [0, *(end for _, end in sentence.words)]] = True
        return keep


def load_parser(
    folder: Path, device: str = "cpu", *, trunk: Trunk | None = None, bf16: bool | None = None
) -> ChartParser:
    """Read the parser of a model folder.

    Args:
        folder: with config.json, tokenizer.json, trunk.safetensors and parser.safetensors.
        device: where to compute.
        trunk: the model's trunk if it is loaded already.
        bf16: see `ChartParser`.

    Raises:
        ModelError: if a file is missing, damaged or of another version.
    """
    config = read_model_config(folder)
    if trunk is None:
        trunk = load_trunk(folder)
    grammars: dict[Lang, Grammar] = {
        lang: Grammar.from_dict(values) for lang, values in config["grammars"].items()
    }
    weights = load_weights(folder / "parser.safetensors", version=config["version"])
    with without_initial_weights():
        scorer = SpanScorer(ParserConfig(**config["parser"]), trunk, grammars)
    scorer.load_state_dict(weights, assign=True)
    tokenizer = PieceTokenizer.load(folder / "tokenizer.json")
    return ChartParser(scorer, trunk, tokenizer, device=device, bf16=bf16)


def load_trunk(folder: Path, *, bf16: bool = False) -> Trunk:
    """Read the shared trunk of a model folder; errors as for `load_parser`.

    Args:
        folder: with config.json and trunk.safetensors.
        bf16: keep the layers in bfloat16: half the memory where all that share them read in it.
    """
    config = read_model_config(folder)
    path, version = folder / "trunk.safetensors", config["version"]
    weights = load_weights(path, version=version, without=("pieces.weight",))
    with without_initial_weights():
        trunk = Trunk(TrunkConfig(**config["trunk"]))
    trunk.pieces = load_table(path, "pieces.weight", version=version)
    table = {f"pieces.{name}": value for name, value in trunk.pieces.state_dict().items()}
    trunk.load_state_dict({**weights, **table}, assign=True)
    if bf16:
        trunk.layers.to(torch.bfloat16)
    return trunk.eval().requires_grad_(False)


def read_model_config(folder: Path) -> dict[str, Any]:
    """Read a model folder's config.json."""
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"no model at {folder}: {path.name} is missing; `treenlp models` lists what there is"
        ) from error
    except json.JSONDecodeError as error:
        raise ModelError(f"{path} is not JSON ({error}); reinstall treenlp") from error
    return config


def join_stretches(trees: Sequence[Tree]) -> Tree:
    """One tree of the stretches of a sentence: itself if there is one, else under `JOINT`."""
    return trees[0] if len(trees) == 1 else Tree.build(JOINT, trees)


def _with_given_words(scores: ChartScores, sentences: Sequence[Sentence]) -> ChartScores:
    """Scores in which given words are words: one unit each, since boundaries are theirs."""
    given = torch.tensor([sentence.words is not None for sentence in sentences])
    if scores.word.shape[2] == 1 or not bool(given.any()):
        return scores
    word = scores.word.clone()
    word[given, :, 1:] = NEG
    return replace(scores, word=word)


def _batches(sentences: Sequence[Sentence]) -> Iterator[list[int]]:
    """Indices of sentences of one language and about one length, bounded by chart cells."""
    order = sorted(range(len(sentences)), key=lambda n: (sentences[n].lang, sentences[n].num_atoms))
    batch: list[int] = []
    for n in order:
        cells = (sentences[n].num_atoms + 1) ** 2
        is_full = (len(batch) + 1) * cells > _MAX_CELLS or len(batch) >= _MAX_SENTENCES
        if batch and (is_full or sentences[n].lang != sentences[batch[0]].lang):
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch
