"""Readers of treebanks, on miniature corpora in the formats of the real ones."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from treenlp.data.paths import DATA_VARIABLE, find_file, read_lines
from treenlp.data.treebanks import (
    measure_only_trees,
    read_mctb_en,
    read_silver_en,
    read_silver_zh,
    read_wsj_sample,
    spell_english,
    spell_tokens,
    strip_function_tags,
)
from treenlp.errors import DataError, TreeFormatError
from treenlp.trees.brackets import parse_brackets


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    return tmp_path


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def test_missing_set_names_set_place_and_remedy(root: Path) -> None:
    with pytest.raises(DataError, match=r"'silver_zh'.*folder does not exist.*set TREENLP_DATA"):
        list(read_silver_zh(["hsk"]))
    (root / "silver_zh").mkdir()
    with pytest.raises(DataError, match="this file is not") as caught:
        list(read_silver_zh(["hsk"]))
    assert str(root / "silver_zh" / "hsk.trees.txt.gz") in str(caught.value)


def test_default_place_is_named_when_the_variable_is_not_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"TREENLP_DATA is not set, so the default .*\.cache"):
        find_file("sst", "train.txt")


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeff一\u2028二\r\n三\x0c四\n".encode())
    assert list(read_lines(path)) == ["一\u2028二", "三\x0c四"]


def test_text_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"ok\n\xff\n")
    with pytest.raises(DataError, match=r"a\.txt: cannot be read as UTF-8"):
        list(read_lines(path))


def silver(root: Path, part: str, rows: list[tuple[str, str]]) -> None:
    write(root / "silver_zh" / f"{part}.trees.txt.gz", *(tree for tree, _ in rows))
    write(root / "text_zh" / f"{part}.sentences.txt.gz", *(text for _, text in rows))


def test_silver_zh_takes_half_width_parentheses_from_the_raw_text(root: Path) -> None:
    tree = "(ROOT (NP (NN 猫) (PRN (PU （) (NN 黑) (PU ）)) (PU （)))"
    silver(root, "hsk", [(tree, "猫 (黑) （")])
    (read,) = read_silver_zh(["hsk"])
    assert read.label == "NP"
    assert read.leaves == ("猫", "(", "黑", ")", "（")


def test_silver_zh_leaves_out_white_space_taken_for_a_word(root: Path) -> None:
    silver(root, "hsk", [("(IP (NN 猫) (NN ))", "猫 "), ("(IP (NN 狗))", "狗")])
    skipped: list[TreeFormatError] = []
    assert [tree.leaves for tree in read_silver_zh(["hsk"], on_skip=skipped.append)] == [("狗",)]
    assert [error.line for error in skipped] == [1]


def test_silver_zh_reports_the_line_of_a_malformed_tree(root: Path) -> None:
    silver(root, "hsk", [("(IP (NN 狗))", "狗"), ("(IP (NN 猫)", "猫")])
    with pytest.raises(TreeFormatError, match=r"hsk\.trees\.txt\.gz:2:"):
        list(read_silver_zh(["hsk"]))


def test_silver_zh_must_be_parallel_to_its_sentences(root: Path) -> None:
    silver(root, "hsk", [("(IP (NN 狗))", "狗")])
    write(root / "text_zh" / "hsk.sentences.txt.gz", "狗", "猫")
    with pytest.raises(DataError, match="differ in their number of lines"):
        list(read_silver_zh(["hsk"]))


@pytest.mark.parametrize("name", ["measure_only", "nonsense"])
def test_measured_trees_are_no_training_part(root: Path, name: str) -> None:
    with pytest.raises(DataError, match="unknown part of silver_zh.*expected one of people_daily"):
        list(read_silver_zh([name]))


def test_measured_trees_are_counted(root: Path) -> None:
    write(root / "silver_zh" / "measure_only.trees.txt.gz", "(IP (NN 狗))")
    with pytest.raises(DataError, match="found 1 trees, expected 2650"):
        measure_only_trees()


def test_english_words_are_spelled_raw_and_tags_kept(root: Path) -> None:
    write(
        root / "silver_en" / "bnc.txt",
        "(TOP (S (`` ``) (NP (-LRB- -LRB-) (NN cat/dog) (-RRB- -RSB-)) (VP|X (VB 1\\/2)) ('' '')))",
        "(TOP (UH Hi) (. .))",
    )
    first, second = read_silver_en(["bnc"])
    assert first.leaves == ('"', "(", "cat/dog", "]", "1/2", '"')
    assert first.tags[0] == "``"
    assert str(first).startswith('(S (`` ")')
    assert "VP|X" not in first.node_labels
    assert second.label == "FRAG"


def test_malformed_english_line_is_skipped_and_reported_alone(root: Path) -> None:
    path = root / "silver_en" / "bnc.txt"
    write(path, "(TOP (S (VB Go)))", "(TOP (S (NN \\) (VB Run)))", "(S (VB Sit)", "(S (VB Eat))")
    errors: list[TreeFormatError] = []
    trees = list(read_silver_en(["bnc"], on_skip=errors.append))
    assert [tree.leaves[0] for tree in trees] == ["Go", "Eat"]
    assert [error.line for error in errors] == [2, 3]
    assert str(errors[0]).startswith(f"{path}:2:13: found a backslash")
    with pytest.raises(TreeFormatError, match=r"bnc\.txt:2:13"):
        list(read_silver_en(["bnc"]))


def test_mctb_parts_are_disjoint_complete_and_do_not_depend_on_order(root: Path) -> None:
    lines = [f"(TOP (S (VB Take) (NN n{number})))" for number in range(200)]
    path = root / "mctb_en" / "law.txt"

    def parts() -> dict[str, set[str]]:
        return {
            part: {tree.leaves[1] for tree in read_mctb_en(part, ["law"])}  # type: ignore[arg-type]
            for part in ("train", "tune", "held_out")
        }

    write(path, *lines)
    first = parts()
    write(path, *reversed(lines))
    assert parts() == first
    assert {part: len(words) for part, words in first.items()} == {
        "train": 150,
        "tune": 10,
        "held_out": 40,
    }
    assert len(set.union(*first.values())) == 200


def test_equal_sentences_share_their_mctb_part(root: Path) -> None:
    lines = [f"(TOP (S (VB Take) (NN n{number % 50})))" for number in range(100)]
    write(root / "mctb_en" / "law.txt", *lines)
    seen = [
        {tree.leaves for tree in read_mctb_en(part, ["law"])}  # type: ignore[arg-type]
        for part in ("train", "tune", "held_out")
    ]
    assert sum(map(len, seen)) == 50


def test_wsj_sample_loses_empty_elements_and_function_tags(root: Path) -> None:
    tree = """
( (S (NP-SBJ-1 (NNS Cats) )
    (VP (VBP want)
      (S (NP-SBJ (-NONE- *-1) )
        (VP (TO to) (VP (VB go) (ADVP-DIR|X (RB home) )))))
    (. .) ))
( (X (-NONE- *) ))
( (NP=2 (NN 1\\/2) ))
"""
    archive = root / "nltk_data" / "corpora" / "treebank.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("treebank/combined/wsj_0001.mrg", tree)
        file.writestr("treebank/README", "no tree")
    assert [str(read) for read in read_wsj_sample()] == [
        "(S (NP (NNS Cats)) (VP (VBP want) (S (VP (TO to) (VP (VB go) (ADVP (RB home)))))) (. .))",
        "(NP (NN 1/2))",
    ]


def test_function_tags() -> None:
    labels = ["NP-SBJ-1", "NP=2", "ADVP|PRT", "-LRB-", "PRP$", ",", ""]
    assert [*map(strip_function_tags, labels)] == ["NP", "NP", "ADVP", "-LRB-", "PRP$", ",", ""]


@pytest.mark.parametrize(
    ("brackets", "text"),
    [
        ("(S (PRP I) (MD ca) (RB n't) (VB go) (. .))", "I can't go."),
        ("(S (`` \") (UH Oh) ('' \") (, ,) (PRP he) (VBZ 's) (RB in))", '"Oh", he\'s in'),
        ("(S (-LRB- -LRB-) (NN x) (-RRB- -RRB-) (: ;) ($ $) (CD 5))", "(x); $5"),
        ("(S (NN boy) (HYPH -) (NN girl) (NN cat) (POS 's) (NN tail))", "boy-girl cat's tail"),
        ('(S (NN ") (NN a) (NN ") (NN b))', '"a" b'),
    ],
)
def test_running_english(brackets: str, text: str) -> None:
    spelled = spell_english(parse_brackets(brackets))
    assert spelled.text == text
    assert tuple(text[start:end] for start, end in spelled.words) == spelled.tree.leaves


def test_separator_between_tokens() -> None:
    tree = parse_brackets("(NP (CD 两) (NN 老师))")
    assert spell_tokens(tree).words == ((0, 1), (1, 3))
    assert spell_tokens(tree, " ").text == "两 老师"
