"""Sentences and their trees to sentiment and similarity: the meaning model as users meet it.

The reader owns the trunk, its tokenizer and a `MeaningModel`, and hides pieces and padding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from treenlp.composition import Encoding
from treenlp.encoder import (
    PieceBatch,
    Pieces,
    PieceTokenizer,
    Trunk,
    load_weights,
    run_layers,
)
from treenlp.encoder.blank import without_initial_weights
from treenlp.encoder.device import has_fast_bfloat16
from treenlp.encoder.low_rank import layers_to_read
from treenlp.errors import InputError, ModelError
from treenlp.parsing.parser import load_trunk, read_model_config
from treenlp.tasks.meaning import (
    Judgement,
    MeaningBatch,
    MeaningConfig,
    MeaningModel,
    leaf_piece_ranges,
)
from treenlp.tasks.whole_text import (
    PHRASE_WORDS,
    WholeText,
    WholeTextConfig,
    join_grades,
    join_sides,
    running_text,
)
from treenlp.text import Lang, Sentence
from treenlp.trees.tree import Tree

__all__ = ["MeaningReader", "TreeMeaning", "leaf_offsets", "load_meaning"]

_FILE, _WHOLE_TEXT_FILE = "meaning.safetensors", "whole_text.safetensors"
_WEIGHTS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_CLAUSE = re.compile(r"[^\s,;:.!?~，；：。！？、…～]+")
_RUNNING_CLAUSES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeMeaning:
    """What one sentence means, read by one tree (or expected over several).

    Attributes:
        distribution: five sentiment probabilities of the sentence, very negative to very positive.
        span_scores: sentiment in [-1, 1] of each node, by its half-open span of leaves; empty if
            they were not asked for.
        sentence: (hidden_size,) sentence vector, what texts are pooled from.
        root: (hidden_size,) root vector of the tree.
        pooled: (trunk_size,) mean of the sentence's pieces.
        text: the sentence as the model reads it.
        lang: its language.
        size: number of pieces, at least 1: the weight of the sentence in a text.
    """

    distribution: tuple[float, ...]
    span_scores: Mapping[tuple[int, int], float] = field(repr=False)
    sentence: Tensor = field(repr=False)
    root: Tensor = field(repr=False)
    pooled: Tensor = field(repr=False)
    text: str
    lang: Lang
    size: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class _Look:
    """Trees as the meaning model sees them.

    Attributes:
        judgement: of all trees.
        rows: the sentence of each tree.
        pieces: of each sentence.
        leaves: for each tree (n, 2) half-open ranges of the pieces of its leaves.
    """

    judgement: Judgement
    rows: list[int]
    pieces: list[Pieces]
    leaves: list[NDArray[np.int64]]


class MeaningReader:
    """Judges sentences, texts and pairs of texts."""

    def __init__(
        self,
        *,
        trunk: Trunk,
        tokenizer: PieceTokenizer,
        model: MeaningModel,
        whole_text: WholeText | None = None,
        device: str = "cpu",
    ) -> None:
        """Put the parts together, in evaluation mode; encoder layers run in the fastest precision.

        Args:
            trunk: is not changed; it may be shared with other models.
            tokenizer: of the trunk.
            model: composition and heads.
            whole_text: from now on for reading alone: its layers may be merged.
            device: where to compute.
        """
        dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
        self._trunk = trunk.to(device).eval()
        self._layers = layers_to_read(trunk.layers, dtype)
        self._tokenizer = tokenizer
        self._model = model.to(device).eval()
        self._whole_text = None if whole_text is None else whole_text.to(device).eval()
        if self._whole_text is not None and dtype != torch.float32:  # in 32 bits it takes 85 MB
            self._whole_text.merge(dtype)
        self._device = device

    @torch.inference_mode()
    def judge(
        self,
        sentences: Sequence[Sentence],
        trees: Sequence[Sequence[Tree]],
        *,
        spans: bool = True,
    ) -> list[list[TreeMeaning]]:
        """Compose every tree of every sentence; the trunk reads each sentence once.

        If the model has learned that, sentences are also read without their trees: an English one
        for its class, one with Chinese in it for its side, provided that it is running text, with
        three clauses or more, which commas join where another language begins a new sentence.
        Phrases of an English one are read by themselves, too, each once whatever trees have it.

        Args:
            sentences: of like length for speed.
            trees: for each sentence one tree or more over its own words.
            spans: whether nodes are judged; without, reading their phrases is saved.

        Returns:
            One meaning for each tree.

        Raises:
            InputError: if a tree does not stand over its sentence.
        """
        if not sentences:
            return []
        look = self._look(sentences, trees)
        judgement, rows = look.judgement, look.rows
        spelled = [(sentence.model_text, sentence.lang) for sentence in sentences]
        distributions = self._join_whole(
            judgement.sentence_logits.float(), rows, [[own] for own in spelled]
        ).tolist()
        by_tree: list[dict[tuple[int, int], float]] = [{} for _ in rows]
        if spans:
            scale = torch.tensor(_WEIGHTS, device=self._device)
            scores = self._join_phrases(look, sentences) @ scale
            by_tree = _by_tree(judgement.encoding, scores, len(rows))
        meanings: list[list[TreeMeaning]] = [[] for _ in sentences]
        for place, row in enumerate(rows):
            meanings[row].append(
                TreeMeaning(
                    distribution=tuple(distributions[place]),
                    span_scores=by_tree[place],
                    sentence=judgement.sentences[place],
                    root=judgement.encoding.root[place],
                    pooled=judgement.pooled[row],
                    size=max(1, len(look.pieces[row].ids)),
                    text=sentences[row].model_text,
                    lang=sentences[row].lang,
                )
            )
        return meanings

    @torch.inference_mode()
    def judge_nodes(
        self, sentences: Sequence[Sentence], trees: Sequence[Tree]
    ) -> list[dict[tuple[int, int], tuple[float, ...]]]:
        """Judge every node of one tree for each sentence, words included.

        Args:
            sentences: of like length for speed.
            trees: one over each sentence's own words.

        Returns:
            For each tree five sentiment probabilities of each half-open span of leaves.

        Raises:
            InputError: if a tree does not stand over its sentence.
        """
        if not sentences:
            return []
        look = self._look(sentences, [(tree,) for tree in trees])
        probs = self._join_phrases(look, sentences)
        return [
            {span: tuple(row) for span, row in own.items()}
            for own in _by_tree(look.judgement.encoding, probs, len(trees))
        ]

    def _look(self, sentences: Sequence[Sentence], trees: Sequence[Sequence[Tree]]) -> _Look:
        """Read sentences and compose their trees."""
        texts = [sentence.model_text for sentence in sentences]
        found = self._tokenizer.encode_batch(texts)
        room = self._trunk.config.max_positions
        pieces = PieceBatch.build(found, max_positions=room).to(self._device)
        mask = None if bool(pieces.mask.all()) else pieces.mask
        hidden = run_layers(self._layers, self._trunk.embed(pieces.ids), mask).float()
        words = self._trunk.pieces(pieces.ids)  # without positions, as in training
        top, static, kept = self._rows(pieces, hidden, words)
        flat, rows, ranges = [], [], []
        for row, (sentence, own) in enumerate(zip(sentences, trees, strict=True)):
            for tree in own:
                flat.append(tree)
                rows.append(row)
                ranges.append(leaf_piece_ranges(leaf_offsets(tree, sentence), found[row].offsets))
        batch = MeaningBatch.build(flat, ranges, rows=rows).to(self._device)
        judgement = self._model.judge(top, static, kept, batch)
        return _Look(judgement=judgement, rows=rows, pieces=found, leaves=ranges)

    @torch.inference_mode()
    def judge_texts(self, texts: Sequence[Sequence[TreeMeaning]]) -> list[tuple[float, ...]]:
        """Judge texts of one or more sentences.

        A text of one sentence is judged as that is. One of several is also read as a whole, if the
        model has learned that, for its class or side as `judge` says.

        Args:
            texts: the meanings of each text's sentences, in order; none is empty.

        Returns:
            Five sentiment probabilities for each text.
        """
        found = [text[0].distribution for text in texts]
        places = [n for n, text in enumerate(texts) if len(text) > 1]
        if not places:
            return found
        several = [texts[n] for n in places]
        vectors = torch.stack([meaning.sentence for text in several for meaning in text])
        counts = torch.tensor([len(text) for text in several])
        owner = torch.repeat_interleave(torch.arange(len(several)), counts).to(vectors.device)
        logits = self._model.text_logits(vectors, owner, len(several)).float()
        judged = self._join_whole(
            logits, range(len(several)), [[(m.text, m.lang) for m in text] for text in several]
        )
        for n, row in zip(places, judged.tolist(), strict=True):
            found[n] = tuple(row)
        return found

    def _join_whole(
        self, logits: Tensor, rows: Sequence[int], texts: Sequence[Sequence[tuple[str, Lang]]]
    ) -> Tensor:
        """Let whole texts count beside their trees.

        Args:
            logits: (T, 5) float32, from trees.
            rows: the text of each tree.
            texts: sentences as the model reads them, with their languages.

        Returns:
            (T, 5) probabilities.
        """
        found = torch.softmax(logits, -1)
        view = self._whole_text
        if view is None:
            return found
        is_english = [all(lang == "en" for _, lang in text) for text in texts]
        kinds = [
            "grade" if english else "side" if _is_running(text) else None
            for text, english in zip(texts, is_english, strict=True)
        ]
        for kind in ("grade", "side"):
            own = [n for n, text_kind in enumerate(kinds) if text_kind == kind]
            if not own:
                continue
            pieces = self._tokenizer.encode_batch([running_text(texts[n]) for n in own])
            place = {n: at for at, n in enumerate(own)}
            trees = [t for t, row in enumerate(rows) if row in place]
            of_text = [place[rows[t]] for t in trees]
            if kind == "grade":
                whole = view.logits(pieces).to(logits.device)[of_text]
                found[trees] = join_grades(
                    logits[trees], whole, view.config.grade_tree, view.config.grade_view
                )
            else:
                odds = view.odds(pieces).to(logits.device)[of_text]
                found[trees] = join_sides(logits[trees], odds, view.config.side_tree)
        return found

    def _join_phrases(self, look: _Look, sentences: Sequence[Sentence]) -> Tensor:
        """Let phrases that are read by themselves count beside the nodes of their trees.

        Returns:
            (N, 5) probabilities of all nodes.
        """
        judged = look.judgement
        logits = judged.node_logits.float()
        found = logits.exp()
        view = self._whole_text
        if view is None or view.config.phrase_view == 0.0:
            return found
        nodes: list[int] = []
        phrases: list[Pieces] = []
        of_nodes = zip(judged.encoding.owner.tolist(), judged.encoding.spans.tolist(), strict=True)
        for node, (tree, (first, last)) in enumerate(of_nodes):
            row, leaves = look.rows[tree], look.leaves[tree]
            if sentences[row].lang == "en" and last - first >= PHRASE_WORDS:
                nodes.append(node)
                phrases.append(look.pieces[row][leaves[first, 0] : leaves[last - 1, 1]])
        if not nodes:
            return found
        once = {phrase.ids: phrase for phrase in phrases}
        place = {ids: n for n, ids in enumerate(once)}
        read = view.logits(list(once.values())).to(logits.device)
        found[nodes] = join_grades(
            logits[nodes],
            read[[place[phrase.ids] for phrase in phrases]],
            view.config.phrase_tree,
            view.config.phrase_view,
        )
        return found

    @torch.inference_mode()
    def similarity(
        self, pairs: Sequence[tuple[Sequence[TreeMeaning], Sequence[TreeMeaning]]]
    ) -> list[float]:
        """Compare pairs of texts; a text of several sentences counts as their weighted mean.

        Returns:
            Similarity of each pair in [0, 1].
        """
        if not pairs:
            return []
        sides = [_mean(side) for pair in pairs for side in pair]
        pooled = torch.stack([pooled for pooled, _ in sides])
        root = torch.stack([root for _, root in sides])
        first = torch.arange(0, len(sides), 2, device=pooled.device)
        logits = self._model.similarity_logits(pooled, root, first, first + 1)
        scores: list[float] = torch.sigmoid(logits.float()).tolist()
        return scores

    @torch.inference_mode()
    def expect(self, meanings: Sequence[TreeMeaning], weights: Sequence[float]) -> TreeMeaning:
        """Take the expectation of one sentence's meaning over its readings.

        Args:
            meanings: of the readings, the best first.
            weights: their probabilities; they are renormalised.

        Returns:
            Expected vectors and sentiment; the scores of spans are those of the best reading.
        """
        if len(meanings) != len(weights) or not meanings:
            raise InputError(
                f"found {len(meanings)} readings and {len(weights)} weights, expected as many of "
                "each and at least one"
            )
        if len(meanings) == 1:
            return meanings[0]
        total = sum(weights)
        shares = [w / total for w in weights] if total > 0 else [1.0 / len(weights)] * len(weights)
        share = torch.tensor(shares, device=meanings[0].root.device).unsqueeze(-1)
        columns = zip(*(meaning.distribution for meaning in meanings), strict=True)
        return TreeMeaning(
            distribution=tuple(
                sum(s * p for s, p in zip(shares, column, strict=True)) for column in columns
            ),
            span_scores=meanings[0].span_scores,
            sentence=(torch.stack([m.sentence for m in meanings]) * share).sum(0),
            root=(torch.stack([m.root for m in meanings]) * share).sum(0),
            pooled=meanings[0].pooled,
            size=meanings[0].size,
            text=meanings[0].text,
            lang=meanings[0].lang,
        )

    def _rows(
        self, pieces: PieceBatch, hidden: Tensor, words: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Lay windows out as one row for each text, special pieces left out.

        Returns:
            (B, P, H) last layer, (B, P, H) embeddings and (B, P) mask.
        """
        counts = pieces.starts[1:] - pieces.starts[:-1]  # (B,)
        width = max(1, int(counts.max()))
        kept = torch.arange(width, device=counts.device) < counts[:, None]
        top = hidden.new_zeros(len(counts), width, hidden.shape[-1])
        static = torch.zeros_like(top)
        top[kept] = pieces.gather(hidden)
        static[kept] = pieces.gather(words)
        return top, static, kept


def load_meaning(
    folder: Path,
    device: str = "cpu",
    *,
    trunk: Trunk | None = None,
    tokenizer: PieceTokenizer | None = None,
) -> MeaningReader:
    """Read the meaning model of a model folder.

    Args:
        folder: with config.json, tokenizer.json, trunk.safetensors and meaning.safetensors.
        device: where to compute.
        trunk: the model's trunk if it is loaded already.
        tokenizer: likewise its tokenizer.

    Raises:
        ModelError: if a file is missing, damaged or of another version.
    """
    config = read_model_config(folder)
    if "meaning" not in config:
        raise ModelError(
            f"{folder / 'config.json'} describes no meaning model (it has: "
            f"{', '.join(sorted(config))}); use a model that has one, or parse only"
        )
    values = dict(config["meaning"])
    values["scales"] = tuple(values["scales"])
    weights = load_weights(folder / _FILE, version=config["version"])
    with without_initial_weights():
        model = MeaningModel(MeaningConfig(**values))
    model.load_state_dict(weights, assign=True)
    if tokenizer is None:
        tokenizer = PieceTokenizer.load(folder / "tokenizer.json")
    if trunk is None:
        trunk = load_trunk(folder)
    whole_text = None
    if "whole_text" in config:
        weights = load_weights(folder / _WHOLE_TEXT_FILE, version=config["version"])
        with without_initial_weights():
            whole_text = WholeText(WholeTextConfig(**config["whole_text"]), trunk)
        whole_text.load_state_dict(weights, assign=True)
        whole_text.requires_grad_(False)
    return MeaningReader(
        trunk=trunk,
        tokenizer=tokenizer,
        model=model.requires_grad_(False),
        whole_text=whole_text,
        device=device,
    )


def leaf_offsets(tree: Tree, sentence: Sentence) -> list[tuple[int, int]]:
    """Find the offsets of a tree's leaves in the sentence's model text.

    A leaf is one atom as it stands in the text, or several without what lies between them.

    Args:
        tree: over this very sentence.
        sentence: whose atoms the leaves are made of.

    Returns:
        Half-open code-point offsets, counted from the start of the sentence.

    Raises:
        InputError: if a leaf is no run of whole atoms.
    """
    text, atoms, shift = sentence.text, sentence.atoms, sentence.start
    offsets: list[tuple[int, int]] = []
    first = 0
    for leaf in tree.leaves:
        for last in range(first, len(atoms)):
            found = text[atoms[first][0] : atoms[last][1]]
            joined = "".join(text[start:end] for start, end in atoms[first : last + 1])
            if leaf in (found, joined, "".join(found.split())):
                break
            if len(joined) > len(leaf):
                last = len(atoms)
                break
        else:
            last = len(atoms)
        if last == len(atoms):
            raise InputError(
                f"found the leaf {leaf!r} where atom {first} of {len(atoms)} begins, expected "
                "words of whole atoms; give trees of this very sentence"
            )
        offsets.append((atoms[first][0] - shift, atoms[last][1] - shift))
        first = last + 1
    return offsets


def _by_tree(encoding: Encoding, values: Tensor, trees: int) -> list[dict[tuple[int, int], Any]]:
    """For each tree the value of every node, a number or a list, by its span."""
    found: list[dict[tuple[int, int], Any]] = [{} for _ in range(trees)]
    for tree, (first, last), value in zip(
        encoding.owner.tolist(), encoding.spans.tolist(), values.tolist(), strict=True
    ):
        found[tree][first, last] = value
    return found


def _is_running(sentences: Sequence[tuple[str, Lang]]) -> bool:
    return len(sentences) > 1 or len(_CLAUSE.findall(sentences[0][0])) >= _RUNNING_CLAUSES


def _mean(meanings: Sequence[TreeMeaning]) -> tuple[Tensor, Tensor]:
    """Mean pooled and root vectors of a text, each sentence weighted by its pieces."""
    if len(meanings) == 1:
        return meanings[0].pooled, meanings[0].root
    weights = torch.tensor([float(m.size) for m in meanings], device=meanings[0].root.device)
    weights = (weights / weights.sum()).unsqueeze(-1)
    pooled = (torch.stack([m.pooled for m in meanings]) * weights).sum(0)
    return pooled, (torch.stack([m.root for m in meanings]) * weights).sum(0)
