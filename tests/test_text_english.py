"""The English tokenizer: conventions by example, then properties that hold for any string."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treenlp.errors import InputError
from treenlp.text import chinese, detokenize, english, gaps, language, splitting, tokenize_english
from treenlp.text.characters import is_visible

# Pieces that are likely to meet in a tokenizer's blind spots.
PIECES = [
    "a", "B", "don't", "it's", "'", "''", "``", '"', "’s", "n't", ".", "..", "...", "…", "!", "?!",
    "-", "--", "—", "Mr.", "U.S.", "p.m.", "etc.", "J.", "3.14", "1,000", "$", "%", "/", "@", "#x",
    "http://a.org", "b@c.de", ":)", "<3", "❤️", "👨‍👩‍👧", "老师", "。", "(", ")", "\u0301", "\u200d",
    "\u200b", "\x00", "\ud800", "\u00a0", "\u3000", " ", "\n", "é", "ﬁ", "１", "_", "*", "cannot",
]  # fmt: skip
TEXTS = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in tokenize_english(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # contractions, clitics and possessives
        ("They can't go.", "They ca n't go ."),
        ("I'd've said he'll shouldn't", "I 'd 've said he 'll should n't"),
        ("WON'T IT'S don’t we’re", "WO N'T IT 'S do n’t we ’re"),
        ("I cannot, gonna, wanna, gimme", "I can not , gon na , wan na , gim me"),
        ("the dogs' bowl and O'Brien's hat", "the dogs ' bowl and O'Brien 's hat"),
        ("'tis the '90s, rock 'n' roll with 'em", "'t is the '90s , rock 'n' roll with 'em"),
        ("It 's n't 're already apart", "It 's n't 're already apart"),
        (
            "at five o'clock, ma'am, nothin' doin' now",
            "at five o'clock , ma'am , nothin' doin' now",
        ),
        # quotes, brackets, dashes
        ('"Well," (he said) [sic]', '" Well , " ( he said ) [ sic ]'),
        ("``Yes'' and “no” and 'so'", "`` Yes '' and “ no ” and ' so '"),
        ("-LRB- kept -RRB-", "-LRB- kept -RRB-"),
        ("He left--at last—or so", "He left -- at last — or so"),
        ("pre- and post-war, well-to-do", "pre- and post-war , well-to-do"),
        # numbers, money, percent
        ("$1,000.50, US$5 and 12.5% of 3-for-5", "$ 1,000.50 , US$ 5 and 12.5 % of 3-for-5"),
        ("at 8:30 on 1/2/2003, -5 or .5", "at 8:30 on 1/2/2003 , -5 or .5"),
        ("1990–95 and 20°C, 3 +/- 1", "1990–95 and 20 °C , 3 +/- 1"),
        # stops
        ("Well...what?!", "Well ... what ?!"),
        ("Mr. and Mrs. Bell of Acme Inc. met", "Mr. and Mrs. Bell of Acme Inc. met"),
        ("She moved to the U.S.", "She moved to the U.S."),
        ("We eat rice, beans, etc.", "We eat rice , beans , etc."),
        ("A U.S.-based firm, e.g. J. K. Low's", "A U.S.-based firm , e.g. J. K. Low 's"),
        ("I said no. See No. 5, p. 6.", "I said no . See No. 5 , p. 6 ."),
        ("This was Plan B.", "This was Plan B ."),
        ("it ended.The bus", "it ended . The bus"),
        # kept whole
        ("See http://a.org/x?y=1.", "See http://a.org/x?y=1 ."),
        ("(www.example.com/a), b.c@d.org!", "( www.example.com/a ) , b.c@d.org !"),
        ("open notes.txt and a.b.com", "open notes.txt and a.b.com"),
        ("@ann likes #trees :-) :D <3", "@ann likes #trees :-) :D <3"),
        ("fun ❤️👨‍👩‍👧🇨🇳👍🏽 3️⃣", "fun ❤️ 👨‍👩‍👧 🇨🇳 👍🏽 3️⃣"),
        ("AT&T's C++ and/or R&D", "AT&T 's C++ and/or R&D"),
        ("a (b) (see note:) ratio 5:3", "a ( b ) ( see note : ) ratio 5:3"),
        ("cafe\u0301 naïve na\u00adive", "cafe\u0301 naïve na\u00adive"),
        ("p\ufffdt\ufffd", "p\ufffdt\ufffd"),
        # the other language
        ("The word 老师 means “teacher”。", "The word 老师 means “ teacher ” 。"),
    ],
)
def test_conventions(text: str, expected: str) -> None:
    assert words(text) == expected.split(" ")


def test_blanks_belong_to_no_token() -> None:
    assert words("\ufeff a\u200b b\x00c\u3000d\u2028 ") == ["a", "b", "c", "d"]
    assert words(" \t\u200b\x00\u0301") == []


@given(TEXTS)
def test_offsets_are_ordered_and_cover_what_is_visible(text: str) -> None:
    place = 0
    for start, end in tokenize_english(text):
        assert place <= start < end <= len(text)
        assert is_visible(text[start:end])
        place = end
    assert not any(is_visible(gap) for gap in gaps(text, tokenize_english(text)))


@given(TEXTS)
def test_detokenize_restores_the_text(text: str) -> None:
    spans = tokenize_english(text)
    assert detokenize([text[i:j] for i, j in spans], gaps(text, spans)) == text


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_line_break_separates(left: str, right: str) -> None:
    spans = tokenize_english(f"{left}\n{right}")
    assert not any(start < len(left) + 1 and end > len(left) for start, end in spans)


def test_detokenize_refuses_gaps_of_another_text() -> None:
    with pytest.raises(InputError, match="found 2 gaps for 2 tokens, expected 3"):
        detokenize(["a", "b"], ["", ""])


@pytest.mark.parametrize("text", [None, b"bytes", 3])
def test_only_strings(text: object) -> None:
    with pytest.raises(InputError, match="expected a str"):
        tokenize_english(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "unit",
    ["a", "a.", ".a", "a@", "ab.cd.", "http://", "'s", "a-", "1,", "www.", "(:", "<a", "&a", "A.",
     "a'", "co.", "*a", "a\u0301", "12.", "❤️\u200d", "\u200d", "x-y.com/", "!", "ab~", "[-", "-_"],
)  # fmt: skip
def test_time_is_linear(unit: str) -> None:
    text = (unit * 20_000)[:20_000]
    tokenize_english("warm up")
    began = time.perf_counter()
    tokenize_english(text)
    # About 0.06 s at most on a slow machine; something quadratic takes ten times the bound.
    assert time.perf_counter() - began < 1.0


def possessive_groups(parsed: Any) -> Iterator[Any]:
    """Possessive repeats in a parsed pattern whose body is more than one character."""
    for operation, argument in parsed:
        if str(operation) == "POSSESSIVE_REPEAT":
            body = argument[2]
            if len(body) != 1 or str(body[0][0]) not in ("IN", "LITERAL", "NOT_LITERAL", "ANY"):
                yield body
        for part in argument if isinstance(argument, tuple | list) else [argument]:
            inner = part if isinstance(part, list) else [part]
            for pattern in inner:
                if isinstance(pattern, re._parser.SubPattern):  # type: ignore[attr-defined]
                    yield from possessive_groups(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        english._token_pattern(),
        chinese._atom_pattern(),
        language._WORD,
        splitting._TERMINAL,
        splitting._ADDRESS,
        splitting._NEXT,
    ],
    ids=["english", "chinese", "language", "terminal", "address", "next"],
)
def test_groups_are_atomic_and_not_possessive(pattern: re.Pattern[str]) -> None:
    """Python before 3.11.5 matches too much with possessive groups, and Debian 12 has 3.11.2."""
    parse = re._parser.parse  # type: ignore[attr-defined]
    assert list(possessive_groups(parse("x(?:a|(?:bc)*+)y")))
    assert not list(possessive_groups(parse("a*+[bc]++(?>(?:bc)*)")))
    assert not list(possessive_groups(parse(pattern.pattern, pattern.flags & ~re.UNICODE)))
