"""Contested places of a sentence: where its readings part, how evenly, and what decides them."""

from treenlp.disambiguation.context import heed_context, may_be_decided, may_count
from treenlp.disambiguation.sites import Site, SiteAlternative, SiteKind, Sites, find_sites

__all__ = [
    "Site",
    "SiteAlternative",
    "SiteKind",
    "Sites",
    "find_sites",
    "heed_context",
    "may_be_decided",
    "may_count",
]
