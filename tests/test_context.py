"""What follows a phrase decides what it counts, through a parser that knows a few sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from charts import forest_of
from standins import WordMeaning, flat_tree

from treenlp.disambiguation.context import heed_context, may_be_decided, may_count
from treenlp.disambiguation.mentions import find_mentions, predicate_classifiers
from treenlp.errors import LexiconError
from treenlp.lexicon import load_context_cases
from treenlp.parsing.forest import Forest
from treenlp.parsing.readings import Interpretation
from treenlp.parsing.skeleton import Skeleton
from treenlp.pipeline import Pipeline
from treenlp.text import Document, Sentence
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree

LOW = "(NP (DNP (NP (QP (CD 两) (CLP (M {}))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))"
HIGH = "(NP (QP (CD 两) (CLP (M {}))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"
PHRASE = "两个大学的老师"
NEARER = {"个": 0.4, "位": 0.02, "名": 0.01, "所": 0.99, "张": 0.5}
"""How probable it is, by the classifier, that the universities are counted."""
ALONE = "(NP {} (PU 。))"
FRAMES = {"": "{}", "。": ALONE, "来。": "(IP {} (VP (VV 来)) (PU 。))"}
"""What stands after the phrase, and the tree around it."""
MARKED = 0.5
"""The same with any classifier, where the phrase stands alone and a mark after it."""
LATER = {
    "两位很年轻": "(IP (QP (CD 两) (CLP (M 位))) (VP (ADVP (AD 很)) (VP (VA 年轻))))",
    "这两所很大": "(IP (DP (DT 这) (QP (CD 两) (CLP (M 所)))) (VP (ADVP (AD 很)) (VP (VA 大))))",
    "三所很大": "(IP (QP (CD 三) (CLP (M 所))) (VP (ADVP (AD 很)) (VP (VA 大))))",
    "几所很大": "(IP (QP (CD 几) (CLP (M 所))) (VP (ADVP (AD 很)) (VP (VA 大))))",
    "两个老师来": "(IP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 老师))) (VP (VV 来)))",
    "两个大学大": "(IP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 大学))) (VP (VA 大)))",
    "两个都是老师": "(IP (QP (CD 两) (CLP (M 个)))"
    " (VP (ADVP (AD 都)) (VP (VC 是) (NP (NN 老师)))))",
    "两个姓王": "(IP (QP (CD 两) (CLP (M 个))) (VP (VV 姓) (NP (NR 王))))",
    "两个很好": "(IP (QP (CD 两) (CLP (M 个))) (VP (ADVP (AD 很)) (VP (VA 好))))",
    "两人很好": "(IP (NP (QP (CD 两)) (NP (NN 人))) (VP (ADVP (AD 很)) (VP (VA 好))))",
    "三人很好": "(IP (QP (CD 三) (CLP (M 人))) (VP (ADVP (AD 很)) (VP (VA 好))))",
    "几人很好": "(IP (QP (CD 几) (CLP (M 人))) (VP (ADVP (AD 很)) (VP (VA 好))))",
    "这两个老师来": "(IP (NP (DP (DT 这) (QP (CD 两) (CLP (M 个)))) (NP (NN 老师))) (VP (VV 来)))",
    "一位姓王，一年过去": "(IP (IP (QP (CD 一) (CLP (M 位))) (VP (VV 姓) (NP (NR 王)))) (PU ，)"
    " (IP (QP (CD 一) (CLP (M 年))) (VP (VV 过去))))",
    "他们俩很好": "(IP (NP (PN 他们) (QP (CD 俩))) (VP (ADVP (AD 很)) (VP (VA 好))))",
    "两张票丢": "(IP (NP (QP (CD 两) (CLP (M 张))) (NP (NN 票))) (VP (VV 丢)))",
    "一位姓王，一位姓李": "(IP (IP (QP (CD 一) (CLP (M 位))) (VP (VV 姓) (NP (NR 王)))) (PU ，)"
    " (IP (QP (CD 一) (CLP (M 位))) (VP (VV 姓) (NP (NR 李)))))",
    "一位姓王": "(IP (QP (CD 一) (CLP (M 位))) (VP (VV 姓) (NP (NR 王))))",
    "十二位来": "(IP (QP (CD 十二) (CLP (M 位))) (VP (VV 来)))",
    "两年过去": "(IP (QP (CD 两) (CLP (M 年))) (VP (VV 过去)))",
    "天气很好": "(IP (NP (NN 天气)) (VP (ADVP (AD 很)) (VP (VA 好))))",
}


class Frontend:
    """Knows the phrase with every classifier, in every frame, and the later sentences."""

    max_atoms = 40

    def __init__(self) -> None:
        self.parsed: list[str] = []

    def forests(self, sentences: Sequence[Sentence]) -> list[Forest]:
        return [self._forest(sentence) for sentence in sentences]

    def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
        return [forest.argmax() for forest in self.forests(sentences)]

    def _forest(self, sentence: Sentence) -> Forest:
        text = sentence.model_text.replace(",", "，")
        self.parsed.append(text)
        frame = FRAMES.get(text.replace(text[1:2], "个", 1).replace(PHRASE, "", 1))
        if text[2:].startswith("大学的老师") and text[1] in NEARER and frame is not None:
            prob = NEARER[text[1]] if frame != ALONE else MARKED
            trees = [(LOW, prob), (HIGH, 1 - prob)]
            trees = [(frame.format(tree.format(text[1])), weight) for tree, weight in trees]
        elif text.removesuffix("。") in LATER:
            mark = " (PU 。))" if text.endswith("。") else ")"
            trees = [(LATER[text.removesuffix("。")][:-1] + mark, 1.0)]
        else:
            trees = [(str(flat_tree(sentence)), 1.0)]
        return replace(forest_of(sentence.surface, trees, lang=sentence.lang), sentence=sentence)


def nearer(first: str, following: str, frontend: Frontend | None = None) -> float:
    """Probability, after what follows, that the nearer noun is counted."""
    found = frontend or Frontend()
    sentences = Document.from_text(first + following).sentences
    (forest,) = found.forests(sentences[:1])
    return heed_context(forest, sentences[1:], found.forests).span_prob(0, 4)


def joined(prob: float, before: float = NEARER["个"]) -> float:
    return 0.9 * prob + 0.1 * before


PERSON = joined((NEARER["位"] + NEARER["名"]) / 2)


@pytest.mark.parametrize(
    ("following", "expected"),
    [
        ("这两所很大。", joined(NEARER["所"])),
        ("几所很大。", joined(NEARER["所"])),
        ("两位很年轻。", PERSON),
        ("一位姓王，一位姓李。", PERSON),
        ("两人很好。", PERSON),
        ("几人很好。", PERSON),
        ("他们俩很好。", PERSON),
        ("两个姓王。", PERSON),
        ("两个老师来。", joined(0.02)),
        ("这两个老师来。", joined(0.02)),
        ("两个都是老师。", joined(0.02)),
        ("两个大学大。", joined(0.98)),
        ("天气很好。两位很年轻。", PERSON),
        ("两位很年轻。这两所很大。", joined((NEARER["所"] + (0.02 + 0.01) / 2) / 2)),
    ],
)
def test_a_later_mention_decides(following: str, expected: float) -> None:
    assert nearer("两个大学的老师来。", following) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "following",
    [
        "",
        "天气很好。",
        "三所很大。",
        "三人很好。",
        "一位姓王，一年过去。",
        "一位姓王。",
        "十二位来。",
        "两张票丢。",
        "两年过去。",
        "两个很好。",
    ],
)
def test_what_tells_nothing_changes_nothing(following: str) -> None:
    frontend = Frontend()
    sentences = Document.from_text("两个大学的老师来。" + following).sentences
    (forest,) = frontend.forests(sentences[:1])
    assert heed_context(forest, sentences[1:], frontend.forests) is forest


def test_a_first_classifier_that_tells_is_believed() -> None:
    assert nearer("两所大学的老师来。", "两位很年轻。") == pytest.approx(NEARER["所"])
    assert nearer("两张大学的老师来。", "两位很年轻。") == pytest.approx(
        joined((NEARER["位"] + NEARER["名"]) / 2, NEARER["张"])
    )


def test_the_whole_sentence_and_the_phrase_are_asked() -> None:
    frontend = Frontend()
    nearer("两个大学的老师来。", "这两所很大。", frontend)
    assert frontend.parsed == [
        "两个大学的老师来。",
        "这两所很大。",
        "两所大学的老师",
        "两所大学的老师来。",
    ]


def test_a_nearer_noun_without_a_phrase_of_its_own_is_let_be() -> None:
    flat = "(NP (QP (CD 两) (CLP (M 个))) (NN 大学) (DEG 的) (NN 老师))"
    other = "(NP (NP (QP (CD 两) (CLP (M 个))) (NN 大学) (DEG 的)) (NN 老师))"
    forest = forest_of("两个大学的老师", [(flat, 0.5), (other, 0.5)])
    later = Document.from_text("这两所很大。").sentences
    assert heed_context(forest, later, Frontend().forests) is forest


def test_a_mark_after_a_phrase_alone_tells_nothing() -> None:
    assert nearer("两所大学的老师。", "") == pytest.approx(NEARER["所"])
    assert nearer("两位大学的老师。", "天气很好。") == pytest.approx(NEARER["位"])
    frontend = Frontend()
    assert nearer("两个大学的老师。", "这两所很大。", frontend) == pytest.approx(
        joined(NEARER["所"])
    )
    assert frontend.parsed[-1] == "两所大学的老师"  # not with the mark


def test_it_is_not_tried_where_it_cannot_help() -> None:
    def tried(text: str) -> bool:
        first, *rest = Document.from_text(text).sentences
        (tree,) = Frontend().parse([first])
        return may_count(first) and may_be_decided(first, rest, tree)

    assert tried("两个大学的老师来。两位很年轻。")
    assert tried("两个大学的老师来。一位姓王，一位姓李。")
    assert tried("两个大学的老师。天气很好。")  # stands alone
    assert not tried("两个大学的老师来。天气很好。")
    assert not tried("两个大学的老师来。三所很大。")
    assert not tried("两个大学的老师来。一位姓王。")
    assert not tried("两位很年轻。两位很年轻。")
    assert not tried("The teachers of two universities came. Two of them are young.")


def test_mentions_in_one_sentence() -> None:
    (forest,) = Frontend().forests(Document.from_text("一位姓王，一位姓李").sentences)
    (best,) = islice(forest.interpretations(), 1)
    found = list(find_mentions(best, list("一位姓王，一位姓李")))
    assert [(m.number, m.classifier, m.noun, m.place) for m in found] == [
        (1, "位", None, (0, 2)),
        (1, "位", None, (5, 7)),
    ]
    assert found[0].predicate == (("姓", "VV"), ("王", "NR"))


def test_a_number_in_digits_is_one_atom() -> None:
    tree = parse_brackets("(IP (QP (CD 12) (CLP (M 位))) (VP (VV 来)))")
    words = ((0, 1), (1, 2), (2, 3))
    best = Interpretation(
        tree=tree, words=words, log_prob=0.0, skeleton=Skeleton.of(tree, words, "zh")
    )
    assert list(find_mentions(best, ["12", "位", "来"])) == []
    assert [mention.number for mention in find_mentions(best, ["2", "位", "来"])] == [2]


def test_predicates() -> None:
    known: Mapping[tuple[str, str], tuple[str, ...]] = {
        ("来自", "VV"): ("位", "名"),
        ("南方人", "NN"): ("位", "名"),
        ("在", "AD"): (),  # 在睡觉
        ("桌子", "NN"): (),
    }
    for word, expected in known.items():
        assert predicate_classifiers([word]) == expected
    assert "所" in predicate_classifiers([("在", "VV"), ("北京", "NR")])


def test_the_pipeline_reads_on() -> None:
    nlp = Pipeline(frontend=Frontend(), meaning=WordMeaning(), name="stand-in")
    alone = nlp("两个大学的老师来。").sentences[0]
    first, _ = nlp("两个大学的老师来。这两所很大。").sentences
    assert [reading.prob for reading in alone.readings] == pytest.approx([0.6, 0.4])
    assert [reading.prob for reading in first.readings] == pytest.approx([0.931, 0.069])
    assert first.readings[0].gloss == "[两个大学]的|老师"
    assert first.ambiguity.score == pytest.approx(2 * 0.069)
    (site,) = first.ambiguity.sites
    assert [a.prob for a in site.alternatives] == pytest.approx([0.931, 0.069])


@pytest.mark.parametrize("with_probs", [False, True])
def test_trees_alone_heed_what_follows(with_probs: bool) -> None:
    nlp = Pipeline(frontend=Frontend(), meaning=None, name="stand-in")
    texts = ["两个大学的老师来。", "两个大学的老师来。这两所很大。"]
    alone, context = (outcome.value for outcome in nlp.pipe_trees(texts, with_probs=with_probs))
    assert alone is not None
    assert context is not None
    assert str(alone[0][0].tree).startswith("(IP (NP (QP")
    assert str(context[0][0].tree).startswith("(IP (NP (DNP")


def test_offsets_and_traditional_script() -> None:
    first, following = "  兩個大學的老師來。", "這兩所很大。"
    sentences = Document.from_text(first + following).sentences
    frontend = Frontend()
    (forest,) = frontend.forests(sentences[:1])
    heeded = heed_context(forest, sentences[1:], frontend.forests)
    assert heeded.span_prob(0, 4) == pytest.approx(joined(NEARER["所"]))


def test_context_cases_are_balanced_and_well_formed() -> None:
    cases = load_context_cases()
    assert len({case.first + case.following for case in cases}) == len(cases)
    decided = [case for case in cases if case.is_near is not None]
    assert 2 * sum(bool(case.is_near) for case in decided) == len(decided)
    assert {case.kind for case in cases} == {
        "classifier",
        "noun",
        "person",
        "predicate",
        "inside",
        "none",
    }
    by_part = {part: {c.first for c in cases if c.part == part} for part in ("dev", "test")}
    assert not by_part["dev"] & by_part["test"]
    for case in cases:
        assert (case.following == "") == (case.kind == "inside"), case.first
        assert (case.is_near is None) == (case.kind == "none"), case.first


def test_a_context_case_that_counts_neither_noun_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "contexts.tsv"
    path.write_text(
        "part\tkind\tfirst\tfollowing\tcounted\ndev\tnoun\t两个大学的老师。\t好。\t学生\n",
        encoding="utf-8",
    )
    with pytest.raises(LexiconError, match=r"contexts\.tsv:2: found '学生'; expected 大学"):
        load_context_cases(path)


def test_probabilities_stay_probabilities() -> None:
    (forest,) = Frontend().forests(Document.from_text(PHRASE).sentences)
    for nats in (-50.0, 0.0, 50.0):
        weighed = forest.weigh(0, 4, nats)
        assert 0.0 <= weighed.span_prob(0, 4) <= 1.0
        total = sum(math.exp(tree.log_prob) for tree in weighed.kbest(10))
        assert total == pytest.approx(1.0)
