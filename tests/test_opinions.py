"""Generated opinions: classes that follow from the words, no shortcut, nothing measured on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from treenlp.data.phrases import read_phrases
from treenlp.errors import LexiconError
from treenlp.lexicon.opinions import (
    OPINION_MIX,
    Opinion,
    OpinionItem,
    Opinions,
    generate_opinions,
    load_opinions,
)

CORPORA = Path(__file__).parents[1] / "corpora"
NEGATED = ("negation", "comparison")


@pytest.fixture(scope="module")
def opinions() -> Opinions:
    return load_opinions()


@pytest.fixture(scope="module")
def train() -> list[OpinionItem]:
    return generate_opinions(split="train", n=6_000, seed=3)


def test_no_word_with_a_sentiment_stands_in_a_phrase_that_is_measured(opinions: Opinions) -> None:
    phrases = [phrase.text for phrase in read_phrases(CORPORA / "phrases" / "zh.tsv")]
    found = [word.text for word in opinions.words if any(word.text in text for text in phrases)]
    assert found == []


def test_no_item_is_a_phrase_that_is_measured(train: list[OpinionItem]) -> None:
    phrases = {phrase.text for phrase in read_phrases(CORPORA / "phrases" / "zh.tsv")}
    assert not phrases & {item.text.rstrip("。！") for item in train}


def test_parts_keep_their_words_apart(opinions: Opinions, train: list[OpinionItem]) -> None:
    split = {word.text: word.split for word in opinions.words}
    validation = generate_opinions(split="validation", n=600, seed=3)
    for items, part in ((train, "train"), (validation, "validation")):
        assert {split[word] for item in items for word in item.content} == {part}


def test_the_same_seed_makes_the_same_items() -> None:
    first, second, other = (
        generate_opinions(split="train", n=200, seed=seed) for seed in (5, 5, 6)
    )
    assert first == second
    assert first != other


def test_kinds_and_sides_are_drawn_as_announced(train: list[OpinionItem]) -> None:
    assert len({item.text for item in train}) == len(train) == 6_000
    kinds = Counter(item.kind for item in train)
    assert all(kinds[kind] == round(share * 6_000) for kind, share in OPINION_MIX.items())
    for kind in OPINION_MIX:
        positive = sum(item.label > 2 for item in train if item.kind == kind)
        negative = sum(item.label < 2 for item in train if item.kind == kind)
        assert abs(positive - negative) <= 0.1 * (positive + negative)
    assert all(item.label == 2 for item in train if item.kind == "fact")


def test_labels_are_of_the_words_that_they_cover(
    opinions: Opinions, train: list[OpinionItem]
) -> None:
    known = {word.text: word.label for word in opinions.words}
    for item in train:
        assert item.labels[0, len(item.text)] == item.label
        covered = {item.text[start:end]: label for (start, end), label in item.labels.items()}
        for word in item.content:
            assert covered[word] in (known[word], item.label)  # the item may be the word


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("不整洁", 1),
        ("不潮湿", 3),
        ("非常整洁", 4),
        ("有点儿潮湿", 1),
        ("再整洁不过了", 4),
        ("没有一处不潮湿", 0),
        ("谈不上整洁，也谈不上潮湿", 2),
    ],
)
def test_rules_in_small(text: str, label: int) -> None:
    words = tuple(
        Opinion(text=word, label=found, part=part, fields=frozenset("*"))
        for word, found in (("整洁", 3), ("潮湿", 1))
        for part in ("adjective", "noun", "event", "verb", "feeling", "closing")
    )
    tiny = Opinions(words=words, topics={"room": ("房间",), "person": ("店员",)})
    assert {word.split for word in words} == {"train"}
    strong = tuple(
        Opinion(text=word, label=found, part="adjective", fields=frozenset("*"))
        for word, found in (("美妙", 4), ("恶心", 0))
    )
    tiny = Opinions(words=words + strong, topics=tiny.topics)
    items = generate_opinions(split="train", n=4_000, seed=1, opinions=tiny)
    found = {item.text.rstrip("。！"): item.label for item in items}
    assert found[text] == label


def test_of_a_contrast_the_main_clause_decides(train: list[OpinionItem]) -> None:
    checked = 0
    for item in train:
        turn = item.text.find("，但是")
        if item.kind != "contrast" or turn < 0:
            continue
        main = item.labels[turn + 3, len(item.text.rstrip("。！"))]
        others = [label for (_, end), label in item.labels.items() if end == turn and label != 2]
        assert (main > 2) == (item.label > 2)
        assert others
        assert any((label > 2) != (item.label > 2) for label in others)
        checked += 1
    assert checked > 50


def test_neither_words_nor_constructions_give_negated_classes_away(
    train: list[OpinionItem],
) -> None:
    """A bag of characters fails where a negation turns words around; the rules do not."""
    chosen = [item for item in train if item.kind in NEGATED and item.label != 2]
    half = len(chosen) // 2
    bag = CountVectorizer(analyzer="char")
    counts = bag.fit_transform(item.text for item in chosen)
    sides = [item.label > 2 for item in chosen]
    model = LogisticRegression(max_iter=1000).fit(counts[:half], sides[:half])
    words = ("不", "没", "让人", "虽然", "但是")
    markers = [[item.text.count(word) for word in words] for item in chosen]
    by_marker = LogisticRegression().fit(markers[:half], sides[:half])
    assert by_marker.score(markers[half:], sides[half:]) < 0.6
    assert model.score(counts[half:], sides[half:]) < 0.85


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("好\t2\tadjective\t*", "opinions.tsv:2: found the class '2'"),
        ("好\t3\tadverb\t*", "opinions.tsv:2: found the part 'adverb'"),
        ("好\t3\tadjective\tmoon", "opinions.tsv:2: found the field 'moon'"),
        ("好\t3\tadjective", "opinions.tsv:2: found 3 columns"),
        ("好\t3\tadjective\t*\n好\t1\tadjective\t*", "a word stands there twice"),
    ],
)
def test_malformed_rows_are_refused(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "topics.tsv").write_text("noun\tfield\n房间\troom\n", encoding="utf-8")
    (tmp_path / "opinions.tsv").write_text(f"word\tclass\tpart\tfields\n{row}\n", encoding="utf-8")
    with pytest.raises(LexiconError, match=message):
        load_opinions(tmp_path)


def test_too_few_words_are_an_error() -> None:
    word = Opinion(text="整洁", label=3, part="adjective", fields=frozenset("*"))
    few = Opinions(words=(word,), topics={"room": ("房间",), "person": ("店员",)})
    with pytest.raises(LexiconError, match=r"found no .* add one to opinions.tsv"):
        generate_opinions(split=word.split, n=50, seed=1, opinions=few)
