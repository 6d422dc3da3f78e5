"""Texts to examples: spellings, carried labels, kept sentences, and a whole small training."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence as Steps
from tokenizers.pre_tokenizers import Split, WhitespaceSplit

from treenlp.data.sentiment import Review, SentimentTree
from treenlp.data.similarity import SentencePair
from treenlp.data.treebanks import spell_english
from treenlp.encoder import PieceTokenizer, Trunk, TrunkConfig
from treenlp.experiment.meaning_data import (
    MeaningData,
    MeaningDataConfig,
    MeaningTexts,
    PairSet,
    collect_meaning,
    measure_meaning,
    train_meaning,
    tuned_trunk,
)
from treenlp.experiment.meaning_stage import PhraseExample, TextExample
from treenlp.experiment.trainer import TrainConfig
from treenlp.lexicon.opinions import OpinionItem
from treenlp.tasks.meaning import MeaningConfig
from treenlp.tasks.reader import MeaningReader
from treenlp.tasks.sentiment import carry_labels
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree

WORDS = ["<s>", "<pad>", "</s>", "<unk>", *"a good bad film . n't is was 好 坏 。".split()]


class FlatParser:
    """Puts all words under one node, so that its trees differ from the treebank's."""

    def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
        return [
            Tree.build("S", [Tree.build("X", [word]) for word in sentence.atom_texts])
            for sentence in sentences
        ]


def phrase(line: str, part: str) -> SentimentTree:
    spelled = spell_english(parse_brackets(line))
    return SentimentTree(
        tree=spelled.tree,
        text=spelled.text,
        words=spelled.words,
        part=part,  # type: ignore[arg-type]
    )


def review(text: str, label: int, name: str, part: str) -> Review:
    return Review(
        text=text,
        label=label,
        sets=(name,),
        category="酒店",
        part=part,  # type: ignore[arg-type]
    )


def pair(first: str, second: str, score: float) -> SentencePair:
    return SentencePair(first=first, second=second, score=score, kind="relatedness", source="sick")


TEXTS = MeaningTexts(
    phrases=[
        phrase("(3 (2 (2 a) (3 (3 good) (2 film))) (2 .))", "train"),
        phrase("(1 (2 (2 is) (1 n't)) (3 (3 good) (2 .)))", "train"),
    ],
    phrases_tune=[phrase("(3 (3 good) (2 film))", "dev")],
    reviews=[
        review("好好。好。好好。", 1, "ChnSentiCorp", "train"),
        review("坏坏。坏。", 0, "online_shopping_10_cats", "train"),
        review("坏坏。好。", 0, "online_shopping_10_cats", "train"),
    ],
    reviews_tune=[review("好。坏。好。", 1, "ChnSentiCorp", "tune")],
    pairs=[
        PairSet(
            name="sick",
            scale="graded",
            train=[
                pair("a good film.", "a film is good.", 0.9),
                pair("a good film.", "a bad film.", 0.3),
                pair("a bad film.", " ", 0.0),
            ],
            tune=[
                pair("good film", "good film", 1.0),
                pair("good film", "坏。", 0.0),
            ],
            share=0.2,
        )
    ],
    opinions=[
        OpinionItem(
            text="好坏。",
            label=1,
            labels={(0, 1): 3, (1, 2): 1, (0, 2): 1, (0, 3): 1},
            kind="contrast",
            content=("好", "坏"),
        )
    ],
    opinions_tune=[
        OpinionItem(
            text="好。", label=3, labels={(0, 1): 3, (0, 2): 3}, kind="degree", content=("好",)
        )
    ],
)


@pytest.fixture
def tokenizer() -> PieceTokenizer:
    model = Tokenizer(
        WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>")  # noqa: S106
    )
    model.pre_tokenizer = Steps(
        [*(Split(mark, "isolated") for mark in ("n't", "好", "坏", "。", ".")), WhitespaceSplit()]
    )
    return PieceTokenizer(model)


@pytest.fixture
def trunk() -> Trunk:
    torch.manual_seed(4)
    config = TrunkConfig(
        vocab_size=len(WORDS), hidden_size=32, num_layers=2, num_heads=2, intermediate_size=32
    )
    return Trunk(config).eval().requires_grad_(False)


@pytest.fixture
def data(tmp_path: Path, tokenizer: PieceTokenizer, trunk: Trunk) -> MeaningData:
    return collect_meaning(
        tmp_path / "data",
        TEXTS,
        FlatParser(),
        trunk,
        tokenizer,
        fork=1,
        config=MeaningDataConfig(shopping_reviews=1, review_atoms=4),
    )


def test_phrases_have_two_spellings_and_two_trees(data: MeaningData) -> None:
    source = data.sources[0]
    assert source.name == "phrases"
    assert len(source.examples) == 2
    example = source.examples[1]
    assert isinstance(example, PhraseExample)
    plain, running = example.sentences
    assert data.store.num_pieces(plain) == data.store.num_pieces(running) == 6
    assert example.labels == {
        (0, 1): 2,
        (1, 2): 1,
        (2, 3): 3,
        (3, 4): 2,
        (0, 2): 2,
        (2, 4): 3,
        (0, 4): 1,
    }
    for parsed, gold in example.trees:
        assert data.trees[parsed].shape.splits.tolist() == [1, 2, 3]
        assert data.trees[gold].shape.splits.tolist() == [2, 1, 3]
        assert data.trees[parsed].pieces.tolist() == data.trees[gold].pieces.tolist()
        assert data.trees[parsed].pieces.tolist() == [[1, 2], [2, 3], [3, 4], [4, 5]]


def test_labels_are_carried_to_the_parsers_trees(data: MeaningData) -> None:
    (example,) = data.phrases["parsed"]
    shape = data.trees[example.trees[0][0]].shape
    spans = torch.tensor([(0, 1), (1, 2), *zip(shape.starts, shape.ends, strict=True)])
    found = carry_labels([example.labels], spans, torch.zeros(3, dtype=torch.int64))
    assert found.tolist() == [3, 2, 3]
    assert example.root == 3


def test_classes_of_parts_are_carried_to_the_parsers_words(
    tmp_path: Path, data: MeaningData, tokenizer: PieceTokenizer, trunk: Trunk
) -> None:
    (example,) = next(source for source in data.sources if source.name == "opinions").examples
    assert isinstance(example, PhraseExample)
    assert example.root == 1
    assert example.labels == {(0, 1): 3, (1, 2): 1, (0, 2): 1, (0, 3): 1}
    assert [found.root for found in data.phrases["opinions"]] == [3]

    class WordParser:
        def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
            return [Tree.build("S", [Tree.build("X", [s.surface])]) for s in sentences]

    words = collect_meaning(
        tmp_path / "words",
        MeaningTexts(
            phrases=[], phrases_tune=[], reviews=[], reviews_tune=[], pairs=[],
            opinions=TEXTS.opinions,
        ),
        WordParser(),
        trunk,
        tokenizer,
        fork=1,
    )  # fmt: skip
    (example,) = words.sources[0].examples
    assert isinstance(example, PhraseExample)
    assert example.labels == {(0, 1): 1}  # parts of a word have no node


def test_reviews_are_chosen_and_cut(data: MeaningData) -> None:
    source = next(source for source in data.sources if source.name == "reviews")
    reviews = [example for example in source.examples if isinstance(example, TextExample)]
    assert [(len(r.sentences), r.positive) for r in reviews][0] == (2, 1.0)
    assert len(reviews) == 2  # the hotel and one of the two others
    assert len(data.texts["ChnSentiCorp"][0].sentences) == 3  # nothing is cut in measuring


def test_equal_sentences_are_kept_once_and_blank_ones_left_out(data: MeaningData) -> None:
    source = next(source for source in data.sources if source.name == "sick")
    first, second = (example.sentences for example in source.examples)
    assert first[0] == second[0]
    assert len(source.examples) == 2
    twice = data.pairs["sick"][0].sentences
    assert twice[0] == twice[1] == data.phrases["parsed"][0].sentences[0]


def test_a_second_run_opens_what_the_first_left(
    tmp_path: Path, data: MeaningData, tokenizer: PieceTokenizer, trunk: Trunk
) -> None:
    class NoParser:
        def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
            raise AssertionError(f"{len(sentences)} sentences are parsed twice")

    again = collect_meaning(
        tmp_path / "data",
        TEXTS,
        NoParser(),
        trunk,
        tokenizer,
        fork=1,
        config=MeaningDataConfig(shopping_reviews=1, review_atoms=4),
    )
    assert again.store.starts.tolist() == data.store.starts.tolist()


def test_what_is_trained_is_what_the_reader_answers(
    tmp_path: Path, data: MeaningData, tokenizer: PieceTokenizer, trunk: Trunk
) -> None:
    sizes = MeaningConfig(
        trunk_size=32, hidden_size=16, leaf_dropout=0.0, dropout=0.0, scales=("graded",)
    )
    config = TrainConfig(steps=40, lr=0.01, trunk_lr=0.001, bf16=False)
    task, done = train_meaning(tmp_path / "run", trunk, data, config, fork=1, model=sizes)
    assert done
    figures = measure_meaning(task, data)
    assert figures["sst parsed 5 classes"] in (0.0, 1.0)
    assert {"sst gold all nodes", "ChnSentiCorp accuracy", "sick spearman"} < set(figures)
    assert all(-1.0 <= value <= 1.0 for value in figures.values())

    reader = MeaningReader(trunk=tuned_trunk(task, trunk), tokenizer=tokenizer, model=task.model)
    tree = TEXTS.phrases[1].tree
    sentence = Sentence.from_words(tree.leaves, lang="en")
    flat = FlatParser().parse([sentence])[0]
    (((answer),),) = reader.judge([sentence], [[flat]])
    source = data.sources[0].examples[1]
    assert isinstance(source, PhraseExample)
    step = task.make(
        [
            PhraseExample(
                sentences=source.sentences[:1],
                trees=((source.sentences[0],),),
                labels=source.labels,
                root=source.root,
            )
        ]
    )
    wanted = torch.softmax(task.judge(step).sentence_logits, -1)[0]
    torch.testing.assert_close(torch.tensor(answer.distribution), wanted, atol=0.02, rtol=0.05)


def test_training_draws_one_spelling_and_one_tree_each_time(
    tmp_path: Path, data: MeaningData, trunk: Trunk
) -> None:
    config = TrainConfig(steps=1, bf16=False)
    sizes = MeaningConfig(trunk_size=32, hidden_size=4, scales=("graded",))
    task, _ = train_meaning(tmp_path / "run", trunk, data, config, fork=1, model=sizes)
    example = data.sources[0].examples[1]
    seen = set()
    for seed in range(20):
        step = task.make([example], rng=random.Random(seed))
        assert step.batch.trees.num_trees == 2
        assert step.batch.contextual.tolist() == [True, False]
        seen.add((tuple(step.ids[0].tolist()), int(step.batch.trees.level_sizes[0])))
    assert len({shape for _, shape in seen}) == 2
