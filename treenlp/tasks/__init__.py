"""Task heads, losses and metrics: sentiment, similarity, and the model that joins them."""

from __future__ import annotations
