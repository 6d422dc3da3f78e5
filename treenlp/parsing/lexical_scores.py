"""What a user's own lexicon adds to a chart: weights of words, and of two words that agree.

The weight of a word is added to the score of its span under every label of its tag, and its two
ends are spared from pruning. The weight of a pair is added to the affinity where a phrase whose
first child ends in the first word ends in the second: a noun phrase for a classifier, a verb phrase
for a verb. Both are terms of the log-potentials, so marginals, readings and trees stay consistent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from treenlp.errors import LexiconError
from treenlp.lexicon.user import UserLexicon
from treenlp.parsing.chart import ChartScores
from treenlp.parsing.grammar import CHAIN_SEPARATOR, Grammar
from treenlp.text import Lang, Sentence

__all__ = ["LexicalScores"]

_Weights = Mapping[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class _Word:
    """A word of the lexicon in a sentence: atoms [start, end), its labels and its weight."""

    start: int
    end: int
    labels: tuple[int, ...]
    weight: float


class LexicalScores:
    """A user's lexicon under the labels of a parser.

    Args:
        lexicon: what the user wrote.
        grammars: of the parser's languages.

    Raises:
        LexiconError: if a word's tag is none of any language's.
    """

    def __init__(self, lexicon: UserLexicon, grammars: Mapping[Lang, Grammar]) -> None:
        """Look the tags up and order the words by how they begin."""
        self._grammars = grammars
        self._pairs: dict[str, Mapping[str, list[tuple[str, float]]]] = {
            "NP": _by_first(lexicon.classifiers),
            "VP": _by_first(lexicon.objects),
        }
        self._words: dict[Lang, dict[str, list[tuple[str, tuple[int, ...], float]]]] = {}
        known: set[str] = set()
        for lang, grammar in grammars.items():
            tags = [label.rpartition(CHAIN_SEPARATOR)[2] for label in grammar.word_labels]
            known.update(tags)
            own = self._words[lang] = defaultdict(list)
            for (word, tag), weight in lexicon.words.items():
                labels = tuple(n for n, found in enumerate(tags) if found == tag)
                if labels:
                    own[word[0]].append((word, labels, weight))
        for word, tag in lexicon.words:
            if tag not in known:
                raise LexiconError(
                    f"found the tag {tag!r} of {word!r}; expected one of {', '.join(sorted(known))}"
                )

    def keep_ends(self, keep: Tensor, sentences: Sequence[Sentence]) -> None:
        """Mark the ends of words in `keep` (B, F), but of given words, whose ends are theirs."""
        for b, sentence in enumerate(sentences):
            if sentence.words is None:
                for word in self._words_of(sentence):
                    keep[b, [word.start, word.end]] = True

    def add(
        self,
        scores: ChartScores,
        sentences: Sequence[Sentence],
        fenceposts: Sequence[Sequence[int]],
    ) -> ChartScores:
        """Add the weights to the scores of a batch of one language.

        Args:
            scores: of the sentences.
            sentences: what was scored.
            fenceposts: of each sentence the atoms at which its fenceposts stand.
        """
        word, affinity = scores.word.clone(), scores.affinity.clone()
        for b, (sentence, atoms) in enumerate(zip(sentences, fenceposts, strict=True)):
            unit = {atom: n for n, atom in enumerate(atoms)}
            for found in self._words_of(sentence):
                if found.start in unit and found.end in unit:
                    start, width = unit[found.start], unit[found.end] - unit[found.start]
                    if width <= word.shape[2]:
                        word[b, start, width - 1, list(found.labels)] += found.weight
            for parent, k, j, weight in self._agreeing(sentence):
                if k in unit and j in unit:
                    affinity[b, unit[k], unit[j], parent] += weight
        return replace(scores, word=word, affinity=affinity)

    def _words_of(self, sentence: Sentence) -> Iterator[_Word]:
        """Every place where a word of the lexicon stands between two atoms' edges."""
        own, text = self._words[sentence.lang], sentence.model_text
        ends = {end - sentence.start: n + 1 for n, (_, end) in enumerate(sentence.atoms)}
        for n, (start, _) in enumerate(sentence.atoms):
            at = start - sentence.start
            for word, labels, weight in own.get(text[at], ()):
                end = ends.get(at + len(word))
                if end is not None and text.startswith(word, at):
                    yield _Word(start=n, end=end, labels=labels, weight=weight)

    def _agreeing(self, sentence: Sentence) -> Iterator[tuple[int, int, int, float]]:
        """Parent class, atom after the first word, atom after the second, and weight."""
        text = sentence.model_text
        atoms = {end - sentence.start: n + 1 for n, (_, end) in enumerate(sentence.atoms)}
        names = self._grammars[sentence.lang].parent_classes
        for name, pairs in self._pairs.items():
            if name not in names:
                continue
            for first, seconds in pairs.items():
                for k in _ends(text, first):
                    for second, weight in seconds:
                        for j in _ends(text, second, after=k):
                            if k in atoms and j in atoms:
                                yield names.index(name), atoms[k], atoms[j], weight


def _by_first(weights: _Weights) -> Mapping[str, list[tuple[str, float]]]:
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for (first, second), weight in weights.items():
        found[first].append((second, weight))
    return found


def _ends(text: str, word: str, *, after: int = 0) -> Iterator[int]:
    """Ends of the places where a word stands, none before `after`."""
    at = text.find(word, after)
    while at >= 0:
        yield at + len(word)
        at = text.find(word, at + 1)
