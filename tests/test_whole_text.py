"""The view of whole texts: low-rank changes of layers, the odds, and how they join the trees'."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from treenlp.data.sentiment import Review
from treenlp.encoder import PieceBatch, Pieces, PieceTokenizer, Trunk, TrunkConfig
from treenlp.encoder.low_rank import LowRankLinear
from treenlp.errors import ConfigError
from treenlp.experiment.trainer import TrainConfig
from treenlp.experiment.whole_text_stage import (
    average_views,
    learn_grams,
    review_pieces,
    train_whole_text,
    weigh_views,
)
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks.grams import GramScore, gram_buckets
from treenlp.tasks.reader import MeaningReader, TreeMeaning, load_meaning
from treenlp.tasks.sentiment import NEUTRAL, polarity_logit
from treenlp.tasks.whole_text import WholeText, WholeTextConfig, join_views
from treenlp.text import Document

SIZES = TrunkConfig(
    vocab_size=30,
    hidden_size=8,
    num_layers=3,
    num_heads=2,
    intermediate_size=16,
    max_positions=20,
)


def make_view(**config: float) -> WholeText:
    torch.manual_seed(3)
    view = WholeText(WholeTextConfig(**{"first": 1, "rank": 2, **config}), Trunk(SIZES))  # type: ignore[arg-type]
    for name, parameter in view.named_parameters():
        if "norm" not in name:
            nn.init.normal_(parameter, std=0.5)
    return view.eval()


def some_pieces(*ids: int) -> Pieces:
    return Pieces(ids=ids, offsets=tuple((n, n + 1) for n in range(len(ids))))


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="found rank = 0, expected at least 1"):
        LowRankLinear(nn.Linear(2, 2), 0)
    with pytest.raises(ConfigError, match="found tail_pieces = 0, expected at least 1"):
        WholeTextConfig(tail_pieces=0)
    with pytest.raises(ConfigError, match="found tree_weight = -1"):
        WholeTextConfig(tree_weight=-1)


def test_of_a_long_text_the_middle_is_left_out() -> None:
    text = some_pieces(*range(4, 29))
    assert make_view().cut(some_pieces(5, 6)) == some_pieces(5, 6)
    cut = make_view(head_pieces=3, tail_pieces=4).cut(text)
    assert cut.ids == (4, 5, 6, 25, 26, 27, 28)
    assert cut.offsets == ((0, 1), (1, 2), (2, 3), (21, 22), (22, 23), (23, 24), (24, 25))
    assert len(make_view().cut(text).ids) == SIZES.max_positions - 2  # the trunk has no more room


def test_odds_do_not_depend_on_the_batch() -> None:
    view = make_view()
    texts = [some_pieces(*range(4, 4 + n)) for n in (3, 15, 1, 0, 7, 15)]
    together = view.odds(texts, pieces_per_batch=34)
    alone = torch.cat([view.odds([text]) for text in texts])
    assert torch.allclose(together, alone, atol=1e-5)
    assert together[1] == together[5]
    assert len(set(together.tolist())) == 5
    assert bool(together.isfinite().all())
    assert view.odds([]).shape == (0,)


@given(
    logits=st.lists(st.floats(-6, 6), min_size=5, max_size=5),
    odds=st.floats(-8, 8),
    weight=st.floats(0, 2),
)
def test_the_whole_text_moves_the_sides_and_nothing_else(
    logits: list[float], odds: float, weight: float
) -> None:
    trees = torch.tensor([logits])
    before = torch.softmax(trees, -1)
    after = join_views(trees, torch.tensor([odds]), weight)
    assert after.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert after[0, NEUTRAL].item() == pytest.approx(before[0, NEUTRAL].item(), abs=1e-5)
    wanted = weight * polarity_logit(trees).item() + odds
    if abs(wanted) < 8:
        assert polarity_logit(after.log()).item() == pytest.approx(wanted, abs=1e-2)
        for side in (slice(0, NEUTRAL), slice(NEUTRAL + 1, 5)):
            old, new = before[0, side], after[0, side]
            assert torch.allclose(old / old.sum(), new / new.sum(), atol=1e-3)


class Spy(WholeText):
    """Keeps what it was asked to read."""

    def __init__(self, view: WholeText, trunk: Trunk) -> None:
        super().__init__(view.config, trunk)
        self.load_state_dict(view.state_dict())
        self.seen: list[Pieces] = []

    def odds(self, texts: object, *, pieces_per_batch: int = 3_000) -> torch.Tensor:
        assert isinstance(texts, list)
        self.seen += texts
        return super().odds(texts, pieces_per_batch=pieces_per_batch)


def read(reader: MeaningReader, folder: Path, text: str) -> list[TreeMeaning]:
    sentences = list(Document.from_text(text))
    trees = load_parser(folder).parse(sentences)
    return [meanings[0] for meanings in reader.judge(sentences, [[tree] for tree in trees])]


def test_texts_of_several_sentences_are_read_as_a_whole(tiny: Path) -> None:
    reader = load_meaning(tiny)
    trees_alone = load_meaning(tiny)
    trees_alone._whole_text = None
    one, two = read(reader, tiny, "猫跑。"), read(reader, tiny, "猫跑。The dog ran. 猫跑。")
    assert len(one) == 1
    assert len(two) > 1
    from_trees = trees_alone.judge_texts([one, two])
    judged = reader.judge_texts([one, two])
    assert judged[0] == from_trees[0] == pytest.approx(one[0].distribution, abs=1e-6)
    assert judged[1] != from_trees[1]

    assert reader._whole_text is not None
    trunk, tokenizer = load_trunk(tiny), PieceTokenizer.load(tiny / "tokenizer.json")
    spy = Spy(reader._whole_text, trunk)
    reader._whole_text = spy
    assert reader.judge_texts([one, two]) == judged
    assert spy.seen == [tokenizer.encode("猫跑。 The dog ran. 猫跑。")]
    joined = join_views(torch.tensor([from_trees[1]]).log(), spy.odds(list(spy.seen)), 0.5)
    assert judged[1] == pytest.approx(joined[0].tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "is_running"),
    [
        ("猫跑，大学的老师跑。", False),
        ("猫跑，老师跑，大学的猫跑。", True),
        ("猫跑：老师、猫", True),
        ("The cat ran, the dog ran, the cat ran.", False),
    ],
)
def test_chinese_clauses_joined_by_commas_are_running_text(
    tiny: Path, text: str, is_running: bool
) -> None:
    reader, trees_alone = load_meaning(tiny), load_meaning(tiny)
    trees_alone._whole_text = None
    meanings = read(reader, tiny, text)
    assert len(meanings) == 1
    judged = [found.judge_texts([meanings])[0] for found in (reader, trees_alone)]
    assert (judged[0] != judged[1]) is is_running


def test_loading_draws_no_random_numbers(tiny: Path) -> None:
    before = torch.get_rng_state()
    load_meaning(tiny)
    assert torch.equal(torch.get_rng_state(), before)


def reviews(*texts: str) -> list[Review]:
    return [
        Review(text=text, label=n % 2, sets=("ChnSentiCorp",), category="酒店", part="train")
        for n, text in enumerate(texts)
    ]


def test_reviews_are_learned_and_a_run_goes_on_where_it_stopped(tiny: Path, tmp_path: Path) -> None:
    trunk, tokenizer = load_trunk(tiny), PieceTokenizer.load(tiny / "tokenizer.json")
    texts = reviews("猫跑。", "老师跑。", "两个大学。", "大学的老师。猫跑。")
    sizes = WholeTextConfig(first=1, rank=4)
    config = TrainConfig(steps=60, lr=3e-3, trunk_lr=3e-3, seed=2, bf16=False)
    view, done = train_whole_text(tmp_path / "one", trunk, tokenizer, texts, config, sizes=sizes)
    assert done
    pieces = [tokenizer.encode(review.text) for review in texts]
    assert (view.eval().odds(pieces) > 0).tolist() == [False, True, False, True]

    again, done = train_whole_text(
        tmp_path / "two", trunk, tokenizer, texts, config, sizes=sizes, stop_after_minutes=0.0
    )
    assert not done
    again, done = train_whole_text(tmp_path / "two", trunk, tokenizer, texts, config, sizes=sizes)
    assert done
    for key, value in view.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])


def test_grams_are_pieces_and_neighbouring_pairs_in_their_order() -> None:
    size = 1 << 20  # so many buckets that no two of these fall together
    assert len(gram_buckets([7, 8, 9], size)) == 5
    assert len(gram_buckets([7, 7, 7], size)) == 2
    forwards, backwards = (set(gram_buckets(ids, size)) for ids in ([7, 8], [8, 7]))
    assert len(forwards & backwards) == 2
    assert gram_buckets([], size).tolist() == []
    assert gram_buckets([7], size).tolist() == gram_buckets([7], size).tolist()


def test_the_table_is_the_mean_of_its_buckets_by_the_root_of_how_many() -> None:
    score = GramScore(256)
    nn.init.normal_(score.table)
    nn.init.normal_(score.bias)
    texts = [some_pieces(4, 5, 6), some_pieces(), some_pieces(4)]
    flat = score.table.detach().flatten()
    for text, found in zip(texts, score(texts).tolist(), strict=True):
        own = [int(n) for n in gram_buckets(text.ids, 256)]
        wanted = sum(float(flat[n]) for n in own) / max(len(own), 1) ** 0.5
        assert found == pytest.approx(wanted + score.bias.item(), abs=1e-5)
    with pytest.raises(ConfigError, match="found 100 buckets, expected a positive multiple of 128"):
        GramScore(100)


def test_the_table_adds_to_the_layers_and_reads_all_of_a_long_text() -> None:
    view, without = make_view(gram_buckets=256), make_view(gram_buckets=0)
    assert view.grams is not None
    without.load_state_dict(
        {k: v for k, v in view.state_dict().items() if not k.startswith("grams")}
    )
    texts = [some_pieces(*range(4, 29)), some_pieces(5, 6)]
    assert len(view.cut(texts[0]).ids) < 25
    wanted = without.odds(texts) + view.grams(texts)
    assert torch.allclose(view.odds(texts), wanted, atol=1e-6)


def test_the_table_learns_an_order_and_is_weighed_by_the_tuning_part(tiny: Path) -> None:
    """Which of two words comes first decides: pairs see it, and the untrained layers do not."""
    tokenizer = PieceTokenizer.load(tiny / "tokenizer.json")
    texts = reviews(*["老师跑。猫", "猫老师跑。"] * 4)
    view = WholeText(WholeTextConfig(first=1, rank=2, gram_buckets=1024), load_trunk(tiny)).eval()
    assert view.grams is not None
    learn_grams(view.grams, texts, tokenizer)
    pieces = review_pieces(texts, tokenizer)
    before = view.odds(pieces)
    assert (before > 0).tolist() == [bool(review.label) for review in texts]
    deep, wide = weigh_views(view, texts, tokenizer)
    assert wide > 1.0  # the ridge had kept the table small
    assert torch.allclose(view.odds(pieces), wide * before, atol=1e-3)
    assert deep == pytest.approx(0.0, abs=1e-6)


def test_the_mean_of_low_rank_changes_is_the_mean_of_their_products() -> None:
    torch.manual_seed(5)
    states = [
        {"up": torch.randn(2, 6), "down": torch.randn(2, 5), "bias": torch.randn(3)}
        for _ in range(3)
    ]
    named = [{f"layer.{name}": value for name, value in state.items()} for state in states]
    exact = average_views(named, 6)  # three changes of rank 2
    wanted = sum(state["up"].T @ state["down"] for state in states) / 3
    assert torch.allclose(exact["layer.up"].T @ exact["layer.down"], wanted, atol=1e-5)
    assert torch.allclose(exact["layer.bias"], sum(s["bias"] for s in states) / 3)
    cut = average_views(named, 2)
    assert cut["layer.up"].shape == (2, 6)
    values = torch.linalg.svdvals(wanted)
    error = (cut["layer.up"].T @ cut["layer.down"] - wanted).norm()
    assert error == pytest.approx(values[2:].norm().item(), rel=1e-4)  # the best of rank 2


def test_rows_of_one_width_need_no_mask() -> None:
    view = make_view()
    texts = [some_pieces(4, 5, 6), some_pieces(7, 8, 9)]
    full = PieceBatch.build(texts, max_positions=20)
    padded = PieceBatch.build([*texts, some_pieces(*range(4, 12))], max_positions=20)
    assert torch.allclose(view(full), view(padded)[:2], atol=1e-5)
