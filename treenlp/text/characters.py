"""Classes of characters that every part of `treenlp.text` agrees on.

Each constant is the inside of a regular-expression character class (without the brackets), so
that patterns in this folder are built from the same few pieces. Three properties matter:

* a *blank* is never part of a token: white space, control characters, invisible format marks;
* an *extender* changes the character before it (combining marks, joiners, variation selectors)
  and belongs to that character's token; one that follows nothing is treated like a blank;
* everything else is *visible* and always belongs to exactly one token.

Patterns give nothing back, so that their time is linear: `[x]*+` for a class of characters, but
`(?>(?:x|y)*)` for a group. `(?:x|y)*+` matches too much before Python 3.11.5 (gh-106052).
"""

from __future__ import annotations

import re
from typing import Final, Literal

from treenlp.errors import InputError

Lang = Literal["zh", "en"]

HAN: Final = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\U00020000-\U0003ffff"
)
KANA: Final = r"\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\uff66-\uff9f"
CJK: Final = HAN + KANA
CJK_PUNCTUATION: Final = (
    r"\u3001-\u3004\u3008-\u3020\u3030\ufe30-\ufe4f"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)

BLANK: Final = (
    r"\s\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb"
)
EXTENDER: Final = (
    r"\u00ad\u034f\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670"
    r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20ff"
    r"\u302a-\u302f\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f"
    r"\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)

# Letters and digits of scripts that are written with spaces. Indic letters and their vowel signs
# are taken by block, because `\w` leaves the signs out. U+FFFD stands for a letter that was lost.
WORD_CHARACTER: Final = rf"(?:[^\W_{CJK}]|[{EXTENDER}\u0900-\u0dff\ufffd])"

_PICTOGRAPH = (
    r"[\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u25aa-\u25fe\u2600-\u27bf\u2934\u2935"
    r"\u2b00-\u2bff\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
)
_MODIFIER = r"[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\u20e3\U000e0020-\U000e007f]"
EMOJI: Final = (
    r"(?:[\U0001f1e6-\U0001f1ff]{2}"
    r"|[0-9#*]\ufe0f?\u20e3"
    rf"|{_PICTOGRAPH}{_MODIFIER}*+(?>(?:\u200d{_PICTOGRAPH}{_MODIFIER}*+)*))"
)

_TOP_LEVEL_DOMAINS = "com|org|net|edu|gov|mil|int|info|biz|io|ai|tv|cc|cn|hk|tw|uk|de|fr|jp|eu|au"
_URL_BODY = r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%|]"
# A final mark of the sentence, or a bracket or quote that closes around the address, is left out.
_URL_END = r"[A-Za-z0-9/_~=&#%$+\-@*]"
URL: Final = (
    rf"(?:(?:https?|ftp|file)://{_URL_BODY}{{0,2000}}{_URL_END}"
    rf"|(?<![A-Za-z0-9_.@])www\.{_URL_BODY}{{0,2000}}{_URL_END}"
    r"|(?<![A-Za-z0-9_.@])(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61})\.){1,8}"
    rf"(?:{_TOP_LEVEL_DOMAINS})(?![A-Za-z0-9_\-.@]{{0,1}}[A-Za-z0-9])"
    rf"(?:[/?#](?:{_URL_BODY}{{0,2000}}{_URL_END})?)?)"
)
EMAIL: Final = (
    r"(?:(?<![A-Za-z0-9_.+\-])[A-Za-z0-9][A-Za-z0-9_.+\-]{0,63}@"
    r"(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9]))"
)

LINE_BREAK: Final = r"\n\r\x0b\x0c\u2028\u2029"

_IS_CJK = re.compile(f"[{CJK}]")
_VISIBLE = re.compile(f"[^{BLANK}{EXTENDER}]")


def check_text(text: object) -> None:
    """Refuse what is not a string.

    Args:
        text: what a caller passed as a text.

    Raises:
        InputError: if it is not a str.
    """
    if not isinstance(text, str):
        raise InputError(f"found {type(text).__name__}, expected a str; decode or convert it first")


def is_cjk(character: str) -> bool:
    """Tell whether a character is Chinese (or kana), as opposed to a letter, digit or mark.

    Args:
        character: one code point, or the empty string.

    Returns:
        True for Han characters and kana. False for Chinese punctuation.
    """
    return _IS_CJK.match(character) is not None


def is_visible(text: str) -> bool:
    """Tell whether a text has anything to tokenise.

    Args:
        text: any string.

    Returns:
        True unless the text consists of blanks and stray combining marks only.
    """
    return _VISIBLE.search(text) is not None
