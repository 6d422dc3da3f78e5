"""What goes with what: entries, lookup, and generation of trees with known structure."""

from treenlp.lexicon.entries import (
    Lexicon,
    load_context_cases,
    load_lexicon,
    load_natural_cases,
)
from treenlp.lexicon.generate import GeneratedItem, generate

__all__ = [
    "GeneratedItem",
    "Lexicon",
    "generate",
    "load_context_cases",
    "load_lexicon",
    "load_natural_cases",
]
