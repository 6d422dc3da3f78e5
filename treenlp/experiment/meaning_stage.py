"""Training of the meaning model: frozen lower layers kept on disk, tasks mixed by shares.

The layers below the fork do not change, so their output is computed once for every sentence and
read from a memory-mapped file of 16-bit floats; the layers above it and the meaning model learn
from phrases with sentiment labels, from reviews, and from pairs of sentences. Every batch
depends on the seed and the step alone.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.composition import TreeShape
from treenlp.encoder import Pieces, PieceTokenizer, Trunk, run_layers
from treenlp.encoder.device import has_fast_bfloat16
from treenlp.encoder.pieces import BEGIN, END, PAD
from treenlp.errors import ConfigError, DataError
from treenlp.experiment.planning import cut_by_size, plan_batches
from treenlp.tasks.meaning import Judgement, MeaningBatch, MeaningModel, leaf_piece_ranges
from treenlp.tasks.sentiment import (
    LABELS,
    UNLABELLED,
    SentimentCounts,
    carry_labels,
    class_loss,
    count_sentiment,
    polarity_logit,
    polarity_loss,
)
from treenlp.tasks.similarity import graded_loss, paraphrase_loss, pearson, rank_loss, spearman
from treenlp.tasks.whole_text import PHRASE_WORDS
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree

__all__ = [
    "LossWeights",
    "MeaningStep",
    "MeaningTask",
    "PairExample",
    "PhraseExample",
    "PieceStore",
    "PlacedTree",
    "SentenceParser",
    "Source",
    "TextExample",
    "measure_pairs",
    "measure_phrases",
    "judge_phrases",
    "judge_sentences",
    "measure_texts",
    "parse_cached",
]

_GRADED = "graded"


class SentenceParser(Protocol):
    """What gives a sentence its tree."""

    def parse(self, sentences: Sequence[Sentence]) -> Sequence[Tree]:
        """Return the best tree of every sentence."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedTree:
    """A tree over the pieces of a stored sentence.

    Attributes:
        shape: the tree, binary.
        pieces: (n, 2) int64 half-open ranges of places in the sentence's row, one for each leaf.
    """

    shape: TreeShape
    pieces: NDArray[np.int64]


def parse_cached(
    path: Path,
    sentences: Sequence[Sentence],
    parser: SentenceParser,
    *,
    chunk: int = 1024,
    report: Callable[[int, int], None] | None = None,
) -> list[Tree]:
    """Parse sentences once and keep the trees in a file, one bracketed tree a line.

    A run that was killed goes on after the last chunk written.

    Args:
        path: of the file; ``path`` with ``.json`` added records what it was made from.
        sentences: what to parse.
        parser: asked only for what the file does not hold yet.
        chunk: sentences parsed between two writes; they are sorted by length within it.
        report: gets the number of trees done and the number of all.

    Returns:
        A tree for every sentence.

    Raises:
        DataError: if the file was made from other sentences.
    """
    digest = hashlib.sha256()
    for sentence in sentences:
        digest.update(f"{sentence.lang} {sentence.atoms[0]} {sentence.surface}\n".encode())
    _check_key(path.with_name(path.name + ".json"), {"sentences": digest.hexdigest()})
    trees: list[Tree] = []
    if path.is_file():
        *lines, rest = path.read_text(encoding="utf-8").split("\n")
        if rest:  # the last line was being written when the run was killed
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
        trees = [parse_brackets(line) for line in lines[: len(sentences)]]
    while len(trees) < len(sentences):
        part = sentences[len(trees) : len(trees) + chunk]
        order = sorted(range(len(part)), key=lambda n: (part[n].lang, part[n].num_atoms))
        found = dict(zip(order, parser.parse([part[n] for n in order]), strict=True))
        with path.open("w" if not trees else "a", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{found[n]}\n" for n in range(len(part)))
        trees.extend(found[n] for n in range(len(part)))
        if report is not None:
            report(len(trees), len(sentences))
    return trees


def _check_key(path: Path, key: Mapping[str, object]) -> None:
    """Write what a cache is made from, or refuse a cache that was made from something else."""
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != key:
            raise DataError(
                f"{path} describes a cache made from {found}, expected {dict(key)}; delete the "
                "cache or give another folder"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, kw_only=True, eq=False)
class PieceStore:
    """Sentences as rows of pieces with the frozen layers' output.

    Attributes:
        ids: (N,) int32 pieces of all sentences, begin and end pieces included.
        starts: (S + 1,) int64 where each sentence begins.
        offsets: (N, 2) int32 code-point offsets of the pieces in their sentence's text; those
            of begin and end pieces are empty.
        hidden: (N, H) float16 output of the layers below the fork.
        pooled: (S, H) float32 mean of the untouched trunk's last layer, without begin and end; (0,
            H) where it was not asked for.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    offsets: NDArray[np.int32]
    hidden: NDArray[np.float16]
    pooled: NDArray[np.float32]

    @classmethod
    def build(
        cls,
        folder: Path,
        texts: Sequence[str],
        tokenizer: PieceTokenizer,
        trunk: Trunk,
        *,
        fork: int,
        max_pieces: int = 256,
        batch_pieces: int = 6000,
        with_pooled: bool = True,
        report: Callable[[int, int], None] | None = None,
    ) -> PieceStore:
        """Run all texts through the trunk, or open what an earlier run left in `folder`.

        Args:
            folder: of the store.
            texts: as the model reads them (`Sentence.model_text`).
            tokenizer: of the trunk.
            trunk: with all its layers, before any fine-tuning.
            fork: layers that stay frozen.
            max_pieces: longest row; the rest of a text is cut off.
            batch_pieces: pieces in a batch.
            with_pooled: whether the layers above the fork are run at all.
            report: gets the number of pieces done and the number of all.

        Returns:
            The store.

        Raises:
            DataError: if the folder holds a store of other texts or of another trunk.
        """
        digest = hashlib.sha256("\0".join(texts).encode())
        for name, tensor in sorted(trunk.state_dict().items()):
            digest.update(name.encode() + tensor.float().numpy().tobytes())
        key: dict[str, object] = {
            "content": digest.hexdigest(),
            "fork": fork,
            "max_pieces": max_pieces,
        }
        key |= {} if with_pooled else {"pooled": False}
        _check_key(folder / "store.json", key)
        rows, offsets = _rows(texts, tokenizer, max_pieces)
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        path, total = folder / "hidden.f16", int(starts[-1])
        size = trunk.config.hidden_size
        if not (folder / "pooled.npy").is_file():
            hidden = np.memmap(path, dtype=np.float16, mode="w+", shape=(total, size))
            pooled = _run_trunk(
                trunk, rows, starts, hidden, fork, batch_pieces, with_pooled, report
            )
            hidden.flush()
            np.save(folder / "pooled.partial.npy", pooled)
            (folder / "pooled.partial.npy").replace(folder / "pooled.npy")
        return cls(
            ids=np.concatenate(rows).astype(np.int32),
            starts=starts,
            offsets=np.concatenate(offsets).astype(np.int32),
            hidden=np.memmap(path, dtype=np.float16, mode="r", shape=(total, size)),
            pooled=np.load(folder / "pooled.npy", allow_pickle=False),
        )

    def num_pieces(self, sentence: int) -> int:
        """Length of a sentence's row."""
        return int(self.starts[sentence + 1] - self.starts[sentence])

    def pieces(self, sentence: int) -> Pieces:
        """A sentence's pieces, without begin and end."""
        first, last = int(self.starts[sentence]) + 1, int(self.starts[sentence + 1]) - 1
        offsets = self.offsets[first:last].tolist()
        return Pieces(ids=tuple(self.ids[first:last].tolist()), offsets=tuple(map(tuple, offsets)))

    def place(
        self, sentence: int, shape: TreeShape, leaves: Sequence[tuple[int, int]]
    ) -> PlacedTree:
        """Lay a tree over a sentence's row.

        Args:
            sentence: number of the sentence.
            shape: the tree.
            leaves: offsets of its leaves in the sentence's text.

        Returns:
            The tree with the pieces of its leaves; a leaf beyond the row's end has none.
        """
        first, last = int(self.starts[sentence]) + 1, int(self.starts[sentence + 1]) - 1
        return PlacedTree(
            shape=shape, pieces=leaf_piece_ranges(leaves, self.offsets[first:last]) + 1
        )

    def rows(self, sentences: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Read rows of some sentences.

        Args:
            sentences: R numbers.

        Returns:
            Ids (R, P) int64, mask (R, P) bool, and hidden vectors (R, P, H) float32.
        """
        lengths = [self.num_pieces(n) for n in sentences]
        shape = (len(sentences), max(lengths))
        ids = np.full(shape, PAD, dtype=np.int64)
        hidden = np.zeros((*shape, self.hidden.shape[1]), dtype=np.float32)
        for row, (sentence, length) in enumerate(zip(sentences, lengths, strict=True)):
            start = int(self.starts[sentence])
            ids[row, :length] = self.ids[start : start + length]
            hidden[row, :length] = self.hidden[start : start + length]
        mask = np.arange(shape[1]) < np.array(lengths)[:, None]
        return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(hidden)


def _rows(
    texts: Sequence[str], tokenizer: PieceTokenizer, max_pieces: int
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    rows: list[NDArray[np.int64]] = []
    offsets: list[NDArray[np.int64]] = []
    for pieces in tokenizer.encode_batch(texts):
        ids = pieces.ids[: max_pieces - 2]
        rows.append(np.array([BEGIN, *ids, END], dtype=np.int64))
        spans = [(0, 0), *pieces.offsets[: len(ids)], (0, 0)]
        offsets.append(np.array(spans, dtype=np.int64))
    return rows, offsets


def _run_trunk(
    trunk: Trunk,
    rows: Sequence[NDArray[np.int64]],
    starts: NDArray[np.int64],
    hidden: NDArray[np.float16],
    fork: int,
    batch_pieces: int,
    with_pooled: bool,
    report: Callable[[int, int], None] | None,
) -> NDArray[np.float32]:
    """Fill `hidden` and return the means of the last layer, or none."""
    pooled = np.zeros((len(rows) * with_pooled, hidden.shape[1]), dtype=np.float32)
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    done = 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()):
        for chosen in cut_by_size(order, [len(row) for row in rows], batch_pieces):
            width = max(len(rows[n]) for n in chosen)
            ids = np.full((len(chosen), width), PAD, dtype=np.int64)
            for at, n in enumerate(chosen):
                ids[at, : len(rows[n])] = rows[n]
            table = torch.from_numpy(ids)
            mask = table != PAD
            low = trunk.run(trunk.embed(table), mask, 0, fork)
            if with_pooled:
                top = trunk.run(low, mask, fork, len(trunk.layers)).float()
                inner = _inner(table).float()
                share = (inner / inner.sum(1, keepdim=True).clamp_min(1.0)).unsqueeze(-1)
                pooled[chosen] = (top * share).sum(1).numpy()
            values = low.float().numpy().astype(np.float16)
            for at, n in enumerate(chosen):
                hidden[starts[n] : starts[n + 1]] = values[at, : len(rows[n])]
                done += len(rows[n])
            if report is not None:
                report(done, len(hidden))
    return pooled


def _inner(ids: Tensor) -> Tensor:
    """Tell the pieces of the text from begin, end and padding."""
    return (ids != PAD) & (ids != BEGIN) & (ids != END)


@dataclass(frozen=True, kw_only=True)
class PhraseExample:
    """A sentence with sentiment labels on phrases.

    Attributes:
        sentences: stored spellings of it, of which one is drawn each time.
        trees: for each spelling the numbers of the trees over it, of which one is drawn, too.
        labels: class of each labelled span of leaves; the same leaves under every tree.
        root: class of the whole, or `UNLABELLED`.
    """

    sentences: tuple[int, ...]
    trees: tuple[tuple[int, ...], ...]
    labels: Mapping[tuple[int, int], int]
    root: int


@dataclass(frozen=True, kw_only=True)
class TextExample:
    """A text with a binary sentiment label.

    Attributes:
        sentences: stored sentences of the text, in order.
        trees: number of the tree over each.
        positive: 1 for positive, 0 for negative.
    """

    sentences: tuple[int, ...]
    trees: tuple[int, ...]
    positive: float


@dataclass(frozen=True, kw_only=True)
class PairExample:
    """Two sentences with a similarity label.

    Attributes:
        sentences: the two stored sentences.
        trees: number of the tree over each.
        score: in [0, 1].
    """

    sentences: tuple[int, int]
    trees: tuple[int, int]
    score: float


Example = PhraseExample | TextExample | PairExample


@dataclass(frozen=True, kw_only=True)
class Source:
    """Examples of one kind.

    Attributes:
        name: for reports.
        examples: at least one, all of one class.
        share: of the pieces that are learned from.
        scale: of pairs: which scale of the similarity head their labels are on.
    """

    name: str
    examples: Sequence[Example]
    share: float
    scale: str = _GRADED

    def __post_init__(self) -> None:
        """Check that there are examples, of one class."""
        if not self.examples or len({type(example) for example in self.examples}) > 1:
            raise ConfigError(
                f"source {self.name!r} has {len(self.examples)} examples, expected one or more, "
                "all of one kind"
            )


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """What each part of the loss counts.

    Attributes:
        root: sentiment of sentences.
        nodes: sentiment of nodes over contextual leaves.
        bare_nodes: sentiment of nodes over static leaves.
        text: sentiment of texts.
        pair: similarity.
        rank: correlation within a batch of graded pairs.
        anchor: squared change of the cosines in a batch of pairs, against the untouched trunk.
    """

    root: float = 1.0
    nodes: float = 1.0
    bare_nodes: float = 0.7
    text: float = 1.0
    pair: float = 2.0
    rank: float = 0.5
    anchor: float = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class MeaningStep:
    """Inputs and targets of one step.

    Attributes:
        kind: class of its examples.
        scale: of pairs.
        ids: (R, P) int64.
        mask: (R, P) bool, True at pieces.
        inner: (R, P) bool, True at pieces other than begin and end: what is pooled.
        hidden: (R, P, H) output of the frozen layers.
        anchor: (R, H) means of the untouched trunk's last layer.
        batch: trees over the rows.
        node_targets: (N,) classes of nodes (phrases only).
        targets: classes of trees (B,) of phrases, labels of texts (T,) or scores of pairs (M,).
        text: (R,) text of each row (texts only).
    """

    kind: type[Example]
    scale: str
    ids: Tensor
    mask: Tensor
    inner: Tensor
    hidden: Tensor
    anchor: Tensor
    batch: MeaningBatch
    node_targets: Tensor
    targets: Tensor
    text: Tensor


class MeaningTask(nn.Module):
    """The layers above the fork with the meaning model, and what they learn from."""

    def __init__(
        self,
        model: MeaningModel,
        trunk: Trunk,
        store: PieceStore,
        trees: Sequence[PlacedTree],
        sources: Sequence[Source],
        *,
        fork: int,
        steps: int,
        seed: int,
        pieces_per_batch: int = 1600,
        dropout: float = 0.1,
        weights: LossWeights | None = None,
    ) -> None:
        """Plan all batches of a run; the trunk's upper layers are copied, not shared."""
        super().__init__()
        self.model = model
        self.layers = nn.ModuleList(copy.deepcopy(layer) for layer in list(trunk.layers)[fork:])
        for parameter in self.layers.parameters():
            parameter.requires_grad_(True)
        self._trunk = (trunk,)  # in a tuple: not a submodule, it is not trained
        self.store = store
        self.trees = trees
        self.sources = sources
        self.seed = seed
        self.dropout = dropout
        self.weights = LossWeights() if weights is None else weights
        self.plan = plan_batches(
            [[_num_pieces(example, store) for example in source.examples] for source in sources],
            [source.share for source in sources],
            [pieces_per_batch] * len(sources),
            steps=steps,
            seed=seed,
            spread=0.25,
        )

    def batch(self, step: int) -> MeaningStep:
        """Batch of a step."""
        place, chosen = self.plan[step]
        source = self.sources[place]
        rng = random.Random(self.seed * 1_000_003 + step)
        return self.make([source.examples[n] for n in chosen], scale=source.scale, rng=rng)

    def make(
        self,
        examples: Sequence[Example],
        *,
        scale: str = _GRADED,
        rng: random.Random | None = None,
    ) -> MeaningStep:
        """Put examples of one class together; `rng` None: first spelling, all trees.

        With an `rng` one spelling and one tree of each sentence with phrases is drawn, and the
        tree comes twice: with and without the contextual view.
        """
        sentences: list[int] = []
        trees: list[int] = []
        rows: list[int] = []
        text: list[int] = []
        labels: list[Mapping[tuple[int, int], int]] = []
        targets: list[float] = []
        for number, example in enumerate(examples):
            if isinstance(example, PhraseExample):
                spelling = 0 if rng is None else rng.randrange(len(example.sentences))
                own = example.trees[spelling]
                if rng is not None:
                    own = (rng.choice(own),)
                rows.extend([len(sentences)] * len(own))
                sentences.append(example.sentences[spelling])
                trees.extend(own)
                labels.extend([example.labels] * len(own))
                targets.extend([example.root] * len(own))
                continue
            rows.extend(range(len(sentences), len(sentences) + len(example.sentences)))
            text.extend([number] * len(example.sentences))
            sentences.extend(example.sentences)
            trees.extend(example.trees)
            targets.append(example.score if isinstance(example, PairExample) else example.positive)
        is_phrases = isinstance(examples[0], PhraseExample)
        views = [True] * len(trees)
        if is_phrases and rng is not None:
            trees, rows, labels = trees * 2, rows * 2, labels * 2
            views += [False] * len(views)
            targets += [UNLABELLED] * len(targets)
        placed = [self.trees[n] for n in trees]
        batch = MeaningBatch.build(
            [tree.shape for tree in placed],
            [tree.pieces for tree in placed],
            rows=rows,
            contextual=views,
        )
        found = carry_labels(labels, batch.trees.spans, batch.trees.owner) if is_phrases else None
        ids, mask, hidden = self.store.rows(sentences)
        kind = torch.int64 if is_phrases else torch.float32
        return MeaningStep(
            kind=type(examples[0]),
            scale=scale,
            ids=ids,
            mask=mask,
            inner=_inner(ids),
            hidden=hidden,
            anchor=torch.from_numpy(self.store.pooled[sentences]),
            batch=batch,
            node_targets=torch.zeros(0, dtype=torch.int64) if found is None else found,
            targets=torch.tensor(targets, dtype=kind),
            text=torch.tensor(text, dtype=torch.int64),
        )

    def pieces(self, step: MeaningStep) -> tuple[Tensor, Tensor]:
        """Run the upper layers: contextual and static vectors (R, P, H) of pieces."""
        keep = None if bool(step.mask.all()) else step.mask
        top = run_layers(list(self.layers), step.hidden, keep, self.dropout)
        with torch.no_grad():
            static = self._trunk[0].pieces(step.ids)
        return top, static

    def loss(self, batch: object) -> Tensor:
        """Weighted loss of the batch's task."""
        if not isinstance(batch, MeaningStep):
            raise TypeError(f"found {type(batch).__name__}, expected MeaningStep")
        model, weights = self.model, self.weights
        top, static = self.pieces(batch)
        encoding = model.encode(top, static, batch.inner, batch.batch)
        pooled = model.pool(top, batch.inner)
        if batch.kind is PairExample:
            return self._pair_loss(batch, pooled, encoding.root)
        sentences = model.sentence_vectors(encoding.root, pooled[batch.batch.row])
        if batch.kind is TextExample:
            logits = model.text_logits(sentences, batch.text, len(batch.targets))
            return weights.text * polarity_loss(logits, batch.targets)
        loss = weights.root * class_loss(model.sentiment(sentences), batch.targets)
        nodes = model.sentiment(encoding.nodes)
        seen = batch.batch.contextual[encoding.owner]
        return (
            loss
            + weights.nodes * class_loss(nodes, batch.node_targets.where(seen, UNLABELLED))
            + weights.bare_nodes * class_loss(nodes, batch.node_targets.where(~seen, UNLABELLED))
        )

    def _pair_loss(self, batch: MeaningStep, pooled: Tensor, root: Tensor) -> Tensor:
        first = torch.arange(0, len(pooled), 2)
        logits = self.model.similarity_logits(pooled, root, first, first + 1, scale=batch.scale)
        if batch.scale == _GRADED:
            loss = graded_loss(logits, batch.targets)
            if len(batch.targets) > 2:
                loss = loss + self.weights.rank * rank_loss(logits, batch.targets)
        else:
            loss = paraphrase_loss(logits, batch.targets)
        loss = self.weights.pair * loss
        if self.weights.anchor > 0.0:
            now, then = F.normalize(pooled, dim=-1), F.normalize(batch.anchor, dim=-1)
            change = now @ now.T - then @ then.T
            loss = loss + self.weights.anchor * change.float().square().mean()
        return loss

    @torch.no_grad()
    def judge(self, step: MeaningStep) -> Judgement:
        """Judge a batch as users see it; the task must be in evaluation mode."""
        top, static = self.pieces(step)
        return self.model.judge(top.float(), static, step.inner, step.batch)


def _num_pieces(example: Example, store: PieceStore) -> int:
    if isinstance(example, PhraseExample):
        return max(store.num_pieces(n) for n in example.sentences)
    return sum(store.num_pieces(n) for n in example.sentences)


def _batches(
    task: MeaningTask, examples: Sequence[Example], pieces: int
) -> Iterator[tuple[list[int], MeaningStep]]:
    sizes = [_num_pieces(example, task.store) for example in examples]
    order = sorted(range(len(examples)), key=sizes.__getitem__)
    for chosen in cut_by_size(order, sizes, pieces):
        yield chosen, task.make([examples[n] for n in chosen])


def measure_phrases(
    task: MeaningTask, examples: Sequence[PhraseExample], *, pieces: int = 6000
) -> SentimentCounts:
    """Count right sentiments of sentences and phrases, over the first spelling of each."""
    counts = SentimentCounts()
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()):
        for _, step in _batches(task, examples, pieces):
            judged = task.judge(step)
            counts += count_sentiment(
                judged.sentence_logits, step.targets, judged.node_logits, step.node_targets
            )
    return counts


def judge_sentences(
    task: MeaningTask, examples: Sequence[PhraseExample], *, pieces: int = 6000
) -> Tensor:
    """Logits (n, 5) of sentences, over the first spelling and tree of each."""
    found = torch.zeros(len(examples), len(LABELS))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()):
        for chosen, step in _batches(task, examples, pieces):
            found[chosen] = task.judge(step).sentence_logits.float()
    return found


def judge_phrases(
    task: MeaningTask, examples: Sequence[PhraseExample], *, pieces: int = 6000
) -> tuple[Tensor, list[Pieces], list[int]]:
    """Judge the labelled phrases of several words, over the first spelling and tree of each.

    Args:
        task: in evaluation mode.
        examples: with one tree over their first spelling.
        pieces: size of a batch, padding included.

    Returns:
        Logits (n, 5) of the nodes, the pieces of their phrases, and their classes.
    """
    logits, phrases, labels = [], [], []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()):
        for chosen, step in _batches(task, examples, pieces):
            trees = step.batch.trees
            sizes = trees.spans[:, 1] - trees.spans[:, 0]
            taken = (step.node_targets != UNLABELLED) & (sizes >= PHRASE_WORDS)
            logits.append(task.judge(step).node_logits[taken].float())
            labels += step.node_targets[taken].tolist()
            rows = [task.store.pieces(examples[n].sentences[0]) for n in chosen]
            leaves = [task.trees[examples[n].trees[0][0]].pieces - 1 for n in chosen]
            places = zip(trees.owner[taken].tolist(), trees.spans[taken].tolist(), strict=True)
            for place, (first, last) in places:
                own = leaves[place]
                phrases.append(rows[place][own[first, 0] : own[last - 1, 1]])
    return torch.cat(logits), phrases, labels


def measure_texts(
    task: MeaningTask, examples: Sequence[TextExample], *, pieces: int = 6000
) -> float:
    """Share of texts on the right side."""
    right = 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()):
        for chosen, step in _batches(task, examples, pieces):
            logits = task.model.text_logits(task.judge(step).sentences, step.text, len(chosen))
            right += int(((polarity_logit(logits.float()) > 0) == (step.targets > 0.5)).sum())
    return right / len(examples)


def measure_pairs(
    task: MeaningTask, examples: Sequence[PairExample], *, pieces: int = 6000
) -> tuple[float, float]:
    """Pearson's and Spearman's coefficient of the similarities that users see."""
    answers = np.zeros(len(examples))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()):
        for chosen, step in _batches(task, examples, pieces):
            judged = task.judge(step)
            first = torch.arange(0, 2 * len(chosen), 2)
            logits = task.model.similarity_logits(
                judged.pooled, judged.encoding.root, first, first + 1
            )
            answers[chosen] = torch.sigmoid(logits.float()).numpy()
    targets = [example.score for example in examples]
    return pearson(answers, targets), spearman(answers, targets)
