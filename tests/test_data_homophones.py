"""The characters that sound the same: the file that this project wrote, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from treenlp.data.homophones import read_homophones
from treenlp.errors import DataError

FILE = Path(__file__).parents[1] / "corpora" / "homophones" / "zh.tsv"


def test_a_hundred_sounds_and_no_character_twice() -> None:
    sets = read_homophones(FILE)
    characters = [character for own in sets for character in own.characters]
    assert len(sets) == 109
    assert len(characters) == len(set(characters)) == 362
    assert all(2 <= len(own.characters) <= 6 for own in sets)
    by_sound = {own.sound: own.characters for own in sets}
    assert {"静", "净", "境"} <= set(by_sound["jing4"])
    assert by_sound["ta1"] == ("他", "她", "它")


def test_comments_and_empty_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "sets.tsv"
    path.write_text("# ours\nsound\tcharacters\n\nlü4\t绿,律\n", encoding="utf-8")
    (found,) = read_homophones(path)
    assert (found.sound, found.characters) == ("lü4", ("绿", "律"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", r"found the header \[\], expected"),
        ("sound\n", r"found the header \['sound'\], expected"),
        ("sound\tcharacters\n", "found no set, expected one or more"),
        ("sound\tcharacters\njing4\n", r"line 2: found \['jing4'\], expected a syllable"),
        ("sound\tcharacters\njing\t静,净\n", r"line 2: found \['jing', '静,净'\], expected"),
        ("sound\tcharacters\njing5\t静,净\n", r"line 2: found \['jing5', '静,净'\], expected"),
        ("sound\tcharacters\njing4\t静\n", "line 2: found 1 characters, expected 2 to 6"),
        ("sound\tcharacters\nshi4\t是,市,事,式,示,势,试\n", "line 2: found 7 characters"),
        ("sound\tcharacters\njing4\t静,净化\n", "line 2: found '净化', expected one Chinese"),
        ("sound\tcharacters\njing4\t静,\n", "line 2: found '', expected one Chinese"),
        ("sound\tcharacters\njing4\t静,静\n", "line 2: found 静 again, which stands under jing4"),
        (
            "sound\tcharacters\njing4\t静,净\nqing2\t情,静\n",
            "line 3: found 静 again, which stands under jing4",
        ),
        ("sound\tcharacters\njing4\t静,净\njing4\t境,竟\n", "line 3: found the sound jing4 again"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "sets.tsv"
    path.write_text(rows, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_homophones(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.tsv cannot be read"):
        read_homophones(tmp_path / "none.tsv")
