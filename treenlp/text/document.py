"""Documents, sentences and tokens: what the rest of the package knows of the caller's text.

All offsets are half-open, in Unicode code points of the text that the caller gave.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self, get_args

from treenlp.errors import InputError
from treenlp.text.characters import Lang, check_text, is_visible
from treenlp.text.chinese import chinese_atoms
from treenlp.text.english import tokenize_english, word_separators
from treenlp.text.language import detect_language
from treenlp.text.normalize import normalize
from treenlp.text.splitting import split_sentences

Offsets = tuple[int, int]

# White space that separates words which the caller has cut already. A no-break space does not.
_GIVEN_WORD: Final = re.compile(r"[^ \t\n\r\x0b\x0c\u3000]+")
_STRONG: Final = re.compile("[;\uff1b.\u3002!?\uff01\uff1f\u2026]+[\"'\u201d\u2019\u300d)\uff09]*")
_COMMA: Final = re.compile("[,\uff0c:\uff1a\u2014-]+[\"'\u201d\u2019\u300d)\uff09]*")
_PAUSE: Final = re.compile("[\u3001\uff09)\u201d\u300d\u300b]+")


@dataclass(frozen=True, kw_only=True)
class Token:
    """A word or mark of a sentence.

    Attributes:
        text: as the caller wrote it.
        start: offset of its first code point.
        end: offset past its last.
        pos: part of speech, or None where no parser has seen it.
    """

    text: str
    start: int
    end: int
    pos: str | None = None


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence, with the units that the chart works on.

    Attributes:
        text: the caller's whole text (shared, not copied).
        start: offset of the sentence in it; the sentence begins with its first atom.
        end: offset past the sentence's last atom.
        lang: language.
        atoms: offsets of the chart's units, in order: words in English, characters (and runs of
            letters or digits) in Chinese. Every visible character of the sentence is in one.
        is_tokenized: whether the caller gave the words.
        words: the given words as half-open ranges of atoms, or None where the parser decides.
    """

    text: str = field(repr=False)
    start: int
    end: int
    lang: Lang
    atoms: tuple[Offsets, ...] = field(repr=False)
    is_tokenized: bool = False
    words: tuple[Offsets, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check that the offsets are in order and within the text.

        Raises:
            InputError: if they are not, or if there is no atom.
        """
        check_lang(self.lang)
        if not self.atoms:
            raise InputError(
                "found a sentence without atoms, expected one or more; skip blank text"
            )
        place = self.start
        for start, end in self.atoms:
            if not place <= start < end:
                raise InputError(
                    f"found the atom [{start}, {end}) after offset {place}, expected atoms that "
                    "are not empty, in order and within the sentence"
                )
            place = end
        if not 0 <= self.start or not place <= self.end <= len(self.text):
            raise InputError(
                f"found atoms up to {place} in the sentence [{self.start}, {self.end}) of a text "
                f"of {len(self.text)} code points; expected each within the next"
            )
        if self.words is not None:
            edges = [edge for word in self.words for edge in word]
            expected = [0, *(edge for edge in edges[1:-1:2] for _ in range(2)), len(self.atoms)]
            if edges != expected or any(i >= j for i, j in self.words):
                raise InputError(
                    f"found words that do not cover the {len(self.atoms)} atoms one after the "
                    "other; expected half-open ranges from 0 to the number of atoms"
                )

    @classmethod
    def from_text(
        cls, text: str, *, lang: Lang | None = None, start: int = 0, end: int | None = None
    ) -> Self | None:
        """Make one sentence of a stretch of text, whatever marks it holds.

        Args:
            text: the whole text.
            lang: language; detected if None.
            start: offset of the stretch.
            end: offset past it; the end of the text if None.

        Returns:
            The sentence, or None if the stretch shows nothing.
        """
        end = len(text) if end is None else end
        surface = text[start:end]
        lang = detect_language(surface) if lang is None else lang
        cut = chinese_atoms if lang == "zh" else tokenize_english
        atoms = tuple((start + i, start + j) for i, j in cut(surface))
        if not atoms:
            return None
        return cls(text=text, start=atoms[0][0], end=atoms[-1][1], lang=lang, atoms=atoms)

    @classmethod
    def from_words(cls, words: Sequence[str], *, lang: Lang, separator: str | None = None) -> Self:
        """Make a sentence of given words, such as the leaves of a tree.

        Args:
            words: one or more, none of them empty. They are kept as they are.
            lang: language.
            separator: what stands between words in the sentence's text; None means nothing in
                Chinese and a space in English.

        Returns:
            A sentence with `is_tokenized`, whose text is the joined words.

        Raises:
            InputError: if there is no word or an empty one.
        """
        separator = ({"zh": "", "en": " "}[check_lang(lang)]) if separator is None else separator
        if not words or not all(words):
            raise InputError(
                f"found {'an empty word' if words else 'no word'}, expected one or more words of "
                "one or more characters; leave the sentence out"
            )
        spans: list[Offsets] = []
        place = 0
        for word in words:
            spans.append((place, place + len(word)))
            place += len(word) + len(separator)
        return cls._from_spans(separator.join(words), spans, lang)

    @classmethod
    def from_tokenized(
        cls, text: str, *, lang: Lang | None = None, start: int = 0, end: int | None = None
    ) -> Self | None:
        """Make a sentence of a line whose words are separated by white space.

        Args:
            text: the whole text.
            lang: language; detected if None.
            start: offset of the line.
            end: offset past it; the end of the text if None.

        Returns:
            The sentence, or None if the line is blank.
        """
        end = len(text) if end is None else end
        spans = [match.span() for match in _GIVEN_WORD.finditer(text, start, end)]
        if not spans:
            return None
        lang = detect_language(text[start:end]) if lang is None else lang
        return cls._from_spans(text, spans, lang)

    @classmethod
    def _from_spans(cls, text: str, spans: Sequence[Offsets], lang: Lang) -> Self:
        """Make a sentence of given words at these offsets."""
        atoms: list[Offsets] = []
        words: list[Offsets] = []
        for start, end in spans:
            inner = _atoms_of_word(text[start:end], lang)
            words.append((len(atoms), len(atoms) + len(inner)))
            atoms.extend((start + i, start + j) for i, j in inner)
        return cls(
            text=text,
            start=atoms[0][0],
            end=atoms[-1][1],
            lang=lang,
            atoms=tuple(atoms),
            is_tokenized=True,
            words=tuple(words),
        )

    @property
    def surface(self) -> str:
        """The sentence as the caller wrote it."""
        return self.text[self.start : self.end]

    @property
    def num_atoms(self) -> int:
        """Number of chart units, at least 1."""
        return len(self.atoms)

    @cached_property
    def atom_texts(self) -> tuple[str, ...]:
        """The atoms as the caller wrote them."""
        return tuple(self.text[start:end] for start, end in self.atoms)

    @cached_property
    def model_text(self) -> str:
        """The sentence as the model reads it; character i of it is character i of `surface`."""
        return normalize(self.surface, self.lang)

    @cached_property
    def running(self) -> Sentence:
        """The sentence in the spelling of running text, atom for atom.

        Given English words stand apart (``I ca n't .``), while models read what people type
        (``I can't.``): blanks that nobody would type are left out. Any other sentence is its own
        running text.
        """
        if self.lang != "en" or self.words is None:
            return self
        spans = [self.span(first, last) for first, last in self.words]
        between = word_separators([self.text[start:end] for start, end in spans])
        text = ""
        atoms: list[Offsets] = []
        for n, ((first, last), (start, end)) in enumerate(zip(self.words, spans, strict=True)):
            shift = len(text) - start
            atoms.extend((i + shift, j + shift) for i, j in self.atoms[first:last])
            text += self.text[start:end]
            if n < len(between) and between[n]:
                text += self.text[end : spans[n + 1][0]]
        return Sentence(
            text=text,
            start=0,
            end=len(text),
            lang=self.lang,
            atoms=tuple(atoms),
            is_tokenized=True,
            words=self.words,
        )

    def span(self, first: int, last: int) -> Offsets:
        """Return the offsets that a range of atoms covers.

        Args:
            first: index of the first atom.
            last: one past the index of the last; greater than `first`.

        Returns:
            Half-open offsets in the caller's text.
        """
        return self.atoms[first][0], self.atoms[last - 1][1]

    def part(self, first: int, last: int) -> Sentence:
        """Return a range of atoms as a sentence of its own, with offsets in the same text.

        A given word that the range cuts becomes the part of it that lies inside.

        Args:
            first: index of the first atom.
            last: one past the index of the last; greater than `first`.

        Returns:
            The part.
        """
        start, end = self.span(first, last)
        words: tuple[Offsets, ...] | None = None
        if self.words is not None:
            words = tuple(
                (max(i, first) - first, min(j, last) - first)
                for i, j in self.words
                if j > first and i < last
            )
        return Sentence(
            text=self.text,
            start=start,
            end=end,
            lang=self.lang,
            atoms=self.atoms[first:last],
            is_tokenized=self.is_tokenized,
            words=words,
        )

    def stretches(self, max_atoms: int) -> list[Sentence]:
        """Cut a sentence that is too long for the chart.

        A cut is made after a mark in the second half of the longest possible stretch: a strong
        mark if there is one, otherwise a comma, otherwise a pause or closing bracket; failing
        that between two given words, or at the bound.

        Args:
            max_atoms: the most atoms of a stretch, at least 1.

        Returns:
            One or more sentences that have this one's atoms, in order.

        Raises:
            InputError: if `max_atoms` is less than 1.
        """
        if max_atoms < 1:
            raise InputError(f"found max_atoms={max_atoms}, expected 1 or more")
        if self.num_atoms <= max_atoms:
            return [self]
        ranks = self._cut_ranks()
        parts: list[Sentence] = []
        first = 0
        while self.num_atoms - first > max_atoms:
            last = first + max_atoms
            low = first + (max_atoms + 1) // 2
            best = max(range(low, last + 1), key=lambda cut: (ranks[cut], cut))
            parts.append(self.part(first, best))
            first = best
        parts.append(self.part(first, self.num_atoms))
        return parts

    def _cut_ranks(self) -> list[int]:
        """Rank the places between atoms by how well a cut there would do (higher is better)."""
        inside = [False] * (self.num_atoms + 1)
        if self.words is not None:
            inside = [True] * (self.num_atoms + 1)
            for _, j in self.words:
                inside[j] = False
        ranks = [0 if inner else 1 for inner in inside]
        for cut in range(1, self.num_atoms):
            if inside[cut]:
                continue
            text, following = self.atom_texts[cut - 1], self.atom_texts[cut]
            if _PAUSE.fullmatch(following) or following in {",", "\uff0c", ".", "\u3002"}:
                continue
            for rank, pattern in ((4, _STRONG), (3, _COMMA), (2, _PAUSE)):
                if pattern.fullmatch(text):
                    ranks[cut] = rank
                    break
        return ranks


def check_lang(lang: str) -> Lang:
    """Check the name of a language.

    Args:
        lang: "zh" or "en".

    Returns:
        The same.

    Raises:
        InputError: if it is neither.
    """
    for known in get_args(Lang):
        if lang == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"found lang={lang!r}, expected one of {', '.join(get_args(Lang))}")


def _atoms_of_word(word: str, lang: Lang) -> list[Offsets]:
    """Cut a given word into atoms; it has at least one, whatever it consists of."""
    if lang == "en":
        return [(0, len(word))]
    return chinese_atoms(word) or [(0, len(word))]


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text and its sentences.

    Attributes:
        text: as the caller gave it.
        sentences: in order; none of them is blank. Empty for a blank text.
    """

    text: str
    sentences: tuple[Sentence, ...]

    def __len__(self) -> int:
        return len(self.sentences)

    def __iter__(self) -> Iterator[Sentence]:
        return iter(self.sentences)

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        lang: str = "auto",
        tokenized: bool = False,
        max_atoms: int | None = None,
    ) -> Self:
        """Cut a text into sentences.

        Args:
            text: any string, lone surrogates and control characters included.
            lang: "zh", "en", or "auto" to decide for each sentence.
            tokenized: whether words are separated by white space; then a line is a sentence, and
                its words are kept.
            max_atoms: sentences with more atoms are cut at punctuation (see
                `Sentence.stretches`); None keeps them whole.

        Returns:
            The document; its sentences' offsets are those of `text`.

        Raises:
            InputError: if `text` is not a str, `lang` is unknown, or `max_atoms` is less than 1.

        Example:
            >>> [s.surface for s in Document.from_text("他来了。 It's late.")]
            ['他来了。', "It's late."]
        """
        check_text(text)
        given = None if lang == "auto" else check_lang(lang)
        if max_atoms is not None and max_atoms < 1:
            raise InputError(f"found max_atoms={max_atoms}, expected 1 or more, or None")
        default = given or detect_language(text)
        sentences: list[Sentence] = []
        spans = _lines(text) if tokenized else split_sentences(text)
        make = Sentence.from_tokenized if tokenized else Sentence.from_text
        for start, end in spans:
            if not is_visible(text[start:end]):
                continue
            chosen = given or detect_language(text[start:end], default=default)
            sentence = make(text, lang=chosen, start=start, end=end)
            if sentence is not None:
                sentences.extend([sentence] if max_atoms is None else sentence.stretches(max_atoms))
        return cls(text=text, sentences=tuple(sentences))


def _lines(text: str) -> list[Offsets]:
    """Return the offsets of the lines of a text; a line ends at a line feed and nowhere else."""
    spans: list[Offsets] = []
    place = 0
    for line in text.split("\n"):
        spans.append((place, place + len(line)))
        place += len(line) + 1
    return spans
