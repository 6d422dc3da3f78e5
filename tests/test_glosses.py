"""Glosses: what is seen of a tree, and that different trees are seen to differ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treenlp.parsing.glosses import contrast, gloss
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree

Nested = int | tuple[Any, ...]


def sentence(text: str, lang: str = "zh") -> Sentence:
    found = Sentence.from_text(text, lang="zh" if lang == "zh" else "en")
    assert found is not None
    return found


def worded(tree: Tree, lang: str = "zh") -> tuple[Tree, list[tuple[int, int]]]:
    """A tree with its atoms: a character each in Chinese, a word in English."""
    words, at = [], 0
    for leaf in tree.leaves:
        width = len(leaf) if lang == "zh" else 1
        words.append((at, at + width))
        at += width
    return tree, words


def glosses(text: str, *trees: str, lang: str = "zh") -> list[str]:
    return contrast([worded(parse_brackets(t), lang) for t in trees], sentence(text, lang))


def test_a_whole_english_sentence() -> None:
    text = "She  saw the man with glasses."
    tree, words = worded(
        parse_brackets(
            "(S (NP (PRP She)) (VP (VBD saw) (NP (NP (DT the) (NN man)) (PP (IN with) "
            "(NP (NNS glasses))))) (. .))"
        ),
        "en",
    )
    assert gloss(tree, words, sentence(text, "en")) == "She|[saw the man with glasses] ."
    assert gloss(tree, words, sentence(text, "en"), (3, 6)) == "[the man]|[with glasses]"


@pytest.mark.parametrize("gap", ["", " "])
def test_particles_stand_as_far_from_a_bracket_as_in_the_text(gap: str) -> None:
    (shown,) = glosses(
        f"the film{gap}, yes",
        "(NP (NP (DT the) (NN film) (, ,)) (UH yes))",
        lang="en",
    )
    assert shown == f"[the film]{gap},|yes"


def test_a_phrase_that_is_grouped_differently_is_opened() -> None:
    low = (
        "(VP (VV 看) (NP (DNP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 大学))) (DEG 的)) "
        "(NP (NN 老师))))"
    )
    high = (
        "(VP (VV 看) (NP (QP (CD 两) (CLP (M 个))) (NP (DNP (NP (NN 大学)) (DEG 的)) "
        "(NP (NN 老师)))))"
    )
    assert glosses("看两个大学的老师", low, high) == [
        "看|[[两个大学]的|老师]",
        "看|[两个|[大学的老师]]",
    ]
    assert glosses("看两个大学的老师", low) == ["看|[两个大学的老师]"]


def test_only_what_differs_is_opened() -> None:
    first = "(IP (NP (NN 大) (NN 人)) (VP (VV 吃) (VP (VV 喝) (NP (NN 水)))))"
    second = "(IP (NP (NN 大) (NN 人)) (VP (VP (VV 吃) (VV 喝)) (NP (NN 水))))"
    third = "(NP (NN 大) (NP (NN 人) (VP (VV 吃) (VV 喝) (NN 水))))"
    assert glosses("大人吃喝水", first, second, third) == [
        "[大人]|[吃|[喝水]]",
        "[大人]|[[吃喝]|水]",
        "大|[人吃喝水]",
    ]


def test_a_word_against_its_parts() -> None:
    parts = "(NP (QP (CD 四) (M 扇)) (NN 门))"
    word = "(NP (CD 四扇) (NN 门))"
    assert glosses("四扇门", parts, word) == ["[四|扇]|门", "[四扇]|门"]


@pytest.mark.parametrize(
    ("text", "trees", "wanted"),
    [
        (
            "学习文件",
            ("(NP (NN 学习) (NN 文件))", "(IP (VP (VV 学习) (NP (NN 文件))))"),
            ["学习|文件 (nominal)", "学习|文件 (verbal)"],
        ),
        (
            "那个画老虎",
            (
                "(IP (DP (DT 那) (CLP (M 个))) (VP (VV 画) (NP (NN 老虎))))",
                "(IP (DP (DT 那) (CLP (M 个))) (VP (NN 画) (NP (NN 老虎))))",
            ),
            ["那个|[画老虎] (画: verbal)", "那个|[画老虎] (画: nominal)"],
        ),
        (
            "在家",
            ("(PP (P 在) (NP (NN 家)))", "(PP (P 在) (NP (NR 家)))"),
            ["在|家 (家: NP NN)", "在|家 (家: NP NR)"],
        ),
        ("在家", ("(PP (P 在) (NP (NN 家)))",) * 2, ["在|家", "在|家"]),
    ],
)
def test_what_is_grouped_alike_is_named(
    text: str, trees: tuple[str, ...], wanted: list[str]
) -> None:
    assert glosses(text, *trees) == wanted


def test_what_a_word_depends_on_is_named_where_classes_are_equal() -> None:
    trees = (
        "(ADJP (RB very) (JJ nice) (PP (IN of) (NP (PRP you))))",
        "(ADJP (RB very) (JJ nice) (PP (JJ of) (NP (PRP you))))",
    )
    assert glosses("very nice of you", *trees, lang="en") == [
        "very|nice|[of you] (of → nice)",
        "very|nice|[of you] (of → you)",
    ]


def nested(places: tuple[int, ...]) -> st.SearchStrategy[Nested]:
    """Trees over some words, nodes of two or three children."""
    if len(places) == 1:
        return st.just(places[0])
    cuts = st.lists(st.integers(1, len(places) - 1), min_size=1, max_size=2, unique=True)

    def divide(at: list[int]) -> st.SearchStrategy[Nested]:
        ends = [0, *sorted(at), len(places)]
        parts = [places[i:j] for i, j in zip(ends, ends[1:], strict=False)]
        return st.tuples(*(nested(part) for part in parts))

    return cuts.flatmap(divide)


def build(item: Nested, text: str) -> Tree:
    if isinstance(item, int):
        return Tree.build("NN", [text[item]])
    return Tree.build("NP", [build(child, text) for child in item])


@given(st.data(), st.integers(2, 7), st.integers(2, 5))
def test_trees_that_group_differently_have_different_glosses(
    data: st.DataObject, length: int, count: int
) -> None:
    text = "东南西北中上下"[:length]
    trees = [build(data.draw(nested(tuple(range(length)))), text) for _ in range(count)]
    found = contrast([worded(tree) for tree in trees], sentence(text))
    for tree, shown in zip(trees, found, strict=True):
        for other, also_shown in zip(trees, found, strict=True):
            assert (shown == also_shown) == (tree == other)
    plain = [shown.replace("[", "").replace("]", "").replace("|", "") for shown in found]
    assert plain == [text] * count
