"""Readers of sentence pairs, on miniature sets in the formats of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from treenlp.data.paths import DATA_VARIABLE
from treenlp.data.similarity import (
    SentencePair,
    divide_pairs,
    read_paraphrases,
    read_sick,
    read_sts,
    read_stsb_en_zh,
)
from treenlp.errors import DataError

SICK_HEADER = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path


def write(path: Path, *lines: str, end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())


def pair(first: str, second: str) -> SentencePair:
    return SentencePair(first=first, second=second, score=1.0, kind="paraphrase", source="bq")


def test_sick_scores_run_from_zero_to_one(root: Path) -> None:
    rows = ["4\tA cow eats\tNo cow eats\t3\tCONTRADICTION", "9\tA\tB\t4.5\tNEUTRAL"]
    write(root / "sick" / "SICK_test_annotated.txt", SICK_HEADER, *rows, end="\r\n")
    first, second = read_sick("test", check_size=False)
    assert first == SentencePair(
        first="A cow eats",
        second="No cow eats",
        score=0.5,
        kind="relatedness",
        source="sick",
        entailment="CONTRADICTION",
    )
    assert second.score == 0.875
    with pytest.raises(DataError, match="found 2 pairs, expected 4927"):
        list(read_sick("test"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["4\tA\tB\t3\tNEUTRAL"], "no header"),
        ([SICK_HEADER, "4\tA\tB\t0.5\tNEUTRAL"], r"line 2: found the score '0\.5', expected 1 to"),
        ([SICK_HEADER, "4\tA\tB\t2\tMAYBE"], "line 2: found the judgement 'MAYBE'"),
        ([SICK_HEADER, "4\tA\t\t2\tNEUTRAL"], "line 2: found 5 fields, 1 of them empty"),
        ([SICK_HEADER, "4\tA\t2\tNEUTRAL"], "line 2: found 4 fields"),
    ],
)
def test_malformed_sick_is_placed(root: Path, lines: list[str], message: str) -> None:
    write(root / "sick" / "SICK_train.txt", *lines)
    with pytest.raises(DataError, match=message):
        list(read_sick("train", check_size=False))


def test_quotes_in_sts_mean_nothing(root: Path) -> None:
    write(root / "sts" / "2016.headlines.test.tsv", '2.50\t"He left.\tHe "left". ', "5\tA\tB")
    pairs = list(read_sts(files=["2016.headlines.test"]))
    assert [(p.first, p.second, p.score) for p in pairs] == [
        ('"He left.', 'He "left".', 0.5),
        ("A", "B", 1.0),
    ]
    assert {(p.kind, p.source) for p in pairs} == {("similarity", "sts/2016.headlines.test")}


def test_pairs_across_languages(root: Path) -> None:
    write(root / "sts" / "stsb_en_zh.dev.tsv", "1.000\tA dog barks.\t一只猫在睡觉。")
    (one,) = read_stsb_en_zh()
    assert (one.first, one.second, one.score) == ("A dog barks.", "一只猫在睡觉。", 0.2)


def test_paraphrases_and_their_division(root: Path) -> None:
    rows = [f"第{n}个怎么用\t怎么用第{n}个\t{n % 2}" for n in range(300)]
    write(root / "similarity_zh" / "lcqmc.dev.tsv", *rows)
    everything = list(read_paraphrases("lcqmc"))
    train, tune = list(read_paraphrases("lcqmc", "train")), list(read_paraphrases("lcqmc", "tune"))
    assert [p.score for p in everything[:3]] == [0.0, 1.0, 0.0]
    assert sorted(p.first for p in train + tune) == sorted(p.first for p in everything)
    assert 10 < len(tune) < 60
    write(root / "similarity_zh" / "bq.dev.tsv", "一\t二\t0.5")
    with pytest.raises(DataError, match=r"found the label 0\.5, expected 0 or 1"):
        read_paraphrases("bq")


def test_no_sentence_stands_in_train_and_tune() -> None:
    chains = [pair(f"{n} {k}?", f"{n} {k + 1}!") for n in range(200) for k in range(3)]
    parts = divide_pairs(chains)
    assert {"train", "tune"} == set(parts)
    for n in range(200):
        assert len(set(parts[3 * n : 3 * n + 3])) == 1
    assert divide_pairs(chains[::-1]) == parts[::-1]


def test_a_large_group_goes_to_training() -> None:
    star = [pair(f"中心{n % 20}", f"边{n}") for n in range(400)]
    assert set(divide_pairs(star)) == {"train"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: list(read_sick("dev")), "expected one of train, trial, test"),  # type: ignore[arg-type]
        (lambda: read_sts(files=["2011"]), "unknown file of sts"),
        (lambda: read_sts(files="2011"), "found the string '2011'"),
        (lambda: read_paraphrases("afqmc"), "unknown set of paraphrases"),
        (lambda: read_sts("test", files=[]), "expected train or tune"),  # type: ignore[arg-type]
    ],
)
def test_unknown_names_are_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(DataError, match=message):
        call()
