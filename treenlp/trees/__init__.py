"""Trees: the value itself, reading and writing it, changing its shape, drawing it."""

from __future__ import annotations

from treenlp.trees.brackets import format_brackets, parse_brackets, read_brackets
from treenlp.trees.conllu import DependencyTree, SubtreeSpan, format_conllu, read_conllu
from treenlp.trees.draw import display_width, draw_svg, draw_text
from treenlp.trees.heads import dependencies
from treenlp.trees.nltk_bridge import from_nltk, to_nltk
from treenlp.trees.transforms import (
    binarize,
    collapse_unary,
    debinarize,
    expand_unary,
    remove_empty,
    strip_functions,
    strip_root,
)
from treenlp.trees.tree import Constituent, Tree, TreeBuilder

__all__ = [
    "Constituent",
    "DependencyTree",
    "SubtreeSpan",
    "Tree",
    "TreeBuilder",
    "binarize",
    "collapse_unary",
    "debinarize",
    "dependencies",
    "display_width",
    "draw_svg",
    "draw_text",
    "expand_unary",
    "format_brackets",
    "format_conllu",
    "from_nltk",
    "parse_brackets",
    "read_brackets",
    "read_conllu",
    "remove_empty",
    "strip_functions",
    "strip_root",
    "to_nltk",
]
