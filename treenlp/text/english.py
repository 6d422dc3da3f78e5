"""A Penn-style tokenizer for English that keeps offsets.

The conventions are those of the Penn Treebank: `do|n't`, `it|'s`, `dogs|'`, `can|not`, brackets,
quotes and currency marks apart, hyphenated words whole. There are three departures. Nothing is
rewritten (a quote stays the quote that was typed), so slices of the text give the tokens back.
A period belongs to one token only: an abbreviation at the end of a sentence keeps it, and the
sentence then has no final stop of its own. Runs such as `!!!`, and emoticons, emoji, addresses,
handles and hash tags, are one token each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Final

from treenlp.errors import InputError
from treenlp.text.characters import (
    BLANK,
    CJK,
    EMAIL,
    EMOJI,
    EXTENDER,
    URL,
    WORD_CHARACTER,
    check_text,
)

# Always an abbreviation: a period after one of these is never the end of a word.
TITLES: Final = (
    "Mr Mrs Ms Mx Dr Drs Prof Gen Sen Sens Rep Reps Rev Hon Lt Col Capt Cpl Sgt Cmdr Maj Adm Gov "
    "Pres Messrs Mme Mlle St Ste Ft Mt Supt Det Insp Amb Sec".split()
)
ABBREVIATIONS: Final = (
    "Inc Corp Co Cos Ltd Plc Bros Jr Sr Esq Ph.D Ph.Ds M.Sc B.Sc D.Phil Assn Dept Univ Inst Mfg "
    "Intl Natl Ave Blvd Rd Hwy Jan Feb Aug Sept Oct Nov Dec Ala Ariz Calif Colo Conn Fla Ga Ill "
    "Ind Kan Ky La Mass Md Mich Minn Miss Mo Mont Neb Nev Okla Ore Pa Tenn Tex Va Vt Wash Wis Wyo "
    "etc al vs Vs cf viz ca approx dept est esp incl misc".split()
)
# An abbreviation only before a number: `No. 5`, but `I said no.`
BEFORE_NUMBER: Final = (
    "No Nos no nos Fig Figs fig figs Eq Eqs eq Vol vol Ch ch Sec sec Art art pp p pt Pt Mar Apr "
    "Jun Jul Sep Op op App Ex par paras ver v s".split()
)
_SPECIAL_CUTS: Final = {
    "cannot": (3,),
    "gonna": (3,),
    "gotta": (3,),
    "wanna": (3,),
    "gimme": (3,),
    "lemme": (3,),
    "'tis": (2,),
    "'twas": (2,),
    "d'ye": (2,),
    "more'n": (4,),
}
_CLITICS: Final = ("n't", "'ll", "'re", "'ve", "'s", "'m", "'d")

# How given words stand in running text: no space before the first kind, none after the second.
_CLOSING: Final = frozenset(
    [
        ".",
        ",",
        ";",
        ":",
        "?",
        "!",
        ")",
        "]",
        "}",
        "%",
        "...",
        "\u2026",
        "\u201d",
        "\u2019",
        "''",
        "-RRB-",
    ]
)
_OPENING: Final = frozenset(
    ["(", "[", "{", "$", "#", "\u00a3", "\u20ac", "\u201c", "\u2018", "``", "`", "-LRB-"]
)
_CLITIC: Final = re.compile(r"(?:n['\u2019]t|['\u2019](?:s|m|d|ll|re|ve)?)$", re.IGNORECASE)
_SPLIT_WORDS: Final = frozenset(
    [("can", "not"), ("gon", "na"), ("wan", "na"), ("got", "ta"), ("gim", "me"), ("lem", "me")]
)

_FILE_ENDINGS = (
    "docx?|xlsx?|pptx?|pdf|txt|csv|tsv|jsonl?|xml|html?|css|js|py|toml|ya?ml|md|zip|gz|exe|dll"
    "|jpe?g|png|gif|svg|mp[34]|wav|conf|cfg|ini|log|sh"
)
_A = "['\u2019]"
_W = WORD_CHARACTER
_END = rf"(?!{_W})"


def _alternatives(words: Sequence[str]) -> str:
    """Return a pattern of the words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


_CONNECTOR = (
    r"(?:[-\u2010\u2011&/_\u00b7]|\*{1,8}"
    rf"|{_A}|(?<=[0-9])[.,:\u2013](?=[0-9])|(?<=[0-9])\.(?=[0-9]))"
)


@cache
def _token_pattern() -> re.Pattern[str]:
    """Compile the pattern of one token, on first use (it takes some 40 ms)."""
    return re.compile(
        rf"(?P<whole>{URL}|{EMAIL}|{EMOJI}[{EXTENDER}]*+"
        r"|-(?:[LR][RSC]B)-"
        r"|</?[A-Za-z][A-Za-z0-9]{0,9}\s?/?>"
        r"|&(?:[A-Za-z]{2,8}|\#[0-9]{1,6});"
        rf"|(?<!{_W})[@#][A-Za-z_](?>{_W}*)"
        rf"|(?<![\w.])[\w~][\w~\-]{{0,63}}\.(?i:{_FILE_ENDINGS})(?![\w.]?\w)"
        r"|\+/-"
        # emoticons
        rf"|(?<![\w:;])(?:[:;=][-~^o]?['\u2019]?[)(\]\[DPpO|*\\]{{1,8}}|[:;]-?/(?!/)|:[-~]?3"
        r"|<3+|[xX]D+|\^[_.-]?\^|>[_.]<|T_T|-_-+|[oO]_[oO]|[)(\]\[D][-~]?[:;=](?=[\s]|$))"
        rf"(?![\w])"
        r"|(?:US|HK|NZ|NT|Au|Can|A|C|S|R)\$"
        rf"|(?<!{_W})(?:[A-Za-z]\+\+|[A-Za-z]\#|[A-D][+](?=[\s.,;:!?)]|$)){_END}"
        rf"|(?<!{_W})w/(?=\s)"
        rf"|\.NET\b"
        # clitics that stand apart already, words that begin or end with an apostrophe
        rf"|{_A}(?i:s|m|d|re|ve|ll){_END}"
        rf"|['\u2018\u2019](?:(?i:em|till?|cause|round|bout){_END}|[nN]{_A}?{_END})|{_A}[0-9]{{2}}s?{_END}"
        rf"|(?<!{_W})(?:[a-z]{{2,12}}in|o|ol|an|th|lil)'(?=\s|$)"
        rf"|\u00b0[CF]{_END}"
        # abbreviations
        rf"|(?<!{_W})(?:[A-Za-z]\.){{2,12}}(?:[A-Za-z](?=\.?{_END}))?(?>(?:-(?>{_W}+))*){_END}"
        rf"|(?<!{_W})(?:{_alternatives([*TITLES, *ABBREVIATIONS])})\.{_END}(?!\.)"
        rf"|(?<!{_W})(?:{_alternatives(BEFORE_NUMBER)})\.(?=\s?[0-9])"
        rf"|(?<!{_W})[A-Z]\.(?=\s{{1,3}}[A-Z\u2018\u201c\"(])(?!\.)"
        r")"
        # words and numbers
        rf"|(?P<word>(?:(?<![^{BLANK}(\[$\u00a3\u20ac])[-+\u2212\u00b1](?=\.?[0-9])\.?"
        rf"|(?<![\w.])\.(?=[0-9])|{_A}(?=(?i:tis|twas){_END}))?"
        rf"(?![{EXTENDER}])(?>{_W}+)(?>(?:{_CONNECTOR}(?![{EXTENDER}])(?>{_W}+))*)"
        r"(?:-(?=,|\s(?:and|or|to)\s))?)"
        # runs and single marks
        rf"|(?P<mark>[{CJK}](?>(?:[{CJK}]|[{EXTENDER}])*)"
        r"|\.{2,}|\u2026+|[!?]{2,}|-{2,}|[\u2013\u2014]+|\*{2,}|={2,}|~{2,}|_{2,}|\#{2,}|/{2,}|\+{2,}"
        r"|`{1,2}|''|[<>=]=|<-|->|=>|[<>]{2}"
        rf"|[^{BLANK}{EXTENDER}][{EXTENDER}]*+)"
    )


def _split_word(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cut the clitics off one word, from its end."""
    if end - start <= 8:
        cuts = _SPECIAL_CUTS.get(text[start:end].lower().replace("\u2019", "'"))
        if cuts is not None:
            edges = [start, *(start + cut for cut in cuts), end]
            return list(pairwise(edges))
    if text.find("'", start, end) < 0 and text.find("\u2019", start, end) < 0:
        return [(start, end)]
    pieces: list[tuple[int, int]] = []
    while True:
        tail = text[max(start, end - 3) : end].lower().replace("\u2019", "'")
        clitic = next((clitic for clitic in _CLITICS if tail.endswith(clitic)), None)
        if clitic is None or end - len(clitic) <= start:
            break
        pieces.append((end - len(clitic), end))
        end -= len(clitic)
    pieces.append((start, end))
    pieces.reverse()
    return pieces


def tokenize_english(text: str) -> list[tuple[int, int]]:
    """Cut an English sentence into Penn-style words.

    Works on a text of several sentences too, but some abbreviations are told from a final stop
    by what follows in the same sentence, so it is best called on one.

    Args:
        text: any string; time is linear in its length.

    Returns:
        Half-open code-point offsets, in order, without overlap. Every visible character is in
        exactly one token; blanks are in none.

    Raises:
        InputError: if `text` is not a str.

    Example:
        >>> [("They can't, he's ill."[i:j]) for i, j in tokenize_english("They can't, he's ill.")]
        ['They', 'ca', "n't", ',', 'he', "'s", 'ill', '.']
    """
    check_text(text)
    spans: list[tuple[int, int]] = []
    for match in _token_pattern().finditer(text):
        start, end = match.span()
        if match.lastgroup == "word":
            spans.extend(_split_word(text, start, end))
        else:
            spans.append((start, end))
    return spans


def word_separators(words: Sequence[str], tags: Sequence[str] | None = None) -> list[str]:
    """Guess what stood between Penn-style words when they were typed: a space or nothing.

    Args:
        words: of one sentence.
        tags: their Penn tags, where these are known: they tell opening from closing quotation
            marks and hyphens from dashes. Without them quotation marks that look alike open and
            close in turn, and a dash stands apart.

    Returns:
        A string fewer than there are words.

    Example:
        >>> word_separators(["I", "ca", "n't", ",", '"', "she", "said", '"', "."])
        [' ', '', '', ' ', '', ' ', '', '']
    """
    tags = [""] * len(words) if tags is None else tags
    separators: list[str] = []
    glued_next = False
    is_open = False
    for index, (word, tag) in enumerate(zip(words, tags, strict=True)):
        closes = word in _CLOSING or (tag == "." and not word[0].isalnum()) or tag == "-RRB-"
        opens = word in _OPENING or tag == "-LRB-"
        if word == '"':
            opens = tag == "``" if tag in ("``", "''") else not is_open
            closes = not opens
            is_open = opens
        elif tag in ("``", "''"):
            opens, closes = tag == "``", tag == "''"
        is_clitic = (tag == "POS" or _CLITIC.match(word) is not None) and not opens
        is_half = index > 0 and (words[index - 1].lower(), word.lower()) in _SPLIT_WORDS
        if index:
            glued = glued_next or closes or is_clitic or is_half or tag == "HYPH"
            separators.append("" if glued else " ")
        glued_next = opens or tag in ("HYPH", "AFX")
    return separators


def gaps(text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """Return what stands before, between and after the tokens of a text.

    Args:
        text: the text that was tokenised.
        spans: half-open offsets of its tokens, in order.

    Returns:
        One string more than there are tokens; each is empty or holds blanks only.
    """
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return [text[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)]


def detokenize(tokens: Sequence[str], between: Sequence[str]) -> str:
    """Join tokens to the text from which they were cut.

    Args:
        tokens: the tokens' texts.
        between: what `gaps` returned: one string more than there are tokens.

    Returns:
        The text, exactly.

    Raises:
        InputError: if the numbers of tokens and gaps do not fit.

    Example:
        >>> spans = tokenize_english(" It's  fine.")
        >>> detokenize([" It's  fine."[i:j] for i, j in spans], gaps(" It's  fine.", spans))
        " It's  fine."
    """
    if len(between) != len(tokens) + 1:
        raise InputError(
            f"found {len(between)} gaps for {len(tokens)} tokens, expected {len(tokens) + 1}; "
            "pass what gaps() returned for the same text"
        )
    pairs = zip(tokens, between[1:], strict=True)
    return between[0] + "".join(token + gap for token, gap in pairs)
