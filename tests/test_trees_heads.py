from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import deep_tree, trees

from treenlp.errors import InputError
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.heads import base_label, dependencies, head_child, head_leaves
from treenlp.trees.transforms import collapse_unary
from treenlp.trees.tree import Tree

LABELS = ("IP", "NP", "VP", "CP", "DNP", "QP", "S", "SBAR", "PP", "ADJP", "UCP", "XYZ")

# (tree, head of each word as the word itself, "" for the root)
CHINESE = [
    (
        "(NP (DNP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))",
        "个 大学 的 老师 -",
    ),
    (
        "(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))",
        "个 老师 的 老师 -",
    ),
    (
        "(IP (NP (PN 我)) (VP (VV 等) (AS 了) (QP (CD 十) (CLP (M 分钟))) (NP (NN 车))) (PU 。))",
        "等 - 等 分钟 等 等 等",
    ),
    (
        "(NP (CP (IP (VP (VV 咬死) (NP (NN 猎人)))) (DEC 的)) (NP (NN 狗)))",
        "的 咬死 狗 -",
    ),
    (
        "(VP (VV 咬死) (NP (DNP (NP (NN 猎人)) (DEG 的)) (NP (NN 狗))))",
        "- 的 狗 咬死",
    ),
    ("(CP (IP (VP (VV 走))) (SP 吧))", "- 走"),
    ("(NP (NP (NN 校长)) (CC 和) (NP (NN 老师)))", "老师 老师 -"),
    ("(IP (IP (VP (VV 来))) (PU ，) (IP (VP (VV 坐))) (PU 。))", "坐 坐 - 坐"),
    ("(VP (VP (VV 唱)) (PU 、) (VP (VV 跳)))", "- 唱 唱"),
    ("(VP (PP (P 在) (LCP (NP (NN 车)) (LC 上))) (VP (VV 睡)))", "睡 上 在 -"),
    ("(VP (BA 把) (IP (NP (NN 书)) (VP (VV 看) (AS 完))))", "- 看 把 看"),
    ("(VP (SB 被) (VP (VV 打)))", "打 -"),
    ("(VP (DVP (VP (VA 高兴)) (DEV 地)) (VP (VRD (VV 跑) (VV 出))))", "地 跑 - 跑"),
    ("(NP (DP (DT 这) (CLP (M 次))) (ADJP (JJ 大)) (NP (NN 游行)))", "游行 这 游行 -"),
    ("(NP (NN 学生) (PRN (PU （) (NP (NR 北京)) (PU ）)))", "- 北京 学生 北京"),
    ("(PRN (PU “) (PU ”))", "- “"),
    ("(NP::DP (DT 这) (CLP::M 次))", "- 这"),
]

ENGLISH = [
    (
        "(S (NP (NP (DT the) (NN man)) (PP (IN with) (NP (DT a) (NN dog)))) (VP (VBZ naps)) (. .))",
        "man naps man dog with - naps",
    ),
    ("(S (NP-SBJ (PRP I)) (VP (MD will) (VP (VB go))))", "will - will"),
    ("(S (VP (TO to) (VP (VB go))))", "- to"),
    ("(NP (NP (NNP Anna) (POS 's)) (NN house))", "'s house -"),
    ("(NP (NN rock) (CC and) (NN roll))", "- rock rock"),
    ("(NP (NNS cats) (CC and) (NN coffee))", "- cats cats"),
    ("(NP (JJ old) (NNS men) (, ,) (CC and) (NNS women))", "men - men men men"),
    ("(VP (VP (VB sing)) (CC or) (VP (VB dance)))", "- sing sing"),
    ("(SBAR (WHNP (WP who)) (S (VP (VBD left))))", "- who"),
    ("(SBAR (IN that) (S (NP (PRP he)) (VP (VBD left))))", "- left that"),
    ("(SBARQ (WHNP (WP What)) (SQ (VBD did) (NP (PRP he)) (VP (VB say))))", "did - did did"),
    ("(ADJP (RB very) (JJ old))", "old -"),
    ("(QP (RB about) (CD 20))", "- about"),
    ("(PP (IN from) (PP (IN behind) (NP (NN it))))", "- from behind"),
    ("(NP (JJ poor))", "-"),
    ("(NP (QP (CD two)) (JJ rich))", "rich -"),
    ("(NAC (NNP New) (NNP York))", "- New"),
    ("(UCP (NP (NN fun)) (CC and) (ADJP (JJ free)))", "free free -"),
    ("(INTJ (UH oh) (UH no))", "- oh"),
]


def heads_as_words(text: str, lang: str) -> list[str]:
    tree = parse_brackets(text)
    heads = dependencies(tree, "zh" if lang == "zh" else "en")
    return [tree.leaves[head] if head >= 0 else "-" for head in heads]


@pytest.mark.parametrize(("text", "expected"), CHINESE)
def test_chinese_heads(text: str, expected: str) -> None:
    assert heads_as_words(text, "zh") == expected.split()


@pytest.mark.parametrize(("text", "expected"), ENGLISH)
def test_english_heads(text: str, expected: str) -> None:
    assert heads_as_words(text, "en") == expected.split()


@given(trees(phrase_labels=LABELS), st.sampled_from(["zh", "en"]))
def test_every_constituent_hangs_on_one_word(tree: Tree, lang: str) -> None:
    heads = dependencies(tree, "zh" if lang == "zh" else "en")
    assert len(heads) == tree.num_leaves
    assert heads.count(-1) == 1
    for start, end in tree.node_spans():
        outside = [i for i in range(start, end) if not start <= heads[i] < end]
        assert len(outside) == 1
    # Following the heads always ends at the root.
    for i in range(len(heads)):
        steps = 0
        while i >= 0:
            i, steps = heads[i], steps + 1
            assert steps <= len(heads)


@given(trees(phrase_labels=LABELS), st.sampled_from(["zh", "en"]))
def test_collapsed_chains_have_the_same_heads(tree: Tree, lang: str) -> None:
    language = "zh" if lang == "zh" else "en"
    assert dependencies(collapse_unary(tree), language) == dependencies(tree, language)


@given(
    st.sampled_from(LABELS),
    st.lists(st.sampled_from(["PU", "NN", "VP", "DEG", "IP", "XYZ"]), min_size=1, max_size=6),
)
def test_punctuation_is_a_head_only_among_punctuation(label: str, children: list[str]) -> None:
    chosen = children[head_child(label, children, "zh")]
    assert chosen != "PU" or set(children) == {"PU"}


@pytest.mark.parametrize("side", ["left", "right"])
def test_deep_trees_have_heads(side: str) -> None:
    tree = deep_tree(20_000, side=side)
    assert dependencies(tree, "zh").count(-1) == 1
    assert len(head_leaves(tree, "en")) == tree.num_nodes


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("NP", "NP"),
        ("NP-SBJ-1", "NP"),
        ("NP=2", "NP"),
        ("NP=2-SBJ", "NP"),
        ("S::NP-SBJ", "NP"),
        ("-NONE-", "-NONE-"),
        ("-LRB-", "-LRB-"),
        ("NP:::", ":"),
        ("", ""),
    ],
)
def test_base_labels(label: str, expected: str) -> None:
    assert base_label(label) == expected


def test_head_child_checks_its_arguments() -> None:
    with pytest.raises(InputError, match=r"language 'fr'; expected one of \['en', 'zh'\]"):
        head_child("NP", ["NN"], "fr")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no children of 'NP'"):
        head_child("NP", [], "zh")
