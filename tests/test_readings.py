"""Readings: which trees mean the same, with what probability, and how they are glossed."""

from __future__ import annotations

import math

import pytest
from charts import forest_of

from treenlp.errors import InputError
from treenlp.parsing.constraints import Constraint
from treenlp.parsing.skeleton import Skeleton
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.heads import dependencies

LOW = "(NP (DNP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))"
HIGH = "(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"
NESTED = "(NP (QP (CD 两) (CLP (M 个))) (NP (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师))))"
PROPER = "(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NR 大学)) (DEG 的)) (NP (NN 老师)))"


def skeleton(brackets: str, lang: str = "zh") -> Skeleton:
    tree = parse_brackets(brackets)
    spans, at = [], 0
    for leaf in tree.leaves:
        width = len(leaf) if lang == "zh" else 1
        spans.append((at, at + width))
        at += width
    return Skeleton.of(tree, spans, "zh" if lang == "zh" else "en")


def test_both_attachments_are_readings() -> None:
    found = forest_of("两个大学的老师", [(LOW, 0.6), (HIGH, 0.4)]).readings()
    assert [str(r.tree) for r in found.listed] == [LOW, HIGH]
    assert [r.prob for r in found.listed] == pytest.approx([0.6, 0.4])
    assert [r.rank for r in found.listed] == [1, 2]
    assert [r.gloss for r in found.listed] == ["[两个大学]的|老师", "两个|[大学]的|老师"]
    assert found.omitted == pytest.approx(0.0, abs=1e-9)


def test_flat_nested_and_fine_labels_are_one_reading() -> None:
    weights = [(LOW, 0.4), (HIGH, 0.3), (NESTED, 0.2), (PROPER, 0.1)]
    view = forest_of("两个大学的老师", weights)
    found = view.readings()
    probs = {str(tree.tree): math.exp(tree.log_prob) for tree in view.kbest(10)}
    assert len(found.listed) == 2 < len(probs)
    assert str(found.listed[0].tree) == HIGH
    assert str(found.listed[1].tree) == LOW
    assert found.listed[1].prob == pytest.approx(probs[LOW])
    assert found.listed[0].prob == pytest.approx(sum(probs.values()) - probs[LOW])
    assert found.listed[0].num_trees == len(probs) - 1


def test_an_improbable_reading_is_not_listed_but_counted() -> None:
    view = forest_of("两个大学的老师", [(LOW, 0.98), (HIGH, 0.02)])
    found = view.readings()
    assert len(found.listed) == 1
    assert found.omitted == pytest.approx(0.02)
    assert found.listed[0].gloss == "[两个大学]的|老师"
    every = view.readings(min_prob=0.0)
    assert [r.prob for r in every.listed] == pytest.approx([0.98, 0.02])
    assert view.readings(k=1, min_prob=0.0).omitted == pytest.approx(0.02)


def test_the_best_reading_is_always_listed() -> None:
    found = forest_of("两个大学的老师", [(LOW, 0.6), (HIGH, 0.4)]).readings(min_prob=0.9)
    assert [str(r.tree) for r in found.listed] == [LOW]
    assert found.omitted == pytest.approx(0.4)


def test_duration_on_the_verb_or_in_the_noun_phrase() -> None:
    verb = "(VP (VV 等) (AS 了) (QP (CD 十) (CLP (M 分钟))) (NP (NN 车)))"
    noun = "(VP (VV 等) (AS 了) (NP (QP (CD 十) (CLP (M 分钟))) (NP (NN 车))))"
    found = forest_of("等了十分钟车", [(verb, 0.7), (noun, 0.3)]).readings()
    assert [r.gloss for r in found.listed] == ["等了|十分钟|车", "等了|[十分钟车]"]


def test_crossing_words_are_readings_and_split_compounds_are_not() -> None:
    bat = "(IP (NP (NN 乒乓球拍)) (VP (VRD (VV 卖) (VV 完)) (AS 了)))"
    bat_in_parts = "(IP (NP (NN 乒乓) (NN 球拍)) (VP (VRD (VV 卖) (VV 完)) (AS 了)))"
    auction = "(IP (NP (NN 乒乓球)) (VP (VRD (VV 拍卖) (VV 完)) (AS 了)))"
    found = forest_of(
        "乒乓球拍卖完了", [(bat, 0.4), (bat_in_parts, 0.2), (auction, 0.4)]
    ).readings()
    assert len(found.listed) == 2
    assert found.listed[0].prob == pytest.approx(0.6)
    assert found.listed[0].words[0] == (0, 4)
    assert found.listed[1].words[0] == (0, 3)


SAME = [
    pytest.param(HIGH, NESTED, "zh", id="flat and nested"),
    pytest.param(HIGH, PROPER, "zh", id="common and proper noun"),
    pytest.param(
        "(VP (VV 来) (AS 了) (PU 。))", "(IP (VP (VV 来)) (SP 了) (PU 。))", "zh", id="particles"
    ),
    pytest.param(
        "(NP (DNP (ADJP (ADVP (AD 很)) (ADJP (JJ 新))) (DEG 的)) (NP (NN 书)))",
        "(NP (CP (IP (VP (ADVP (AD 很)) (VP (VA 新)))) (DEC 的)) (NP (NN 书)))",
        "zh",
        id="adjective as phrase and as clause",
    ),
    pytest.param(
        "(IP (NP (NT 明天)) (VP (VV 去) (NP (NN 学校))))",
        "(VP (NP (NT 明天)) (VP (VV 去) (NP (NN 学校))))",
        "zh",
        id="time inside and outside the verb phrase",
    ),
    pytest.param("(NP (NN 大学) (NN 老师))", "(NP (NN 大学老师))", "zh", id="compound noun"),
    pytest.param(
        "(VP (VRD (VV 卖) (VV 完)) (NP (NN 书)))",
        "(VP (VV 卖完) (NP (NN 书)))",
        "zh",
        id="compound verb",
    ),
    pytest.param(
        "(NP (DNP (NP (NN 大学) (CC 和) (NN 中学)) (DEG 的)) (NP (NN 老师)))",
        "(NP (DNP (NP (NP (NN 大学)) (CC 和) (NP (NN 中学))) (DEG 的)) (NP (NN 老师)))",
        "zh",
        id="flat and nested coordination",
    ),
    pytest.param(
        "(IP (IP (NP (PN 我)) (VP (VV 来))) "
        "(PU ，) (IP (IP (VP (VV 看))) (PU ，) (IP (VP (VV 走)))))",
        "(IP (IP (IP (NP (PN 我)) (VP (VV 来))) "
        "(PU ，) (IP (VP (VV 看)))) (PU ，) (IP (VP (VV 走))))",
        "zh",
        id="clauses in a row",
    ),
    pytest.param(
        "(IP (IP (NP (PN 我)) (VP (VV 来))) (PU ，) (IP (VP (VV 看))))",
        "(IP (NP (PN 我)) (VP (VP (VV 来)) (PU ，) (VP (VV 看))))",
        "zh",
        id="subject of the first clause or of the row",
    ),
    pytest.param(
        "(S (NP (PRP She)) (VP (MD will) (ADVP (RB soon)) (VP (VB go))))",
        "(S (NP (PRP She)) (VP (MD will) (VP (ADVP (RB soon)) (VB go))))",
        "en",
        id="adverb beside and below the auxiliary",
    ),
]
DIFFERENT = [
    pytest.param(LOW, HIGH, "zh", id="attachment"),
    pytest.param(
        "(NP (CP (IP (VP (VV 追) (NP (NN 小偷)))) (DEC 的)) (NP (NN 警察)))",
        "(VP (VV 追) (NP (DNP (NP (NN 小偷)) (DEG 的)) (NP (NN 警察))))",
        "zh",
        id="relative clause or object",
    ),
    pytest.param(
        "(NP (NN 学习) (NN 文件))",
        "(IP (VP (VV 学习) (NP (NN 文件))))",
        "zh",
        id="noun phrase or verb phrase",
    ),
    pytest.param(
        "(NP (NN 经济) (NN 发展))",
        "(IP (NP (NN 经济)) (VP (VV 发展)))",
        "zh",
        id="same dependencies, nominal or clausal",
    ),
    pytest.param(
        "(NP (DNP (NP (NN 大学) (CC 和) (NN 中学)) (DEG 的)) (NP (NN 老师)))",
        "(NP (NP (NN 大学)) (CC 和) (NP (DNP (NP (NN 中学)) (DEG 的)) (NP (NN 老师))))",
        "zh",
        id="scope of a conjunction",
    ),
    pytest.param(
        "(NP (ADJP (JJ 老)) (NP (NP (NN 男人)) (CC 和) (NP (NN 女人))))",
        "(NP (NP (ADJP (JJ 老)) (NP (NN 男人))) (CC 和) (NP (NN 女人)))",
        "zh",
        id="scope over a conjunction",
    ),
    pytest.param(
        "(NP (JJ old) (NNS men) (CC and) (NNS women))",
        "(NP (NP (JJ old) (NNS men)) (CC and) (NP (NNS women)))",
        "en",
        id="English scope over a conjunction",
    ),
    pytest.param(
        "(VP (VBD saw) (NP (DT the) (NN man)) (PP (IN with) (NP (NNS glasses))))",
        "(VP (VBD saw) (NP (NP (DT the) (NN man)) (PP (IN with) (NP (NNS glasses)))))",
        "en",
        id="prepositional phrase",
    ),
    pytest.param(
        "(IP (NP (NN 学生会)) (VP (VV 来)))",
        "(IP (NP (NN 学生)) (VP (VV 会) (VP (VV 来))))",
        "zh",
        id="what looks like a compound but is none",
    ),
    pytest.param("(NP (NN 学习文件))", "(VP (VV 学习) (NP (NN 文件)))", "zh", id="another class"),
]


@pytest.mark.parametrize(("one", "other", "lang"), SAME)
def test_trees_that_mean_the_same(one: str, other: str, lang: str) -> None:
    assert skeleton(one, lang).agrees(skeleton(other, lang))
    assert skeleton(other, lang).agrees(skeleton(one, lang))


@pytest.mark.parametrize(("one", "other", "lang"), DIFFERENT)
def test_trees_that_mean_something_else(one: str, other: str, lang: str) -> None:
    assert not skeleton(one, lang).agrees(skeleton(other, lang))
    assert not skeleton(other, lang).agrees(skeleton(one, lang))


def test_dependencies_follow_the_head_rules() -> None:
    for brackets in (LOW, HIGH, NESTED, "(VP (VV 看) (NP (CD 两) (NN 人)))"):
        tree = parse_brackets(brackets)
        heads = list(dependencies(tree, "zh"))
        # Particles hand over to the noun before them.
        for word, tag in enumerate(tree.tags):
            if tag == "DEG":
                heads[word - 1], heads[word] = heads[word], -1
        assert list(skeleton(brackets).heads) == heads


def test_equal_glosses_name_the_class() -> None:
    noun = "(NP (NN 学习) (NN 文件))"
    verb = "(IP (VP (VV 学习) (NP (NN 文件))))"
    found = forest_of("学习文件", [(noun, 0.6), (verb, 0.4)]).readings()
    assert [r.gloss for r in found.listed] == ["学习|文件 (nominal)", "学习|文件 (verbal)"]


def test_readings_under_a_constraint() -> None:
    view = forest_of("两个大学的老师", [(LOW, 0.6), (HIGH, 0.4)])
    found = view.constrain(Constraint.no_constituent(0, 4)).readings()
    assert [str(r.tree) for r in found.listed] == [HIGH]
    assert found.listed[0].prob == pytest.approx(1.0)


def test_number_of_trees_is_bounded() -> None:
    weights = [(LOW, 0.4), (HIGH, 0.3), (NESTED, 0.2), (PROPER, 0.1)]
    found = forest_of("两个大学的老师", weights).readings(max_trees=1, min_prob=0.0)
    assert found.num_trees == 1
    assert found.omitted == pytest.approx(1 - math.exp(found.listed[0].log_prob))


@pytest.mark.parametrize("wrong", [{"k": 0}, {"min_prob": 1.5}, {"max_trees": 0}])
def test_arguments_out_of_range(wrong: dict[str, float]) -> None:
    view = forest_of("两个大学的老师", [(LOW, 1.0)])
    with pytest.raises(InputError, match="expected at least 1"):
        view.readings(**wrong)  # type: ignore[arg-type]
