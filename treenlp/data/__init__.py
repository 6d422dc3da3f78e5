"""Readers of the reference sets, what is known about each set, and which part may teach."""

from __future__ import annotations
