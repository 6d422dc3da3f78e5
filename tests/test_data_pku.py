"""Tagged newspaper text and the word pairs that it gives, on lines of our own."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from treenlp.data.paths import DATA_VARIABLE
from treenlp.data.pku import TaggedText, counted_nouns, parse_pku_line, read_pku, verb_objects
from treenlp.errors import DataError


def text(line: str) -> TaggedText:
    parsed = parse_pku_line(line)
    assert parsed is not None
    return parsed


def test_words_tags_compounds_and_widths() -> None:
    line = "[市/n  图书馆/n]nt  １２Ａ/m  名/q  记者/n  ，/w  //w"
    parsed = text(line)
    assert parsed.words == ("市", "图书馆", "12A", "名", "记者", "，", "/")
    assert parsed.tags == ("n", "n", "m", "q", "n", "w", "w")
    assert parsed.compounds == ((0, 2),)
    assert parsed.text == "市图书馆12A名记者，/"
    kept = parse_pku_line(line, half_width=False)
    assert kept is not None
    assert kept.words[2] == "１２Ａ"
    assert parse_pku_line("  ") is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("猫/n  狗", "line 7: found '狗'; expected word/tag"),
        ("/n", "found '/n'; expected word/tag"),
        ("[猫/n  狗/n", "not closed"),
        ("猫/n  狗/n]nt", r"without a \["),
        ("[猫/n  [狗/n]nt", "inside a bracket"),
    ],
)
def test_malformed_tokens_are_placed(line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_pku_line(line, number=7)


def test_file_is_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    path = tmp_path / "text_zh" / "people_daily_199801.tagged.txt.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("两/m  只/q  猫/n\n\n狗/n\n".encode()))
    assert [read.text for read in read_pku()] == ["两只猫", "狗"]
    path.write_bytes(gzip.compress("猫/n\n狗\n".encode()))
    with pytest.raises(DataError, match=r"tagged\.txt\.gz, line 2"):
        list(read_pku())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("两/m  只/q  猫/n  睡/v", [("只", "猫", True)]),
        ("这/r  只/q  猫/n", [("只", "猫", True)]),
        ("我/r  只/q  猫/n", []),
        ("三/m  位/q  大学/n  老师/n", [("位", "老师", False)]),
        ("两/m  所/q  大学/n  的/u  老师/n", []),
        ("两/m  位/q  聪明/a  的/u  老师/n", []),
        ("两/m  次/q", []),
        ("两/m  条/q  北京/ns", []),
    ],
)
def test_counted_nouns(line: str, expected: list[tuple[str, str, bool]]) -> None:
    found = [(p.classifier, p.noun, p.is_adjacent) for p in counted_nouns([text(line)])]
    assert found == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("喝/v  茶/n", [("喝", "茶", True)]),
        ("喝/v  了/u  茶/n  。/w", [("喝", "茶", True)]),
        ("喝/v  两/m  杯/q  茶/n  和/c  水/n", [("喝", "茶", False)]),
        ("洗/v  羊毛/n  衣服/n  ，/w", [("洗", "衣服", False)]),
        ("喝/v  茶/n  的/u  人/n", []),
        ("请/v  朋友/n  。/w", []),
        ("看/v  孩子/n  写字/v", []),
        ("喝/v", []),
    ],
)
def test_verb_objects(line: str, expected: list[tuple[str, str, bool]]) -> None:
    found = [(p.verb, p.noun, p.is_adjacent) for p in verb_objects([text(line)])]
    assert found == expected
