"""Reader of gold dependencies, partial brackets and natural attachments, on our own sentences."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from treenlp.data.dependencies import (
    UD_ZH_PARTS,
    GoldSentence,
    attachment_cases,
    counted_phrases,
    gold_subtrees,
    read_ud_zh,
)
from treenlp.data.paths import DATA_VARIABLE
from treenlp.errors import DataError
from treenlp.trees.conllu import DependencyTree


def dependencies(*rows: str) -> DependencyTree:
    """Build a tree from rows of word, tag, head (from 1; 0 is the root) and relation."""
    words, tags, heads, relations = zip(*(row.split() for row in rows), strict=True)
    return DependencyTree(
        words=words,
        tags=tags,
        language_tags=("_",) * len(words),
        heads=tuple(int(head) - 1 for head in heads),
        relations=relations,
        space_after=(False,) * len(words),
    )


def sentence(tree: DependencyTree) -> GoldSentence:
    ends = [len("".join(tree.words[: n + 1])) for n in range(len(tree.words))]
    return GoldSentence(
        text="".join(tree.words),
        words=tuple(zip([0, *ends[:-1]], ends, strict=True)),
        tree=tree,
        subtrees=gold_subtrees(tree),
        part="test",
    )


def counted(head: int, *, classifier: str = "所", noun: str = "NOUN") -> DependencyTree:
    return dependencies(
        f"两 NUM {head} nummod",
        f"{classifier} NOUN 1 clf",
        f"大学 {noun} 5 nmod",
        "的 PART 3 case",
        "老师 NOUN 6 nsubj",
        "来 VERB 0 root",
        "。 PUNCT 6 punct",
    )


def test_subtrees_are_contiguous_trimmed_and_longer_than_a_character() -> None:
    # 两所, 两所大学的, 两所大学的老师; the whole sentence without its full stop.
    assert gold_subtrees(counted(3)) == ((0, 2), (0, 5), (0, 7), (0, 8))


def test_yields_with_a_gap_say_nothing() -> None:
    tree = dependencies("红 ADJ 3 amod", "跑 VERB 0 root", "马儿 NOUN 2 obj", "了 PART 2 aux")
    # 红 … 马儿 leaves out 跑.
    assert gold_subtrees(tree) == ((0, 5),)


def test_punctuation_at_the_edges_is_left_out() -> None:
    tree = dependencies("“ PUNCT 2 punct", "大学 NOUN 0 root", "” PUNCT 2 punct")
    assert gold_subtrees(tree) == ((1, 3),)


@pytest.mark.parametrize(("head", "is_high"), [(3, False), (5, True)])
def test_natural_attachment(head: int, is_high: bool) -> None:
    (case,) = attachment_cases([sentence(counted(head))])
    assert case.is_high is is_high
    assert (case.start, case.classifier_end, case.de_start, case.noun_end) == (0, 2, 4, 7)
    assert case.counted_end == (7 if is_high else 4)
    assert case.part == "test"


@pytest.mark.parametrize(
    "tree",
    [
        counted(6),  # counts neither noun
        counted(3, classifier="月"),  # a date
        counted(3, noun="VERB"),  # no noun before 的
    ],
)
def test_what_is_no_case(tree: DependencyTree) -> None:
    assert list(attachment_cases([sentence(tree)])) == []


def by_classifier(*, before_noun: str = "acl", noun_head: int = 6) -> DependencyTree:
    """Annotated the other way: the numeral depends on the classifier."""
    tree = dependencies(
        "两 NUM 2 nummod",
        "个 NOUN 4 nmod",
        f"新 ADJ 4 {before_noun}",
        f"大学 NOUN {noun_head} nmod",
        "的 PART 4 case:dec",
        "老师 NOUN 0 root",
    )
    return replace(tree, language_tags=("CD", "NNB", "JJ", "NN", "DEC", "NN"))


def test_counted_nouns_form_phrases_with_what_stands_before_them() -> None:
    low = [*counted_phrases(sentence(by_classifier()))]
    assert low == [(0, 5, "NP"), (0, 6, "DNP")]
    high = dependencies(
        "两 NUM 5 nummod", "所 NOUN 1 clf", "大学 NOUN 5 nmod", "的 PART 3 case", "老师 NOUN 0 root"
    )
    assert [*counted_phrases(sentence(high))] == [(0, 7, "NP")]
    assert [*counted_phrases(sentence(counted(3)))] == [(0, 4, "NP"), (0, 5, "DNP")]


@pytest.mark.parametrize(
    "tree",
    [
        by_classifier(before_noun="nsubj"),  # the noun may be a predicate
        counted(6),  # what is counted is no noun
        counted(3, classifier="月"),  # a date
        dependencies("两 NUM 3 nummod", "所 NOUN 1 clf", "大学 NOUN 0 root", "里 ADP 3 case"),
    ],
)
def test_counted_phrases_are_only_sure_ones(tree: DependencyTree) -> None:
    assert [*counted_phrases(sentence(tree))] == []


def test_every_part_has_one_use_and_none_overlap() -> None:
    assert {part.name: part.use for part in UD_ZH_PARTS} == {
        "gsd_train": "train",
        "hk_first": "train",
        "beginner_first": "train",
        "gsdsimp_dev": "tune",
        "gsdsimp_test": "measure",
        "hk_second": "measure",
        "beginner_second": "measure",
    }
    for one in UD_ZH_PARTS:
        assert 0 <= one.first < one.last <= one.total
        for other in UD_ZH_PARTS:
            if one.file == other.file and one.name != other.name:
                assert one.last <= other.first or other.last <= one.first


def test_a_part_is_read_with_offsets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    rows = ["两 NUM 3 nummod", "所 NOUN 1 clf", "大学 NOUN 0 root"]
    blocks = []
    for number in range(500):
        lines = [f"# sent_id = s{number}"]
        for index, row in enumerate(rows, start=1):
            word, tag, head, relation = row.split()
            lines.append(f"{index}\t{word}\t_\t{tag}\t_\t_\t{head}\t{relation}\t_\tSpaceAfter=No")
        blocks.append("\n".join(lines) + "\n\n")
    path = tmp_path / "ud_zh" / "zh_gsdsimp-ud-test.conllu"
    path.parent.mkdir()
    path.write_text("".join(blocks), encoding="utf-8")
    read = list(read_ud_zh(["gsdsimp_test"], use="measure"))
    assert len(read) == 500
    assert read[0].text == "两所大学"
    assert read[0].words == ((0, 1), (1, 2), (2, 4))
    assert read[0].subtrees == ((0, 2), (0, 4))
    assert read[499].tree.sent_id == "s499"
    path.write_text("".join(blocks[1:]), encoding="utf-8")
    with pytest.raises(DataError, match="found 499 sentences, expected 500"):
        list(read_ud_zh(["gsdsimp_test"]))


def test_measured_parts_cannot_be_asked_for_as_training() -> None:
    message = "part 'gsdsimp_test' of ud_zh is for 'measure', not for 'train'"
    with pytest.raises(DataError, match=re.escape(message)):
        list(read_ud_zh(["gsdsimp_test"], use="train"))
    with pytest.raises(DataError, match="say use='train'"):
        list(read_ud_zh())
    with pytest.raises(DataError, match="unknown part of ud_zh: 'gsd'"):
        list(read_ud_zh(["gsd"]))
