"""The text as the model reads it: the same length as the caller's, code point by code point.

Traditional characters become simplified (in Chinese), full-width ASCII becomes half-width, blanks
that do not show (control characters, zero-width marks) become spaces, and a lone surrogate, which
no encoder can take, becomes U+FFFD. Everything else, emoji included, stays.

The table of characters is one-to-one. A few traditional characters have two simplified forms;
where a neighbour tells which, a rule below decides, otherwise the commoner form is taken.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

from treenlp.errors import ModelError
from treenlp.text.characters import BLANK, Lang, check_text

_TABLE: Final = "traditional.tsv"
_REPLACEMENT: Final = 0xFFFD
_SPACE: Final = 0x20

# Characters that are converted, except in the words given here.
_KEPT: Final = re.compile("乾(?=[坤隆卦元])|(?<=[康])乾|徵(?=羽)|(?<=[宫宮商角])徵")
# 著 is both 着 (the particle) and itself (to write, well-known). It is only touched in a text
# that shows other traditional characters, and not next to these.
_KEPT_ZHU: Final = re.compile(
    "著(?=[名作者述称稱书書录錄译譯论論])"
    "|(?<=[显顯昭卓原名编編专專论論巨译譯拙遗遺合新旧舊土所撰])著"
)


@cache
def traditional_table() -> dict[int, int]:
    """Load the table of traditional characters, once.

    Returns:
        Code point of the traditional character to that of the simplified one.

    Raises:
        ModelError: if the file is missing from the installation or a row is malformed.
    """
    path = files("treenlp").joinpath("models").joinpath(_TABLE)
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"found no {_TABLE} in the package, expected it under treenlp/models; reinstall treenlp"
        ) from error
    table: dict[int, int] = {}
    rows = [line for line in content.splitlines() if line and not line.startswith("#")]
    for row in rows[1:]:
        traditional, tab, simplified = row.partition("\t")
        if not tab or len(traditional) != 1 or len(simplified) != 1:
            raise ModelError(
                f"found the row {row!r} in {_TABLE}, expected two characters with a tab between; "
                "reinstall treenlp"
            )
        table[ord(traditional)] = ord(simplified)
    return table


@cache
def _common_table() -> dict[int, int]:
    """Return the part of the mapping that both languages share."""
    table = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    blank = re.compile(f"[{BLANK}]")
    table |= {code: _SPACE for code in range(0x10000) if blank.match(chr(code))}
    table |= dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT)
    table[0x00AD] = ord("-")  # a soft hyphen stands inside a word, where a space would cut it
    return table


@cache
def _chinese_table() -> dict[int, int]:
    """Return the whole mapping for Chinese."""
    return traditional_table() | _common_table()


def to_simplified(text: str) -> str:
    """Replace traditional characters by simplified ones.

    Args:
        text: any string.

    Returns:
        A string of the same length.

    Example:
        >>> to_simplified("他看著兩所大學的著名學者")
        '他看着两所大学的著名学者'
    """
    simplified = text.translate(traditional_table())
    kept = [match.start() for match in _KEPT.finditer(text)]
    zhu = []
    if "著" in text and simplified != text:
        spared = {match.start() for match in _KEPT_ZHU.finditer(text)}
        zhu = [i for i, character in enumerate(text) if character == "著" and i not in spared]
    if not kept and not zhu:
        return simplified
    characters = list(simplified)
    for i in kept:
        characters[i] = text[i]
    for i in zhu:
        characters[i] = "着"
    return "".join(characters)


def normalize(text: str, lang: Lang) -> str:
    """Return the text as the model reads it.

    Args:
        text: any string, lone surrogates included.
        lang: traditional characters are replaced only for "zh".

    Returns:
        A string of the same length that every encoder can take.

    Raises:
        InputError: if `text` is not a str.

    Example:
        >>> normalize("Ｔｅｓｔ：兩個", "zh")
        'Test:两个'
    """
    check_text(text)
    if lang == "en":
        return text if text.isascii() and text.isprintable() else text.translate(_common_table())
    return to_simplified(text).translate(_common_table())
