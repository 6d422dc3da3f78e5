"""The phrases that this project wrote: the file, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from treenlp.data.phrases import read_phrases
from treenlp.errors import DataError

FILE = Path(__file__).parents[1] / "corpora" / "phrases" / "zh.tsv"


def test_four_hundred_phrases_of_all_kinds_and_classes() -> None:
    phrases = read_phrases(FILE)
    assert len(phrases) == 400
    kinds = Counter(phrase.kind for phrase in phrases)
    assert min(kinds.values()) >= 60
    assert len(kinds) == 5
    assert min(Counter(phrase.label for phrase in phrases).values()) >= 20
    assert all((phrase.label == 2) for phrase in phrases if phrase.kind == "neutral")


def test_no_kind_gives_the_side_away() -> None:
    for kind in ("negation", "contrast", "degree"):
        labels = [phrase.label for phrase in read_phrases(FILE) if phrase.kind == kind]
        positive, negative = sum(n > 2 for n in labels), sum(n < 2 for n in labels)
        assert 0.7 < positive / negative < 1.4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("class\tkind\n", "found the header"),
        (
            "class\tkind\tphrase\n5\tirony\t好\n",
            r"line 2: found \['5', 'irony', '好'\], expected a",
        ),
        ("class\tkind\tphrase\n1\tirony\n", r"line 2: found \['1', 'irony'\]"),
        ("class\tkind\tphrase\n1\tsarcasm\t好\n", "line 2: found the kind 'sarcasm', expected one"),
        (
            "class\tkind\tphrase\n1\tirony\t好\n2\tirony\t好\n",
            "line 3: found the phrase '好' again",
        ),
        ("class\tkind\tphrase\n1\tirony\t \n", "line 2: found the phrase '' where there is none"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "phrases.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_phrases(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.tsv cannot be read"):
        read_phrases(tmp_path / "none.tsv")
