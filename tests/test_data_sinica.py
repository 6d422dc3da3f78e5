"""Gold brackets in the notation of the Sinica treebank, on clauses of our own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from treenlp.data.paths import DATA_VARIABLE
from treenlp.data.sinica import parse_sinica_line, read_sinica
from treenlp.errors import TreeFormatError

CLAUSE = (
    "#8:3.[91] S(agent:NP(property:NP‧的(head:NP(quantifier:DM:兩所|Head:Ncb:學校)|Head:DE:的)"
    "|Head:Nab:老師)|Head:VC31:買|aspect:Di:了|goal:NP(Head:Nab:書))#， (COMMACATEGORY)"
)


def test_brackets_lie_on_simplified_characters() -> None:
    clause = parse_sinica_line(CLAUSE)
    assert clause.text == "两所学校的老师买了书，"
    assert clause.original == "兩所學校的老師買了書，"
    spans = [clause.text[start:end] for start, end in clause.brackets]
    assert spans == ["两所学校", "两所学校的", "两所学校的老师"]
    words = [clause.text[start:end] for start, end in clause.words]
    assert words == ["两所", "学校", "的", "老师", "买", "了", "书", "，"]


def test_whole_clause_and_single_characters_say_nothing() -> None:
    clause = parse_sinica_line("#1:1.[2] VP(Head:VC1:看|goal:NP(Head:Nab:書))#。(PERIODCATEGORY)")
    assert clause.brackets == ()
    assert parse_sinica_line("#1:1.[2] NP(Head:Nab:書)").text == "书"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("VP(Head:VC1:看)", "expected the notation"),
        ("#1:1.[2] VP(Head:VC1:看#。(PERIODCATEGORY)", "not closed"),
        ("#1:1.[2] VP(Head:VC1:看))#。(PERIODCATEGORY)", r"found '\)' without"),
        ("#1:1.[2] VP(Head:VC1:)#。(PERIODCATEGORY)", "expected role:tag:word"),
        ("#1:1.[2] VP((Head:VC1:看))#。(PERIODCATEGORY)", r"'\(' without a label"),
    ],
)
def test_malformed_lines(line: str, message: str) -> None:
    with pytest.raises(TreeFormatError, match=message) as caught:
        parse_sinica_line(line, source="parsed", number=5)
    assert str(caught.value).startswith("parsed:5")


def test_corpus_is_read_from_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    path = tmp_path / "nltk_data" / "corpora" / "sinica_treebank.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sinica_treebank/raw", "not this")
        archive.writestr(
            "sinica_treebank/parsed",
            f"#1:1.[1] NP(Head:Nab:書)#。(PERIODCATEGORY)\nnonsense\n{CLAUSE}\n",
        )
    errors: list[TreeFormatError] = []
    assert [clause.text[:4] for clause in read_sinica(on_skip=errors.append)] == [
        "书。",
        "两所学校",
    ]
    assert [error.line for error in errors] == [2]
    with pytest.raises(TreeFormatError, match="parsed:2"):
        list(read_sinica())
