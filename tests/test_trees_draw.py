from __future__ import annotations

import unicodedata
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import build, deep_tree, trees

from treenlp.errors import InputError
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.draw import display_width, draw_svg, draw_text
from treenlp.trees.tree import Tree

SAMPLES = [
    "(NP (DNP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))",
    "(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))",
    "(IP (NP (PN 我)) (VP (VV 看) (NP (NN app)) (NP (NN Ｂ站))) (PU 。))",
    "( (S (NP (NNP Cafe\u0301)) (VP (VBZ opens)) (-LRB- -LRB-)))",
    "(NN 猫)",
]
SVG = "{http://www.w3.org/2000/svg}"


def grid(drawing: str) -> list[str]:
    """Give every column of a terminal a character of its own: wide ones are doubled."""
    lines = []
    for line in drawing.split("\n"):
        cells: list[str] = []
        for character in line:
            wide = unicodedata.east_asian_width(character) in "WF"
            invisible = unicodedata.category(character) in ("Mn", "Me", "Cf")
            cells.extend(character * (0 if invisible else 2 if wide else 1))
        lines.append("".join(cells))
    size = max(map(len, lines))
    return [line.ljust(size) for line in lines]


def visible_trees() -> st.SearchStrategy[Tree]:
    """Trees whose words cannot be taken for lines and leave no empty column."""
    words = st.text("a老é的ＡZ", min_size=1, max_size=4)
    preterminals = st.tuples(st.sampled_from(["NN", "V", "LONGTAG"]), words)
    return st.recursive(
        preterminals,
        lambda children: st.tuples(
            st.sampled_from(["NP", "X", "VERYLONGLABEL", ""]),
            st.lists(children, min_size=1, max_size=4),
        ),
        max_leaves=10,
    ).map(build)


def test_drawings_look_as_they_did(golden: Callable[[str, str], None]) -> None:
    parts = []
    for text in SAMPLES:
        tree = parse_brackets(text)
        parts += [text, draw_text(tree, style="tree"), draw_text(tree, style="outline")]
    golden("trees_draw.txt", "\n\n".join(parts) + "\n")


def test_a_small_drawing_is_exact() -> None:
    tree = parse_brackets("(VP (VV 看) (NP (NN 电影)))")
    assert draw_text(tree, style="outline").split("\n") == [
        "VP",
        "├─ VV     看",
        "└─ NP",
        "   └─ NN  电影",
    ]
    assert draw_text(tree).split("\n") == [
        "  VP",
        "┌─┴──┐",
        "VV   NP",
        "│    │",
        "│    NN",
        "│    │",
        "看  电影",
    ]


@given(visible_trees())
@example(parse_brackets(SAMPLES[0]))
def test_lines_meet_what_they_join(tree: Tree) -> None:
    rows = grid(draw_text(tree, style="tree"))
    assert len(rows) == 2 * tree.height + 1
    for number, row in enumerate(rows):
        for column, character in enumerate(row):
            if character in "│┌┐┬┼├┤":
                assert rows[number + 1][column] != " "
            if character in "│┴┼├┤":
                assert rows[number - 1][column] != " "
    assert draw_text(tree, style="tree").split("\n")[-1].split() == list(tree.leaves)


@given(visible_trees())
def test_words_of_an_outline_stand_in_one_column(tree: Tree) -> None:
    text = draw_text(tree, style="outline")
    assert len(text.split("\n")) == tree.num_nodes
    with_words = [
        (line, row)
        for line, row, node in zip(text.split("\n"), grid(text), tree.preorder(), strict=True)
        if node.is_preterminal
    ]
    starts = {row.rindex("  ", 0, len(row.rstrip())) + 2 for _, row in with_words}
    assert len(starts) == 1
    assert [line.split()[-1] for line, _ in with_words] == list(tree.leaves)


@given(trees())
def test_any_tree_can_be_drawn(tree: Tree) -> None:
    for text in (draw_text(tree, style="tree"), draw_text(tree, style="outline")):
        assert not any(line.endswith(" ") for line in text.split("\n"))
        assert not {c for c in text if unicodedata.category(c) in ("Cc", "Cs")} - {"\n"}
        text.encode()


@given(trees())
def test_svg_is_well_formed_and_holds_every_label_and_word(tree: Tree) -> None:
    root = ElementTree.fromstring(draw_svg(tree))
    texts = root.findall(f".//{SVG}text")
    words = [text.text for text in texts if text.get("class") == "word"]
    labels = [text.text for text in texts if text.get("class") == "label"]
    assert len(labels) == tree.num_nodes
    assert [_shown(word) for word in tree.leaves] == words
    positions = [float(t.get("x", "nan")) for t in texts if t.get("class") == "word"]
    assert positions == sorted(positions)
    box = [float(number) for number in root.get("viewBox", "").split()]
    for text in texts:
        assert 0 <= float(text.get("x", "nan")) <= box[2]
        assert 0 <= float(text.get("y", "nan")) <= box[3]


def _shown(word: str) -> str:
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in "\ufffe\uffff" else c
        for c in word
    )


def test_svg_escapes_and_takes_a_title() -> None:
    svg = draw_svg(Tree.build("NN", ['<a&"b">']), title='say "<hi>"', font_size=20)
    root = ElementTree.fromstring(svg)
    assert root.findtext(f"{SVG}title") == root.get("aria-label") == 'say "<hi>"'
    assert root.findall(f".//{SVG}text")[1].text == '<a&"b">'


def test_what_would_move_the_cursor_is_replaced() -> None:
    tree = Tree.build("NN", ["\x1b[31m\ud800\u2028"])
    assert draw_text(tree).split("\n")[-1] == "\ufffd[31m\ufffd\ufffd"
    ElementTree.fromstring(draw_svg(tree).encode())


def test_style_follows_the_width() -> None:
    tree = parse_brackets(SAMPLES[0])
    needed = max(map(display_width, draw_text(tree, style="tree").split("\n")))
    assert draw_text(tree, width=needed + 1) == draw_text(tree, style="tree")
    assert draw_text(tree, width=needed - 1) == draw_text(tree, style="outline")


def test_deep_parts_are_drawn_as_their_words() -> None:
    tree = parse_brackets(SAMPLES[1])
    assert draw_text(tree, depth=2, style="outline").split("\n") == [
        "NP",
        "├─ QP   … 两 个",
        "├─ DNP  … 大学 的",
        "└─ NP   … 老师",
    ]
    assert draw_text(tree, depth=1).split("\n")[-1] == "… 两 个 大学 的 老师"


@pytest.mark.parametrize("side", ["left", "right"])
def test_deep_trees_are_drawn(side: str) -> None:
    tree = deep_tree(20_000, side=side)
    assert len(draw_text(tree, style="outline").split("\n")) < 200
    assert draw_svg(tree).count('class="word"') == tree.num_leaves


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("看a", 3), ("Ａ", 2), ("e\u0301", 1), ("—", 1)]
)
def test_display_width(text: str, columns: int) -> None:
    assert display_width(text) == columns


def test_arguments_are_checked() -> None:
    tree = Tree.build("NN", ["猫"])
    with pytest.raises(InputError, match="style='round'; expected 'tree', 'outline' or None"):
        draw_text(tree, style="round")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="depth=0"):
        draw_text(tree, depth=0)
    with pytest.raises(InputError, match="font_size=0"):
        draw_svg(tree, font_size=0)
