"""Trees to learn from: automatic Chinese and English ones, and gold English ones.

All readers give `treenlp.trees.Tree` values in one normal form: no wrapper at the root
(TOP, ROOT or an empty label), labels without function tags, no empty elements, and words as a
writer would type them: parentheses instead of -LRB-, straight quotation marks instead of
`` and ''. Tags are kept as they are, so that an opening quotation mark is still told from a
closing one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

from treenlp.data.paths import decoded_lines, find_file, read_lines, zip_members
from treenlp.errors import DataError, TreeFormatError
from treenlp.text.english import word_separators
from treenlp.trees.brackets import parse_brackets, read_brackets
from treenlp.trees.transforms import strip_root
from treenlp.trees.tree import Tree

__all__ = [
    "MCTB_DOMAINS",
    "SILVER_EN_PARTS",
    "SILVER_ZH_PARTS",
    "MctbPart",
    "SpelledTree",
    "measure_only_trees",
    "read_mctb_en",
    "read_silver_en",
    "read_silver_zh",
    "read_wsj_sample",
    "spell_english",
    "spell_tokens",
    "strip_function_tags",
]

SILVER_ZH_PARTS = ("people_daily", "reviews", "hsk", "ud", "gsd_train")
SILVER_EN_PARTS = ("bnc", "brown_all_test", "ewt_all_test", "genia_test")
MCTB_DOMAINS = ("dialogue", "forum", "law", "literature")
MctbPart = Literal["train", "tune", "held_out"]
OnSkip = Callable[[TreeFormatError], None]

# Order of the trees in measure_only.trees.txt.gz: part and number of sentences.
_MEASURE_ONLY = (
    ("gsdsimp_dev", 500),
    ("gsdsimp_test", 500),
    ("hk_second", 502),
    ("beginner_second", 1148),
)
_MCTB_SEED = "treenlp mctb_en 1"
_LEAF = re.compile(r"(?<= )[^ ()]+(?=\))")
_ENGLISH_LEAVES = {
    "``": '"',
    "''": '"',
    "`": "'",
    "-LSB-": "[",
    "-RSB-": "]",
    "-LCB-": "{",
    "-RCB-": "}",
    "&lt;": "<",
    "&gt;": ">",
    "&amp;": "&",
}


def read_silver_zh(
    parts: Sequence[str] = SILVER_ZH_PARTS, *, on_skip: OnSkip | None = None
) -> Iterator[Tree]:
    """Yield the automatic Chinese trees that may be trained on, part by part.

    The words are spelled as in the raw sentences: where these have a half-width parenthesis
    the tree does, too. White space inside a sentence is not in its tree. Trees in which the
    teacher took white space for a word are left out (129 reviews; "ud" and "gsd_train" have
    none, so that these stay parallel to their dependencies).

    Args:
        parts: names from `SILVER_ZH_PARTS`.
        on_skip: gets an error with file and line for each tree that is left out.

    Raises:
        DataError: if a part is unknown or a file is missing or damaged.
        TreeFormatError: at a malformed line.
    """
    _check_names(parts, SILVER_ZH_PARTS, "part of silver_zh")
    for part in parts:
        path = find_file("silver_zh", f"{part}.trees.txt.gz")
        raw = find_file("text_zh", f"{part}.sentences.txt.gz")
        pairs = _paired(read_lines(path), read_lines(raw), path, raw)
        for number, (line, sentence) in enumerate(pairs, start=1):
            if " )" in line:
                if on_skip is not None:
                    message = "white space was taken for a word; the tree is left out"
                    on_skip(TreeFormatError(message, source=str(path), line=number))
                continue
            if "(" in sentence or ")" in sentence:
                line = _with_parentheses(line, sentence)
            try:
                tree = parse_brackets(line)
            except TreeFormatError as error:
                raise _at_line(error, path, number) from error
            yield strip_root(tree)


def measure_only_trees() -> dict[str, tuple[Tree, ...]]:
    """Return the teacher's trees of the measured sentences: to compare with, never to train on.

    Returns:
        Trees by part: "gsdsimp_dev", "gsdsimp_test", "hk_second", "beginner_second", each in
        the order of the sentences in `treenlp.data.dependencies`. Eight short ones of
        "hk_second" spell their sentence with other punctuation (是的！ for 是的……！): leave
        these out where offsets are compared.

    Raises:
        DataError: if the file is missing or has another number of trees than recorded.
    """
    path = find_file("silver_zh", "measure_only.trees.txt.gz")
    trees = [strip_root(tree) for tree in read_brackets(read_lines(path), source=str(path))]
    expected = sum(number for _, number in _MEASURE_ONLY)
    if len(trees) != expected:
        raise DataError(
            f"{path}: found {len(trees)} trees, expected {expected}; fetch the file again"
        )
    parts: dict[str, tuple[Tree, ...]] = {}
    start = 0
    for part, number in _MEASURE_ONLY:
        parts[part] = tuple(trees[start : start + number])
        start += number
    return parts


def read_silver_en(
    parts: Sequence[str] = SILVER_EN_PARTS, *, on_skip: OnSkip | None = None
) -> Iterator[Tree]:
    """Yield the automatic English trees, part by part.

    Args:
        parts: names from `SILVER_EN_PARTS`.
        on_skip: gets the error of each malformed line, with file, line and column; without
            it such a line raises.

    Raises:
        DataError: if a part is unknown or a file is missing.
        TreeFormatError: at a malformed line, if `on_skip` is not given.
    """
    _check_names(parts, SILVER_EN_PARTS, "part of silver_en")
    for part in parts:
        for _, tree in _english_lines(find_file("silver_en", f"{part}.txt"), on_skip):
            yield tree


def read_mctb_en(
    part: MctbPart,
    domains: Sequence[str] = MCTB_DOMAINS,
    *,
    on_skip: OnSkip | None = None,
) -> Iterator[Tree]:
    """Yield gold English trees of one part of each domain.

    A fifth of each domain is held out for measuring, a further twentieth serves tuning, the
    rest training. Which is which follows from a seeded hash of the words, so that it does not
    depend on the order in the file, and equal sentences of a domain stand in the same part.

    Args:
        part: "train", "tune" or "held_out".
        domains: names from `MCTB_DOMAINS`.
        on_skip: gets the error of each malformed line, with file, line and column; without it
            such a line raises. One is known: dialogue, line 514, has an escape that escapes
            nothing.

    Raises:
        DataError: if the part or a domain is unknown or a file is missing.
        TreeFormatError: at a malformed line, if `on_skip` is not given.
    """
    _check_names((part,), ("train", "tune", "held_out"), "part of mctb_en")
    _check_names(domains, MCTB_DOMAINS, "domain of mctb_en")
    for domain in domains:
        trees = [tree for _, tree in _english_lines(find_file("mctb_en", f"{domain}.txt"), on_skip)]
        parts = _hashed_parts([" ".join(tree.leaves) for tree in trees], domain)
        yield from (tree for tree, where in zip(trees, parts, strict=True) if where == part)


def read_wsj_sample() -> Iterator[Tree]:
    """Yield the trees of the WSJ sample that NLTK distributes, without their empty elements.

    Raises:
        DataError: if the corpus is missing.
        TreeFormatError: at a malformed tree.
    """
    path = find_file("nltk_data", "corpora/treebank.zip")
    for name, content in zip_members(path, prefix="treebank/combined/", suffix=".mrg"):
        source = f"{path}/{name}"
        for tree in read_brackets(
            decoded_lines(content, source=source), source=source, unescape=False
        ):
            kept = _without_empty_elements(strip_root(tree))
            if kept is not None:
                yield _normal_english(kept)


def strip_function_tags(label: str) -> str:
    """Return a Penn Treebank label without function tags, indices and alternatives.

    Example:
        >>> [strip_function_tags(label) for label in ("NP-SBJ-1", "SBAR=2", "ADVP|PRT", "-LRB-")]
        ['NP', 'SBAR', 'ADVP', '-LRB-']
    """
    if not label or label[0] == "-":
        return label
    return re.split(r"[-=|]", label, maxsplit=1)[0]


@dataclass(frozen=True, kw_only=True)
class SpelledTree:
    """A tree with the running text it stands for.

    Attributes:
        tree: the tree; leaf n is text[words[n][0]:words[n][1]].
        text: the sentence.
        words: half-open code-point offsets of each leaf in `text`.
    """

    tree: Tree
    text: str
    words: tuple[tuple[int, int], ...]


def spell_tokens(tree: Tree, separator: str = "") -> SpelledTree:
    """Join the leaves with one separator: none for Chinese, a space for tokenized English.

    Example:
        >>> spell_tokens(parse_brackets("(NP (CD 两) (NN 人))")).text
        '两人'
    """
    return _spell(tree, [separator] * (tree.num_leaves - 1))


def spell_english(tree: Tree) -> SpelledTree:
    """Write the leaves as running English: no space before `,` or `n't`, none after `(`.

    Quotation marks are opened and closed as their tags say, and where these do not say, in
    turn. It is a guess at what was typed; the tree's words are not changed.

    Example:
        >>> spell_english(parse_brackets("(S (PRP I) (MD ca) (RB n't) (. !))")).text
        "I can't!"
    """
    return _spell(tree, word_separators(tree.leaves, tree.tags))


def _spell(tree: Tree, separators: Sequence[str]) -> SpelledTree:
    pieces: list[str] = []
    words: list[tuple[int, int]] = []
    position = 0
    for word, separator in zip(tree.leaves, (*separators, ""), strict=True):
        words.append((position, position + len(word)))
        pieces += (word, separator)
        position += len(word) + len(separator)
    return SpelledTree(tree=tree, text="".join(pieces), words=tuple(words))


def _check_names(given: Sequence[str], known: Sequence[str], what: str) -> None:
    if isinstance(given, str):
        raise DataError(f"found the string {given!r}; expected a sequence of names: ({given!r},)")
    for name in given:
        if name not in known:
            raise DataError(f"unknown {what}: {name!r}; expected one of {', '.join(known)}")


def _at_line(error: TreeFormatError, path: Path, number: int) -> TreeFormatError:
    return TreeFormatError(error.message, source=str(path), line=number, column=error.column)


def _paired(
    first: Iterable[str], second: Iterable[str], path: Path, other: Path
) -> Iterator[tuple[str, str]]:
    try:
        yield from zip(first, second, strict=True)
    except ValueError as error:
        raise DataError(
            f"{path} and {other} differ in their number of lines; line n of one belongs to line n "
            "of the other: fetch both again"
        ) from error


def _with_parentheses(line: str, sentence: str) -> str:
    """Give the leaves of a bracketed line the parentheses that the raw sentence has."""
    raw = "".join(sentence.split())
    position = 0

    def respell(match: re.Match[str]) -> str:
        nonlocal position
        leaf = match.group()
        piece = raw[position : position + len(leaf)]
        position += len(leaf)
        return "".join(
            {"(": "-LRB-", ")": "-RRB-"}[new] if (old, new) in (("（", "("), ("）", ")")) else old
            for old, new in zip(leaf, piece, strict=True)
        )

    if sum(map(len, _LEAF.findall(line))) != len(raw):
        return line
    return _LEAF.sub(respell, line)


def _english_lines(path: Path, on_skip: OnSkip | None) -> Iterator[tuple[int, Tree]]:
    """Yield line number and tree; a malformed line costs only itself."""
    for number, line in enumerate(read_lines(path), start=1):
        if not line or line.isspace():
            continue
        try:
            tree = parse_brackets(line, unescape=False)
            if "\\)" in line:
                raise TreeFormatError(
                    "found a backslash as the last character of a word; expected the character "
                    "that it escapes: restore the word",
                    column=line.index("\\)") + 1,
                )
        except TreeFormatError as error:
            placed = _at_line(error, path, number)
            if on_skip is None:
                raise placed from error
            on_skip(placed)
            continue
        yield number, _normal_english(tree)


def _normal_english(tree: Tree) -> Tree:
    tree = strip_root(tree).map_labels(_plain_label)
    leaves = tree.leaves
    raw = tuple(map(_raw_english_word, leaves))
    return tree if raw == leaves else tree.with_leaves(raw)


def _plain_label(label: str) -> str:
    """A root over several trees has no label of its own in the treebank: a fragment."""
    return "FRAG" if label in ("TOP", "ROOT", "") else strip_function_tags(label)


def _raw_english_word(word: str) -> str:
    if word.isalpha():
        return word
    if word in _ENGLISH_LEAVES:
        return _ENGLISH_LEAVES[word]
    raw = word.replace("-LRB-", "(").replace("-RRB-", ")").replace("\\/", "/").replace("\\*", "*")
    return raw.replace("``", '"').replace("''", '"')


def _without_empty_elements(tree: Tree) -> Tree | None:
    """Return the tree without -NONE- leaves and the phrases that hold nothing else."""
    is_real = [tag != "-NONE-" for tag in tree.tags]
    if all(is_real):
        return tree
    if not any(is_real):
        return None
    before = (0, *accumulate(is_real))
    keep = [before[end] > before[start] for start, end in tree.node_spans()]
    kept_before = (0, *accumulate(keep))
    labels: list[str] = []
    sizes: list[int] = []
    for node, (label, size) in enumerate(zip(tree.node_labels, tree.node_sizes, strict=True)):
        if keep[node]:
            labels.append(label)
            sizes.append(kept_before[node + size] - kept_before[node])
    leaves = [word for word, real in zip(tree.leaves, is_real, strict=True) if real]
    return Tree.from_preorder(labels, sizes, leaves)


def _hashed_parts(texts: Sequence[str], domain: str) -> list[MctbPart]:
    """Assign each text to a part by a seeded hash; equal texts get the same part."""

    def digest(text: str) -> str:
        return hashlib.sha256(f"{_MCTB_SEED}\t{domain}\t{text}".encode()).hexdigest()

    digests = [digest(text) for text in texts]
    ranked = sorted(digests)
    held_out = ranked[: len(ranked) // 5]
    tune = ranked[len(held_out) : len(held_out) + len(ranked) // 20]
    last_held_out = held_out[-1] if held_out else ""
    last_tune = tune[-1] if tune else last_held_out
    return [
        "held_out" if value <= last_held_out else "tune" if value <= last_tune else "train"
        for value in digests
    ]
