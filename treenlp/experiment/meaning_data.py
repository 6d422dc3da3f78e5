"""What the meaning model learns from, over the parser's own trees.

Texts are cut into sentences as users' texts are, every sentence is parsed once, and the trees
and the frozen layers' output are kept in a folder. Sentences of the sentiment treebank come in
two spellings, as separated words and as running English, each under the treebank's own tree
and under the parser's, with the phrase labels carried over by span. Chinese has no such treebank:
there phrases made from the lexicon say what negation, degree and contrast do to a word.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file

from treenlp.composition import TreeShape
from treenlp.data.leaks import MeasuredTexts
from treenlp.data.phrases import read_phrases
from treenlp.data.sentiment import (
    REVIEW_SETS,
    Review,
    SentimentTree,
    read_reviews,
    read_sst,
)
from treenlp.data.similarity import (
    PARAPHRASE_SETS,
    SentencePair,
    read_paraphrases,
    read_sick,
    read_sts,
    read_stsb_en_zh,
)
from treenlp.encoder import PieceTokenizer, Trunk
from treenlp.errors import ConfigError
from treenlp.experiment.meaning_stage import (
    MeaningTask,
    PairExample,
    PhraseExample,
    PieceStore,
    PlacedTree,
    SentenceParser,
    Source,
    TextExample,
    measure_pairs,
    measure_phrases,
    measure_texts,
    parse_cached,
)
from treenlp.experiment.trainer import Progress, TrainConfig, fit
from treenlp.lexicon.entries import default_folder
from treenlp.lexicon.opinions import OpinionItem, generate_opinions
from treenlp.tasks.meaning import MeaningConfig, MeaningModel
from treenlp.tasks.reader import leaf_offsets
from treenlp.tasks.sentiment import span_labels
from treenlp.text import Document, Sentence

__all__ = [
    "MeaningData",
    "MeaningDataConfig",
    "MeaningTexts",
    "PairSet",
    "collect_meaning",
    "measure_meaning",
    "read_meaning_texts",
    "train_meaning",
    "tuned_trunk",
]

_HOTELS = REVIEW_SETS[0]
_PAIR_SHARES = {"sick": 0.07, "sts": 0.1, "lcqmc": 0.03, "bq": 0.03}


@dataclass(frozen=True, kw_only=True)
class PairSet:
    """Pairs whose labels mean the same.

    Attributes:
        name: of the set.
        scale: of the similarity head, a member of `MeaningConfig.scales`.
        train: pairs to learn from; empty for a set that is only measured.
        tune: pairs to measure.
        share: of the pieces that are learned from.
    """

    name: str
    scale: str
    train: Sequence[SentencePair]
    tune: Sequence[SentencePair]
    share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MeaningTexts:
    """The labelled texts before parsing.

    Attributes:
        phrases: training part of the sentiment treebank.
        phrases_tune: its dev part.
        reviews: training part of the reviews, both sets.
        reviews_tune: tuning part.
        pairs: similarity sets.
        opinions: Chinese phrases with classes on their parts, made from the lexicon.
        opinions_tune: likewise, from words kept out of training.
    """

    phrases: Sequence[SentimentTree]
    phrases_tune: Sequence[SentimentTree]
    reviews: Sequence[Review]
    reviews_tune: Sequence[Review]
    pairs: Sequence[PairSet]
    opinions: Sequence[OpinionItem] = ()
    opinions_tune: Sequence[OpinionItem] = ()


@dataclass(frozen=True, kw_only=True)
class MeaningDataConfig:
    """How much of the texts is used.

    Attributes:
        phrase_share: share of the pieces that are learned from, for the sentiment treebank.
        review_share: likewise for reviews.
        opinion_share: likewise for the phrases made from the lexicon.
        shopping_reviews: most reviews taken of the larger set; of the hotels all are taken.
        tune_reviews: most reviews of each set that are measured.
        review_atoms: a training review is cut after the sentence that passes this length.
        max_atoms: sentences longer than this are not learned from.
        seed: of the choice of reviews.
    """

    phrase_share: float = 0.42
    review_share: float = 0.42
    opinion_share: float = 0.12
    shopping_reviews: int = 6_000
    tune_reviews: int = 600
    review_atoms: int = 200
    max_atoms: int = 150
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("phrase_share", "review_share", "opinion_share"):
            if getattr(self, name) < 0.0:
                raise ConfigError(f"found {name} = {getattr(self, name)}, expected 0 or more")
        for name in ("review_atoms", "max_atoms"):
            if getattr(self, name) < 1:
                raise ConfigError(f"found {name} = {getattr(self, name)}, expected 1 or more")


@dataclass(frozen=True, kw_only=True, eq=False)
class MeaningData:
    """Examples over stored sentences and placed trees.

    Attributes:
        store: the sentences.
        trees: the trees over them.
        sources: what is learned from.
        phrases: sentences of the dev part, under "parsed" and "gold" trees, and "opinions".
        texts: reviews to measure, by set.
        pairs: pairs to measure, by set.
    """

    store: PieceStore
    trees: Sequence[PlacedTree]
    sources: Sequence[Source]
    phrases: Mapping[str, Sequence[PhraseExample]]
    texts: Mapping[str, Sequence[TextExample]]
    pairs: Mapping[str, Sequence[PairExample]]


def read_meaning_texts(
    *, paraphrases: int = 2_000, tune_pairs: int = 800, opinions: int = 20_000, seed: int = 0
) -> MeaningTexts:
    """Read the training and tuning parts of all sets, without what is measured on.

    Args:
        paraphrases: most training pairs of each Chinese set.
        tune_pairs: most pairs of each set that are measured.
        opinions: Chinese phrases made from the lexicon; a thirtieth more are made to be measured.
        seed: of these.

    Returns:
        The texts.

    Raises:
        DataError: if a file is missing or malformed.
    """
    own = [phrase.text for phrase in read_phrases(default_folder().parent / "phrases" / "zh.tsv")]
    measured = MeasuredTexts.read(own={"own phrases": own})
    graded = {
        "sick": (list(read_sick("train")), list(read_sick("trial"))),
        "sts": (list(read_sts("train")), list(read_sts("tune"))),
    }
    for name in PARAPHRASE_SETS:
        train = list(read_paraphrases(name, "train"))[:paraphrases]
        graded[name] = (train, list(read_paraphrases(name, "tune")))
    pairs = [
        PairSet(
            name=name,
            scale=name if name in PARAPHRASE_SETS else "graded",
            train=[pair for pair in train if not measured.holds_pair(pair.first, pair.second)],
            tune=tune[:tune_pairs],
            share=_PAIR_SHARES[name],
        )
        for name, (train, tune) in graded.items()
    ]
    pairs.append(PairSet(name="stsb_en_zh", scale="graded", train=[], tune=list(read_stsb_en_zh())))
    return MeaningTexts(
        phrases=[item for item in read_sst("train") if not measured.holds(item.text)],
        phrases_tune=list(read_sst("dev")),
        reviews=[review for review in read_reviews("train") if not measured.holds(review.text)],
        reviews_tune=read_reviews("tune"),
        pairs=pairs,
        opinions=[
            item
            for item in generate_opinions(split="train", n=opinions, seed=seed)
            if not measured.holds(item.text)
        ],
        opinions_tune=generate_opinions(split="validation", n=opinions // 30, seed=seed),
    )


@dataclass
class _Rows:
    """Sentences on their way to the store; equal ones are kept once."""

    sentences: list[Sentence] = field(default_factory=list)
    known: dict[tuple[str, str, tuple[tuple[int, int], ...]], int] = field(default_factory=dict)

    def add(self, sentence: Sentence) -> int:
        atoms = tuple((a - sentence.start, b - sentence.start) for a, b in sentence.atoms)
        key = (sentence.lang, sentence.model_text, atoms)
        if key not in self.known:
            self.known[key] = len(self.sentences)
            self.sentences.append(sentence)
        return self.known[key]

    def text(self, text: str, *, max_atoms: int | None, limit: int | None) -> tuple[int, ...]:
        """Add the sentences of a text; a sentence of more than `max_atoms` is left out."""
        numbers: list[int] = []
        length = 0
        for sentence in Document.from_text(text):
            if limit is not None and length >= limit:
                break
            length += sentence.num_atoms
            if max_atoms is None or sentence.num_atoms <= max_atoms:
                numbers.append(self.add(sentence))
        return tuple(numbers)

    def single(self, text: str) -> int | None:
        """Add a text as one sentence whatever marks it holds; None if it shows nothing."""
        sentence = Sentence.from_text(text)
        return None if sentence is None else self.add(sentence)


def collect_meaning(
    folder: Path,
    texts: MeaningTexts,
    parser: SentenceParser,
    trunk: Trunk,
    tokenizer: PieceTokenizer,
    *,
    fork: int,
    config: MeaningDataConfig | None = None,
    report: Callable[[str, int, int], None] | None = None,
) -> MeaningData:
    """Parse and store all texts, or go on from what an earlier run left.

    Args:
        folder: of the trees and of the stored pieces.
        texts: what to read.
        parser: whose trees are learned from.
        trunk: untouched, with all layers.
        tokenizer: of the trunk.
        fork: layers that stay frozen.
        config: how much is used; None means the defaults.
        report: gets the name of the step, how much of it is done, and how much there is.

    Returns:
        The examples.

    Raises:
        DataError: if the folder holds the work of another run.
    """
    config = MeaningDataConfig() if config is None else config
    rows = _Rows()
    treebank = [*texts.phrases, *texts.phrases_tune]
    plain = [rows.add(Sentence.from_words(item.tree.leaves, lang="en")) for item in treebank]
    reviews = _review_rows(rows, _chosen(texts.reviews, config.shopping_reviews, config), config)
    tuned = {
        name: _review_rows(rows, _sample(texts.reviews_tune, name, config), None)
        for name in REVIEW_SETS
    }
    train_pairs = {found.name: _pair_rows(rows, found.train) for found in texts.pairs}
    tune_pairs = {found.name: _pair_rows(rows, found.tune) for found in texts.pairs}
    opinions = [*texts.opinions, *texts.opinions_tune]
    opined = [rows.single(item.text) for item in opinions]
    parsed = len(rows.sentences)
    running = [rows.add(_running(item)) for item in treebank]  # under the same words' trees

    trees = parse_cached(
        folder / "trees.txt",
        rows.sentences[:parsed],
        parser,
        report=None if report is None else lambda done, total: report("parse", done, total),
    )
    store = PieceStore.build(
        folder / "pieces",
        [sentence.model_text for sentence in rows.sentences],
        tokenizer,
        trunk,
        fork=fork,
        report=None if report is None else lambda done, total: report("trunk", done, total),
    )
    shapes = [TreeShape.from_tree(tree) for tree in trees]
    placed = [
        store.place(n, shapes[n], leaf_offsets(tree, rows.sentences[n]))
        for n, tree in enumerate(trees)
    ]

    phrases: list[PhraseExample] = []
    gold: list[PhraseExample] = []
    both: list[PhraseExample] = []
    for item, first, second in zip(treebank, plain, running, strict=True):
        shape = TreeShape.from_tree(item.tree)
        numbers = []
        for row, own in ((first, shape), (second, shapes[first]), (second, shape)):
            numbers.append(len(placed))
            placed.append(store.place(row, own, rows.sentences[row].atoms))
        labels = span_labels(item.tree)
        root = labels[0, item.tree.num_leaves]
        spelled = ((first,), ((first,),)), ((first,), ((numbers[0],),))
        for group, (sentences, over) in zip((phrases, gold), spelled, strict=True):
            group.append(PhraseExample(sentences=sentences, trees=over, labels=labels, root=root))
        both.append(
            PhraseExample(
                sentences=(first, second),
                trees=((first, numbers[0]), (numbers[1], numbers[2])),
                labels=labels,
                root=root,
            )
        )
    judged = [
        PhraseExample(
            sentences=(row,),
            trees=((row,),),
            labels=_labels_of_leaves(item, leaf_offsets(trees[row], rows.sentences[row])),
            root=item.label,
        )
        for item, row in zip(opinions, opined, strict=True)
        if row is not None
    ]
    made = len(texts.opinions)
    count = len(texts.phrases)
    sources: list[Source] = []
    if count and config.phrase_share > 0.0:
        sources.append(Source(name="phrases", examples=both[:count], share=config.phrase_share))
    if made and config.opinion_share > 0.0:
        sources.append(Source(name="opinions", examples=judged[:made], share=config.opinion_share))
    if reviews and config.review_share > 0.0:
        sources.append(Source(name="reviews", examples=reviews, share=config.review_share))
    sources += [
        Source(
            name=found.name,
            examples=train_pairs[found.name],
            share=found.share,
            scale=found.scale,
        )
        for found in texts.pairs
        if train_pairs[found.name] and found.share > 0.0
    ]
    measured = {"parsed": phrases[count:], "gold": gold[count:], "opinions": judged[made:]}
    return MeaningData(
        store=store,
        trees=placed,
        sources=sources,
        phrases={name: found for name, found in measured.items() if found},
        texts={name: found for name, found in tuned.items() if found},
        pairs={name: found for name, found in tune_pairs.items() if len(found) > 1},
    )


def train_meaning(
    folder: Path,
    trunk: Trunk,
    data: MeaningData,
    config: TrainConfig,
    *,
    fork: int,
    model: MeaningConfig | None = None,
    pieces_per_batch: int = 1600,
    report: Callable[[Progress], None] | None = None,
    stop_after_minutes: float = math.inf,
) -> tuple[MeaningTask, bool]:
    """Train the meaning model with the trunk's upper layers.

    Args:
        folder: of checkpoints; ``meaning.safetensors`` (full precision) too.
        trunk: untouched; it is not changed.
        data: examples.
        config: of the loop.
        fork: layers that stay frozen; the same as for `collect_meaning`.
        model: sizes; None means the defaults, without `leaf_dropout`: phrases are learned with
            and without the contextual view in every batch.
        pieces_per_batch: size of a batch.
        report: called now and then.
        stop_after_minutes: stop then, resumable.

    Returns:
        The trained layers and model, in evaluation mode, and whether all steps are done.
    """
    torch.manual_seed(config.seed)
    sizes = MeaningConfig(trunk_size=trunk.config.hidden_size, leaf_dropout=0.0)
    task = MeaningTask(
        MeaningModel(sizes if model is None else model),
        trunk,
        data.store,
        data.trees,
        data.sources,
        fork=fork,
        steps=config.batches,
        seed=config.seed,
        pieces_per_batch=pieces_per_batch,
    )
    done = fit(task, task, config, folder, report=report, stop_after_minutes=stop_after_minutes)
    state = {name: value.contiguous() for name, value in task.state_dict().items()}
    save_file(state, folder / "meaning.safetensors")
    return task, done


def tuned_trunk(task: MeaningTask, trunk: Trunk) -> Trunk:
    """Return a copy of the trunk with the trained upper layers in place."""
    tuned = copy.deepcopy(trunk)
    first = len(tuned.layers) - len(task.layers)
    for place, layer in enumerate(task.layers):
        tuned.layers[first + place].load_state_dict(layer.state_dict())
    return tuned.eval().requires_grad_(False)


def measure_meaning(task: MeaningTask, data: MeaningData) -> dict[str, float]:
    """Score the sets that are kept for tuning, as users would see the answers.

    Args:
        task: trained; it is put into evaluation mode and back.
        data: where the examples are.

    Returns:
        Accuracies and correlations by name.
    """
    was_training = task.training
    task.eval()
    figures: dict[str, float] = {}
    for name, phrases in data.phrases.items():
        counts = measure_phrases(task, phrases)
        of = name if name == "opinions" else f"sst {name}"
        figures[f"{of} 5 classes"] = counts.root_accuracy
        figures[f"{of} binary"] = counts.binary_accuracy
        figures[f"{of} all nodes"] = counts.node_accuracy
    for name, found in data.texts.items():
        figures[f"{name} accuracy"] = measure_texts(task, found)
    for name, pairs in data.pairs.items():
        figures[f"{name} pearson"], figures[f"{name} spearman"] = measure_pairs(task, pairs)
    task.train(was_training)
    return figures


def _chosen(reviews: Sequence[Review], most: int, config: MeaningDataConfig) -> list[Review]:
    """All hotels and a seeded choice of the others."""
    hotels = [review for review in reviews if _HOTELS in review.sets]
    others = [review for review in reviews if _HOTELS not in review.sets]
    random.Random(config.seed).shuffle(others)
    return hotels + others[:most]


def _sample(reviews: Sequence[Review], name: str, config: MeaningDataConfig) -> list[Review]:
    """A seeded choice of one set's reviews: the files are sorted by label."""
    found = [review for review in reviews if name in review.sets]
    random.Random(config.seed).shuffle(found)
    return found[: config.tune_reviews]


def _review_rows(
    rows: _Rows, reviews: Sequence[Review], config: MeaningDataConfig | None
) -> list[TextExample]:
    """Examples of reviews; without a config nothing is cut."""
    examples: list[TextExample] = []
    for review in reviews:
        numbers = rows.text(
            review.text,
            max_atoms=None if config is None else config.max_atoms,
            limit=None if config is None else config.review_atoms,
        )
        if numbers:
            examples.append(
                TextExample(sentences=numbers, trees=numbers, positive=float(review.label))
            )
    return examples


def _pair_rows(rows: _Rows, pairs: Sequence[SentencePair]) -> list[PairExample]:
    examples: list[PairExample] = []
    for pair in pairs:
        first, second = rows.single(pair.first), rows.single(pair.second)
        if first is not None and second is not None:
            both = (first, second)
            examples.append(PairExample(sentences=both, trees=both, score=pair.score))
    return examples


def _labels_of_leaves(
    item: OpinionItem, leaves: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], int]:
    """Classes by span of leaves; those of parts that begin or end within a leaf are left out."""
    first = {start: n for n, (start, _) in enumerate(leaves)}
    last = {end: n + 1 for n, (_, end) in enumerate(leaves)}
    return {
        (first[start], last[end]): label
        for (start, end), label in item.labels.items()
        if start in first and end in last
    }


def _running(item: SentimentTree) -> Sentence:
    return Sentence(text=item.text, start=0, end=len(item.text), lang="en", atoms=tuple(item.words))
