from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import deep_tree, trees

from treenlp.errors import InputError, TreeFormatError
from treenlp.trees.brackets import (
    format_brackets,
    parse_brackets,
    read_brackets,
    unescape_word,
)
from treenlp.trees.tree import Tree


@given(trees())
def test_what_is_written_is_read_back(tree: Tree) -> None:
    line = format_brackets(tree)
    assert "\n" not in line
    assert parse_brackets(line) == tree
    assert str(tree) == line


@given(trees(), st.integers(1, 4))
def test_indented_trees_are_read_back(tree: Tree, indent: int) -> None:
    text = format_brackets(tree, indent=indent)
    assert parse_brackets(text) == tree
    assert list(read_brackets(text.split("\n"))) == [tree]


@given(st.lists(trees(), max_size=4))
def test_a_file_is_read_back(many: list[Tree]) -> None:
    lines = [f"{tree}\n" for tree in many]
    assert list(read_brackets(lines)) == many
    assert list(read_brackets(["".join(lines).replace("\n", " ")])) == many


@given(st.lists(st.sampled_from(["(", ")", "(NN", "猫", " ", "\n", "\n(", "-LRB-"]), max_size=12))
def test_any_text_gives_trees_or_an_error_but_never_silence(parts: list[str]) -> None:
    text = "".join(parts)
    errors: list[TreeFormatError] = []
    lines = text.splitlines(keepends=True)
    found = list(read_brackets(lines, on_error="skip", on_skip=errors.append))
    if text.strip():
        assert found or errors
    for error in errors:
        assert error.line is not None
        assert error.column is not None
        # The position is that of a bracket or a word in the text.
        assert lines[error.line - 1][error.column - 1 :][:1].strip()
    try:
        tree = parse_brackets(text)
    except TreeFormatError:
        pass
    else:
        # Without a line break that splits it, both readers take the same one tree.
        if "\n" not in text:
            assert found == [tree]
            assert not errors


MALFORMED = [
    ("(NP (NN ))", 1, 9, "node 'NN' without a word"),
    ("(NP (NN) (VV 去))", 1, 8, "node 'NN' without a word"),
    ("()", 1, 2, "node '' without a word"),
    ("(NP (NN 猫)", 1, 1, r"1 '\(' not closed"),
    ("(IP (NP (NN 猫)\n  (VP (VV 睡", 2, 7, r"4 '\(' not closed, the last of them that of 'VV'"),
    ("(NP (NN 猫)))", 1, 12, r"'\)' without a '\('"),
    (")", 1, 1, r"'\)' without a '\('"),
    ("猫", 1, 1, "'猫' outside brackets"),
    ("(NN 猫) 狗", 1, 8, "'狗' outside brackets"),
    ("(NP (NN 黑 猫))", 1, 11, "the word '猫' in 'NN' after another child"),
    ("(NP (NN 猫) 狗)", 1, 12, "the word '狗' in 'NP' after another child"),
    ("(NP 狗 (NN 猫))", 1, 7, r"'\(' after a word of 'NP'"),
    ("(PU ()", 1, 6, "node '' without a word"),
    ("(NN " + "长" * 30 + " x)", 1, 36, "'x' in 'NN'"),
    ("(NN x " + "长" * 30 + ")", 1, 7, "'" + "长" * 20 + "…'"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), MALFORMED)
def test_errors_say_where(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(TreeFormatError, match=message) as caught:
        parse_brackets(text, source="a.trees")
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"a.trees:{line}:{column}: ")


@pytest.mark.parametrize(("text", "line", "column", "message"), MALFORMED)
def test_a_malformed_tree_spoils_nothing_else(
    text: str, line: int, column: int, message: str
) -> None:
    good = "(NP (NN 猫))"
    errors: list[TreeFormatError] = []
    lines = [good, "", *text.split("\n"), good]
    found = list(read_brackets(lines, on_error="skip", on_skip=errors.append))
    assert len(errors) == 1
    if text.startswith("("):
        assert found == [parse_brackets(good)] * 2
        assert (errors[0].line, errors[0].column) == (line + 2, column)
    else:
        # What does not start a tree belongs to the one before.
        assert found == [parse_brackets(good)]
    with pytest.raises(TreeFormatError, match=message):
        list(read_brackets(lines))


@pytest.mark.parametrize("text", ["", " \n ", "(NN 猫) (NN 狗)"])
def test_parse_expects_one_tree(text: str) -> None:
    with pytest.raises(TreeFormatError, match="expected exactly one"):
        parse_brackets(text)


def test_a_no_break_space_stands_in_a_word() -> None:
    tree = parse_brackets("(NP\t(NN a\u00a0b)\f(NN c\u3000d)\v(NN e\u2028f))")
    assert tree.leaves == ("a\u00a0b", "c\u3000d", "e\u2028f")


def test_parentheses_are_decoded_unless_told_otherwise() -> None:
    text = "(NP (-LRB- -LRB-) (NN :-RRB-) (NN -LSB-))"
    tree = parse_brackets(text)
    assert tree.leaves == ("(", ":)", "-LSB-")
    assert str(tree) == text
    raw = parse_brackets(text, unescape=False)
    assert raw.leaves == ("-LRB-", ":-RRB-", "-LSB-")
    assert str(raw) == text
    assert next(read_brackets([text], unescape=False)) == raw
    assert unescape_word("-LRB-a-RRB-") == "(a)"


def test_a_tree_may_go_on_over_lines_and_lines_hold_many() -> None:
    lines = ["\ufeff(IP\n", "  (NP (NN 猫))\r\n", "\n", "  (VP (VV 睡)))\n", "(A b) (C d)\n"]
    assert list(map(str, read_brackets(lines))) == [
        "(IP (NP (NN 猫)) (VP (VV 睡)))",
        "(A b)",
        "(C d)",
    ]


def test_empty_labels_of_wrappers_are_kept() -> None:
    for text in ("( (S (VB Go)))", "( word)"):
        assert str(parse_brackets(text)) == text
    assert parse_brackets("((S (VB Go)))") == parse_brackets("( (S (VB Go)))")


@pytest.mark.parametrize("compressed", [False, True])
def test_files_are_read_as_utf8_compressed_or_not(tmp_path: Path, compressed: bool) -> None:
    content = "(NP (NN 猫))\n(NP (NN ))\n(NP (NN 狗))\n".encode()
    path = tmp_path / ("a.trees.gz" if compressed else "a.trees")
    path.write_bytes(gzip.compress(content) if compressed else content)
    errors: list[TreeFormatError] = []
    found = list(read_brackets(path, on_error="skip", on_skip=errors.append))
    assert [tree.leaves for tree in found] == [("猫",), ("狗",)]
    assert [str(error).split(": ")[0] for error in errors] == [f"{path}:2:9"]
    assert list(read_brackets(str(path), on_error="skip")) == found
    with pytest.raises(TreeFormatError, match=r"^given name:2:9: "):
        list(read_brackets(path, source="given name"))


def test_bytes_that_are_not_utf8_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.trees"
    path.write_bytes("(NP (NN 猫))\n".encode() + b"(NP (NN caf\xe9))\n")
    with pytest.raises(TreeFormatError, match="a.trees:2: found bytes that are not UTF-8"):
        list(read_brackets(path, on_error="skip"))


def test_options_are_checked_at_once() -> None:
    with pytest.raises(InputError, match="on_error='ignore'; expected 'raise' or 'skip'"):
        read_brackets([], on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="indent=0"):
        format_brackets(parse_brackets("(A b)"), indent=0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_deep_trees_are_read_and_written(side: str) -> None:
    tree = deep_tree(20_000, side=side)
    assert parse_brackets(str(tree)) == tree
    with pytest.raises(TreeFormatError, match=r"1 '\(' not closed"):
        parse_brackets(str(tree)[:-1])
