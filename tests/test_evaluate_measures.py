"""Each measure on a few sentences whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from standins import TableFrontend, WordMeaning

from treenlp.data.dependencies import GoldSentence, gold_subtrees
from treenlp.data.sentiment import Review, SentimentTree
from treenlp.data.similarity import SentencePair
from treenlp.errors import ModelError
from treenlp.experiment.measures import (
    Result,
    System,
    measure_attachment_pairs,
    measure_brackets,
    measure_cases,
    measure_dependencies,
    measure_reviews,
    measure_similarity,
    measure_treebank_sentiment,
)
from treenlp.lexicon import GeneratedItem
from treenlp.lexicon.entries import NaturalCase
from treenlp.parsing.forest import Forest
from treenlp.tasks.reader import TreeMeaning
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.conllu import DependencyTree
from treenlp.trees.tree import Tree

LOW = "(NP (DNP (NP (QP (CD 三) (CLP (M {}))) (NP (NN 工厂))) (DEG 的)) (NP (NN 工人)))"
HIGH = "(NP (QP (CD 三) (CLP (M {}))) (DNP (NP (NN 工厂)) (DEG 的)) (NP (NN 工人)))"


class TreeParser:
    """Answers each sentence with the tree it was given for it."""

    max_atoms = 60

    def __init__(self, *trees: str) -> None:
        parsed = [parse_brackets(tree) for tree in trees]
        self._trees = {"".join(tree.leaves): tree for tree in parsed}

    def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
        return [self._trees["".join(s.surface.split())] for s in sentences]

    def forests(self, sentences: Sequence[Sentence]) -> list[Forest]:
        raise AssertionError("no forest was to be asked for")


class NodeMeaning(WordMeaning):
    """Judges a node by its words."""

    def judge_nodes(
        self, sentences: Sequence[Sentence], trees: Sequence[Tree]
    ) -> list[Mapping[tuple[int, int], Sequence[float]]]:
        found = []
        for sentence, tree in zip(sentences, trees, strict=True):
            assert "".join(tree.leaves) == "".join(sentence.surface.split())
            spans = [(c.start, c.end) for c in tree.constituents(preterminals=True)]
            found.append({(i, j): self._share(tree.leaves[i:j]) for i, j in spans})
        return found

    def judge(
        self,
        sentences: Sequence[Sentence],
        trees: Sequence[Sequence[Tree]],
        *,
        spans: bool = True,
    ) -> list[list[TreeMeaning]]:
        found = super().judge(sentences, trees, spans=spans)
        return [
            [replace(m, distribution=self._share(t.leaves)) for m, t in zip(row, own, strict=True)]
            for row, own in zip(found, trees, strict=True)
        ]

    def _share(self, leaves: Sequence[str]) -> tuple[float, ...]:
        text = "".join(leaves)
        place = 2 + sum(text.count(c) for c in "好+") - sum(text.count(c) for c in "坏-")
        return tuple(float(n == min(4, max(0, place))) for n in range(5))


def system(*trees: str) -> System:
    return System(name="table", parser=TreeParser(*trees), meaning=NodeMeaning())


def only(results: Sequence[Result]) -> Result:
    (result,) = results
    return result


def item(tree: str, member: str, *, pair: int = 1, kind: str = "classifier") -> GeneratedItem:
    parsed = parse_brackets(tree)
    return GeneratedItem(
        text="".join(parsed.leaves),
        tree=parsed,
        alternatives=(),
        kind=kind,
        pair_id=pair,
        member=member,
        words=parsed.leaves,
        content=(),
        cues=(),
    )


def test_a_pair_is_right_if_both_members_are() -> None:
    pair = [item(LOW.format("家"), "low"), item(HIGH.format("名"), "high")]
    both = only(measure_attachment_pairs(system(LOW.format("家"), HIGH.format("名")), pair))
    assert (both.value, both.n) == (1.0, 1)
    one = only(measure_attachment_pairs(system(LOW.format("家"), LOW.format("名")), pair))
    assert (one.value, one.details["members"]) == (0.0, 0.5)
    assert (one.details["classifier.low"], one.details["classifier.high"]) == (1.0, 0.0)
    swapped = only(measure_attachment_pairs(system(HIGH.format("家"), LOW.format("名")), pair))
    assert swapped.details["members"] == 0.0


def test_other_words_inside_a_phrase_cost_nothing_and_crossing_it_does() -> None:
    pair = [item(LOW.format("家"), "low"), item(HIGH.format("名"), "high")]
    split = LOW.format("家").replace("(NN 工厂)", "(NN 工) (NN 厂)")
    assert only(measure_attachment_pairs(system(split, HIGH.format("名")), pair)).value == 1.0
    crossing = "(NP (QP (CD 三) (CLP (M 名))) (NP (NP (DNP (NN 工厂) (DEG 的)) (NN 工)) (NN 人)))"
    found = only(measure_attachment_pairs(system(LOW.format("家"), crossing), pair))
    assert found.value == 1.0  # 工厂的工 holds 工厂的 and crosses nothing that is contested
    torn = "(NP (QP (CD 三) (CLP (M 名))) (NN 工) (NP (DNP (NN 厂) (DEG 的)) (NN 工人)))"
    assert only(measure_attachment_pairs(system(LOW.format("家"), torn), pair)).value == 0.0


def test_a_flat_member_is_right_only_without_its_partners_phrase() -> None:
    verb = "(VP (VV 等) (AS 了) (NP (QP (CD 十) (CLP (M 分钟)))) (NP (NN 车)))"
    noun = "(VP (VV 等) (AS 了) (NP (QP (CD 十) (CLP (M 辆))) (NP (NN 车))))"
    pair = [item(verb, "verb", kind="duration"), item(noun, "noun", kind="duration")]
    assert only(measure_attachment_pairs(system(verb, noun), pair)).value == 1.0
    blind = noun.replace("辆", "分钟")
    found = only(measure_attachment_pairs(system(blind, noun), pair))
    assert (found.details["duration.verb"], found.details["duration.noun"]) == (0.0, 1.0)


def test_members_of_unlike_length_are_compared_where_their_words_agree() -> None:
    verb = "(VP (VV 等) (AS 了) (NP (QP (CD 三) (CLP (M 个))) (NP (NN 小时))) (NP (NN 车)))"
    noun = "(VP (VV 等) (AS 了) (NP (QP (CD 三) (CLP (M 辆))) (NP (NN 车))))"
    pair = [item(verb, "verb", kind="duration"), item(noun, "noun", kind="duration")]
    assert only(measure_attachment_pairs(system(verb, noun), pair)).value == 1.0
    blind = "(VP (VV 等) (AS 了) (NP (NP (QP (CD 三) (CLP (M 个))) (NP (NN 小时))) (NP (NN 车))))"
    assert only(measure_attachment_pairs(system(blind, noun), pair)).value == 0.0


def test_toss_ups_and_single_items_take_no_part() -> None:
    toss_up = replace(
        item(LOW.format("个"), "either", pair=2), alternatives=(parse_brackets(HIGH.format("个")),)
    )
    pair = [item(LOW.format("家"), "low"), item(HIGH.format("名"), "high")]
    alone = item(HIGH.format("位"), "high", pair=3)
    found = measure_attachment_pairs(
        system(LOW.format("家"), HIGH.format("名")), [toss_up, *pair, alone]
    )
    assert only(found).n == 1
    assert (
        only(found).inputs
        == only(measure_attachment_pairs(system(LOW.format("家"), HIGH.format("名")), pair)).inputs
    )


def case(text: str, **values: object) -> NaturalCase:
    plain: dict[str, object] = {
        "name": "a",
        "kind": "classifier",
        "must": (),
        "must_not": (),
        "readings_min": None,
        "readings_max": None,
        "note": "",
    }
    return NaturalCase(text=text, **{**plain, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("right", "one"),
    [
        (True, case("两所大学的老师", must=((0, 4),))),
        (True, case("两所大学的老师", must=((2, 4), (5, 7)))),  # words count
        (False, case("两所大学的老师", must=((2, 5),))),
        (False, case("两所大学的老师", must_not=((0, 4),))),
        (True, case("两位大学的老师", must_not=((0, 4),), must=((2, 5),))),
        (True, case("两所大学的老师", readings_min=1, readings_max=1)),
        (False, case("两所大学的老师", readings_min=2)),
        (True, case("两个大学的老师", readings_min=2, readings_max=2)),
        (False, case("两个大学的老师", readings_max=1)),
    ],
)
def test_cases_demand_phrases_and_readings(right: bool, one: NaturalCase) -> None:
    table = System(name="table", parser=TableFrontend(), meaning=None)
    assert only(measure_cases(table, [one])).value == float(right)


def test_the_shares_of_kinds_are_told() -> None:
    table = System(name="table", parser=TableFrontend(), meaning=None)
    cases = [
        case("两所大学的老师", must=((0, 4),)),
        case("两位大学的老师", must=((0, 4),)),
        case("乒乓球拍卖完了", kind="segmentation", must=((0, 4),)),
    ]
    found = only(measure_cases(table, cases))
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    assert (found.details["classifier"], found.details["segmentation"]) == (0.5, 1.0)


def gold() -> GoldSentence:
    words = ("三", "家", "工厂", "的", "工人", "来", "了", "。")
    tree = DependencyTree(
        words=words,
        tags=("NUM", "NOUN", "NOUN", "PART", "NOUN", "VERB", "AUX", "PUNCT"),
        language_tags=("_",) * 8,
        heads=(2, 0, 4, 2, 5, -1, 5, 5),
        relations=("nummod", "clf", "nmod", "case", "nsubj", "root", "aux", "punct"),
        space_after=(False,) * 8,
    )
    offsets, place = [], 0
    for word in words:
        offsets.append((place, place + len(word)))
        place += len(word)
    return GoldSentence(
        text="".join(words),
        words=tuple(offsets),
        tree=tree,
        subtrees=gold_subtrees(tree),
        part="test",
    )


def test_trees_are_held_against_gold_dependencies() -> None:
    right = f"(IP {LOW.format('家')} (VP (VV 来) (AS 了)) (PU 。))"
    wrong = (
        "(IP (NP (CD 三) (DNP (NP (M 家) (NN 工厂)) (DEG 的)) (NN 工人)) (VP (VV 来了)) (PU 。))"
    )
    found = {r.name: r for r in measure_dependencies(system(right), [gold()])}
    assert (found["crossings"].value, found["crossings"].direction) == (0.0, "lower")
    assert (found["attachment"].value, found["attachment"].n) == (1.0, 1)
    assert (found["words"].value, found["words"].direction) == (1.0, "information")
    found = {r.name: r for r in measure_dependencies(system(wrong), [gold()])}
    # 家工厂 and 家工厂的 cross 三家; 三家工厂的工人 and 来了 cross nothing.
    assert found["crossings"].details["count"] == 2.0
    assert found["crossings"].n == 4
    assert found["attachment"].details["low"] == 0.0
    assert found["words"].value == pytest.approx(2 * 6 / (8 + 7))
    names = [r.name for r in measure_dependencies(system(right), [gold()], attachment=False)]
    assert names == ["crossings", "words"]


def test_brackets_are_scored_over_given_words() -> None:
    right = "(S (NP (PRP We)) (VP (VBP wo) (RB n't) (VP (VB go))) (. .))"
    flat = "(S (NP (PRP It)) (VBZ is) (ADJP (JJ late)) (. .))"
    deep = "(S (NP (PRP It)) (VP (VBZ is) (ADJP (JJ late))) (. .))"
    domains = {"a": [parse_brackets(right)], "b": [parse_brackets(deep)]}
    found = only(measure_brackets(system(right, flat), domains))
    assert found.details["a"] == 1.0
    assert found.details["b"] == pytest.approx(2 * 3 / (3 + 4))
    assert found.value == pytest.approx(2 * 7 / (7 + 8))


def labelled(tree: str, text: str) -> SentimentTree:
    parsed = parse_brackets(tree)
    words, place = [], 0
    for leaf in parsed.leaves:
        start = text.index(leaf, place)
        place = start + len(leaf)
        words.append((start, place))
    return SentimentTree(tree=parsed, text=text, words=tuple(words), part="dev")


def test_phrases_are_judged_on_the_treebanks_trees_and_sentences_on_ours() -> None:
    items = [
        labelled("(3 (2 a) (3 (3 +) (2 b)))", "a + b"),
        labelled("(3 (2 it) (2 (2 's) (1 c)))", "it's c"),
        labelled("(2 (2 d) (2 e))", "d e"),
    ]
    ours = ["(NP (NN a) (NN +) (NN b))", "(S (PRP it) (VBZ 's) (NN c))", "(NP (NN d) (NN e))"]
    found = {r.name: r for r in measure_treebank_sentiment(system(*ours), items)}
    assert (found["root"].value, found["root"].n) == (pytest.approx(2 / 3), 3)
    assert (found["binary"].value, found["binary"].n) == (0.5, 2)
    assert found["nodes"].n == 5 + 5 + 3
    assert found["nodes"].details["count"] == 5 + 3 + 3


def test_reviews_are_read_from_raw_text() -> None:
    def review(text: str, label: int) -> Review:
        return Review(text=text, label=label, sets=("ChnSentiCorp",), category="酒店", part="tune")

    trees = ["(NP (NN 好) (PU 。))", "(NP (NN 坏) (PU 。))"]

    class Texts(NodeMeaning):
        def judge_texts(self, texts: Sequence[Sequence[TreeMeaning]]) -> list[tuple[float, ...]]:
            return [text[-1].distribution for text in texts]

    table = System(name="table", parser=TreeParser(*trees), meaning=Texts())
    reviews = [review("坏。好。", 1), review("好。坏。", 1), review("坏。", 0), review(" ", 0)]
    found = only(measure_reviews(table, reviews))
    assert (found.value, found.n) == (0.5, 4)
    assert (found.details["positive"], found.details["negative"]) == (0.5, 0.5)


def test_similarity_is_correlated_with_what_people_say() -> None:
    texts = ["你好", "你坏", "天下"]
    trees = [f"(NP (NN {text[0]}) (NN {text[1]}))" for text in texts]

    def pair(first: str, second: str, score: float) -> SentencePair:
        return SentencePair(
            first=first, second=second, score=score, kind="similarity", source="test"
        )

    pairs = [pair("你好", "你好", 1.0), pair("你好", "你坏", 0.5), pair("你坏", "天下", 0.0)]
    found = only(measure_similarity(system(*trees), pairs, rank=True))
    assert (found.name, found.value, found.n) == ("spearman", pytest.approx(1.0), 3)
    found = only(measure_similarity(system(*trees), pairs[::-1]))
    assert (found.name, found.value) == ("pearson", pytest.approx(1.0))


def test_a_model_that_only_parses_says_so() -> None:
    table = System(name="bare", parser=TableFrontend(), meaning=None)
    with pytest.raises(ModelError, match="the model 'bare' only parses"):
        measure_reviews(table, [])


def test_a_whole_model_is_measured_and_gives_the_same_again(tiny: Path) -> None:
    whole = System.load(tiny)
    items = [labelled("(3 (2 The) (3 (3 film) (2 good)))", "The film good")]
    once = measure_treebank_sentiment(whole, items)
    again = measure_treebank_sentiment(System.load(tiny), items)
    assert once == again
    assert [r.n for r in once] == [1, 1, 5]
    (crossed, _, words) = measure_dependencies(whole, [gold()])
    assert crossed.n > 0
    assert words.n == 8
    pair = SentencePair(
        first="The film", second="两个大学的老师", score=0.5, kind="similarity", source="test"
    )
    found = only(measure_similarity(whole, [pair, replace(pair, second="The film", score=1.0)]))
    assert found.value == pytest.approx(1.0)
    assert torch.is_grad_enabled()
