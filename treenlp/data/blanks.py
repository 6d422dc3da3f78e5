"""Sentences with a blank: a character among those that sound like it, or a frequent word.

Taylor (1953), "Cloze Procedure", left out words and asked readers for them. Here the text is the
tagged newspaper. A paragraph is in one part as a whole, and a sentence that stands there twice
counts where it stands first, so no two parts share a sentence.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from treenlp.data.homophones import HomophoneSet
from treenlp.data.keys import seeded_fraction, text_key
from treenlp.data.pku import TaggedText
from treenlp.errors import DataError

__all__ = [
    "BLANK",
    "Blank",
    "TextPart",
    "character_blanks",
    "sentences_by_part",
    "split_sentences",
    "word_blanks",
]

TextPart = Literal["train", "dev", "test"]

BLANK = "＿"
"""Stands for what is left out; the newspaper does not use it."""

_ENDS = frozenset("。！？")
_CLOSERS = frozenset("”’」』）》")
_CONTENT = frozenset(["n", "v", "vn", "a", "ad", "an"])
_MEASURED = 0.1  # share of the paragraphs in each of dev and test


@dataclass(frozen=True, kw_only=True)
class Blank:
    """A place in a sentence where something is left out.

    Attributes:
        before: characters or words before it, from left to right; at most as many as the window.
        after: those after it.
        answer: what stood there.
        candidates: what it is to be chosen from.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    answer: str
    candidates: tuple[str, ...]


def split_sentences(text: TaggedText) -> Iterator[TaggedText]:
    """Yield the sentences of a paragraph; marks that close a quotation stay with theirs.

    Example:
        >>> from treenlp.data.pku import parse_pku_line
        >>> text = parse_pku_line("“/w  来/v  。/w  ”/w  他/r  说/v")
        >>> [sentence.text for sentence in split_sentences(text)]
        ['“来。”', '他说']
    """
    start, words = 0, text.words
    for at in range(1, len(words) + 1):
        is_end = at == len(words) or (
            words[at] not in _ENDS and words[at] not in _CLOSERS and _ends(words[start:at])
        )
        if is_end:
            yield TaggedText(words=words[start:at], tags=text.tags[start:at])
            start = at


def _ends(words: Sequence[str]) -> bool:
    last = next((word for word in reversed(words) if word not in _CLOSERS), "")
    return last in _ENDS


def sentences_by_part(
    texts: Iterable[TaggedText], *, seed: int = 0
) -> dict[TextPart, list[TaggedText]]:
    """Divide a newspaper: eight tenths of its paragraphs teach, a tenth is in each other part.

    Args:
        texts: paragraphs.
        seed: of the division, which else depends on a paragraph's text alone.
    """
    parts: dict[TextPart, list[TaggedText]] = {part: [] for part in get_args(TextPart)}
    seen: set[str] = set()
    for text in texts:
        place = seeded_fraction(f"blanks {seed}", text_key(text.text))
        part: TextPart = "train"
        if place < 2 * _MEASURED:
            part = "dev" if place < _MEASURED else "test"
        for sentence in split_sentences(text):
            key = text_key(sentence.text)
            if key and key not in seen:
                seen.add(key)
                parts[part].append(sentence)
    return parts


def character_blanks(
    sentences: Mapping[TextPart, Sequence[TaggedText]],
    sets: Sequence[HomophoneSet],
    *,
    items: int,
    window: int,
    seed: int = 0,
) -> dict[TextPart, list[Blank]]:
    """Leave out characters; the candidates are those that sound the same.

    Every set gets as many blanks, drawn from all its places in the text, so that within a set the
    newspaper's own frequencies count and no set drowns the others.

    Args:
        sentences: by part.
        sets: characters that sound the same.
        items: blanks to learn from; a fifth as many are in each of the other parts. A set that
            does not stand in the text so often has fewer.
        window: characters that are shown on each side, within the sentence.
        seed: of the draws.

    Raises:
        DataError: if a character never stands in what is learned from.
    """
    set_of = {character: n for n, own in enumerate(sets) for character in own.characters}
    seen: set[tuple[str, ...]] = set()
    parts: dict[TextPart, list[Blank]] = {}
    for part, texts in sentences.items():
        surfaces = [text.text for text in texts]
        places: list[list[tuple[int, int]]] = [[] for _ in sets]
        for n, surface in enumerate(surfaces):
            for at, character in enumerate(surface):
                if character in set_of:
                    places[set_of[character]].append((n, at))
        if part == "train":
            _check_all_stand(set_of, "".join(surfaces))
        wanted = (items if part == "train" else items // 5) // len(sets)
        blanks: list[Blank] = []
        for own, found in zip(sets, places, strict=True):
            random.Random(f"{seed} {part} {own.sound}").shuffle(found)
            shown = (_blank(surfaces[n], at, own.characters, window) for n, at in found)
            blanks += _first_new(shown, wanted, seen)
        parts[part] = blanks
    return parts


def _check_all_stand(characters: Iterable[str], text: str) -> None:
    missing = sorted(set(characters) - set(text))
    if missing:
        raise DataError(
            f"found {' '.join(missing)} nowhere in the text that is learned from; take them out of "
            "their sets, or give more text"
        )


def word_blanks(
    sentences: Mapping[TextPart, Sequence[TaggedText]],
    *,
    words: int,
    items: int,
    window: int,
    seed: int = 0,
) -> dict[TextPart, list[Blank]]:
    """Leave out the most frequent content words; the candidates are all of them.

    Content words are nouns, verbs and adjectives of two or more characters, names left out. Blanks
    are drawn from all their places alike: frequent words are frequent answers.

    Args:
        sentences: by part; the frequencies are those of the part that is learned from.
        words: how many.
        items: blanks to learn from; a fifth as many are in each of the other parts.
        window: words that are shown on each side, within the sentence.
        seed: of the draws.

    Raises:
        DataError: if the text has fewer content words.
    """
    counts = Counter(
        word
        for text in sentences["train"]
        for word, tag in zip(text.words, text.tags, strict=True)
        if len(word) > 1 and tag in _CONTENT
    )
    ranked = sorted(counts, key=lambda word: (-counts[word], word))[:words]
    if len(ranked) < words:
        raise DataError(f"found {len(ranked)} content words in the text, expected {words}")
    candidates, chosen = tuple(ranked), set(ranked)
    seen: set[tuple[str, ...]] = set()
    parts: dict[TextPart, list[Blank]] = {}
    for part, texts in sentences.items():
        places = [
            (n, at)
            for n, text in enumerate(texts)
            for at, (word, tag) in enumerate(zip(text.words, text.tags, strict=True))
            if word in chosen and tag in _CONTENT
        ]
        random.Random(f"{seed} {part}").shuffle(places)
        shown = (_blank(texts[n].words, at, candidates, window) for n, at in places)
        parts[part] = _first_new(shown, items if part == "train" else items // 5, seen)
    return parts


def _blank(leaves: Sequence[str], at: int, candidates: tuple[str, ...], window: int) -> Blank:
    return Blank(
        before=tuple(leaves[max(at - window, 0) : at]),
        after=tuple(leaves[at + 1 : at + 1 + window]),
        answer=leaves[at],
        candidates=candidates,
    )


def _first_new(blanks: Iterable[Blank], wanted: int, seen: set[tuple[str, ...]]) -> list[Blank]:
    """Take blanks until there are enough; what was shown once, in whatever part, is left out."""
    found: list[Blank] = []
    for blank in blanks:
        if len(found) >= wanted:
            break
        shown = (*blank.before, BLANK, *blank.after)
        if shown not in seen:
            seen.add(shown)
            found.append(blank)
    return found
