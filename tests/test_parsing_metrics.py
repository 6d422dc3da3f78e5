"""Measures for parsers, against figures counted by hand."""

from __future__ import annotations

import pytest

from treenlp.errors import InputError
from treenlp.parsing.metrics import (
    AttachmentCase,
    AttachmentCounts,
    BracketCounts,
    CrossingCounts,
    WordCounts,
    bracket_counts,
    crossings,
    is_attached,
    leaf_offsets,
    phrase_offsets,
    trim_offsets,
    word_counts,
)
from treenlp.trees.brackets import parse_brackets


def test_brackets_counted_by_hand() -> None:
    gold = parse_brackets(
        "(S (NP (PRP I)) (VP (VBD ate) (NP (NN rice)) (PP (IN with) (NP (NNS sticks)))))"
    )
    predicted = parse_brackets(
        "(S (NP (PRP I)) (VP (VBD ate) (NP (NX (NN rice)) (PP (IN with) (NP (NNS sticks))))))"
    )
    counts = bracket_counts(gold, predicted)
    # S, NP(I), VP, PP and NP(sticks) agree; NP(rice) has another label there.
    assert counts == BracketCounts(
        sentences=1, gold=6, predicted=7, unlabelled=6, labelled=5, unlabelled_exact=0
    )
    assert counts.LP == 5 / 7
    assert counts.LR == 5 / 6
    assert counts.LF == pytest.approx(10 / 13)
    assert (counts.UP, counts.UR, counts.UF) == (6 / 7, 1.0, pytest.approx(12 / 13))


def test_perfect_tree_and_sums() -> None:
    tree = parse_brackets("(S (NP (PRP I)) (VP (VB go)))")
    flat = parse_brackets("(S (PRP I) (VB go))")
    total = bracket_counts(tree, tree) + bracket_counts(tree, flat)
    assert total == BracketCounts(
        sentences=2,
        gold=6,
        predicted=4,
        unlabelled=4,
        labelled=4,
        unlabelled_exact=1,
        labelled_exact=1,
    )
    assert (total.UCM, total.LCM, total.LP, total.LR) == (0.5, 0.5, 1.0, 4 / 6)
    assert BracketCounts().LF == 0.0


def test_punctuation_takes_no_part_in_positions() -> None:
    gold = parse_brackets('(S (`` ") (NP (NN rain)) (, ,) (VP (VBZ falls)) (. .))')
    moved = parse_brackets('(S (`` ") (S (NP (NN rain) (, ,)) (VP (VBZ falls) (. .))))')
    counts = bracket_counts(gold, moved)
    assert (counts.gold, counts.predicted, counts.labelled) == (3, 4, 3)
    kept = bracket_counts(gold, moved, punctuation=frozenset())
    assert kept.labelled == 1


def test_wrong_punctuation_tag_shifts_no_position() -> None:
    gold = parse_brackets("(S (NP (NN rain)) (: -) (VP (VBZ falls)))")
    tagged = parse_brackets("(S (NP (NN rain)) (SYM -) (VP (VBZ falls)))")
    assert bracket_counts(gold, tagged).LF == 1.0


def test_root_and_particles_follow_evalb() -> None:
    gold = parse_brackets("(TOP (S (VP (VB go) (PRT (RP on)))))")
    predicted = parse_brackets("(S (VP (VB go) (ADVP (RB on))))")
    assert bracket_counts(gold, predicted).LF == 1.0


def test_unary_chains_count_as_often_as_in_both() -> None:
    once = parse_brackets("(NP (NN cats))")
    twice = parse_brackets("(NP (NP (NN cats)))")
    counts = bracket_counts(once, twice)
    assert (counts.gold, counts.predicted, counts.labelled) == (1, 2, 1)


def test_other_words_of_the_same_text_can_be_compared() -> None:
    gold = parse_brackets("(NP (QP (CD 两) (CLP (M 所))) (NP (NN 大学)))")
    predicted = parse_brackets("(NP (QP (CD 两所)) (NP (NN 大) (NN 学)))")
    counts = bracket_counts(gold, predicted)
    assert (counts.gold, counts.predicted, counts.labelled) == (4, 3, 3)
    with pytest.raises(InputError, match="different texts"):
        bracket_counts(gold, parse_brackets("(NP (NN 大学))"))


def test_leaves_are_laid_on_text_with_white_space() -> None:
    assert leaf_offsets(("AB", "（", "两"), " A B\t(两 ") == ((1, 4), (5, 6), (6, 7))
    with pytest.raises(InputError, match="the leaves have 3 characters and the text '两所' has 2"):
        leaf_offsets(("两", "所大"), "两所")


def test_phrases_with_and_without_words() -> None:
    tree = parse_brackets("(IP (NP (NN 老师)) (VP (VV 来)))")
    assert phrase_offsets(tree, "老 师来") == ((0, 4), (0, 3), (3, 4))
    assert phrase_offsets(tree, "老师来", words=True) == ((0, 3), (0, 2), (0, 2), (2, 3), (2, 3))


@pytest.mark.parametrize(
    ("text", "span"),
    [("（两所）。", (1, 3)), ("两所", (0, 2)), ("。。", (2, 2)), (" +两 ", (2, 3))],
)
def test_marks_are_trimmed_off(text: str, span: tuple[int, int]) -> None:
    assert trim_offsets(0, len(text), text) == span


@pytest.mark.parametrize(
    ("phrases", "expected"),
    [
        ([(0, 8)], (0, 0)),  # the whole sentence
        ([(0, 7)], (0, 0)),  # the same without its full stop
        ([(0, 1)], (0, 0)),  # one character
        ([(2, 4)], (0, 1)),  # inside
        ([(0, 4), (0, 4)], (0, 1)),  # one span, counted once
        ([(4, 7)], (1, 1)),  # crosses (0, 5)
        ([(3, 8), (4, 8)], (2, 2)),
    ],
)
def test_crossings(phrases: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    counts = crossings(phrases, [(0, 2), (0, 4), (0, 5), (0, 7)], "两所大学的老师。")
    assert (counts.crossing, counts.total) == expected


def test_crossing_counts_add_up() -> None:
    total = CrossingCounts(crossing=1, total=3) + CrossingCounts(total=1)
    assert total.rate == 0.25
    assert CrossingCounts().rate == 0.0


def case(*, is_high: bool) -> AttachmentCase:
    return AttachmentCase(
        text="这两所大学的老师",
        start=1,
        classifier_end=3,
        counted_end=8 if is_high else 5,
        de_start=5,
        noun_end=8,
        is_high=is_high,
        part="test",
    )


LOW = (
    "(NP (DNP (NP (DP (DT 这)) (QP (CD 两) (CLP (M 所))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))"
)
HIGH = "(NP (DP (DT 这)) (QP (CD 两) (CLP (M 所))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"
WORD = "(NP (DP (DT 这)) (QP (CD 两所大)) (DNP (NP (NN 学)) (DEG 的)) (NP (NN 老师)))"


@pytest.mark.parametrize(
    ("brackets", "low", "high"), [(LOW, True, False), (HIGH, False, True), (WORD, False, False)]
)
def test_attachment(brackets: str, low: bool, high: bool) -> None:
    tree = parse_brackets(brackets)
    phrases = phrase_offsets(tree, "这两所大学的老师", words=True)
    assert is_attached(case(is_high=False), phrases) is low
    assert is_attached(case(is_high=True), phrases) is high


def test_attachment_counts() -> None:
    phrases = phrase_offsets(parse_brackets(LOW), "这两所大学的老师", words=True)
    total = AttachmentCounts.of(case(is_high=False), phrases)
    total += AttachmentCounts.of(case(is_high=True), phrases)
    assert total == AttachmentCounts(low=1, high=1, low_correct=1, high_correct=0)
    assert (total.total, total.correct) == (2, 1)


def test_words() -> None:
    counts = word_counts([(0, 1), (1, 3), (3, 4)], [(0, 1), (1, 2), (2, 3), (3, 4)])
    assert counts == WordCounts(gold=3, predicted=4, correct=2)
    assert (counts.precision, counts.recall) == (0.5, 2 / 3)
    assert (counts + WordCounts()).f1 == pytest.approx(4 / 7)


def test_chinese_punctuation_takes_no_part_by_default() -> None:
    gold = parse_brackets("(IP (NP (NN 老师)) (PU ，) (VP (VV 来)))")
    joined = parse_brackets("(IP (NP (NN 老师) (PU ，)) (VP (VV 来)))")
    assert bracket_counts(gold, joined).LF == 1.0
    assert bracket_counts(gold, joined, punctuation=frozenset()).LF == pytest.approx(2 / 3)
