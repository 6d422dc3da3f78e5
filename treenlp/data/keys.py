"""When two texts count as the same: the key that splits and leak checks compare by."""

from __future__ import annotations

import hashlib
import re
import unicodedata

__all__ = ["seeded_fraction", "text_key"]

_NOT_WORD = re.compile(r"[\W_]+")


def text_key(text: str) -> str:
    """Return a text's letters, digits and Chinese characters, in one width and lower case.

    Punctuation, symbols and white space are left out, so copies of a text that differ only in
    these, in case or in full and half width have one key. Script is kept.

    Example:
        >>> text_key("房间很大, 床有2M宽!") == text_key("房间很大，床有２ｍ宽。")
        True
    """
    return _NOT_WORD.sub("", unicodedata.normalize("NFKC", text)).casefold()


def seeded_fraction(seed: str, key: str) -> float:
    """Return a number in [0, 1) that looks random but depends on seed and key alone.

    Example:
        >>> seeded_fraction("a", "b") == seeded_fraction("a", "b") != seeded_fraction("a", "c")
        True
    """
    digest = hashlib.sha256(f"{seed}\t{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
