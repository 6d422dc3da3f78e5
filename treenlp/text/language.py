"""Which of the two languages a sentence is in.

Chinese characters are weighed against alphabetic words. Function words count more, because a
Chinese sentence borrows nouns (`我用 Python 写程序`), seldom `the`; and vice versa for `的`.
"""

from __future__ import annotations

import re
from typing import Final

from treenlp.text.characters import CJK, CJK_PUNCTUATION, Lang, check_text

_CJK: Final = re.compile(f"[{CJK}]")
_CJK_FUNCTION: Final = re.compile("[的了是在不我你他她这那吗呢吧們们這嗎]")
_CJK_MARK: Final = re.compile(f"\u2026\u2026|[{CJK_PUNCTUATION}]")
_WORD: Final = re.compile(rf"[^\W\d_{CJK}]++(?>(?:['\u2019][^\W\d_{CJK}]++)*)")
_FUNCTION_WORDS: Final = frozenset(
    "the of and to in is was are were be been has have had do does did will would can could should "
    "that this these those it he she we they you i'm it's don't i my your his her our their a an "
    "for with on at by from as not or but if what who how why when where which there".split()
)
_FUNCTION_WEIGHT: Final = 3.0
_SYMBOL_WEIGHT: Final = 0.5


def _alphabetic_weight(text: str) -> float:
    """Weigh the alphabetic words of a text in units of one Chinese character."""
    weight = 0.0
    for match in _WORD.finditer(text):
        word = match.group()
        if word == "I":
            weight += _FUNCTION_WEIGHT
        elif len(word) == 1 and word.isupper():
            weight += _SYMBOL_WEIGHT
        elif len(word) <= 7 and word.lower() in _FUNCTION_WORDS:
            weight += _FUNCTION_WEIGHT
        else:
            weight += 1.0
    return weight


def detect_language(text: str, *, default: Lang = "en") -> Lang:
    """Tell whether a text is Chinese or English.

    Args:
        text: any string; usually one sentence.
        default: the answer for a text with neither Chinese characters, nor alphabetic words, nor
            Chinese punctuation (numbers, emoji, nothing at all).

    Returns:
        "zh" or "en". A tie is "zh".

    Raises:
        InputError: if `text` is not a str.

    Example:
        >>> detect_language("我用Python写程序"), detect_language("What does 老师 mean?")
        ('zh', 'en')
    """
    check_text(text)
    chinese = float(len(_CJK.findall(text)) + len(_CJK_FUNCTION.findall(text)))
    alphabetic = _alphabetic_weight(text)
    if chinese == 0.0 and alphabetic == 0.0:
        return "zh" if _CJK_MARK.search(text) else default
    return "zh" if chinese >= alphabetic else "en"
