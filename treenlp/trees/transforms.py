"""Changes of shape: unary chains, binarization, wrappers, traces.

All of them return new trees and take linear time without recursion.
"""

from __future__ import annotations

from treenlp.errors import InputError
from treenlp.trees.tree import Tree, _wrap

__all__ = ["collapse_unary", "expand_unary", "strip_root"]

_JOINT = "::"
_ROOT_LABELS = frozenset({"", "TOP", "ROOT"})


def collapse_unary(tree: Tree) -> Tree:
    """Join every chain of only children into one node, above preterminals, too.

    Args:
        tree: a tree whose labels do not hold "::" yet.

    Returns:
        A tree in which no phrase has a single child; labels of a chain are joined from the top
        down with "::".

    Raises:
        InputError: if a label could not be recovered by `expand_unary`, since it holds "::" or
            ends in ":" above another one.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(collapse_unary(parse_brackets("(IP (VP (VV 去) (NP (NN 学校))))")))
        '(IP::VP (VV 去) (NP::NN 学校))'
    """
    labels, sizes = tree.node_labels, tree.node_sizes
    new_labels: list[str] = []
    # new_index[node]: number of new nodes before it, so that new sizes are differences.
    new_index: list[int] = []
    is_continued = False
    for label, size, below in zip(labels, sizes, (*sizes[1:], 0), strict=True):
        has_only_child = below == size - 1 and size > 1
        if _JOINT in label or (has_only_child and label.endswith(":")):
            raise InputError(
                f"found the label {label!r}; expected none that holds '::' or ends in ':' above "
                "another: collapse a tree once only, or rename the label"
            )
        new_index.append(len(new_labels) - 1 if is_continued else len(new_labels))
        if is_continued:
            new_labels[-1] += _JOINT + label
        else:
            new_labels.append(label)
        is_continued = has_only_child
    new_index.append(len(new_labels))
    new_sizes = [0] * len(new_labels)
    for node, size in enumerate(sizes):
        new_sizes[new_index[node]] = new_index[node + size] - new_index[node]
    return _wrap(tuple(new_labels), tuple(new_sizes), tree.leaves)


def expand_unary(tree: Tree) -> Tree:
    """Undo `collapse_unary`: make a chain of nodes of every label that holds "::".

    Args:
        tree: a tree with joined labels.

    Returns:
        The tree with one node for each part of a label.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(expand_unary(parse_brackets("(IP::VP (VV 去) (NP::NN 学校))")))
        '(IP (VP (VV 去) (NP (NN 学校))))'
    """
    parts = [label.split(_JOINT) for label in tree.node_labels]
    # before[node]: number of new nodes before it.
    before = [0]
    for chain in parts:
        before.append(before[-1] + len(chain))
    labels: list[str] = []
    sizes: list[int] = []
    for node, (chain, size) in enumerate(zip(parts, tree.node_sizes, strict=True)):
        end = before[node + size]
        labels.extend(chain)
        sizes.extend(end - top for top in range(before[node], before[node + 1]))
    return _wrap(tuple(labels), tuple(sizes), tree.leaves)


def strip_root(tree: Tree) -> Tree:
    """Take off wrappers: nodes labelled TOP, ROOT or nothing over a single node.

    Args:
        tree: any tree.

    Returns:
        The first subtree on the way down that is no such wrapper (a view, not a copy).

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> str(strip_root(parse_brackets("( (TOP (S (VB Go))))")))
        '(S (VB Go))'
    """
    while tree.label in _ROOT_LABELS and not tree.is_preterminal:
        children = tree.subtrees
        if len(children) != 1:
            break
        tree = children[0]
    return tree
