"""Pairs of the same words in another structure: the files, what is refused, and no shortcut."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from treenlp.data.structure_pairs import StructureKind, bare_words, read_structure_pairs
from treenlp.errors import DataError

FOLDER = Path(__file__).parents[1] / "corpora" / "structure"
LANGUAGES = ("en", "zh")
HEADER = "label\tkind\tfirst\tsecond\n"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_enough_pairs_of_every_kind_half_of_them_the_same(lang: str) -> None:
    pairs = read_structure_pairs(FOLDER / f"{lang}.tsv")
    assert len(pairs) >= 320
    assert {pair.kind for pair in pairs} == set(get_args(StructureKind))
    for kind in get_args(StructureKind):
        labels = [pair.label for pair in pairs if pair.kind == kind]
        assert len(labels) >= 30
        assert sum(labels) * 2 == len(labels)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_both_sides_have_the_same_words_and_no_sentence_comes_twice(lang: str) -> None:
    pairs = read_structure_pairs(FOLDER / f"{lang}.tsv")
    texts = [text for pair in pairs for text in (pair.first, pair.second)]
    assert len(set(texts)) == len(texts)
    for pair in pairs:
        if lang == "zh":
            sides = [
                sorted(c for c in text if c not in "，。") for text in (pair.first, pair.second)
            ]
        else:
            sides = [
                sorted(text.lower().replace(",", "").rstrip(".").split())
                for text in (pair.first, pair.second)
            ]
        assert sides[0] == sides[1]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_words_do_not_give_the_label_away(lang: str) -> None:
    pairs = read_structure_pairs(FOLDER / f"{lang}.tsv")
    labels = np.array([pair.label for pair in pairs])
    words = [bare_words(p.first) + bare_words(p.second) for p in pairs]
    # Two neighbouring lines share a frame, one of each label; a fold that parted them would
    # learn a frame with one label and be asked about it with the other.
    frames = np.arange(len(pairs)) // 2
    assert [labels[frames == frame].sum() for frame in set(frames)] == [1] * (len(pairs) // 2)
    model = make_pipeline(CountVectorizer(analyzer=list), LogisticRegression(max_iter=1000))
    right = cross_val_score(model, words, labels, groups=frames, cv=GroupKFold(10)).mean()
    assert 0.42 < right < 0.58


@pytest.mark.parametrize("lang", LANGUAGES)
def test_how_a_pair_begins_and_ends_gives_little_away(lang: str) -> None:
    pairs = read_structure_pairs(FOLDER / f"{lang}.tsv")
    for place in (0, -2):  # the first character, and the last one before the stop
        share = Counter((p.first[place] == p.second[place]) == p.label for p in pairs)
        assert max(share.values()) / len(pairs) < 0.7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"pairs.tsv: found the header \[\], expected"),
        ("label\tfirst\tsecond\n", "pairs.tsv: found the header"),
        (HEADER + "2\troles\tA saw B.\tB saw A.\n", r"line 2: found \['2', .* a label of 0 or 1"),
        (HEADER + "1\troles\tA saw B.\n", r"line 2: found \['1', 'roles', 'A saw B.'\]"),
        (HEADER + "1\troles\tA saw B.\t \n", "line 2: found .* two sentences"),
        (HEADER + "1\tsound\tA saw B.\tB saw A.\n", "line 2: found the kind 'sound', expected one"),
        (
            HEADER + "0\troles\tAnn saw the cat.\tThe cats saw Ann.\n",
            r"line 2: found words that only one side has \(cat, cats\), expected the same",
        ),
        (HEADER + "0\troles\t我看了他。\t他看我。\n", r"only one side has \(了\)"),
        (HEADER + "1\troles\tAnn and Ann.\tAnn and and.\n", r"only one side has \(and, ann\)"),
        (HEADER + "1\troles\tA saw B.\ta saw B\n", "line 2: found 'A saw B.' on both sides"),
        (
            HEADER + "0\troles\tA saw B.\tB saw A.\n1\troles\tSaw B A?\ta saw b!\n",
            "line 3: found 'a saw b!' again, which stands in line 2",
        ),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_structure_pairs(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.tsv cannot be read"):
        read_structure_pairs(tmp_path / "none.tsv")


def test_bare_words_have_neither_case_nor_punctuation() -> None:
    assert bare_words("Ben's well-fed dog, Ben.") == ("ben's", "well-fed", "dog", "ben")
    assert bare_words("他说：“好，3好”。") == ("他", "说", "好", "3", "好")
