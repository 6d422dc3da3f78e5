"""What stands around a phrase decides what it counts, or must not decide it.

``numeral classifier N1 的 N2`` counts the nearer noun or the farther one: 两个大学的老师. What is
counted is often mentioned again, in the same sentence or in the next (一个来自北大，一个来自清华),
with a classifier that fits one of the two, with the noun itself, or with a predicate that is said
of such things only. Then the sentence is parsed once more with the telling classifier in the place
of the first one: the posterior of that parse is the parser's own judgement of what such a
classifier counts there. With a share that allows for a mention of something else it replaces the
odds of the two nouns, as a weight on the phrase of the nearer one (`Forest.weigh`), so that
marginals, readings and sites stay consistent.

A mark after a phrase that stands alone (两位大学的老师。) tells nothing: there the odds are those
of the phrase without it, which the parser judges better.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from treenlp.disambiguation.mentions import (
    GENERAL_CLASSIFIERS,
    NOUNS,
    NUMBERS,
    PERSON_CLASSIFIERS,
    SEVERAL,
    Mention,
    find_mentions,
    predicate_classifiers,
)
from treenlp.parsing.forest import Forest
from treenlp.text import Sentence
from treenlp.trees.tree import Tree

__all__ = ["heed_context", "may_be_decided", "may_count"]

Span = tuple[int, int]

_DOUBT: Final = 0.1  # a later mention may be one of something else; see experiments/context
_MATCH: Final = 0.98  # the nearer noun is meant if the later mention names it
_DECIDED: Final = 0.4  # from even odds: then a first classifier that tells something is believed
_TREES: Final = 32
_LEAST: Final = 1e-4
_MARK: Final = "PU"
_OPEN: Final = re.compile("([一二两三四五六七八九十几1-9]).(?=.*的)")
_ORDER: Final = re.compile(r"\bCD M .*\bN[NR] .*\bDE[GC] .*\bN[NR]\b")

Parse = Callable[[Sequence[Sentence]], Sequence[Forest]]


@dataclass(frozen=True, kw_only=True)
class _Count:
    """A numeral and a classifier that may count one of two nouns.

    Attributes:
        mention: numeral and classifier.
        phrase: atoms of the phrase that counts the nearer noun.
        near: the nearer noun.
        far: the farther one.
        end: atom past the farther noun.
    """

    mention: Mention
    phrase: Span
    near: str
    far: str
    end: int


def may_count(sentence: Sentence) -> bool:
    """Whether a sentence may count one of two nouns, by its characters alone.

    Args:
        sentence: before it is parsed.
    """
    return sentence.lang == "zh" and _OPEN.search(sentence.model_text) is not None


def may_be_decided(sentence: Sentence, following: Sequence[Sentence], tree: Tree) -> bool:
    """Whether `heed_context` may change anything, without a parse.

    Args:
        sentence: for which `may_count` holds.
        following: the sentences after it.
        tree: its best tree.
    """
    if _ORDER.search(" ".join(tree.tags)) is None:
        return False
    text = sentence.model_text
    later = [found.model_text for found in following]
    return _stands_alone(tree) or any(
        _may_mention(rest, NUMBERS[found[1]])
        for found in _OPEN.finditer(text)
        for rest in (text[found.end() :], *later)
    )


def _stands_alone(tree: Tree) -> bool:
    """Whether the tree is a noun phrase with a mark after it and no sentence."""
    return tree.label == "NP" and tree.tags[-1] == _MARK


def _may_mention(text: str, number: int) -> bool:
    if number == 1:
        return False
    values = [NUMBERS[character] for character in text if character in NUMBERS]
    if values.count(1) > 1:
        return True
    return any(SEVERAL in (value, number) or value == number for value in values if value != 1)


def heed_context(forest: Forest, following: Sequence[Sentence], parse: Parse) -> Forest:
    """Let later mentions decide what the sentence counts.

    Costs a parse of the following sentences, and one of this sentence and of its phrase for each
    classifier that is tried.

    Args:
        forest: of a sentence for which `may_count` holds.
        following: the sentences after it that may speak of the same things.
        parse: parses sentences.

    Returns:
        The forest with other odds, or the same one where nothing is decided.
    """
    tree = next(forest.interpretations()).tree
    if not may_be_decided(forest.sentence, following, tree):
        return forest
    counts = list(_counts(forest))
    if counts and _stands_alone(tree):
        forest = _without_mark(forest, counts[0], parse)
    counts = [count for count in counts if count.mention.number != 1]
    if not counts:
        return forest
    others = [sentence for sentence in following if sentence.lang == "zh"]
    later = [list(_mentions(found)) for found in (parse(others) if others else ())]
    own = list(_mentions(forest))
    for count in counts:
        rest = [mention for mention in own if mention.place[0] >= count.end]
        found = _same(count.mention, [rest, *later])
        before = forest.span_prob(*count.phrase)
        is_general = count.mention.classifier in GENERAL_CLASSIFIERS
        if not is_general and abs(before - 0.5) > _DECIDED:
            continue
        after = _judge(forest, count, found, parse)
        if after is None:
            continue
        joined = (1.0 - _DOUBT) * after + _DOUBT * before
        forest = forest.weigh(*count.phrase, _logit(joined) - _logit(before))
    return forest


def _without_mark(forest: Forest, count: _Count, parse: Parse) -> Forest:
    """The forest of a phrase that stands alone, with the odds that it has without its mark."""
    (bare,) = parse([forest.sentence.part(0, count.end)])
    odds = _logit(bare.span_prob(*count.phrase)) - _logit(forest.span_prob(*count.phrase))
    return forest.weigh(*count.phrase, odds)


def _counts(forest: Forest) -> Iterator[_Count]:
    """Places of a sentence that may count one of two nouns with 的 between."""
    trees = list(islice(forest.interpretations(), _TREES))
    atoms = _atoms(forest.sentence)
    for mention in _mentions(forest):
        start, end = mention.place
        masses: dict[int, float] = {}  # by where the noun ends: compounds are one word or two
        nouns: dict[int, Span] = {}
        phrases: dict[int, Span | None] = {}
        for tree in trees:
            words, heads = tree.skeleton.words, tree.skeleton.heads
            head = next(n for n, (_, last) in enumerate(words) if last >= end)
            while head >= 0 and words[head][1] <= end:
                head = heads[head]
            if head < 0 or tree.tree.tags[head] not in NOUNS:
                continue
            last = words[head][1]
            masses[last] = masses.get(last, 0.0) + math.exp(tree.log_prob)
            nouns.setdefault(last, words[head])
            phrases.setdefault(last, _phrase(tree.words, tree.tree.node_spans(), start, last))
        best = sorted(sorted(masses, key=masses.__getitem__, reverse=True)[:2])
        if len(best) < 2:
            continue
        near, far = (nouns[last] for last in best)
        phrase = phrases[near[1]]
        if phrase is None or near[1] > far[0] or "的" not in atoms[near[1] : far[0]]:
            continue
        yield _Count(
            mention=mention,
            phrase=phrase,
            near="".join(atoms[slice(*near)]),
            far="".join(atoms[slice(*far)]),
            end=far[1],
        )


def _phrase(words: Sequence[Span], nodes: Sequence[Span], start: int, end: int) -> Span | None:
    """The smallest constituent that ends there and covers the numeral, None if there is none."""
    spans = [(words[first][0], words[last - 1][1]) for first, last in nodes]
    return max((span for span in spans if span[1] == end and span[0] <= start), default=None)


def _mentions(forest: Forest) -> Iterator[Mention]:
    return find_mentions(next(forest.interpretations()), _atoms(forest.sentence))


def _atoms(sentence: Sentence) -> list[str]:
    """The atoms as the model reads them."""
    return [
        sentence.model_text[start - sentence.start : end - sentence.start]
        for start, end in sentence.atoms
    ]


def _same(first: Mention, later: Sequence[Sequence[Mention]]) -> list[Mention]:
    """Mentions that may be of the same things: as many, or one by one."""
    found = []
    for mentions in later:
        many = [mention for mention in mentions if mention.number != 1]
        found += [
            m for m in many if SEVERAL in (m.number, first.number) or m.number == first.number
        ]
        singles = [mention for mention in mentions if mention.number == 1]
        if len(singles) >= (3 if first.number == 3 else 2):  # nobody goes through more of them
            found += singles
    return found


def _judge(
    forest: Forest, count: _Count, mentions: Sequence[Mention], parse: Parse
) -> float | None:
    """Probability that the nearer noun is counted, by the later mentions; None if they are mute."""
    asked: list[tuple[str, ...]] = []
    said: list[float] = []
    for mention in mentions:
        named = _named(count, mention)
        if named is not None:
            said.append(_MATCH if named == count.near else 1.0 - _MATCH)
            continue
        ends = {count.near[-1], count.far[-1]}
        if mention.noun is not None and mention.noun[-1] not in ends:
            continue  # something else is counted
        if mention.classifier in PERSON_CLASSIFIERS:
            asked.append(PERSON_CLASSIFIERS)
        elif mention.classifier not in GENERAL_CLASSIFIERS:
            asked.append((mention.classifier,))
        elif mention.noun is None:
            asked.append(predicate_classifiers(mention.predicate))
    wanted = list(dict.fromkeys(c for group in asked for c in group))
    probs = dict(zip(wanted, _with_classifiers(forest, count, wanted, parse), strict=True))
    said += [sum(probs[c] for c in group) / len(group) for group in asked if group]
    return sum(said) / len(said) if said else None


def _named(count: _Count, mention: Mention) -> str | None:
    """Which of the two nouns a mention names, as what is counted or as what that is (都是老师)."""
    name = mention.noun
    if name is None and any(tag == "VC" for _, tag in mention.predicate):
        name = mention.predicate[-1][0]
    if name is None:
        return None
    found = [n for n in (count.near, count.far) if name.endswith(n) or n.endswith(name)]
    return found[0] if len(found) == 1 else None


def _with_classifiers(
    forest: Forest, count: _Count, classifiers: Sequence[str], parse: Parse
) -> list[float]:
    """Probability that the nearer noun is counted if this classifier stands in the sentence.

    The mean, in log-odds, of two opinions: of the whole sentence, and of the phrase by itself; of
    the latter alone where there is no sentence.
    """
    if not classifiers:
        return []
    sentence, at = forest.sentence, count.mention.place[1] - 1
    first, last = count.phrase
    start, end = sentence.span(at, at + 1)
    whole = [
        replace(sentence, text=sentence.text[:start] + classifier + sentence.text[end:])
        for classifier in classifiers
    ]
    parts = [changed.part(first, count.end) for changed in whole]
    odds = [_logit(found.span_prob(0, last - first)) for found in parse(parts)]
    if not _stands_alone(next(forest.interpretations()).tree):
        others = [_logit(found.span_prob(first, last)) for found in parse(whole)]
        odds = [(one + two) / 2 for one, two in zip(odds, others, strict=True)]
    return [1.0 / (1.0 + math.exp(-found)) for found in odds]


def _logit(prob: float) -> float:
    prob = min(max(prob, _LEAST), 1.0 - _LEAST)
    return math.log(prob / (1.0 - prob))
