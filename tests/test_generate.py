"""Generated items: well-formed, of the right structure, kept apart, and without a shortcut."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from treenlp.errors import LexiconError
from treenlp.lexicon import (
    GeneratedItem,
    Lexicon,
    generate,
    load_lexicon,
    load_natural_cases,
)
from treenlp.lexicon.generate import DEFAULT_MIX
from treenlp.trees.tree import Tree

LABELS = frozenset(
    "ADJP ADVP CLP CP DNP DP IP LCP NP PP QP VP VRD "
    "AD AS BA CC CD DEC DEG DT JJ LC M NN NR NT P PN PU SP VA VC VE VV".split()
)
FIRST = frozenset({"low", "clause", "clause-low", "clause-high", "verb"})
SECOND = frozenset({"high", "object", "object-low", "object-high", "noun"})


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon()


@pytest.fixture(scope="module")
def train(lexicon: Lexicon) -> list[GeneratedItem]:
    return generate(split="train", n=12000, seed=7, lexicon=lexicon)


@pytest.fixture(scope="module")
def validation(lexicon: Lexicon) -> list[GeneratedItem]:
    return generate(split="validation", n=1200, seed=7, lexicon=lexicon)


def test_every_construction_is_there_with_both_structures(train: list[GeneratedItem]) -> None:
    assert {item.kind for item in train} == set(DEFAULT_MIX)
    members = Counter((item.kind, item.member) for item in train)
    for kind, first, second in (
        ("classifier", "low", "high"),
        ("localizer", "low", "high"),
        ("relative", "low", "high"),
        ("relative", "object-low", "clause-low"),
        ("verb_object", "clause", "object"),
        ("coordination", "low", "high"),
        ("duration", "verb", "noun"),
        ("frequency", "verb", "noun"),
    ):
        assert members[kind, first] > 50
        assert 0.75 < members[kind, first] / members[kind, second] < 1.34
    for kind in ("classifier", "localizer", "relative", "verb_object", "segmentation"):
        assert members[kind, "either"] > 3


def test_items_are_well_formed(train: list[GeneratedItem], validation: list[GeneratedItem]) -> None:
    for item in (*train, *validation):
        for tree in item.trees:
            assert "".join(tree.leaves) == item.text
            assert set(tree.node_labels) <= LABELS
            assert tree.label in ("NP", "IP", "CP")
        assert item.words == item.tree.leaves
        assert len(item.alternatives) == (item.member == "either")
        assert item.tree not in item.alternatives


def test_texts_are_distinct_and_members_of_a_group_share_their_kind(
    train: list[GeneratedItem],
) -> None:
    assert len({item.text for item in train}) == len(train)
    kinds: dict[int, set[str]] = defaultdict(set)
    for item in train:
        kinds[item.pair_id].add(item.kind)
    assert all(len(found) == 1 for found in kinds.values())


def test_generation_is_deterministic(lexicon: Lexicon) -> None:
    once = generate(split="train", n=400, seed=3, lexicon=lexicon)
    assert generate(split="train", n=400, seed=3, lexicon=lexicon) == once
    assert generate(split="train", n=400, seed=4, lexicon=lexicon) != once


def _spans(tree: Tree) -> set[str]:
    return {
        "".join(tree.leaves[part.start : part.end]) for part in tree.constituents(preterminals=True)
    }


def test_the_classifier_decides(train: list[GeneratedItem], lexicon: Lexicon) -> None:
    for item in train:
        if item.kind not in ("classifier", "localizer") or item.member == "either":
            continue
        classifier, first, second = item.content
        counted, other = (first, second) if item.member == "low" else (second, first)
        assert lexicon.counts(classifier, counted)
        assert not lexicon.may_count(classifier, other)
        inside = any(
            span.endswith(first) and classifier in span and span != first and "的" not in span
            for span in _spans(item.tree)
        )
        if item.kind == "classifier":
            assert inside is (item.member == "low"), item.text


def test_the_two_trees_of_a_toss_up_differ_in_attachment(train: list[GeneratedItem]) -> None:
    for item in train:
        if item.member == "either":
            first, second = (_spans(tree) for tree in item.trees)
            assert first != second, item.text


def test_known_phrases_get_their_known_trees() -> None:
    lexicon = load_lexicon()
    items = generate(
        split="train", n=2500, seed=1, lexicon=lexicon, mix={"classifier": 1.0}, excluded_texts=()
    )
    brackets = {str(item.tree) for item in items if item.words[0] == "两" and len(item.words) == 5}
    low = [text for text in brackets if text.startswith("(NP (DNP (NP (QP (CD 两) (CLP (M ")]
    high = [text for text in brackets if text.startswith("(NP (QP (CD 两) (CLP (M ")]
    assert low
    assert high
    assert len(low) + len(high) == len(brackets)


def test_validation_items_contain_only_words_kept_out_of_training(
    train: list[GeneratedItem], validation: list[GeneratedItem], lexicon: Lexicon
) -> None:
    trained = {word for item in train for word in item.content}
    carriers = lexicon.carrier_words
    about = {word for item in validation for word in item.content}
    assert len(about) > 100
    assert not about & trained
    assert not about & carriers
    trained_anywhere = {word for item in train for word in item.words}
    assert not about & trained_anywhere


def test_no_item_contains_a_natural_case(
    train: list[GeneratedItem], validation: list[GeneratedItem]
) -> None:
    cases = [case.text for case in load_natural_cases()]
    for item in (*train, *validation):
        for case in cases:
            assert case not in item.text
            assert item.text.rstrip("。？") not in case


def test_excluded_texts_are_left_out(lexicon: Lexicon) -> None:
    plain = generate(split="train", n=60, seed=5, lexicon=lexicon, excluded_texts=())
    bare = [item.text for item in plain if len(item.words) < 7][0]
    again = generate(split="train", n=60, seed=5, lexicon=lexicon, excluded_texts=[bare])
    assert any(bare in item.text for item in plain)
    assert not any(bare in item.text for item in again)


def test_too_many_items_are_refused(lexicon: Lexicon) -> None:
    with pytest.raises(LexiconError, match="found words for .* distinct items"):
        generate(split="validation", n=5000, seed=1, lexicon=lexicon, mix={"segmentation": 1.0})


def test_an_unknown_construction_is_refused(lexicon: Lexicon) -> None:
    with pytest.raises(LexiconError, match="found the construction 'garden path'"):
        generate(split="train", n=5, seed=1, lexicon=lexicon, mix={"garden path": 1.0})


def _evidence(items: Iterable[GeneratedItem]) -> set[str]:
    """Measures and verbs: in durations and counts they are the evidence by themselves."""
    found: set[str] = set()
    for item in items:
        leaf = iter(item.words)
        for node in item.tree.preorder():
            if node.is_preterminal:
                word = next(leaf)
                if node.label in ("M", "CD", "VV", "AD"):
                    found.add(word)
            elif node.label == "QP":
                found.update(node.leaves)
        found.update(item.content[:-1])
    return found


def _shortcut_accuracy(items: list[GeneratedItem], *, pairs: bool) -> float:
    """Accuracy of a bag of words (and pairs that need not agree) on groups not seen."""
    labelled = [item for item in items if item.member in FIRST | SECOND]
    cues: dict[int, set[frozenset[str]]] = defaultdict(set)
    for item in labelled:
        cues[item.pair_id].update(frozenset(cue) for cue in item.cues)
    by_measure = labelled[0].kind in ("duration", "frequency")
    dropped = _evidence(labelled) if by_measure else set()

    def features(item: GeneratedItem) -> list[str]:
        words = sorted(set(item.words) - dropped)
        found = list(words)
        if pairs:
            agreeing = cues[item.pair_id]
            found += ["+".join(p) for p in combinations(words, 2) if frozenset(p) not in agreeing]
        return found

    groups = sorted({item.pair_id for item in labelled})
    random.Random(0).shuffle(groups)
    held_out = set(groups[: len(groups) // 3])
    known = [item for item in labelled if item.pair_id not in held_out]
    unseen = [item for item in labelled if item.pair_id in held_out]
    vectorizer = CountVectorizer(analyzer=features, binary=True, min_df=2)
    model = LogisticRegression(max_iter=300)
    model.fit(vectorizer.fit_transform(known), [item.member in FIRST for item in known])
    truth = np.array([item.member in FIRST for item in unseen])
    return float(np.mean(model.predict(vectorizer.transform(unseen)) == truth))


SHORTCUTS = [
    ("classifier", None),
    ("localizer", None),
    ("relative", frozenset({"low", "high"})),
    ("relative", frozenset({"clause-low", "clause-high", "object-low", "object-high"})),
    ("verb_object", None),
    ("coordination", None),
    ("duration", None),
    ("frequency", None),
]


@pytest.mark.parametrize(("kind", "members"), SHORTCUTS)
def test_no_word_and_no_pair_that_need_not_agree_tells_the_structure(
    train: list[GeneratedItem], kind: str, members: frozenset[str] | None
) -> None:
    items = [
        item for item in train if item.kind == kind and (members is None or item.member in members)
    ]
    assert _shortcut_accuracy(items, pairs=False) < 0.62
    assert _shortcut_accuracy(items, pairs=True) < 0.67


def test_the_shortcut_test_finds_a_shortcut(train: list[GeneratedItem]) -> None:
    """Keep only low items with a person's classifier and high ones without: it must show."""
    people = {"位", "个", "群", "帮"}
    skewed = [
        item
        for item in train
        if item.kind == "classifier"
        and item.member in ("low", "high")
        and (item.content[0] in people) == (item.member == "high")
    ]
    assert _shortcut_accuracy(skewed, pairs=False) > 0.9
