"""Nothing that is measured on is trained on: the keys, the check, and which sets it covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from treenlp.data.dependencies import UD_ZH_PARTS
from treenlp.data.leaks import (
    Leak,
    MeasuredTexts,
    check_training_texts,
    find_leaks,
    leak_key,
    pair_key,
    training_texts,
)
from treenlp.data.paths import DATA_VARIABLE
from treenlp.errors import DataError

MEASURED = MeasuredTexts(
    sets={
        "test": {leak_key("两所大学的老师来了。"), leak_key("I don't know.")},
        "pairs": {pair_key("A cat sits.", "A dog runs.")},
    }
)


@pytest.mark.parametrize(
    "text", ["两所大学的老师来了", "兩所大學的老師 來了！", "I do n't know .", "i don’t KNOW"]
)
def test_copies_are_found_whatever_their_script_marks_and_spaces(text: str) -> None:
    assert MEASURED.holds(text)


@pytest.mark.parametrize("text", ["两位大学的老师来了", "", "。", "A cat sits.", "I know"])
def test_other_texts_are_not(text: str) -> None:
    assert not MEASURED.holds(text)


def test_pairs_are_compared_in_either_order_and_as_pairs() -> None:
    assert MEASURED.holds_pair("a dog runs", "a cat sits")
    assert not MEASURED.holds_pair("A cat sits.", "A cat sits.")


def test_leaks_are_listed_and_refused() -> None:
    training = {
        "silver": [leak_key("我来了"), leak_key("兩所大學的老師來了")],
        "clean": [leak_key("你来了")],
        "sick": [pair_key("A dog runs", "A cat sits")],
    }
    leaks = find_leaks(training, MEASURED)
    assert leaks == (
        Leak(training="sick", measured="pairs", key="acatsits\tadogruns"),
        Leak(training="silver", measured="test", key="两所大学的老师来了"),
    )
    with pytest.raises(DataError, match="found 2 texts in training that are measured on"):
        check_training_texts(training, MEASURED)
    check_training_texts({"clean": training["clean"]}, MEASURED)


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def test_training_sets_are_read_as_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    write(tmp_path / "silver_en" / "bnc.txt", "(TOP (S (PRP I) (VBP do) (RB n't) (VB know)))", "(")
    keys = list(training_texts()["silver_en bnc"]())
    assert keys == ["idontknow"]
    assert find_leaks({"silver_en bnc": keys}, MEASURED)


def test_missing_measured_set_is_an_error_and_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match="does not exist"):
        MeasuredTexts.read()


def test_measured_parts_are_no_training_sets() -> None:
    training = training_texts()
    for part in UD_ZH_PARTS:
        assert (f"ud_zh {part.name}" in training) == (part.use == "train")
    for name in training:
        assert not name.endswith((" tune", " held_out", " dev", " test", " trial", "_second"))
