from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treenlp.errors import InputError, TreeFormatError
from treenlp.trees.conllu import DependencyTree, SubtreeSpan, format_conllu, read_conllu

SAMPLE = """\
# newdoc
# sent_id = a-1
# text = 小猫在睡觉。
1\t小\t小\tADJ\tJJ\t_\t2\tamod\t_\tSpaceAfter=No
2\t猫\t猫\tNOUN\tNN\t_\t4\tnsubj\t_\tSpaceAfter=No|Gloss=cat
3\t在\t在\tAUX\tVV\t_\t4\taux\t_\tSpaceAfter=No
4\t睡觉\t睡觉\tVERB\tVV\t_\t0\troot\t_\tSpaceAfter=No
5\t。\t。\tPUNCT\t.\t_\t4\tpunct\t_\tSpaceAfter=No

# text = don't go home
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tx\tx\tX\t_\t_\t_\t_\t_\t_
4\thome\thome\tADV\tRB\t_\t3\tadvmod\t_\tSpaceAfter=No
"""


def tree_of(heads: tuple[int, ...]) -> DependencyTree:
    size = len(heads)
    return DependencyTree(
        words=tuple(f"w{i}" for i in range(size)),
        tags=("X",) * size,
        language_tags=("_",) * size,
        heads=heads,
        relations=("dep",) * size,
        space_after=(True,) * size,
    )


@st.composite
def head_lists(draw: st.DrawFn) -> tuple[int, ...]:
    """Any tree: words join it in a random order, each under one that is there already."""
    order = draw(st.permutations(range(draw(st.integers(1, 9)))))
    heads = [-1] * len(order)
    for place, word in enumerate(order[1:], start=1):
        heads[word] = order[draw(st.integers(0, place - 1))]
    return tuple(heads)


def test_words_heads_and_spaces_are_read() -> None:
    first, second = read_conllu(SAMPLE.splitlines(keepends=True))
    assert first == DependencyTree(
        words=("小", "猫", "在", "睡觉", "。"),
        tags=("ADJ", "NOUN", "AUX", "VERB", "PUNCT"),
        language_tags=("JJ", "NN", "VV", "VV", "."),
        heads=(1, 3, 3, -1, 3),
        relations=("amod", "nsubj", "aux", "root", "punct"),
        space_after=(False,) * 5,
        sent_id="a-1",
        text="小猫在睡觉。",
    )
    assert second.words == ("do", "n't", "go", "home")
    assert second.heads == (2, 2, -1, 2)
    assert second.space_after == (False, True, True, False)
    assert second.sent_id is None


def test_subtree_spans_of_a_sentence() -> None:
    first, _ = read_conllu(SAMPLE.splitlines())
    spans = [(span.start, span.end) for span in first.subtree_spans()]
    assert spans == [(0, 1), (0, 2), (2, 3), (0, 5), (4, 5)]
    assert all(span.is_contiguous for span in first.subtree_spans())


def test_a_subtree_with_a_gap_is_marked() -> None:
    assert tree_of((2, -1, 1, 0)).subtree_spans() == (
        SubtreeSpan(start=0, end=4, is_contiguous=False),
        SubtreeSpan(start=0, end=4, is_contiguous=True),
        SubtreeSpan(start=0, end=4, is_contiguous=False),
        SubtreeSpan(start=3, end=4, is_contiguous=True),
    )


@given(head_lists())
def test_subtree_spans_agree_with_walking_up(heads: tuple[int, ...]) -> None:
    below: list[set[int]] = [set() for _ in heads]
    for i in range(len(heads)):
        above = i
        while above >= 0:
            below[above].add(i)
            above = heads[above]
    for members, span in zip(below, tree_of(heads).subtree_spans(), strict=True):
        assert (span.start, span.end) == (min(members), max(members) + 1)
        assert span.is_contiguous == (len(members) == span.end - span.start)


@given(head_lists())
def test_what_is_written_is_read_back(heads: tuple[int, ...]) -> None:
    tree = tree_of(heads)
    text = format_conllu(tree)
    assert list(read_conllu([*text.splitlines(), *text.splitlines()])) == [tree, tree]


def test_comments_and_spaces_are_written_back() -> None:
    for tree in read_conllu(SAMPLE.splitlines()):
        assert list(read_conllu(format_conllu(tree).splitlines())) == [tree]


@pytest.mark.parametrize("compressed", [False, True])
def test_files_are_read_compressed_or_not(tmp_path: Path, compressed: bool) -> None:
    content = SAMPLE.replace("\n", "\r\n").encode("utf-8-sig")
    path = tmp_path / ("a.conllu.gz" if compressed else "a.conllu")
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert list(read_conllu(path)) == list(read_conllu(SAMPLE.splitlines()))


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("\t2\tamod", "\t9\tamod", 4, "head 8 of word 0; expected -1 to 4"),
        ("\t2\tamod", "\t_\tamod", 4, "head '_'"),
        ("\t0\troot", "\t2\troot", 4, r"roots \[\]"),
        ("\t4\taux", "\t0\taux", 4, r"roots \[2, 3\]"),
        ("\t4\tnsubj", "\t1\tnsubj", 4, "2 words that depend on each other in a circle"),
        ("3\t在", "4\t在", 6, "word number '4'; expected 3"),
        ("\t在\tAUX", "\tAUX", 6, "9 columns; expected 10"),
    ],
)
def test_malformed_sentences_are_reported(old: str, new: str, line: int, message: str) -> None:
    assert SAMPLE.count(old) >= 1
    lines = SAMPLE.replace(old, new, 1).splitlines()
    with pytest.raises(TreeFormatError, match=message) as caught:
        list(read_conllu(lines, source="a.conllu"))
    assert (caught.value.source, caught.value.line) == ("a.conllu", line)


def test_columns_must_be_equally_long() -> None:
    with pytest.raises(InputError, match="'heads': 2"):
        DependencyTree(
            words=("a",),
            tags=("X",),
            language_tags=("_",),
            heads=(-1, 0),
            relations=("root",),
            space_after=(True,),
        )


def test_a_chain_of_many_words_does_not_recurse() -> None:
    size = 20_000
    spans = tree_of((-1, *range(size - 1))).subtree_spans()
    assert [(span.start, span.end) for span in spans] == [(i, size) for i in range(size)]
