"""The parts of a corpus: what is learned from, chosen on and measured with."""

from __future__ import annotations

from typing import Literal

__all__ = ["PARTS", "Part"]

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = ("train", "dev", "test")
