"""Where sentences end, in Chinese, in English and in lines that mix them.

One scan over the marks that may end a sentence; each is judged by a bounded piece of its context,
so that time is linear. Which rules apply is decided at the mark itself: Chinese marks end a
sentence wherever they stand, ASCII ones only where the words around them allow it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from treenlp.text.characters import BLANK, EMAIL, LINE_BREAK, URL, check_text, is_cjk
from treenlp.text.english import ABBREVIATIONS, BEFORE_NUMBER, TITLES

_CLOSERS = "\"'\u201d\u2019\u300d\u300f\ufe42\ufe44)\\]}\uff09\u3011\u300b\u3009\u3015\u00bb"
_PARAGRAPH: Final = re.compile(f"[^{LINE_BREAK}]+")
_TERMINAL: Final = re.compile(
    "(?P<marks>[.!?\u2026\u3002\uff01\uff1f\uff61]++)"
    f"(?P<closers>(?>(?:(?!['\u2019][0-9])[{_CLOSERS}])*)"
    "(?>(?:[ ](?:''|[\u201d\uff09\u300d\u300f]))*))"
)
_ADDRESS: Final = re.compile(rf"{URL}|{EMAIL}")
_NEXT: Final = re.compile(rf"[{BLANK}]*+[\"'\u201c\u2018(\[`\u00bf\u00a1]*+[{BLANK}]?")
_BLANKS: Final = re.compile(f"[{BLANK}]+")
_CAPITALIZED: Final = re.compile("[A-Z][a-z]")
_ITEM_NUMBER: Final = re.compile(r"(?:\A|[\s，。；：、,;:!！])[0-9]{1,2}\Z")
_LAST_WORD: Final = re.compile(r"(?<![^\W_])(?:[^\W_]\.)*[^\W_]+\Z")
_CHINESE_MARKS: Final = frozenset("\u3002\uff01\uff1f\uff61")
_QUOTE_CLOSERS: Final = frozenset("\"'\u201d\u2019\u300d\u300f\ufe42\ufe44\u00bb")

_NEVER_LAST: Final = frozenset(word.lower() for word in TITLES) | {
    "v", "vs", "cf", "eg", "e.g", "ie", "i.e", "viz", "ca", "approx", "esp", "incl",
}  # fmt: skip
_SELDOM_LAST: Final = frozenset(word.lower() for word in ABBREVIATIONS) - _NEVER_LAST
_LOWER: Final = frozenset({"etc", "al", "dept", "est", "misc"})
_BEFORE_NUMBER: Final = frozenset(BEFORE_NUMBER)
_STARTERS: Final = re.compile(
    r"(?:The|This|That|These|Those|He|She|It|We|They|You|I|There|Here|A|An|In|On|At|As|By|For|From"
    r"|But|And|So|Or|If|When|While|After|Before|However|Then|Now|What|Why|How|Who|Where|His|Her|My"
    r"|Our|Your|Their|Its|Some|Many|Most|All|Both|No|Not|Yes|Even|Although|Because|Since|With)\b(?!\.)"
)
_REPORT_EN: Final = re.compile(
    r"(?:[A-Z][\w.\u2019'-]{0,20}\s){1,3}"
    r"(?:said|says|asked|asks|replied|cried|shouted|added|whispered|answered|yelled|told|wrote)\b"
)
_REPORT_ZH: Final = re.compile(
    "[^，。！？；：、没不\\s\u201c\u201d]{0,6}?(?:说|說|道|问|問|喊|叫|答|称|稱|骂|罵|嚷)"
    "[着著了起]?[。！？]"
)
_JOINS_ZH: Final = re.compile("[，、；：,;:）)的地得。！？]")

_PAIRS: Final = {
    ")": "(", "\uff09": "\uff08", "]": "[", "\u3011": "\u3010", "\u300b": "\u300a",
    "\u3009": "\u3008", "\u3015": "\u3014", "\u201d": "\u201c", "\u300d": "\u300c",
    "\u300f": "\u300e",
}  # fmt: skip
_OPENERS: Final = frozenset(_PAIRS.values())
_QUOTE_OPENERS: Final = frozenset("\u201c\u300c\u300e")
_TITLE_OPENERS: Final = frozenset("\u300a\u3008")
_BRACKET: Final = re.compile("[" + re.escape("".join([*_PAIRS, *_PAIRS.values()])) + "]")
_MAX_BRACKET: Final = 200
_MAX_QUOTE: Final = 40
_WINDOW: Final = 24


def _shielded(text: str, start: int, end: int) -> bytearray:
    """Mark the characters at which no sentence may end.

    They stand in an address, in brackets in the middle of a sentence, in a title, or in a short
    quotation that is part of its clause (no punctuation before it).

    Args:
        text: the whole text.
        start: first character of the paragraph.
        end: one past its last character.

    Returns:
        One byte for each character of the paragraph, 1 where shielded.
    """
    shield = bytearray(end - start)
    for match in _ADDRESS.finditer(text, start, end):
        length = match.end() - match.start()
        shield[match.start() - start : match.end() - start] = b"\x01" * length
    stacks: dict[str, list[int]] = {opener: [] for opener in _OPENERS}
    for match in _BRACKET.finditer(text, start, end):
        mark, at = match.group(), match.start()
        if mark in _OPENERS:
            stacks[mark].append(at)
            continue
        stack = stacks[_PAIRS[mark]]
        if not stack:
            continue
        opened = stack.pop()
        quote = _PAIRS[mark] in _QUOTE_OPENERS
        if at - opened > (_MAX_QUOTE if quote else _MAX_BRACKET) or not _is_embedded(
            text, start, opened, quote=quote
        ):
            continue
        shield[opened - start : at - start] = b"\x01" * (at - opened)
    return shield


def _is_embedded(text: str, start: int, opened: int, *, quote: bool) -> bool:
    """Tell whether the bracket or quote opened here continues the sentence before it."""
    before = text[max(start, opened - 4) : opened]
    if text[opened] in _TITLE_OPENERS:
        return True
    if quote:
        return before[-1:].isalnum() and is_cjk(before[-1:])
    before = before.rstrip()
    return bool(before) and before[-1] not in ".!?\u2026\u3002\uff01\uff1f\uff61" + _CLOSERS


def _ends_chinese(text: str, match: re.Match[str], end: int) -> bool:
    """Judge a mark in Chinese surroundings.

    Args:
        text: the whole text.
        match: the marks and the quotes and brackets that close after them.
        end: end of the paragraph.

    Returns:
        True if the sentence ends after the match.
    """
    after = text[match.end() : min(end, match.end() + _WINDOW)]
    closers = match["closers"]
    if _JOINS_ZH.match(after) and (closers or after[0] in "，、；：,;:"):
        return False
    if after[0] == "等" and _CHINESE_MARKS.isdisjoint(match["marks"]):
        return False
    return not (closers and closers[-1] in _QUOTE_CLOSERS and _REPORT_ZH.match(after))


def _period_ends(text: str, first: int, at: int, following: str) -> bool:
    """Judge a single period that is followed by a blank and by no lower-case letter.

    Args:
        text: the whole text.
        first: start of the sentence.
        at: offset of the period.
        following: the next characters after blanks and opening quotes.

    Returns:
        True if it is a final stop, False if it belongs to an abbreviation, an initial or a number.
    """
    found = _LAST_WORD.search(text[max(first, at - _WINDOW) : at])
    if found is None:
        return True
    word = found.group()
    lower = word.lower()
    begins = at - len(word)
    if not text[first:begins].strip("\"'\u201c\u2018(") and begins - first <= 4:
        # `1. Introduction`, `b. Methods`
        if (word.isdecimal() and len(word) <= 3) or (len(word) == 1 and word != "I"):
            return False
    if (
        lower in _NEVER_LAST
        and word != "V"
        and (word[0].isupper() or lower not in {"rep", "gen", "col", "sec"})
    ):
        return False
    if word in _BEFORE_NUMBER and following[:1].isdigit():
        return False
    initial = len(word) == 1 and word.isupper()
    if initial or "." in word or (lower in _SELDOM_LAST and (word[0].isupper() or lower in _LOWER)):
        return _STARTERS.match(following) is not None
    return True


def _ends_english(text: str, match: re.Match[str], first: int, end: int) -> bool:
    """Judge a mark in English surroundings.

    Args:
        text: the whole text.
        match: the marks and the quotes and brackets that close after them.
        first: start of the sentence.
        end: end of the paragraph.

    Returns:
        True if the sentence ends after the match.
    """
    marks, closers, at, stop = match["marks"], match["closers"], match.start(), match.end()
    after = text[stop : min(end, stop + 2 * _WINDOW)]
    if not _BLANKS.match(after):
        # A blank was forgotten: `late.The`, `Why?Because`
        word = text[max(first, at - 2) : at]
        plain = len(word) == 2 and word.isalpha() and word.islower()
        return plain and not closers and _CAPITALIZED.match(after) is not None
    opened = _NEXT.match(after)
    following = after[opened.end() :] if opened else after
    if not following:
        return True
    if following[0] in ".!?\u2026,;:":
        return False
    if following[0].islower():
        # All in lower case, as in chat, a stop is a stop.
        if closers or not text[first : first + 1].islower() or marks[0] == "." != marks:
            return False
        return marks != "." or _period_ends(text, first, at, following.capitalize())
    if closers and closers[-1] in _QUOTE_CLOSERS and _REPORT_EN.match(following):
        return False
    return marks != "." or bool(closers) or _period_ends(text, first, at, following)


def _ends(text: str, match: re.Match[str], first: int, end: int) -> bool:
    """Choose the rules by the mark and its neighbours, and judge."""
    marks, at, stop = match["marks"], match.start(), match.end()
    if not _CHINESE_MARKS.isdisjoint(marks):
        return _ends_chinese(text, match, end)
    before, after = text[max(first, at - 1) : at], text[stop : min(end, stop + 1)]
    if marks[0] == "\u2026" and not (before.isascii() and before.isalnum()):
        return _ends_chinese(text, match, end)
    if is_cjk(before) or is_cjk(after):
        if marks != ".":
            return _ends_chinese(text, match, end)
        if before.isdecimal():
            return _ITEM_NUMBER.search(text[max(first, at - 4) : at]) is None
        if after.isascii() and after.isalnum():
            return False
        return _ends_chinese(text, match, end)
    return _ends_english(text, match, first, end)


def split_paragraph(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut one paragraph into sentences.

    Args:
        text: the whole text.
        start: first character of the paragraph.
        end: one past its last character; there is no line break between.

    Yields:
        Half-open offsets that cover the paragraph, blanks included.
    """
    first = start
    shield: bytearray | None = None
    for match in _TERMINAL.finditer(text, start, end):
        if shield is None:
            shield = _shielded(text, start, end)
        if shield[match.start() - start] or match.end() >= end:
            continue
        if _ends(text, match, first, end):
            yield first, match.end()
            blanks = _BLANKS.match(text, match.end(), end)
            first = blanks.end() if blanks else match.end()
    if first < end:
        yield first, end


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Cut a text into sentences.

    A line break always ends a sentence.

    Args:
        text: any string; time is linear in its length.

    Returns:
        Half-open code-point offsets, in order, without overlap; they may have blanks around them.

    Raises:
        InputError: if `text` is not a str.

    Example:
        >>> text = "他来了。“真的？”I met Dr. Li. OK"
        >>> [text[i:j] for i, j in split_sentences(text)]
        ['他来了。', '“真的？”', 'I met Dr. Li.', 'OK']
    """
    check_text(text)
    return [
        sentence
        for paragraph in _PARAGRAPH.finditer(text)
        for sentence in split_paragraph(text, *paragraph.span())
    ]
