"""Teachers of the view of whole texts: the texts that they judge, and the targets they leave."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from treenlp.data.sentiment import Review, SentimentTree
from treenlp.encoder import PieceTokenizer
from treenlp.errors import ConfigError
from treenlp.experiment import distillation
from treenlp.experiment.distillation import (
    ask_teachers,
    judge_source,
    soften,
    unlabelled_sources,
)
from treenlp.experiment.trainer import TrainConfig
from treenlp.experiment.whole_text_stage import TextSource, whole_pieces
from treenlp.parsing.parser import load_trunk
from treenlp.tasks.sentiment import polarity_logit
from treenlp.tasks.whole_text import WholeText, WholeTextConfig
from treenlp.text import Document
from treenlp.trees.brackets import parse_brackets

SENTENCE = SentimentTree(
    tree=parse_brackets(
        "(3 (2 (2 The) (2 cat)) (3 (2 (2 ran) (3 (2 far) (2 ,))) (3 (2 too) (2 .))))"
    ),
    text="The cat ran far, too.",
    words=((0, 3), (4, 7), (8, 11), (12, 15), (15, 16), (17, 20), (20, 21)),
    part="train",
)
LOOP = TrainConfig(steps=2, lr=1e-2, trunk_lr=1e-3, seed=4, bf16=False)
SIZES = WholeTextConfig(first=1)


@pytest.fixture(autouse=True)
def in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared with is computed so, whatever the processor likes best."""
    monkeypatch.setattr(distillation, "has_fast_bfloat16", lambda: False)


def review(text: str) -> Review:
    return Review(text=text, label=1, sets=("ChnSentiCorp",), category="酒店", part="train")


def labelled() -> list[TextSource]:
    return [
        TextSource.of_sides("hotels", 0.5, [review("猫跑。"), review("老师跑。")]),
        TextSource.of_classes("sentences", 0.5, [("The cat ran.", 4), ("A dog.", 0)]),
    ]


def unlabelled() -> TextSource:
    return TextSource(
        name="cut sentences",
        share=0.3,
        texts=("A cat.", "The dog ran.", "dog ran."),
        targets=torch.full((3, 5), 0.2),
        trust=0.0,
    )


def cut_texts(seeds: int) -> set[str]:
    found: set[str] = set()
    for seed in range(seeds):
        (source,) = unlabelled_sources([], [SENTENCE], seed=seed)
        assert (source.name, source.trust) == ("cut sentences", 0.0)
        assert torch.equal(source.targets, torch.full((len(source.texts), 5), 0.2))
        assert unlabelled_sources([], [SENTENCE], seed=seed)[0].texts == source.texts
        found |= {*source.texts}
    return found


def test_stretches_of_words_are_no_phrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillation, "_LEFT_OUT", ())
    words, spans = SENTENCE.words, {*SENTENCE.tree.node_spans()}
    assert cut_texts(60) == {
        SENTENCE.text[words[first][0] : words[last - 1][1]]
        for first in range(len(words))
        for last in range(first + 2, len(words) + 1)
        if (first, last) not in spans
    }


def test_words_are_left_out_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillation, "_STRETCHES", 0)
    found = cut_texts(60)
    assert {"The cat far, too.", "cat ran far, too.", "The cat ran far, too"} < found
    whole = ["The", "cat", "ran", "far", ",", "too", "."]
    for text in found:
        kept = text.replace(",", " ,").replace(".", " .").split()
        rest = iter(whole)
        assert all(word in rest for word in kept)
        assert 2 <= len(kept) < len(whole)


def test_of_a_review_sentences_are_left_out() -> None:
    text = "猫跑。老师跑。大学好！"
    parts = ["猫跑。", "老师跑。", "大学好!"]  # as the model reads them
    assert [sentence.model_text for sentence in Document.from_text(text)] == parts
    found: set[str] = set()
    for seed in range(40):
        for source in unlabelled_sources([review(text), review("猫跑。")], [], seed=seed):
            assert source.targets.tolist() == [0.5] * len(source.texts)
            found |= {*source.texts}
    wanted = {"".join(parts[n] for n in range(3) if mask >> n & 1) for mask in range(1, 7)}
    assert found == wanted


def test_a_view_says_classes_of_graded_texts_and_sides_of_others(tiny: Path) -> None:
    tokenizer = PieceTokenizer.load(tiny / "tokenizer.json")
    torch.manual_seed(2)
    view = WholeText(WholeTextConfig(first=1, rank=0), load_trunk(tiny)).eval()
    torch.nn.init.normal_(view.out.weight, std=0.1)
    sides, classes = labelled()
    logits = view.logits(whole_pieces(classes.texts, tokenizer))
    assert torch.allclose(judge_source(view, classes, tokenizer), logits.softmax(-1))
    logits = view.logits(whole_pieces(sides.texts, tokenizer))
    positive = logits.softmax(-1)[:, 3:].sum(-1) / (1.0 - logits.softmax(-1)[:, 2])
    assert torch.allclose(judge_source(view, sides, tokenizer), positive, atol=1e-5)
    assert torch.allclose(polarity_logit(logits).sigmoid(), positive, atol=1e-5)


def test_what_nobody_labelled_is_what_teachers_say() -> None:
    said = [torch.tensor([[0.5, 0.5, 0, 0, 0]]), torch.tensor([[0.1, 0.1, 0.8, 0, 0]])]
    mean = torch.tensor([[0.3, 0.3, 0.4, 0.0, 0.0]])
    own = torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0]])
    source = TextSource(name="x", share=1.0, texts=("a",), targets=own, trust=0.25)
    assert torch.allclose(soften(source, said).targets, 0.25 * own + 0.75 * mean)
    nothing = TextSource(name="x", share=1.0, texts=("a",), targets=own, trust=0.0)
    assert torch.allclose(soften(nothing, said).targets, mean)


def test_targets_are_the_mean_of_teachers_who_learned_from_the_labels(
    tiny: Path, tmp_path: Path
) -> None:
    trunk, tokenizer = load_trunk(tiny), PieceTokenizer.load(tiny / "tokenizer.json")
    sources = [*labelled(), unlabelled()]
    said: list[str] = []
    taught = ask_teachers(
        tmp_path, trunk, tokenizer, sources, LOOP, teachers=2, sizes=SIZES, say=said.append
    )
    assert taught is not None
    assert said[:2] == [
        "training teacher 1 of 2, round 1 of 1",
        "asking teacher 1 of 2, round 1 of 1 about 2 hotels",
    ]
    assert len(said) == 2 * (1 + 3)
    views = []
    for n in range(2):
        view = WholeText(WholeTextConfig(first=1, rank=0), trunk).eval()
        place = tmp_path / "round-0" / f"teacher-{n}"
        view.load_state_dict(load_file(place / "whole_text.safetensors"))
        views.append(view)
    assert not torch.equal(views[0].out.weight, views[1].out.weight)
    for source, found in zip(sources, taught, strict=True):
        wanted = soften(source, [judge_source(view, source, tokenizer) for view in views])
        assert torch.allclose(found.targets, wanted.targets, atol=1e-6)
        assert (found.texts, found.share) == (source.texts, source.share)


def test_a_second_round_learns_from_the_first_and_stopping_loses_nothing(
    tiny: Path, tmp_path: Path
) -> None:
    trunk, tokenizer = load_trunk(tiny), PieceTokenizer.load(tiny / "tokenizer.json")
    sources = [*labelled(), unlabelled()]

    def ask(name: str, *, minutes: float = 9.0, rounds: int = 2) -> list[TextSource] | None:
        return ask_teachers(
            tmp_path / name,
            trunk,
            tokenizer,
            sources,
            LOOP,
            teachers=2,
            rounds=rounds,
            sizes=SIZES,
            stop_after_minutes=minutes,
        )

    whole = ask("one")
    assert ask("two", minutes=0.0) is None  # a step of the first teacher is done
    first = ask("two", rounds=1)
    (tmp_path / "two" / "round-0" / "teacher-1" / "said-cut-sentences.safetensors").unlink()
    again = ask("two")
    assert whole is not None
    assert first is not None
    assert again is not None
    for source, one, two in zip(first, whole, again, strict=True):
        assert torch.equal(one.targets, two.targets)
        assert not torch.equal(one.targets, source.targets)


def test_what_others_said_is_refused(tiny: Path, tmp_path: Path) -> None:
    trunk, tokenizer = load_trunk(tiny), PieceTokenizer.load(tiny / "tokenizer.json")
    sources = labelled()
    ask_teachers(tmp_path, trunk, tokenizer, sources, LOOP, teachers=1, sizes=SIZES)
    other = TextSource.of_classes("sentences", 0.5, [("The cat ran.", 4), ("A cat.", 0)])
    with pytest.raises(ConfigError, match=r"said-hotels.safetensors is of another teacher"):
        ask_teachers(tmp_path, trunk, tokenizer, [sources[0], other], LOOP, teachers=1, sizes=SIZES)
    path = tmp_path / "round-0" / "teacher-0"
    (path / "said-sentences.safetensors").rename(path / "said-cut-sentences.safetensors")
    with pytest.raises(ConfigError, match="or of other texts than the 3 cut sentences asked"):
        ask_teachers(
            tmp_path, trunk, tokenizer, [*sources, unlabelled()], LOOP, teachers=1, sizes=SIZES
        )
