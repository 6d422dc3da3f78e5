"""Trees drawn: with line characters for a terminal, and as SVG.

Columns of a terminal are counted after Unicode Standard Annex #11, "East Asian Width": wide and
full-width characters take two, marks that combine with the one before them none, all others one
(those of ambiguous width too, as terminals show them unless told otherwise).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from treenlp.errors import InputError
from treenlp.trees.tree import Tree

__all__ = ["TextStyle", "display_width", "draw_svg", "draw_text"]

TextStyle = Literal["tree", "outline"]

_GAP = 2  # columns between neighbouring words
_NO_LABEL = "·"  # stands for the empty label of a Penn Treebank wrapper
_REPLACEMENT = "\ufffd"
_INVISIBLE = frozenset({"Mn", "Me", "Cf"})
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def draw_text(
    tree: Tree, *, style: TextStyle | None = None, width: int = 80, depth: int = 64
) -> str:
    """Draw a tree with line characters.

    Args:
        tree: any tree.
        style: "tree" puts the root at the top and each child under its parent; "outline" gives
            each phrase a line and indents its children. None takes the first if it fits into
            `width`, otherwise the second.
        width: columns to fit into when `style` is None, at least 1.
        depth: levels to draw, at least 1; a phrase below them is drawn as one leaf of its words.

    Returns:
        Lines joined by newlines, without trailing spaces and without a last line end. Control
        characters and lone surrogates are shown as U+FFFD.

    Raises:
        InputError: if the style is unknown or a number is less than 1.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> print(draw_text(parse_brackets("(VP (VV 看) (NP (NN 电影)))")))
          VP
        ┌─┴──┐
        VV   NP
        │    │
        │    NN
        │    │
        看  电影
    """
    if style not in ("tree", "outline", None):
        raise InputError(f"found style={style!r}; expected 'tree', 'outline' or None")
    if width < 1 or depth < 1:
        raise InputError(f"found width={width} and depth={depth}; expected at least 1")
    nodes = _layout(tree, depth)
    if style == "outline":
        return _draw_outline(nodes)
    _place(nodes)
    if style is None and nodes[0].right > width:
        return _draw_outline(nodes)
    return _draw_tree(nodes)


def draw_svg(tree: Tree, *, title: str | None = None, font_size: int = 16) -> str:
    """Draw a tree as one SVG element that can stand in a web page or a file.

    Lines and letters take the colour of the text around the drawing.

    Args:
        tree: any tree.
        title: what a screen reader says; by default the words of the tree.
        font_size: height of the letters in pixels, at least 1.

    Returns:
        The element as well-formed XML. Characters that XML cannot hold become U+FFFD.

    Raises:
        InputError: if the font size is less than 1.

    Example:
        >>> draw_svg(Tree.build("NN", ["猫"])).startswith('<svg xmlns="http://www.w3.org/2000/svg"')
        True
    """
    if font_size < 1:
        raise InputError(f"found font_size={font_size}; expected at least 1")
    nodes = _layout(tree, None)
    _place(nodes)
    column, row = font_size * 0.6, font_size * 2.4
    bottom = max(node.level for node in nodes) + 1
    size = f"{(nodes[0].right + 2) * column:.1f}", f"{(bottom + 1) * row:.1f}"
    name = _xml(" ".join(tree.leaves) if title is None else title)
    lines: list[str] = []
    texts: list[str] = []
    for node in nodes:
        x = (node.center + 1.5) * column
        y = (node.level + 0.6) * row
        if node.parent is not None:
            above = (node.parent.center + 1.5) * column
            start = (node.parent.level + 0.6) * row + font_size * 0.4
            lines.append(f"M{above:.1f} {start:.1f}L{x:.1f} {y - font_size:.1f}")
        texts.append(f'<text class="label" x="{x:.1f}" y="{y:.1f}">{_xml(node.label)}</text>')
        if node.word is not None:
            below = (bottom + 0.6) * row
            lines.append(f"M{x:.1f} {y + font_size * 0.4:.1f}L{x:.1f} {below - font_size:.1f}")
            texts.append(f'<text class="word" x="{x:.1f}" y="{below:.1f}">{_xml(node.word)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" '
        f'width="{size[0]}" height="{size[1]}" role="img" aria-label="{_attribute(name)}">'
        f"<title>{name}</title>"
        f'<path d="{"".join(lines)}" fill="none" stroke="currentColor" stroke-opacity="0.6"/>'
        f'<g font-family="sans-serif" font-size="{font_size}" text-anchor="middle" '
        f'fill="currentColor">{"".join(texts)}</g></svg>'
    )


def display_width(text: str) -> int:
    """Return the number of terminal columns that a text takes.

    Example:
        >>> display_width("看 a movie"), display_width("e\u0301")
        (10, 1)
    """
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


@dataclass(kw_only=True, slots=True)
class _Node:
    """A node to be drawn: columns count from 0, `right` is one past the last."""

    label: str
    word: str | None
    parent: _Node | None
    level: int
    children: list[_Node]
    left: int = 0
    right: int = 0
    center: int = 0


def _layout(tree: Tree, depth: int | None) -> list[_Node]:
    """Return the nodes to draw in preorder; what is below `depth` becomes a leaf."""
    nodes: list[_Node] = []
    path: list[_Node] = []
    ends: list[int] = []
    spans = tree.node_spans()
    skipped_until = 0
    for index, (label, size) in enumerate(zip(tree.node_labels, tree.node_sizes, strict=True)):
        if index < skipped_until:
            continue
        while ends and ends[-1] <= index:
            ends.pop()
            path.pop()
        is_leaf = size == 1 or (depth is not None and len(path) + 1 >= depth)
        word = None
        if is_leaf:
            start, end = spans[index]
            skipped_until = index + size
            words = " ".join(tree.leaves[start:end])
            word = _printable(words if size == 1 else f"… {words}")
        node = _Node(
            label=_printable(label) or _NO_LABEL,
            word=word,
            parent=path[-1] if path else None,
            level=len(path),
            children=[],
        )
        if path:
            path[-1].children.append(node)
        nodes.append(node)
        if not is_leaf:
            path.append(node)
            ends.append(index + size)
    return nodes


def _place(nodes: Sequence[_Node]) -> None:
    """Give every node its columns: subtrees side by side, labels over the middle."""
    # From the bottom up, `right` is the width that a subtree needs.
    for node in reversed(nodes):
        inner = sum(child.right for child in node.children) + _GAP * (len(node.children) - 1)
        own = display_width(node.label)
        node.right = (
            max(own, display_width(node.word)) if node.word is not None else max(own, inner)
        )
    for node in nodes:
        # `left` was set by the parent.
        node.right += node.left
        inner = sum(child.right for child in node.children) + _GAP * (len(node.children) - 1)
        left = node.left + (node.right - node.left - inner) // 2
        for child in node.children:
            child.left = left
            left += child.right + _GAP
    for node in reversed(nodes):
        if node.children:
            node.center = (node.children[0].center + node.children[-1].center) // 2
        else:
            node.center = (node.left + node.right - 1) // 2


def _draw_tree(nodes: Sequence[_Node]) -> str:
    bottom = max(node.level for node in nodes)
    # Rows 2 * level hold labels, the rows between them lines; the last row holds the words.
    rows: list[list[tuple[int, str]]] = [[] for _ in range(2 * bottom + 3)]
    for node in nodes:
        _put(rows[2 * node.level], node.label, node)
        if node.word is not None:
            for row in range(2 * node.level + 1, 2 * bottom + 2):
                rows[row].append((node.center, "│"))
            _put(rows[-1], node.word, node)
        else:
            rows[2 * node.level + 1].append(_branch(node))
    return "\n".join(_join(row) for row in rows)


def _put(row: list[tuple[int, str]], text: str, node: _Node) -> None:
    """Put a text over the middle of a node, inside its columns."""
    width = display_width(text)
    left = node.center - (width - 1) // 2
    row.append((max(node.left, min(left, node.right - width)), text))


def _branch(node: _Node) -> tuple[int, str]:
    """Return the line from a node to its children and the column where it starts."""
    columns = [child.center for child in node.children]
    if len(columns) == 1:
        return columns[0], "│"
    marks = ["─"] * (columns[-1] - columns[0] + 1)
    for column in columns:
        marks[column - columns[0]] = "┬"
    marks[0], marks[-1] = "┌", "┐"
    middle = node.center - columns[0]
    marks[middle] = {"─": "┴", "┬": "┼", "┌": "├", "┐": "┤"}[marks[middle]]
    return columns[0], "".join(marks)


def _join(row: list[tuple[int, str]]) -> str:
    """Put texts at their columns on one line."""
    line: list[str] = []
    column = 0
    for start, text in sorted(row, key=lambda part: part[0]):
        line.append(" " * (start - column))
        line.append(text)
        column = start + display_width(text)
    return "".join(line).rstrip(" ")


def _draw_outline(nodes: Sequence[_Node]) -> str:
    heads: list[str] = []
    # For each level whether a later sister follows, so that its line goes on.
    goes_on: list[bool] = []
    for node in nodes:
        del goes_on[max(node.level - 1, 0) :]
        if node.parent is None:
            heads.append(node.label)
            continue
        is_last = node.parent.children[-1] is node
        margin = "".join("│  " if more else "   " for more in goes_on)
        heads.append(margin + ("└─ " if is_last else "├─ ") + node.label)
        goes_on.append(not is_last)
    words = max(map(display_width, heads)) + _GAP
    return "\n".join(
        head if node.word is None else head + " " * (words - display_width(head)) + node.word
        for head, node in zip(heads, nodes, strict=True)
    )


def _character_width(character: str) -> int:
    if unicodedata.category(character) in _INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _printable(text: str) -> str:
    """Replace what would move the cursor or cannot be encoded."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _REPLACEMENT if unicodedata.category(character) in _UNPRINTABLE else character
        for character in text
    )


def _xml(text: str) -> str:
    """Escape a text for XML 1.0, which has no place for some characters at all."""
    allowed = (_REPLACEMENT if c in "\ufffe\uffff" else c for c in _printable(text))
    return escape("".join(allowed))


def _attribute(escaped: str) -> str:
    return escaped.replace('"', "&quot;")
