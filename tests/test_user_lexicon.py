"""A user's own lexicon: what its rows may hold, and what they do to the odds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from treenlp.cli.app import app
from treenlp.errors import LexiconError
from treenlp.lexicon.user import UserLexicon
from treenlp.parsing.grammar import CHAIN_SEPARATOR
from treenlp.parsing.parser import ChartParser, load_parser
from treenlp.text import Sentence

HEADER = "kind\tfirst\tsecond\tweight"


@pytest.fixture(scope="module")
def parser(tiny: Path) -> ChartParser:
    return load_parser(tiny)


def write(folder: Path, *rows: str) -> Path:
    path = folder / "own.tsv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return path


def sentence(text: str) -> Sentence:
    found = Sentence.from_text(text)
    assert found is not None
    return found


def odds(prob: float) -> float:
    return prob / (1 - prob)


def test_rows_are_read_as_the_model_reads_text(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "# devices",
        "word\t乒乓球拍\tNN\t5",
        "classifier\t臺\t機器人\t2.5",
        "object\t撰写\t論文\t-1",
    )
    lexicon = UserLexicon.read(path)
    assert lexicon.words == {("乒乓球拍", "NN"): 5.0}
    assert lexicon.classifiers == {("台", "机器人"): 2.5}
    assert lexicon.objects == {("撰写", "论文"): -1.0}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("noun\t猫\tNN\t1", "found the kind 'noun'; expected one of word, classifier, object"),
        ("word\t\tNN\t1", "found an empty cell"),
        ("word\t猫\tNN\tmuch", "found the weight 'much'; expected a number"),
        ("word\t猫\tNN\tnan", "found the weight nan; expected -100 to 100"),
        ("word\t猫\tNN\t101", "found the weight 101; expected -100 to 100"),
        ("word\t猫\tNN", "found 3 columns; expected 4"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(LexiconError, match=rf"own\.tsv:3: .*{message}"):
        UserLexicon.read(write(tmp_path, "word\t狗\tNN\t1", row))


def test_a_lexicon_is_refused_as_a_whole(tmp_path: Path, parser: ChartParser) -> None:
    with pytest.raises(LexiconError, match="found no file"):
        UserLexicon.read(tmp_path / "none.tsv")
    with pytest.raises(LexiconError, match="found word 猫 NN twice"):
        UserLexicon.read(write(tmp_path, "word\t猫\tNN\t1", "word\t猫\tNN\t2"))
    path = write(tmp_path)
    path.write_bytes(HEADER.encode() + b"\nword\t\xff\tNN\t1\n")
    with pytest.raises(LexiconError, match=r"own\.tsv is not UTF-8"):
        UserLexicon.read(path)
    with pytest.raises(LexiconError, match="found the tag 'NOUN' of '猫'; expected one of .*NN"):
        parser.with_lexicon(write(tmp_path, "word\t猫\tNOUN\t1"))


@pytest.mark.parametrize("weight", [3.0, -2.0])
def test_a_word_shifts_its_odds_by_its_weight(
    tmp_path: Path, parser: ChartParser, weight: float
) -> None:
    def prob(one: ChartParser, text: str, start: int, width: int) -> float:
        (forest,) = one.forests([sentence(text)])
        units = {atom: n for n, atom in enumerate(forest.fenceposts)}
        own = forest.marginals().word[units[start], units[start + width] - units[start] - 1]
        tags = [label.split(CHAIN_SEPARATOR)[-1] for label in forest.grammar.word_labels]
        return float(own[np.array(tags) == "NN"].sum())

    own = parser.with_lexicon(
        write(tmp_path, f"word\t大学\tNN\t{weight}", f"word\tfilm\tNN\t{weight}")
    )
    for text, start, width in (("两个大学的老师", 2, 2), ("The film is not good.", 1, 1)):
        before, after = prob(parser, text, start, width), prob(own, text, start, width)
        assert odds(after) == pytest.approx(odds(before) * math.exp(weight), rel=1e-3)
        # the first parser is as it was
        assert prob(parser, text, start, width) == before


@pytest.mark.parametrize("text", ["两个大学的老师", "兩個大學的老師"])
def test_a_pair_shifts_the_odds_of_phrases_in_which_it_agrees(
    tmp_path: Path, parser: ChartParser, text: str
) -> None:
    def prob(one: ChartParser) -> float:
        (forest,) = one.forests([sentence(text)])
        units = {atom: n for n, atom in enumerate(forest.fenceposts)}
        parent = forest.grammar.parent_classes.index("NP")
        return float(forest.marginals().affinity[units[2], units[7], parent])

    own = parser.with_lexicon(write(tmp_path, "classifier\t个\t老师\t2", "classifier\t位\t老师\t9"))
    assert odds(prob(own)) == pytest.approx(odds(prob(parser)) * math.exp(2.0), rel=1e-3)


def test_what_does_not_occur_changes_nothing(tmp_path: Path, parser: ChartParser) -> None:
    own = parser.with_lexicon(
        write(tmp_path, "word\t猫\tNN\t9", "classifier\t老师\t大学\t9", "object\t大学\t猫\t9")
    )
    for text in ("两个大学的老师", "The film is not good."):
        (plain,), (same,) = (one.forests([sentence(text)]) for one in (parser, own))
        assert plain.log_partition() == same.log_partition()


def test_given_words_stay_as_they_are(tmp_path: Path, parser: ChartParser) -> None:
    own = parser.with_lexicon(write(tmp_path, "word\t大学\tNN\t50"))
    given = Sentence.from_tokenized("两 个 大 学 的 老师", lang="zh")
    assert given is not None
    (tree,) = own.parse([given])
    assert tree.leaves == ("两", "个", "大", "学", "的", "老师")


def test_the_command_line_takes_one(tmp_path: Path, tiny: Path) -> None:
    path = write(tmp_path, "word\t大学的\tNN\t50")
    arguments = ["parse", "两个大学的老师", "--model", str(tiny)]
    found = CliRunner().invoke(app, [*arguments, "--lexicon", str(path)])
    assert found.exit_code == 0, found.output
    assert "(NN 大学的)" in found.output
    assert "大学的)" not in CliRunner().invoke(app, arguments).output
