"""CoNLL-U: dependency trees of the Universal Dependencies treebanks, read and written.

Format: https://universaldependencies.org/format.html. Words are kept; the lines of multiword
tokens (`1-2`) only tell where white space stands, and empty nodes (`8.1`) are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from treenlp.errors import InputError, TreeFormatError
from treenlp.trees.lines import numbered_lines

__all__ = ["DependencyTree", "SubtreeSpan", "format_conllu", "read_conllu"]

_NUM_COLUMNS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class SubtreeSpan:
    """The words that depend on one word directly or indirectly, and the word itself.

    Attributes:
        start: index of the leftmost of them.
        end: index one past the rightmost.
        is_contiguous: whether they are all the words from start to end.
    """

    start: int
    end: int
    is_contiguous: bool


@dataclass(frozen=True, kw_only=True)
class DependencyTree:
    """A sentence in which every word but one depends on another.

    Attributes:
        words: the words from left to right; T of them, at least one.
        tags: universal part-of-speech tags (T).
        language_tags: tags of the treebank's own set, "_" where there is none (T).
        heads: 0-based index of the word that each word depends on, -1 for the root (T).
        relations: the label of each dependency (T).
        space_after: whether white space follows each word in the text (T).
        sent_id: name of the sentence, or None.
        text: the sentence as it was written, or None.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    language_tags: tuple[str, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]
    space_after: tuple[bool, ...]
    sent_id: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        """Check that the columns are equally long and the heads make one tree.

        Raises:
            InputError: if they do not.
        """
        sizes = {
            "words": len(self.words),
            "tags": len(self.tags),
            "language_tags": len(self.language_tags),
            "heads": len(self.heads),
            "relations": len(self.relations),
            "space_after": len(self.space_after),
        }
        if len(set(sizes.values())) != 1 or not self.words:
            raise InputError(f"found the lengths {sizes}; expected the same everywhere, at least 1")
        roots = [i for i, head in enumerate(self.heads) if head == -1]
        if len(roots) != 1:
            raise InputError(f"found the roots {roots}; expected exactly one word with head -1")
        for i, head in enumerate(self.heads):
            if not -1 <= head < len(self.words):
                raise InputError(
                    f"found the head {head} of word {i}; expected -1 to {len(self.words) - 1}"
                )
        reached = len(_top_down(self.heads))
        if reached != len(self.words):
            raise InputError(
                f"found {len(self.words) - reached} words that depend on each other in a circle; "
                "expected every word to lead to the root"
            )

    def subtree_spans(self) -> tuple[SubtreeSpan, ...]:
        """Return the span of words below each word, itself included.

        Takes linear time. In a projective tree every span is contiguous.

        Returns:
            One span for each word (T).
        """
        starts = list(range(len(self.words)))
        ends = [i + 1 for i in starts]
        counts = [1] * len(starts)
        for i in reversed(_top_down(self.heads)):
            head = self.heads[i]
            if head >= 0:
                starts[head] = min(starts[head], starts[i])
                ends[head] = max(ends[head], ends[i])
                counts[head] += counts[i]
        return tuple(
            SubtreeSpan(start=start, end=end, is_contiguous=count == end - start)
            for start, end, count in zip(starts, ends, counts, strict=True)
        )


def read_conllu(
    path_or_lines: str | os.PathLike[str] | Iterable[str], *, source: str | None = None
) -> Iterator[DependencyTree]:
    r"""Read the sentences of a CoNLL-U file one after the other.

    Args:
        path_or_lines: path of a UTF-8 file (gzip if its name ends in .gz), or its lines.
        source: name for error messages; by default the path.

    Yields:
        The sentences in order.

    Raises:
        TreeFormatError: with the line, if a sentence is malformed or no tree.

    Example:
        >>> lines = ["1\t去\t_\tVERB\tVV\t_\t0\troot\t_\tSpaceAfter=No", ""]
        >>> [tree.words for tree in read_conllu(lines)]
        [('去',)]
    """
    if source is None and isinstance(path_or_lines, str | os.PathLike):
        source = os.fspath(path_or_lines)
    block: list[tuple[int, str]] = []
    for number, line in numbered_lines(path_or_lines, source):
        text = line.rstrip("\r\n")
        if text.strip():
            block.append((number, text))
        elif block:
            yield from _parse(block, source)
            block = []
    if block:
        yield from _parse(block, source)


def format_conllu(tree: DependencyTree) -> str:
    r"""Write a sentence as CoNLL-U, with an empty line at the end.

    Args:
        tree: the sentence.

    Returns:
        Lines that `read_conllu` turns into an equal tree.

    Example:
        >>> line = "1\t去\t_\tVERB\tVV\t_\t0\troot\t_\tSpaceAfter=No\n"
        >>> format_conllu(next(read_conllu([line]))) == line + "\n"
        True
    """
    lines = []
    if tree.sent_id is not None:
        lines.append(f"# sent_id = {tree.sent_id}")
    if tree.text is not None:
        lines.append(f"# text = {tree.text}")
    for i, word in enumerate(tree.words):
        fields = (
            str(i + 1),
            word,
            "_",
            tree.tags[i],
            tree.language_tags[i],
            "_",
            str(tree.heads[i] + 1),
            tree.relations[i],
            "_",
            "_" if tree.space_after[i] else "SpaceAfter=No",
        )
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n\n"


def _top_down(heads: tuple[int, ...]) -> list[int]:
    """Return the words that lead to the root, each after the word it depends on."""
    dependents: list[list[int]] = [[] for _ in heads]
    order = []
    for i, head in enumerate(heads):
        if head == -1:
            order.append(i)
        else:
            dependents[head].append(i)
    for i in order:
        order.extend(dependents[i])
    return order


def _parse(block: list[tuple[int, str]], source: str | None) -> Iterator[DependencyTree]:
    """Yield the sentence of one block, or nothing if the block has comments only."""
    comments: dict[str, str] = {}
    rows: list[tuple[int, list[str]]] = []
    # For the words of a multiword token: index of its last word, and whether a space follows.
    last_of_token, space_after_token = -1, True
    space_after: list[bool] = []
    for line, text in block:
        if text.startswith("#"):
            key, equals, value = text[1:].partition("=")
            if equals:
                comments.setdefault(key.strip(), value.strip())
            continue
        fields = text.split("\t")
        if len(fields) != _NUM_COLUMNS:
            raise TreeFormatError(
                f"found {len(fields)} columns; expected {_NUM_COLUMNS}, separated by tabs",
                source=source,
                line=line,
            )
        name, misc = fields[0], fields[9].split("|")
        has_space = "SpaceAfter=No" not in misc
        if "." in name:
            continue
        if "-" in name:
            last = name.partition("-")[2]
            last_of_token = int(last) - 1 if last.isdecimal() else -1
            space_after_token = has_space
            continue
        if name != str(len(rows) + 1):
            raise TreeFormatError(
                f"found the word number {name!r}; expected {len(rows) + 1}: number the words of "
                "a sentence from 1",
                source=source,
                line=line,
            )
        if len(rows) <= last_of_token:
            has_space = space_after_token and len(rows) == last_of_token
        if not fields[6].isdecimal():
            raise TreeFormatError(
                f"found the head {fields[6]!r}; expected the number of a word, or 0 for the root",
                source=source,
                line=line,
            )
        rows.append((line, fields))
        space_after.append(has_space)
    if not rows:
        return
    try:
        tree = DependencyTree(
            words=tuple(fields[1] for _, fields in rows),
            tags=tuple(fields[3] for _, fields in rows),
            language_tags=tuple(fields[4] for _, fields in rows),
            heads=tuple(int(fields[6]) - 1 for _, fields in rows),
            relations=tuple(fields[7] for _, fields in rows),
            space_after=tuple(space_after),
            sent_id=comments.get("sent_id"),
            text=comments.get("text"),
        )
    except InputError as error:
        raise TreeFormatError(str(error), source=source, line=rows[0][0]) from error
    yield tree
