"""Distrusted regions: which constructions they are found in, and that they stay constituents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treenlp.data.masking import MAX_REGION_LEAVES, distrusted_spans, has_general_count
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree

HIGH = "(NP (QP (CD 三) (CLP (M 把))) (DNP (NP (NN 教室)) (DEG 的)) (NP (NN 椅子)))"
LOW = "(NP (DNP (NP (QP (CD 三) (CLP (M 间))) (NP (NN 教室))) (DEG 的)) (NP (NN 椅子)))"


@pytest.mark.parametrize("phrase", [HIGH, LOW])
def test_a_classifier_before_two_nouns_is_in_doubt_however_it_was_attached(phrase: str) -> None:
    tree = parse_brackets(f"(IP (NP (PN 我们)) (VP (VV 搬) (AS 了) {phrase}) (PU 。))")
    # The verb before it makes the whole verb phrase doubtful: 搬了三间教室 的 椅子.
    assert distrusted_spans(tree) == ((1, 8),)
    alone = parse_brackets(f"(IP {phrase} (VP (ADVP (AD 很)) (VP (VA 旧))) (PU 。))")
    assert distrusted_spans(alone) == ((0, 5),)


@pytest.mark.parametrize("classifier", ["个", "种", "些"])
@pytest.mark.parametrize("phrase", [HIGH.replace("把", "{}"), LOW.replace("间", "{}")])
def test_a_classifier_that_counts_everything_leaves_nothing_in_doubt(
    phrase: str, classifier: str
) -> None:
    tree = parse_brackets(phrase.format(classifier))
    assert distrusted_spans(tree) == ()
    assert has_general_count(tree)


def test_where_a_general_classifier_decides_nothing() -> None:
    assert not has_general_count(parse_brackets(HIGH))
    assert not has_general_count(parse_brackets("(NP (QP (CD 三) (CLP (M 个))) (NP (NN 教室)))"))
    assert not has_general_count(parse_brackets("(NP (NN 学校) (DEG 的) (NN 教室))"))


def test_a_verb_before_a_modified_noun_is_in_doubt_in_both_analyses() -> None:
    outside = parse_brackets(
        "(IP (NP (CP (IP (VP (VV 照顾) (NP (NN 病人)))) (DEC 的)) (NP (NN 护士))) (VP (VA 忙)))"
    )
    assert distrusted_spans(outside) == ((0, 4),)
    inside = parse_brackets(
        "(IP (NP (PN 她)) (VP (VV 照顾) (NP (DNP (NP (NN 护士)) (DEG 的)) (NP (NN 孩子)))) (PU 。))"
    )
    assert distrusted_spans(inside) == ((1, 5),)


@pytest.mark.parametrize(
    "amount",
    [
        "(QP (CD 二十) (CLP (M 分钟)))",
        "(QP (CD 三) (CLP (M 次)))",
        "(QP (CD 两) (CLP (M 个))) (NP (NN 小时))",
    ],
)
def test_an_amount_of_time_before_an_object_is_in_doubt(amount: str) -> None:
    tree = parse_brackets(f"(IP (NP (PN 他)) (VP (VV 弹) (AS 了) (NP {amount} (NP (NN 钢琴)))))")
    assert distrusted_spans(tree) == ((1, tree.num_leaves),)


@pytest.mark.parametrize(
    "line",
    [
        # A counted object and a time without an object.
        "(IP (NP (PN 他)) (VP (VV 弹) (AS 了) (NP (QP (CD 两) (CLP (M 首))) (NP (NN 曲子)))))",
        "(IP (NP (PN 他)) (VP (VV 弹) (AS 了) (QP (CD 两) (CLP (M 次)))) (PU 。))",
        # No noun before 的, and a clause that opens right after the classifier.
        "(NP (DNP (NP (PN 我)) (DEG 的)) (NP (NN 椅子)))",
        "(NP (QP (CD 一) (CLP (M 位))) (CP (IP (VP (VA 年轻))) (DEC 的)) (NP (NN 护士)))",
        # A mark stands between the classifier and 的.
        "(NP (NP (QP (CD 一) (CLP (M 间))) (NP (NN 教室))) (PU 、) "
        "(NP (DNP (NP (NN 护士)) (DEG 的)) (NP (NN 孩子))))",
    ],
)
def test_what_is_believed(line: str) -> None:
    assert distrusted_spans(parse_brackets(line)) == ()


def test_a_clause_between_the_nouns_only_counts_inside_a_noun_phrase() -> None:
    clause = parse_brackets(
        "(IP (NP (QP (CD 三) (CLP (M 位))) (NP (NN 护士))) (VP (VV 进) (NP (DNP (NP (PN 他) "
        "(NN 父亲)) (DEG 的)) (NP (NN 家)))))"
    )
    assert distrusted_spans(clause) == ()
    phrase = parse_brackets(
        "(NP (CP (IP (NP (QP (CD 三) (CLP (M 位))) (NP (NN 护士))) (VP (VV 照顾))) (DEC 的)) "
        "(NP (NN 孩子)))"
    )
    assert distrusted_spans(phrase) == ((0, 6),)


def test_a_large_region_is_believed() -> None:
    def verb_phrase(adverbs: int) -> Tree:
        more = "(ADVP (AD 又)) " * adverbs
        return parse_brackets(f"(VP (VV 看) (NP (NN 教室)) (DEG 的) (NP (NN 椅子)) {more})")

    at_most = MAX_REGION_LEAVES - 4
    assert distrusted_spans(verb_phrase(at_most)) == ((0, MAX_REGION_LEAVES),)
    assert distrusted_spans(verb_phrase(at_most + 1)) == ()


TAGS = ["VV", "AS", "CD", "M", "NN", "DEG", "PU", "JJ"]


@st.composite
def _trees(draw: st.DrawFn) -> Tree:
    tags = draw(st.lists(st.sampled_from(TAGS), min_size=1, max_size=14))
    nodes = [Tree.build(tag, ["的" if tag == "DEG" else "次"]) for tag in tags]
    while len(nodes) > 1:
        start = draw(st.integers(0, len(nodes) - 2))
        end = draw(st.integers(start + 2, min(len(nodes), start + 3)))
        label = draw(st.sampled_from(["NP", "VP"]))
        nodes[start:end] = [Tree.build(label, nodes[start:end])]
    return nodes[0]


@given(_trees())
def test_regions_are_constituents_apart_from_each_other(tree: Tree) -> None:
    regions = distrusted_spans(tree)
    extents = {(phrase.start, phrase.end) for phrase in tree.constituents()}
    assert set(regions) <= extents
    assert all(one[1] <= two[0] for one, two in zip(regions, regions[1:], strict=False))
