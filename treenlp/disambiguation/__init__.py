"""Contested places of a sentence: where its readings part, and how evenly."""

from treenlp.disambiguation.sites import Site, SiteAlternative, SiteKind, Sites, find_sites

__all__ = ["Site", "SiteAlternative", "SiteKind", "Sites", "find_sites"]
