"""The lexicon: rows, lookup, errors with file and line, and what is kept out of training."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from treenlp.errors import LexiconError
from treenlp.lexicon import Lexicon, load_lexicon, load_natural_cases
from treenlp.lexicon.entries import choices, default_folder


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon()


def test_an_installed_package_finds_the_lexicon_of_the_checkout_it_runs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages" / "treenlp" / "lexicon" / "entries.py"
    monkeypatch.setattr("treenlp.lexicon.entries.__file__", str(installed))
    monkeypatch.chdir(tmp_path)
    assert not default_folder().exists()
    (tmp_path / "corpora" / "lexicon").mkdir(parents=True)
    assert default_folder() == tmp_path / "corpora" / "lexicon"


def _copy(folder: Path) -> Path:
    for source in default_folder().glob("*.tsv"):
        (folder / source.name).write_bytes(source.read_bytes())
    return folder


def test_the_lexicon_is_as_large_as_promised(lexicon: Lexicon) -> None:
    assert len(lexicon.nouns) >= 2000
    assert len(lexicon.classifiers) >= 150
    assert len(lexicon.verbs) >= 600
    assert lexicon.nouns["大学"].noun_class == "institution"
    assert sum(noun.noun_class == "person" for noun in lexicon.nouns.values()) >= 300
    assert sum(noun.noun_class == "place" for noun in lexicon.nouns.values()) >= 80


@pytest.mark.parametrize(
    ("classifier", "noun", "counts", "may_count"),
    [
        ("所", "大学", True, True),
        ("位", "大学", False, False),
        ("位", "老师", True, True),
        ("所", "老师", False, False),
        ("个", "大学", True, True),
        ("个", "老师", True, True),
        ("趟", "车", True, True),
        ("本", "小说", True, True),
        ("辆", "乘客", False, False),
        ("条", "狗", True, True),
        ("匹", "一个没有收录的词", False, True),
    ],
)
def test_lookup(
    lexicon: Lexicon, classifier: str, noun: str, counts: bool, may_count: bool
) -> None:
    assert lexicon.counts(classifier, noun) is counts
    assert lexicon.may_count(classifier, noun) is may_count


def test_every_listed_classifier_is_admitted_by_the_class_or_the_row(lexicon: Lexicon) -> None:
    for noun in lexicon.nouns.values():
        for classifier in noun.classifiers:
            assert lexicon.may_count(classifier, noun.text)


def test_about_a_fifth_of_the_words_is_kept_out(lexicon: Lexicon) -> None:
    verbs = Counter(lexicon.split_of(verb.text) for verb in lexicon.verbs)
    nouns = Counter(lexicon.split_of(noun) for noun in lexicon.nouns)
    classifiers = Counter(row.split for row in lexicon.classifiers.values())
    assert 0.1 < verbs["validation"] / verbs.total() < 0.3
    assert 0.15 < nouns["validation"] / nouns.total() < 0.4
    assert 0.2 < classifiers["validation"] / classifiers.total() < 0.4


def test_words_of_carrier_sentences_are_never_kept_out(lexicon: Lexicon) -> None:
    assert {"看见", "喜欢", "新闻"} <= lexicon.carrier_words
    assert {lexicon.split_of(word) for word in lexicon.carrier_words} == {"train"}


def test_a_word_with_a_row_of_its_own_follows_the_row(lexicon: Lexicon) -> None:
    kept_out = [row for row in lexicon.timed_nouns if row.split == "validation"]
    assert kept_out
    assert {lexicon.split_of(row.text) for row in kept_out} == {"validation"}


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("nouns_person.tsv", "老师\tperson\t位", "twice"),
        ("nouns_person.tsv", "某人\tperson", "nouns_person.tsv:.*found 2 columns; expected 3"),
        ("nouns_person.tsv", "某人\tpersons\t位", "nouns_person.tsv:.*found the class 'persons'"),
        ("nouns_person.tsv", "某人\tperson\t", "nouns_person.tsv:.*found an empty classifiers"),
        ("nouns_person.tsv", "某人\tperson\t位,位", "nouns_person.tsv:.*repeated entry"),
        ("nouns_person.tsv", "某人\tperson\t囗", "found the classifier '囗' of '某人'"),
        ("classifiers.tsv", "囗\tperson\ttest", "classifiers.tsv:.*found the split 'test'"),
        ("verbs_a.tsv", "某\t甲\t乙\t丙\tyes\t1", "verbs_a.tsv:.*found the flag 'yes'"),
        ("durations.tsv", "刻\tM\t\ttrain", "durations.tsv:.*found the numerals ''"),
        ("either.tsv", "骂\t甲乙\ttrain", "either.tsv:.*expected two nouns joined by a colon"),
        ("carriers.tsv", "np\t(IP <S>)", "carriers.tsv:.*exactly one slot"),
        (
            "segmentation.tsv",
            "组\teither\t(NP (NN 甲)) | (NP (NN 乙))\ttrain",
            "segmentation.tsv:.*expected one text",
        ),
    ],
)
def test_a_malformed_row_is_reported_with_its_place(
    tmp_path: Path, name: str, line: str, message: str
) -> None:
    folder = _copy(tmp_path)
    path = folder / name
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(LexiconError, match=message):
        load_lexicon(folder)


def test_the_line_number_is_that_of_the_file(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    path = folder / "localizers.tsv"
    path.write_text("# a comment\nlocalizer\ttag\tclasses\tsplit\n\n里\tXX\troom\ttrain\n", "utf-8")
    with pytest.raises(LexiconError, match=r"localizers\.tsv:4: found the tag 'XX'"):
        load_lexicon(folder)


def test_a_wrong_header_is_reported(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    (folder / "localizers.tsv").write_text("a\tb\n", encoding="utf-8")
    with pytest.raises(LexiconError, match=r"localizers\.tsv:1: found the header"):
        load_lexicon(folder)


def test_a_missing_folder_or_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LexiconError, match="found no lexicon at"):
        load_lexicon(tmp_path / "nowhere")
    with pytest.raises(LexiconError, match="found no nouns"):
        load_lexicon(tmp_path)
    folder = _copy(tmp_path)
    (folder / "relations.tsv").unlink()
    with pytest.raises(LexiconError, match=r"found no file .*relations\.tsv"):
        load_lexicon(folder)


def test_choices() -> None:
    assert choices("(NP (NN <书/报>) (NN 店))") == [("书", "报"), ("店",)]
    assert choices("(IP <S> (VP (VV 来)))") == [("<S>",), ("来",)]


def test_natural_cases_are_balanced_and_well_formed() -> None:
    cases = load_natural_cases()
    kinds = Counter(case.kind for case in cases)
    assert kinds == {
        "toss-up": 3,
        "classifier": 12,
        "relative": 12,
        "duration": 12,
        "segmentation": 12,
        "coordination": 12,
    }
    assert len({case.text for case in cases}) == len(cases)
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert case.must or case.readings_min == 2, case.name
    for kind in ("classifier", "duration", "coordination"):
        crossing = sum(bool(case.must_not) for case in cases if case.kind == kind)
        assert crossing == 6, kind


def test_a_natural_case_with_a_wrong_offset_is_reported(tmp_path: Path) -> None:
    source = default_folder().parent / "ambiguity" / "natural_cases.tsv"
    path = tmp_path / "cases.tsv"
    header = source.read_text(encoding="utf-8").splitlines()[0]
    path.write_text(f"{header}\na\tduration\t等了十分钟车\t十分@3-5\t\t\t\t\n", encoding="utf-8")
    with pytest.raises(LexiconError, match=r"cases\.tsv:2: found '十分@3-5'.*'分钟'"):
        load_natural_cases(path)
