"""The view of whole texts: low-rank changes of layers, the odds, and how they join the trees'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from treenlp import load, pipeline
from treenlp.data.sentiment import Review, SentimentTree
from treenlp.encoder import PieceBatch, Pieces, PieceTokenizer, Trunk, TrunkConfig
from treenlp.encoder.low_rank import AdaptedLayer, LowRankLinear
from treenlp.errors import ConfigError
from treenlp.experiment.trainer import TrainConfig
from treenlp.experiment.whole_text_stage import (
    TextSource,
    WholeTextTask,
    average_views,
    learn_grams,
    review_sources,
    train_whole_text,
    weigh_grades,
    weigh_sides,
    whole_pieces,
)
from treenlp.parsing import parser as parser_module
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks import reader as reader_module
from treenlp.tasks.grams import GramScore, gram_buckets
from treenlp.tasks.reader import MeaningReader, TreeMeaning, load_meaning
from treenlp.tasks.sentiment import NEUTRAL, polarity_logit
from treenlp.tasks.whole_text import (
    WholeText,
    WholeTextConfig,
    join_grades,
    join_sides,
    running_text,
)
from treenlp.text import Document
from treenlp.trees.brackets import parse_brackets

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
    with pytest.raises(ConfigError, match="found side_tree = -1"):
        WholeTextConfig(side_tree=-1)


def test_of_a_long_text_the_middle_is_left_out() -> None:
    text = some_pieces(*range(4, 29))
    assert make_view().cut(some_pieces(5, 6)) == some_pieces(5, 6)
    cut = make_view(head_pieces=3, tail_pieces=4).cut(text)
    assert cut.ids == (4, 5, 6, 25, 26, 27, 28)
    assert cut.offsets == ((0, 1), (1, 2), (2, 3), (21, 22), (22, 23), (23, 24), (24, 25))
    assert len(make_view().cut(text).ids) == SIZES.max_positions - 2  # the trunk has no more room


def test_judgements_do_not_depend_on_the_batch() -> None:
    view = make_view()
    texts = [some_pieces(*range(4, 4 + n)) for n in (3, 15, 1, 0, 7, 15)]
    together = view.logits(texts, pieces_per_batch=34)
    alone = torch.cat([view.logits([text]) for text in texts])
    assert together.shape == (6, 5)
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.equal(together[1], together[5])
    assert len(set(together[:, 0].tolist())) == 5
    assert bool(together.isfinite().all())
    assert view.odds([]).shape == (0,)
    half = make_view(side_view=0.5)
    assert torch.allclose(half.odds(texts), 0.5 * polarity_logit(together), atol=1e-5)


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
    after = join_sides(trees, torch.tensor([odds]), weight)
    assert after.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert after[0, NEUTRAL].item() == pytest.approx(before[0, NEUTRAL].item(), abs=1e-5)
    wanted = weight * polarity_logit(trees).item() + odds
    if abs(wanted) < 8:
        assert polarity_logit(after.log()).item() == pytest.approx(wanted, abs=1e-2)
        for side in (slice(0, NEUTRAL), slice(NEUTRAL + 1, 5)):
            old, new = before[0, side], after[0, side]
            assert torch.allclose(old / old.sum(), new / new.sum(), atol=1e-3)


@given(
    logits=st.lists(st.floats(-6, 6), min_size=10, max_size=10),
    tree=st.floats(0, 2),
    view=st.floats(0, 2),
)
def test_grades_are_joined_as_a_weighted_product(
    logits: list[float], tree: float, view: float
) -> None:
    one, other = torch.tensor(logits).view(2, 1, 5)
    found = join_grades(one, other, tree, view)
    product = torch.softmax(one, -1) ** tree * torch.softmax(other, -1) ** view
    assert torch.allclose(found, product / product.sum(-1, keepdim=True), atol=1e-4)


def test_between_chinese_sentences_stands_no_space() -> None:
    assert running_text([]) == ""
    assert running_text([("好。", "zh"), ("Fine.", "en"), ("差。", "zh"), ("！", "zh")]) == (
        "好。 Fine. 差。！"
    )


class Spy(WholeText):
    """Keeps what it was asked to read."""

    def __init__(self, view: WholeText, trunk: Trunk) -> None:
        super().__init__(view.config, trunk)
        self.layers, self.out, self.grams = view.layers, view.out, view.grams
        self.seen: list[Pieces] = []

    def logits(self, texts: Sequence[Pieces], *, pieces_per_batch: int = 3_000) -> torch.Tensor:
        self.seen += texts
        return super().logits(texts, pieces_per_batch=pieces_per_batch)


def read(reader: MeaningReader, folder: Path, text: str) -> list[TreeMeaning]:
    sentences = list(Document.from_text(text))
    trees = load_parser(folder).parse(sentences)
    return [meanings[0] for meanings in reader.judge(sentences, [[tree] for tree in trees])]


def spied(folder: Path) -> tuple[MeaningReader, Spy, MeaningReader]:
    """A reader, its view of whole texts, and a reader that has none."""
    reader, trees_alone = load_meaning(folder), load_meaning(folder)
    assert reader._whole_text is not None
    spy = Spy(reader._whole_text, load_trunk(folder))
    reader._whole_text, trees_alone._whole_text = spy, None
    return reader, spy, trees_alone


def test_texts_of_several_sentences_are_read_as_a_whole(tiny: Path) -> None:
    reader, spy, trees_alone = spied(tiny)
    tokenizer = PieceTokenizer.load(tiny / "tokenizer.json")
    one, two = read(reader, tiny, "猫跑。"), read(reader, tiny, "猫跑。The dog ran. 猫跑。")
    spy.seen.clear()
    from_trees = trees_alone.judge_texts([one, two])
    judged = reader.judge_texts([one, two])
    assert judged[0] == from_trees[0] == one[0].distribution
    assert spy.seen == [tokenizer.encode("猫跑。 The dog ran. 猫跑。")]
    joined = join_sides(torch.tensor([from_trees[1]]).log(), spy.odds(list(spy.seen)), 0.5)
    assert judged[1] == pytest.approx(joined[0].tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        ("猫跑，大学的老师跑。", False),
        ("猫跑，老师跑，大学的猫跑。", True),
        ("猫跑：老师、猫", True),
        ("The cat ran.", True),
    ],
)
def test_a_sentence_is_read_whole_if_it_is_english_or_running_text(
    tiny: Path, text: str, is_read: bool
) -> None:
    reader, spy, trees_alone = spied(tiny)
    (with_view,), (without,) = read(reader, tiny, text), read(trees_alone, tiny, text)
    assert bool(spy.seen) is is_read
    trees = torch.tensor([without.distribution]).log()
    wanted = torch.softmax(trees, -1)
    if is_read and with_view.lang == "en":
        wanted = join_grades(trees, spy.logits(spy.seen[:1]), 0.5, 0.5)
    elif is_read:
        wanted = join_sides(trees, spy.odds(spy.seen[:1]), 0.5)
    assert with_view.distribution == pytest.approx(wanted[0].tolist(), abs=1e-5)
    assert reader.judge_texts([[with_view]]) == [with_view.distribution]


def test_every_reading_of_a_sentence_meets_the_same_whole(tiny: Path) -> None:
    reader, spy, trees_alone = spied(tiny)
    sentences = [*Document.from_text("The dog ran. 猫跑。 The cat ran.")]
    trees = [[tree, tree] for tree in load_parser(tiny).parse(sentences)]
    found = reader.judge(sentences, trees)
    assert len(spy.seen) == 2
    for own, alone in zip(found, trees_alone.judge(sentences, trees), strict=True):
        assert own[0].distribution == pytest.approx(own[1].distribution, abs=1e-6)
        is_english = own[0].lang == "en"
        assert (own[0].distribution != alone[0].distribution) is is_english


def test_phrases_of_an_english_sentence_are_read_by_themselves(tiny: Path) -> None:
    reader, spy, trees_alone = spied(tiny)
    spy.config = replace(spy.config, phrase_tree=0.4, phrase_view=0.8)
    tokenizer = PieceTokenizer.load(tiny / "tokenizer.json")
    english, chinese = Document.from_text("The film is not good. 两个大学的老师")
    tree = parse_brackets(
        "(S (NP (DT The) (NN film)) (VP (VBZ is) (ADJP (RB not) (JJ good))) (. .))"
    )
    low = load_parser(tiny).parse([chinese])[0]
    found = reader.judge_nodes([english, chinese], [tree, low])
    alone = trees_alone.judge_nodes([english, chinese], [tree, low])
    assert found[1] == alone[1]
    assert len(spy.seen) == len(found[0]) - len(tree.leaves)  # every node that is no word
    for (first, last), row in found[0].items():
        if last - first == 1:
            assert row == alone[0][first, last]
            continue
        text = " ".join(tree.leaves[first:last]).replace(" .", ".")
        trees = torch.tensor([alone[0][first, last]]).log()
        pieces = tokenizer.encode(text)[1:]  # without the blank before it
        wanted = join_grades(trees, spy.logits([pieces]), 0.4, 0.8)[0]
        assert row == pytest.approx(wanted.tolist(), abs=1e-5), text


def test_a_phrase_of_several_readings_is_read_once_and_only_if_asked(tiny: Path) -> None:
    reader, spy, _ = spied(tiny)
    spy.config = replace(spy.config, phrase_view=1.0)
    sentences = [*Document.from_text("The dog ran.")]
    trees = [[tree, tree] for tree in load_parser(tiny).parse(sentences)]
    ((one, two),) = reader.judge(sentences, trees)
    nodes = [span for span in one.span_scores if span[1] - span[0] > 1]
    assert len(spy.seen) == 1 + len(nodes)  # the sentence, and its phrases
    assert one.span_scores == pytest.approx(two.span_scores)
    spy.seen.clear()
    ((without, _),) = reader.judge(sentences, trees, spans=False)
    assert len(spy.seen) == 1
    assert without.span_scores == {}
    assert without.distribution == one.distribution


@pytest.mark.parametrize("is_fast", [False, True])
def test_what_reads_in_bfloat16_shares_one_copy_of_the_layers(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, *, is_fast: bool
) -> None:
    modules = (pipeline, reader_module, parser_module)
    for module in modules:
        monkeypatch.setattr(module, "has_fast_bfloat16", lambda device: False)
    exact = [
        meaning.span_scores for meaning in read(load_meaning(tiny), tiny, "The dog ran. 猫跑。")
    ]
    for module in modules:
        monkeypatch.setattr(module, "has_fast_bfloat16", lambda device: is_fast)
    nlp = load(str(tiny))
    parser, reader = nlp._frontend, nlp._loaded_meaning
    assert isinstance(parser, parser_module.ChartParser)
    assert isinstance(reader, MeaningReader)
    layers = [*parser.trunk.layers]
    assert [id(layer) for layer in reader._layers] == [id(layer) for layer in layers]
    below = parser.scorer.config.fork
    assert [id(layer) for layer in parser._layers["zh"][:below]] == [
        id(layer) for layer in layers[:below]
    ]
    assert reader._whole_text is not None
    for layer in reader._whole_text.layers:  # merged where that costs no memory
        assert isinstance(layer, AdaptedLayer) is not is_fast
    for layer in (*layers, *reader._whole_text.layers, *parser._layers["en"]):
        changed = isinstance(layer, AdaptedLayer)
        assert not (changed and is_fast)
        wanted = torch.bfloat16 if is_fast else torch.float32
        assert changed or {p.dtype for p in layer.parameters()} == {wanted}
    for found, wanted_scores in zip(read(reader, tiny, "The dog ran. 猫跑。"), exact, strict=True):
        assert found.span_scores.keys() == wanted_scores.keys()
        for span, score in found.span_scores.items():
            assert score == pytest.approx(wanted_scores[span], abs=0.05 if is_fast else 1e-5)


def test_loading_draws_no_random_numbers(tiny: Path) -> None:
    before = torch.get_rng_state()
    load_meaning(tiny)
    assert torch.equal(torch.get_rng_state(), before)


def reviews(*texts: str) -> list[Review]:
    return [
        Review(text=text, label=n % 2, sets=("ChnSentiCorp",), category="酒店", part="train")
        for n, text in enumerate(texts)
    ]


def sides(*texts: str) -> TextSource:
    return TextSource.of_sides("reviews", 0.5, reviews(*texts))


def graded(*labels: int) -> TextSource:
    texts = ("The cat ran.", "The dog ran.", "A cat.", "A dog.")
    return TextSource.of_classes("graded", 0.5, [*zip(texts, labels, strict=False)])


@pytest.mark.parametrize("rank", [4, 0])
def test_both_kinds_are_learned_and_a_run_goes_on_where_it_stopped(
    tiny: Path, tmp_path: Path, rank: int
) -> None:
    trunk, tokenizer = load_trunk(tiny), PieceTokenizer.load(tiny / "tokenizer.json")
    texts, classes = (
        sides("猫跑。", "老师跑。", "两个大学。", "大学的老师。猫跑。"),
        graded(4, 2, 0, 3),
    )
    sources = [texts, classes]
    sizes = WholeTextConfig(first=1, rank=rank)
    config = TrainConfig(steps=120, lr=5e-3, trunk_lr=5e-3, seed=2, bf16=False)
    view, done = train_whole_text(tmp_path / "one", trunk, tokenizer, sources, config, sizes=sizes)
    assert done
    odds = view.eval().odds(whole_pieces(texts.texts, tokenizer))
    assert (odds > 0).tolist() == [False, True, False, True]
    found = view.logits(whole_pieces(classes.texts, tokenizer))
    assert found.argmax(-1).tolist() == [4, 2, 0, 3]

    again, done = train_whole_text(
        tmp_path / "two", trunk, tokenizer, sources, config, sizes=sizes, stop_after_minutes=0.0
    )
    assert not done
    again, done = train_whole_text(tmp_path / "two", trunk, tokenizer, sources, config, sizes=sizes)
    assert done
    for key, value in view.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])


def test_a_view_goes_on_from_another(tiny: Path, tmp_path: Path) -> None:
    trunk, tokenizer = load_trunk(tiny), PieceTokenizer.load(tiny / "tokenizer.json")
    torch.manual_seed(7)
    before = WholeText(WholeTextConfig(first=1, rank=4), trunk)
    nn.init.normal_(before.out.weight)
    config = TrainConfig(steps=1, lr=1e-9, trunk_lr=1e-9, weight_decay=0.0, bf16=False)
    view, _ = train_whole_text(
        tmp_path,
        trunk,
        tokenizer,
        [graded(1, 2)],
        config,
        initial=before.state_dict(),
        sizes=before.config,
    )
    for key, value in before.state_dict().items():
        assert torch.allclose(view.state_dict()[key], value, atol=1e-6)


def test_of_reviews_the_odds_are_learned_and_of_graded_texts_the_classes(tiny: Path) -> None:
    tokenizer = PieceTokenizer.load(tiny / "tokenizer.json")
    torch.manual_seed(1)
    view = WholeText(WholeTextConfig(first=1, rank=2), load_trunk(tiny)).eval()
    nn.init.normal_(view.out.weight)
    labels = {2: torch.tensor([4, 1]), 1: torch.tensor([0, 1])}  # by the targets' dimensions
    task = WholeTextTask(
        view, tokenizer, [sides("猫跑。", "老师跑。"), graded(4, 1)], steps=2, seed=0
    )
    seen = set()
    for step in range(2):
        pieces, targets = task.batch(step)
        own = labels[targets.dim()][list(task.plan[step][1])]
        logits = view(pieces)
        if targets.dim() == 2:
            spread = torch.full((2, 5), 0.01).scatter(1, own[:, None], 0.96)
            wanted = -(spread * torch.log_softmax(logits, -1)).sum(-1).mean()
        else:
            p = torch.sigmoid(polarity_logit(logits))
            share = torch.where(own > 0, 0.97, 0.03)
            wanted = -(share * p.log() + (1 - share) * (1 - p).log()).mean()
        assert task.loss((pieces, targets)).item() == pytest.approx(wanted.item(), rel=1e-4)
        seen.add(targets.dim())
    assert seen == {1, 2}


def test_phrases_are_read_by_themselves() -> None:
    tree = parse_brackets("(3 (2 It) (4 (2 is) (3 (3 good) (2 (2 enough) (2 .)))))")
    sentence = SentimentTree(
        tree=tree,
        text="It is good enough.",
        words=((0, 2), (3, 5), (6, 10), (11, 17), (17, 18)),
        part="train",
    )
    hotels, whole, phrases = review_sources(reviews("猫跑。"), [sentence])  # no other review
    assert (hotels.texts, hotels.is_graded) == (("猫跑。",), False)
    assert whole.texts == ("It is good enough.",)
    assert whole.targets.argmax(-1).tolist() == [3]
    found = zip(phrases.texts, phrases.targets.argmax(-1).tolist(), strict=True)
    assert sorted(found) == [("enough.", 2), ("good enough.", 3), ("is good enough.", 4)]


def test_a_view_of_rank_0_learns_copies_of_all_layers() -> None:
    trunk = Trunk(SIZES)
    view = WholeText(WholeTextConfig(first=1, rank=0), trunk.requires_grad_(False)).eval()
    before = view.logits([some_pieces(4, 5, 6)])
    learned = {name for name, value in view.named_parameters() if value.requires_grad}
    assert learned == {name for name, _ in view.named_parameters()} > {"layers.1.outer.weight"}
    with torch.no_grad():
        for layer in trunk.layers[1:]:
            layer.get_parameter("outer.weight").zero_()
    assert torch.equal(view.logits([some_pieces(4, 5, 6)]), before)


def test_grades_are_weighed_by_log_loss() -> None:
    """Trees that know the class and layers that know nothing, and the other way round."""
    view = make_view()
    texts = [some_pieces(4 + n, 9, 5 + n) for n in range(6)]
    known = view.logits(texts)
    labels = known.argmax(-1).tolist()
    noise = torch.zeros(6, 5)
    tree, layers = weigh_grades(view, noise, texts, labels)
    assert layers > 1.0  # all are right, so more is better
    assert (view.config.grade_tree, view.config.grade_view) == (tree, layers)
    wrong = [(label + 1) % 5 for label in labels]
    tree, layers = weigh_grades(view, F.one_hot(torch.tensor(wrong), 5) * 4.0, texts, wrong)
    assert tree > 0.5
    assert layers >= 0.0
    before = view.config
    tree, layers = weigh_grades(view, noise, texts, labels, phrases=True)
    assert view.config == replace(before, phrase_tree=tree, phrase_view=layers)


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
    pieces = whole_pieces([review.text for review in texts], tokenizer)
    before = view.odds(pieces)
    assert (before > 0).tolist() == [bool(review.label) for review in texts]
    deep, wide = weigh_sides(view, texts, tokenizer)
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
