"""Contested places of a sentence, each with its alternatives and their odds.

The posterior is looked at through weighted trees: the best ones if they hold most of its mass,
otherwise samples. Each tree answers a few questions that the best tree raises: what each word
depends on, what each conjunction joins, of which coarse class each phrase is, which words a stretch
is made of. A question whose answers differ is a site; questions about overlapping stretches whose
answers go together are one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from treenlp.errors import InputError
from treenlp.parsing.forest import Forest
from treenlp.parsing.glosses import contrast
from treenlp.parsing.readings import Interpretation
from treenlp.parsing.skeleton import Skeleton
from treenlp.text import Sentence
from treenlp.trees.tree import Tree

__all__ = ["Site", "SiteAlternative", "SiteKind", "Sites", "find_sites"]

SiteKind = Literal["attachment", "coordination", "segmentation", "category"]
Span = tuple[int, int]

_COVERED = 0.95  # mass of the best trees that makes samples needless
_EXPLAINED = 0.4  # share of a question's doubt that may be left when another is answered
_KIND_ORDER: dict[SiteKind, int] = {
    "segmentation": 0,
    "coordination": 1,
    "category": 2,
    "attachment": 3,
}


@dataclass(frozen=True, kw_only=True)
class SiteAlternative:
    """One way to read a contested place.

    Attributes:
        prob: its posterior probability.
        gloss: how the place groups.
        spans: offsets in the caller's text of the phrases that only this alternative has.
    """

    prob: float
    gloss: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A contested place.

    Attributes:
        start: offset of its first code point in the caller's text.
        end: offset past its last.
        kind: what is contested.
        alternatives: two or more, by falling probability.
    """

    start: int
    end: int
    kind: SiteKind
    alternatives: tuple[SiteAlternative, ...]


@dataclass(frozen=True, kw_only=True)
class Sites:
    """How contested a sentence is.

    Attributes:
        score: in [0, 1], twice the mass off the best alternative of the most contested place, at
            most 1.
        kind: of the most contested place; None where no second alternative matters.
        entropy: of the sentence's trees, nats.
        sites: most contested first.
    """

    score: float
    kind: SiteKind | None
    entropy: float
    sites: tuple[Site, ...]


@dataclass(frozen=True, kw_only=True)
class _Question:
    """A question with each tree's answer; answers are compared, never read."""

    kind: SiteKind
    word: Span  # atoms of what it is about
    span: Span  # atoms of that and of all answers
    answers: tuple[Hashable, ...]
    doubt: float


def find_sites(
    forest: Forest,
    *,
    num_trees: int = 128,
    min_prob: float = 0.01,
    min_kind_prob: float = 0.05,
    seed: int = 0,
) -> Sites:
    """Find the contested places of a sentence.

    Args:
        forest: its trees.
        num_trees: best trees looked at, or trees drawn if those hold too little of the mass.
        min_prob: places with less off their best alternative, and alternatives below it, are not
            listed.
        min_kind_prob: mass off the best alternative from which a sentence has a kind.
        seed: of the draws.
    """
    if num_trees < 1:
        raise InputError(f"found num_trees={num_trees}; expected at least 1")
    trees, weights = _weighted_trees(forest, num_trees, seed)
    best = trees[max(range(len(trees)), key=weights.__getitem__)]
    questions = _questions(best.skeleton, trees, weights)
    questions.sort(key=lambda q: (-q.doubt, _KIND_ORDER[q.kind], q.span))
    sites = [
        _site(forest.sentence, cluster, trees, weights, min_prob)
        for cluster in _clusters([q for q in questions if q.doubt >= min_prob], weights)
    ]
    worst = questions[0].doubt if questions else 0.0
    kind = sites[0].kind if sites and worst >= min_kind_prob else None
    return Sites(
        score=min(1.0, 2.0 * worst),
        kind=kind,
        entropy=forest.entropy(),
        sites=tuple(sites),
    )


def _weighted_trees(
    forest: Forest, num_trees: int, seed: int
) -> tuple[list[Interpretation], list[float]]:
    """Distinct trees with weights that sum to one."""
    trees: list[Interpretation] = []
    weights: list[float] = []
    covered = 0.0
    for tree in islice(forest.interpretations(), num_trees):
        trees.append(tree)
        weights.append(math.exp(tree.log_prob))
        covered += weights[-1]
        if 1.0 - covered < 1e-3:
            break
        # The rest can be no better than this tree each; samples say more.
        if covered + (num_trees - len(trees)) * weights[-1] < _COVERED:
            break
    if covered < _COVERED:
        drawn: dict[Tree, list[Interpretation]] = defaultdict(list)
        for tree in forest.sampled_interpretations(num_trees, seed):
            drawn[tree.tree].append(tree)
        trees = [group[0] for group in drawn.values()]
        weights = [float(len(group)) for group in drawn.values()]
    total = sum(weights)
    return trees, [weight / total for weight in weights]


def _questions(
    reference: Skeleton, trees: Sequence[Interpretation], weights: Sequence[float]
) -> list[_Question]:
    """All questions that the best tree raises, with the doubt about each."""
    answers: dict[tuple[SiteKind, int], list[Hashable]] = defaultdict(list)
    stretches = _crossed_stretches(reference, trees)
    distinct = {id(tree.skeleton): tree.skeleton for tree in trees}
    answered = {key: _answers(reference, skeleton, stretches) for key, skeleton in distinct.items()}
    for tree in trees:
        for question, answer in answered[id(tree.skeleton)].items():
            answers[question].append(answer)
    found = []
    for (kind, place), given in answers.items():
        mass: dict[Hashable, float] = defaultdict(float)
        for answer, weight in zip(given, weights, strict=True):
            mass[answer] += weight
        if len(mass) > 1:
            if kind == "segmentation":
                span = stretches[place]
            else:
                span = _reach(reference, kind, place, mass)
            found.append(
                _Question(
                    kind=kind,
                    word=span if kind == "segmentation" else reference.words[place],
                    span=span,
                    answers=tuple(given),
                    doubt=max(0.0, 1.0 - max(mass.values())),
                )
            )
    return found


def _crossed_stretches(reference: Skeleton, trees: Sequence[Interpretation]) -> list[Span]:
    """Stretches of atoms in which some tree's words cross the best tree's."""
    crossed = [
        (min(one[0], other[0]), max(one[1], other[1]))
        for words in {tree.words for tree in trees}
        for one in words
        for other in reference.words
        if _cross(one, other)
    ]
    merged: list[Span] = []
    for start, end in sorted(set(crossed)):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _answers(
    reference: Skeleton, skeleton: Skeleton, stretches: Sequence[Span]
) -> dict[tuple[SiteKind, int], Hashable]:
    """One tree's answers, keyed by the kind of question and the word (or stretch) it is about."""
    found: dict[tuple[SiteKind, int], Hashable] = {}
    word_of = _words_of_atoms(skeleton)
    reference_of = _words_of_atoms(reference)
    for number, (start, end) in enumerate(stretches):
        inside = tuple(s for s in skeleton.words if start <= s[0] and s[1] <= end)
        is_crossed = any(_cross(one, other) for one in inside for other in reference.words)
        found["segmentation", number] = inside if is_crossed else ()
    for word, span in enumerate(reference.words):
        if reference.tags[word] is None:
            continue
        found["attachment", word] = reference.heads[word]
        found["category", word] = reference.classes[word]
        inside_words = sorted({word_of[atom] for atom in range(*span)})
        covered = (skeleton.words[inside_words[0]][0], skeleton.words[inside_words[-1]][1])
        if covered != span:
            if len(inside_words) > 1 or _cross(covered, span):
                found["attachment", word] = "crossed"
            continue  # a part of a compound says nothing else
        content = [w for w in inside_words if skeleton.tags[w] is not None]
        heads = tuple(
            _to_reference(reference, skeleton, word, w, reference_of)
            for w in content
            if skeleton.heads[w] not in inside_words
        )
        found["attachment", word] = heads[0] if len(heads) == 1 else heads
        own = skeleton.classes[content[0]] if len(content) == 1 else None
        if reference.classes[word] is not None and own is not None:
            found["category", word] = own
    for joint in reference.joints:
        others = [j for j in skeleton.joints if j.mark == joint.mark]
        found["coordination", reference_of[joint.mark]] = others[0] if others else None
    return found


def _words_of_atoms(skeleton: Skeleton) -> dict[int, int]:
    return {atom: word for word, span in enumerate(skeleton.words) for atom in range(*span)}


def _cross(one: Span, other: Span) -> bool:
    return one[0] < other[0] < one[1] < other[1] or other[0] < one[0] < other[1] < one[1]


def _to_reference(
    reference: Skeleton,
    skeleton: Skeleton,
    word: int,
    top: int,
    reference_of: dict[int, int],
) -> int:
    """Number of the reference's word that a word of another tree depends on; -1 at the root."""
    head = skeleton.heads[top]
    if head < 0:
        return -1
    start, end = skeleton.words[head]
    own = reference.heads[word]
    if own >= 0:
        own_start, own_end = reference.words[own]
        if start <= own_start and own_end <= end:
            return own
    return reference_of[end - 1]


def _reach(reference: Skeleton, kind: SiteKind, place: int, mass: dict[Hashable, float]) -> Span:
    """Stretch of atoms that a question is about: the word and all it may depend on."""
    spans = [reference.words[place]]
    for answer in mass:
        if kind == "coordination":
            if answer is not None:
                spans.append((answer.left, answer.right))  # type: ignore[attr-defined]
        elif kind == "attachment":
            heads = answer if isinstance(answer, tuple) else (answer,)
            spans.extend(reference.words[h] for h in heads if isinstance(h, int) and h >= 0)
        else:
            spans.extend(
                reference.words[w]
                for w, head in enumerate(reference.heads)
                if head == place and reference.tags[w] is not None
            )
    return min(start for start, _ in spans), max(end for _, end in spans)


def _clusters(questions: Sequence[_Question], weights: Sequence[float]) -> list[list[_Question]]:
    """Put questions together whose answers go together, the most doubtful first."""
    clusters: list[list[_Question]] = []
    for question in questions:
        for cluster in clusters:
            start = min(q.span[0] for q in cluster)
            end = max(q.span[1] for q in cluster)
            if (
                question.span[0] < end
                and start < question.span[1]
                and _left_open(question, cluster[0], weights) <= _EXPLAINED * question.doubt
            ):
                cluster.append(question)
                break
        else:
            clusters.append([question])
    return clusters


def _left_open(question: _Question, given: _Question, weights: Sequence[float]) -> float:
    """Mass off the best answer once another question is answered."""
    mass: dict[Hashable, dict[Hashable, float]] = defaultdict(lambda: defaultdict(float))
    for answer, condition, weight in zip(question.answers, given.answers, weights, strict=True):
        mass[condition][answer] += weight
    return 1.0 - sum(max(row.values()) for row in mass.values())


def _site(
    sentence: Sentence,
    cluster: Sequence[_Question],
    trees: Sequence[Interpretation],
    weights: Sequence[float],
    min_prob: float,
) -> Site:
    seed = cluster[0]
    place = (min(q.span[0] for q in cluster), max(q.span[1] for q in cluster))
    mass: dict[Hashable, float] = defaultdict(float)
    best: dict[Hashable, int] = {}
    for number, (answer, weight) in enumerate(zip(seed.answers, weights, strict=True)):
        mass[answer] += weight
        if answer not in best or weight > weights[best[answer]]:
            best[answer] = number
    # Stable: of equals, the answer of the better tree first.
    answers = sorted(mass, key=lambda answer: -mass[answer])
    kept = [a for rank, a in enumerate(answers) if rank < 2 or mass[a] >= min_prob]
    chosen = [trees[best[answer]] for answer in kept]
    place = _with_dependents(place, cluster, chosen)
    glosses = contrast([(tree.tree, tree.words) for tree in chosen], sentence, place)
    phrases = [_phrases(tree, place) for tree in chosen]
    alternatives = tuple(
        SiteAlternative(
            prob=mass[answer],
            gloss=text,
            spans=tuple(
                _offsets(sentence, span)
                for span in sorted(own.difference(*(p for p in phrases if p is not own)))
            ),
        )
        for answer, text, own in zip(kept, glosses, phrases, strict=True)
    )
    start, end = _offsets(sentence, place)
    return Site(start=start, end=end, kind=_kind(cluster, chosen), alternatives=alternatives)


def _with_dependents(
    place: Span, cluster: Sequence[_Question], chosen: Sequence[Interpretation]
) -> Span:
    """Add what depends on a contested word in every alternative."""
    start, end = place
    for question in cluster:
        if question.kind != "attachment":
            continue
        spans = [
            tree.skeleton.subtree(tree.words.index(question.word))
            for tree in chosen
            if question.word in tree.words
        ]
        if len(spans) == len(chosen):
            start = min(start, max(first for first, _ in spans))
            end = max(end, min(last for _, last in spans))
    return start, end


def _kind(cluster: Sequence[_Question], chosen: Sequence[Interpretation]) -> SiteKind:
    """Kind of a site: what its questions are about, most telling first."""
    kinds = {q.kind for q in cluster}
    if "segmentation" in kinds:
        return "segmentation"
    if "coordination" in kinds:
        return "coordination"
    if cluster[0].kind == "category":
        return "category"
    # A word that is, say, a verb in one alternative and a noun in the other.
    place = (min(q.span[0] for q in cluster), max(q.span[1] for q in cluster))
    tags = [
        {
            span: tag
            for span, tag in zip(tree.skeleton.words, tree.skeleton.tags, strict=True)
            if place[0] <= span[0] and span[1] <= place[1] and tag is not None
        }
        for tree in chosen[:2]
    ]
    changes = any(
        {tags[0][span], tags[1][span]} == {"nominal", "verbal"}
        for span in tags[0].keys() & tags[1].keys()
    )
    return "category" if changes else "attachment"


def _phrases(tree: Interpretation, place: Span) -> set[Span]:
    """Constituents of two words or more inside a place, without particles at their edges."""
    tags, words = tree.skeleton.tags, tree.words
    found = set()
    for start, end in tree.tree.node_spans():
        while start < end and tags[start] is None:
            start += 1
        while start < end and tags[end - 1] is None:
            end -= 1
        if end - start < 2:
            continue
        span = (words[start][0], words[end - 1][1])
        if place[0] <= span[0] and span[1] <= place[1] and span != place:
            found.add(span)
    return found


def _offsets(sentence: Sentence, span: Span) -> Span:
    return sentence.atoms[span[0]][0], sentence.atoms[span[1] - 1][1]
