"""Chinese atoms: the units from which the chart builds words.

An atom is a single visible character, except that a run of letters is one atom, a run of digits
(with what stands inside a number: `3.14`, `1,000`, `8:30`, `1/3`, `50%`) is one, and so is an
emoji, an internet address or an e-mail address. Which atoms make a word is the parser's decision.
"""

from __future__ import annotations

import re
from functools import cache

from treenlp.text.characters import BLANK, CJK, EMAIL, EMOJI, EXTENDER, URL, check_text

_DIGIT = r"[0-9\uff10-\uff19]"


@cache
def _atom_pattern() -> re.Pattern[str]:
    """Compile the pattern of one atom, on first use."""
    return re.compile(
        rf"{URL}|{EMAIL}|{EMOJI}[{EXTENDER}]*+"
        rf"|{_DIGIT}{{1,3}}(?>(?:,{_DIGIT}{{3}})+)(?!{_DIGIT})(?:[.\uff0e]{_DIGIT}++)?[%\uff05\u2030]?"
        rf"|{_DIGIT}++(?>(?:[.:/\uff0e\uff1a\uff0f]{_DIGIT}++)*)[%\uff05\u2030]?"
        rf"|[^\W\d_{CJK}{EXTENDER}](?>(?:[^\W\d_{CJK}]|[{EXTENDER}])*)"
        rf"|[^{BLANK}{EXTENDER}][{EXTENDER}]*+"
    )


def chinese_atoms(text: str) -> list[tuple[int, int]]:
    """Cut a Chinese text into atoms.

    Args:
        text: any string; time is linear in its length.

    Returns:
        Half-open code-point offsets, in order, without overlap. Every visible character is in
        exactly one atom; blanks are in none.

    Raises:
        InputError: if `text` is not a str.

    Example:
        >>> [("MP3卖了1,000个"[i:j]) for i, j in chinese_atoms("MP3卖了1,000个")]
        ['MP', '3', '卖', '了', '1,000', '个']
    """
    check_text(text)
    return [match.span() for match in _atom_pattern().finditer(text)]
