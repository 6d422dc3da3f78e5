"""Penn brackets: trees as text, one to a line or laid out over several.

    (NP (QP (CD 两) (CLP (M 个))) (NP (NN 老师)))

White space is ASCII white space only, so that a no-break space can stand in a word. Words
cannot hold parentheses in the file: `(` is written -LRB- and `)` is written -RRB-, and both are
decoded on reading unless the caller asks for the words as they stand. (A word that is spelt
-LRB- in memory is written the same way, and then read as a parenthesis.)

A tree may go on over several lines, but a line that has `(` in its first column starts a new
tree. So a tree that was never closed spoils itself and not the rest of the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from sys import intern
from typing import Literal

from treenlp.errors import InputError, TreeFormatError
from treenlp.trees.lines import numbered_lines
from treenlp.trees.tree import Tree, _wrap

__all__ = ["OnError", "format_brackets", "parse_brackets", "read_brackets", "unescape_word"]

OnError = Literal["raise", "skip"]

# One match is a preterminal `(NN word)`, an opening `(NP`, a closing `)` or a stray word.
_FAST = re.compile(
    r"\(([^ \t\n\r\f\v()]*)(?:[ \t\n\r\f\v]+([^ \t\n\r\f\v()]+)[ \t\n\r\f\v]*\))?"
    r"|(\))|([^ \t\n\r\f\v()]+)"
)
_SLOW = re.compile(r"\([ \t\n\r\f\v]*|\)|[^ \t\n\r\f\v()]+")


def parse_brackets(text: str, *, source: str | None = None, unescape: bool = True) -> Tree:
    """Read exactly one tree from a string.

    Args:
        text: the brackets, on one line or several, indented or not.
        source: name for error messages.
        unescape: whether -LRB- and -RRB- in words become parentheses.

    Returns:
        The tree.

    Raises:
        TreeFormatError: if the text is malformed, empty, or holds more than one tree.

    Example:
        >>> parse_brackets("(NP (NN 老师))").leaves
        ('老师',)
    """
    trees = _parse_fast(text, unescape)
    if trees is None or len(trees) != 1:
        _explain([(1, text)], source)
        raise TreeFormatError(
            f"found {len(trees or ())} trees; expected exactly one: use read_brackets for several",
            source=source,
            line=1,
        )
    return trees[0]


def read_brackets(
    path_or_lines: str | os.PathLike[str] | Iterable[str],
    *,
    source: str | None = None,
    on_error: OnError = "raise",
    on_skip: Callable[[TreeFormatError], None] | None = None,
    unescape: bool = True,
) -> Iterator[Tree]:
    """Read the trees of a file one after the other.

    Args:
        path_or_lines: path of a UTF-8 file (gzip if its name ends in .gz), or its lines.
        source: name for error messages; by default the path.
        on_error: "raise" stops at the first malformed tree; "skip" goes on with the next.
        on_skip: called with the error of every tree that is skipped.
        unescape: whether -LRB- and -RRB- in words become parentheses.

    Yields:
        The trees in order.

    Raises:
        TreeFormatError: with line and column, if a tree is malformed and `on_error` is
            "raise"; also if the file is not UTF-8, whatever `on_error` says.
        InputError: if `on_error` has another value.

    Example:
        >>> lines = ["(NP (NN 猫))", "(NP (NN ))", "(VP (VV 睡))"]
        >>> [tree.label for tree in read_brackets(lines, on_error="skip")]
        ['NP', 'VP']
    """
    if on_error not in ("raise", "skip"):
        raise InputError(f"found on_error={on_error!r}; expected 'raise' or 'skip'")
    return _read(path_or_lines, source, on_error, on_skip, unescape)


def format_brackets(tree: Tree, *, indent: int | None = None) -> str:
    """Write a tree as brackets.

    Args:
        tree: the tree.
        indent: None for one line; otherwise each phrase and word on a line of its own, this
            many spaces further in for each level.

    Returns:
        The text, without a line end.

    Raises:
        InputError: if `indent` is less than 1.

    Example:
        >>> print(format_brackets(parse_brackets("(NP (CD 两) (NN 人))"), indent=2))
        (NP
          (CD 两)
          (NN 人))
    """
    if indent is None:
        return str(tree)
    if indent < 1:
        raise InputError(
            f"found indent={indent}; expected None or at least 1, since a line that starts with "
            "a bracket starts a new tree"
        )
    lines: list[str] = []
    ends: list[int] = []
    words = iter(tree.leaves)
    for node, (label, size) in enumerate(zip(tree.node_labels, tree.node_sizes, strict=True)):
        margin = " " * (indent * len(ends))
        if size > 1:
            ends.append(node + size)
            lines.append(f"{margin}({label}")
            continue
        closing = 0
        while ends and ends[-1] == node + 1:
            ends.pop()
            closing += 1
        lines.append(f"{margin}({label} {_escape_word(next(words))}){')' * closing}")
    return "\n".join(lines)


def unescape_word(word: str) -> str:
    """Decode -LRB- and -RRB- in a word.

    Example:
        >>> unescape_word(":-RRB-")
        ':)'
    """
    return word.replace("-LRB-", "(").replace("-RRB-", ")")


def _escape_word(word: str) -> str:
    return word.replace("(", "-LRB-").replace(")", "-RRB-")


def _read(
    path_or_lines: str | os.PathLike[str] | Iterable[str],
    source: str | None,
    on_error: OnError,
    on_skip: Callable[[TreeFormatError], None] | None,
    unescape: bool,
) -> Iterator[Tree]:
    if source is None and isinstance(path_or_lines, str | os.PathLike):
        source = os.fspath(path_or_lines)
    for group in _groups(numbered_lines(path_or_lines, source)):
        trees = _parse_fast("".join(text for _, text in group), unescape)
        if trees is not None:
            yield from trees
            continue
        try:
            _explain(group, source)
        except TreeFormatError as error:
            if on_error == "raise":
                raise
            if on_skip is not None:
                on_skip(error)


def _groups(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yield runs of numbered lines, each from one line with a first `(` to the next."""
    group: list[tuple[int, str]] = []
    for number, text in lines:
        if text.startswith("(") and group:
            yield group
            group = []
        if group or not text.isspace():
            group.append((number, text))
    if group:
        yield group


def _parse_fast(text: str, unescape: bool) -> list[Tree] | None:
    """Return the trees of a text, or None if anything about it is wrong."""
    trees: list[Tree] = []
    labels: list[str] = []
    sizes: list[int] = []
    words: list[str] = []
    pending: list[int] = []
    for label, word, closing, stray in _FAST.findall(text):
        if word:
            labels.append(intern(label))
            sizes.append(1)
            words.append(intern(word))
            if pending:
                continue
        elif closing:
            if not pending:
                return None
            node = pending.pop()
            size = len(labels) - node
            if size == 1:
                return None
            sizes[node] = size
            if pending:
                continue
        elif stray:
            return None
        else:
            pending.append(len(labels))
            labels.append(intern(label))
            sizes.append(0)
            continue
        if unescape and "RB-" in text:
            words = [unescape_word(word) for word in words]
        trees.append(_wrap(tuple(labels), tuple(sizes), tuple(words)))
        labels, sizes, words = [], [], []
    return None if pending else trees


def _explain(group: list[tuple[int, str]], source: str | None) -> None:
    """Find what is wrong with malformed lines, and raise the error that says so."""
    path: list[_OpenNode] = []
    expects_label = False
    for number, text in group:
        for line, column, token in _tokens(number, text):
            message = None
            if token[0] == "(":
                message = path[-1].refuse_node() if path else None
                path.append(_OpenNode(line, column))
            elif token == ")":
                message = path.pop().refuse_end() if path else _CLOSED_TOO_OFTEN
            elif expects_label:
                path[-1].label = token
            else:
                message = path[-1].refuse_word(token) if path else _outside(token)
            if message is not None:
                raise TreeFormatError(message, source=source, line=line, column=column)
            # White space after the bracket makes the label empty, as in `( (S ...))`.
            expects_label = token == "("
    if path:
        node = path[-1]
        raise TreeFormatError(
            f"found the end of the tree with {len(path)} '(' not closed, the last of them that of "
            f"{node.label!r} here; add the missing ')'",
            source=source,
            line=node.line,
            column=node.column,
        )


_CLOSED_TOO_OFTEN = "found ')' without a '(' before it; remove it, or restore its '('"


def _outside(token: str) -> str:
    return f"found {_shorten(token)} outside brackets; expected '('"


class _OpenNode:
    """A node whose bracket is not closed yet; counts what is in it, and says what cannot be.

    Each `refuse_...` returns the message of an error, or None where all is well.
    """

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.label = ""
        self._has_word = False
        self._has_nodes = False

    def refuse_node(self) -> str | None:
        if self._has_word:
            return (
                f"found '(' after a word of {self.label!r}; expected ')': a node holds one word "
                "or nodes, not both"
            )
        self._has_nodes = True
        return None

    def refuse_word(self, word: str) -> str | None:
        if self._has_word or self._has_nodes:
            return (
                f"found the word {_shorten(word)} in {self.label!r} after another child; expected "
                "')': put each word under a node of its own (parentheses in words are written "
                "-LRB- and -RRB-)"
            )
        self._has_word = True
        return None

    def refuse_end(self) -> str | None:
        if self._has_word or self._has_nodes:
            return None
        return (
            f"found the node {self.label!r} without a word; expected a word or a node before ')': "
            "restore the word or remove the node"
        )


def _tokens(number: int, text: str) -> Iterator[tuple[int, int, str]]:
    """Yield line, column and text of each token; an opening bracket has what follows it."""
    line, offset, seen = number, 0, 0
    for match in _SLOW.finditer(text):
        breaks = text.count("\n", seen, match.start())
        if breaks:
            line += breaks
            offset = text.rfind("\n", 0, match.start()) + 1
        seen = match.start()
        yield line, match.start() - offset + 1, match.group()


def _shorten(token: str) -> str:
    return repr(token if len(token) <= 20 else token[:20] + "…")
