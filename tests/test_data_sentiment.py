"""Readers of sentiment sets, on miniature sets in the formats of the real ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from treenlp.data.keys import seeded_fraction, text_key
from treenlp.data.paths import DATA_VARIABLE
from treenlp.data.sentiment import (
    RawReview,
    join_reviews,
    read_reviews,
    read_sst,
    review_split_digest,
)
from treenlp.errors import DataError, TreeFormatError

HOTELS, SHOPPING = "ChnSentiCorp", "online_shopping_10_cats"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def row(text: str, label: int = 1, source: str = SHOPPING, category: str = "水果") -> RawReview:
    return RawReview(text=text, label=label, source=source, category=category)


def test_keys_ignore_punctuation_space_width_and_case_only() -> None:
    assert text_key(" 苹果１０个, OK!\n") == text_key("苹果10个ok") == "苹果10个ok"
    assert text_key("！？…… ～") == ""
    assert text_key("不好") != text_key("好")


def test_seeded_fractions_are_even_and_depend_on_the_seed() -> None:
    values = [seeded_fraction("x", str(n)) for n in range(2000)]
    assert all(0.0 <= value < 1.0 for value in values)
    assert 1500 < sum(value < 0.8 for value in values) < 1700
    assert values[:5] != [seeded_fraction("y", str(n)) for n in range(5)]


def test_sst_words_are_spelled_as_typed_and_keep_no_break_spaces(root: Path) -> None:
    tree = (
        "(3 (2 It) (4 (2 is) (3 (2 (2 2\u00a01\\/2) (2 ``)) "
        "(1 (2 hours) (2 (2 '') (0 (2 -LRB-) (2 n't)))))))"
    )
    write(root / "sst" / "dev.txt", tree)
    (sentence,) = read_sst("dev", check_size=False)
    assert sentence.tree.leaves == ("It", "is", "2\u00a01/2", '"', "hours", '"', "(", "n't")
    assert sentence.label == 3
    assert sentence.node_labels[:4] == (3, 2, 4, 2)
    assert sentence.part == "dev"
    spans = zip(sentence.words, sentence.tree.leaves, strict=True)
    assert all(sentence.text[start:end] == word for (start, end), word in spans)
    assert sentence.text.startswith('It is 2\u00a01/2 "hours"')


def test_sst_of_another_size_is_refused(root: Path) -> None:
    write(root / "sst" / "train.txt", "(3 (2 so) (3 good))")
    with pytest.raises(DataError, match="found 1 sentences, expected 8544"):
        list(read_sst("train"))


@pytest.mark.parametrize(
    ("line", "message"),
    [("(3 (2 so) (5 good))", "found the label '5'"), ("(3 (2 so) (3 good)", "not closed")],
)
def test_malformed_sst_trees_are_placed(root: Path, line: str, message: str) -> None:
    write(root / "sst" / "test.txt", "(2 (2 a) (2 b))", line)
    with pytest.raises(TreeFormatError, match=message) as caught:
        list(read_sst("test", check_size=False))
    assert "test.txt:2" in str(caught.value)


def test_unknown_parts_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match="expected one of train, dev, test"):
        list(read_sst("tune"))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="expected one of train, tune, held_out"):
        read_reviews("test")  # type: ignore[arg-type]


def test_a_text_stands_once_with_all_its_sets() -> None:
    rows = [
        row("房间大，干净！", source=HOTELS, category="酒店"),
        row("苹果很甜"),
        row("房间大 干净", category="酒店"),
        row("苹果很甜。"),
    ]
    hotel, apple = join_reviews(rows)
    assert (hotel.text, hotel.sets, hotel.category) == (
        "房间大，干净！",
        (HOTELS, SHOPPING),
        "酒店",
    )
    assert (apple.text, apple.sets) == ("苹果很甜", (SHOPPING,))


def test_contradictions_and_empty_reviews_are_dropped() -> None:
    kept = join_reviews(
        [row("还可以"), row("还可以！", label=0), row("？？"), row("太酸", label=0)]
    )
    assert [review.text for review in kept] == ["太酸"]


def test_parts_depend_on_the_text_alone() -> None:
    rows = [row(f"第{n}次买，满意") for n in range(400)]
    parts = {review.text: review.part for review in join_reviews(rows)}
    alone = {review.text: review.part for one in rows[:40] for review in join_reviews([one])}
    assert alone.items() <= parts.items()
    moved = join_reviews([row("第7次 买满意！！", source=HOTELS)])
    assert moved[0].part == parts["第7次买，满意"]
    counts = [list(parts.values()).count(part) for part in ("train", "tune", "held_out")]
    assert counts[0] > 280
    assert min(counts[1:]) > 20


def test_split_digest_sees_texts_labels_and_parts_but_not_order() -> None:
    rows = [row("一般"), row("很甜"), row("不甜", label=0)]
    digest = review_split_digest(join_reviews(rows))
    assert review_split_digest(join_reviews(rows[::-1])) == digest
    assert review_split_digest(join_reviews(rows[:2])) != digest
    assert review_split_digest(join_reviews([*rows[:2], row("不甜")])) != digest


def reviews(root: Path, *hotels: str) -> None:
    write(root / "sentiment_zh" / "ChnSentiCorp_htl_all.csv", "label,review", *hotels)
    write(
        root / "sentiment_zh" / "online_shopping_10_cats.csv.gz",
        "cat,label,review",
        "水果,0,\ufeff太酸",
    )


def test_reviews_are_read_from_both_files_and_the_split_is_checked(root: Path) -> None:
    reviews(root, '1,"床大, ""软"""')
    both = read_reviews(expected=None)
    assert [(r.text, r.label, r.category) for r in both] == [
        ('床大, "软"', 1, "酒店"),
        ("太酸", 0, "水果"),
    ]
    assert read_reviews(both[0].part, expected=review_split_digest(both))[0] == both[0]
    with pytest.raises(DataError, match="the split of the reviews has the hash"):
        read_reviews()


def test_malformed_rows_are_placed(root: Path) -> None:
    reviews(root, "1,好", "2,好")
    with pytest.raises(DataError, match=r"htl_all\.csv, line 3: .*the label '2'"):
        read_reviews(expected=None)
