"""What a person sees: analyses as drawn trees with probabilities and coloured sentiment.

In a pipe the same text comes without colour.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from treenlp.analysis import Analysis, ReadingView, SentenceView, SiteView
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.draw import draw_text
from treenlp.trees.tree import Tree

__all__ = ["Painter", "printable", "show_analysis", "show_phrases"]

_SCORE = re.compile(r"[+-][01]\.[0-9]{2}(?![0-9])")
_CLEAR = 0.1  # beyond it a score is coloured
_CONTESTED = 0.05  # mass off the best alternative of a place that is shown
_RARE = 0.05  # alternatives below it, from the third on, are added up
_PART = re.compile(r"[^\[\]|]+")  # of a gloss
_SHOWN_WORDS, _SHOWN_CHARACTERS = 3, 6  # at either end of a long part


class Painter:
    """Colours text for a terminal, or leaves it alone."""

    def __init__(self, *, is_coloured: bool, width: int | None = None) -> None:
        """Choose whether to colour; `width` is the terminal's columns, None to ask for it."""
        self._is_coloured = is_coloured
        self.width = shutil.get_terminal_size().columns if width is None else width

    def paint(self, text: str, codes: str) -> str:
        """Wrap a text in an ANSI style, such as "1" for bold or "32" for green."""
        return f"\x1b[{codes}m{text}\x1b[0m" if self._is_coloured and text else text

    def score(self, text: str, score: float) -> str:
        """Colour a text green or red by a sentiment score in [-1, 1]; near 0 it is dim."""
        if score >= _CLEAR:
            return self.paint(text, "1;32" if score >= 0.5 else "32")
        if score <= -_CLEAR:
            return self.paint(text, "1;31" if score <= -0.5 else "31")
        return self.paint(text, "2")

    def scores(self, text: str) -> str:
        """Colour every signed score inside a text."""
        if not self._is_coloured:
            return text
        return _SCORE.sub(lambda match: self.score(match.group(), float(match.group())), text)


def show_analysis(analysis: Analysis, painter: Painter) -> str:
    """Draw an analysis.

    Args:
        analysis: of one text.
        painter: that colours it.

    Returns:
        Lines, the last of which is ended and followed by a blank one.
    """
    lines = [painter.paint(printable(analysis.text), "1")]
    if analysis.error is not None:
        lines.append(painter.paint(f"  error: {printable(analysis.error)}", "31"))
    elif not analysis.sentences:
        lines.append("  no sentences")
    elif len(analysis.sentences) > 1:
        lines.append("  " + _summary(analysis, painter))
    for sentence in analysis.sentences:
        lines += _sentence(analysis, sentence, painter)
    return "\n".join(lines) + "\n\n"


def _summary(view: Analysis | SentenceView, painter: Painter) -> str:
    feeling = f"{view.sentiment.label} {view.sentiment.score:+.2f}"
    parts = [painter.score(feeling, view.sentiment.score)]
    kind = view.ambiguity.kind
    if kind is not None:
        parts.append(painter.paint(f"ambiguous {view.ambiguity.score:.2f} ({kind})", "33"))
    return ", ".join(parts)


def _sentence(analysis: Analysis, sentence: SentenceView, painter: Painter) -> list[str]:
    lines = []
    if len(analysis.sentences) > 1:
        surface = analysis.text[sentence.start : sentence.end]
        lines.append("")
        lines.append("  " + painter.paint(printable(surface), "1"))
    lines.append("  " + _summary(sentence, painter))
    for site in sentence.ambiguity.sites:
        if max(a.prob for a in site.alternatives) > 1 - _CONTESTED:
            continue  # all but settled; --jsonl lists it
        lines.append("  " + painter.paint(_site(site), "33"))
    for reading in sentence.readings:
        lines.append("")
        lines += _reading(reading, painter)
    if sentence.omitted >= 0.005:
        lines.append("")
        lines.append(painter.paint(f"  {sentence.omitted:.2f} in readings not listed", "2"))
    return lines


def _site(site: SiteView) -> str:
    """What stands against what; rare alternatives and the middle of long parts are left to JSON."""
    ranked = site.alternatives
    shown = [a for n, a in enumerate(ranked) if a.prob >= (0.005 if n < 2 else _RARE)]
    glosses = [printable(a.gloss) for a in shown]
    short = [_PART.sub(_ends, gloss) for gloss in glosses]
    if len(set(short)) == len(set(glosses)):
        glosses = short
    options = [f"{gloss} ({a.prob:.2f})" for gloss, a in zip(glosses, shown, strict=True)]
    rest = sum(a.prob for a in ranked) - sum(a.prob for a in shown)
    if rest >= 0.005:
        options.append(f"rarer ones ({rest:.2f})")
    return f"{site.kind}: {' or '.join(options)}"


def _ends(part: re.Match[str]) -> str:
    """A part of a gloss, or its two ends if it is long."""
    words = part.group().split(" ")
    is_spaced = len(words) > 1
    pieces, kept = (words, _SHOWN_WORDS) if is_spaced else ([*words[0]], _SHOWN_CHARACTERS)
    if len(pieces) <= 2 * kept + 1:
        return part.group()
    return (" " if is_spaced else "").join([*pieces[:kept], "…", *pieces[-kept:]])


def _reading(reading: ReadingView, painter: Painter) -> list[str]:
    head = f"  {reading.rank}. {reading.prob:.2f}"
    feeling = f"{reading.sentiment.label} {reading.sentiment.score:+.2f}"
    gloss = printable(reading.gloss)
    lines = [
        f"{painter.paint(head, '36')}  {gloss}  {painter.score(feeling, reading.sentiment.score)}"
    ]
    scores = [span.sentiment for span in reading.spans]
    drawn = draw_text(_with_scores(parse_brackets(reading.tree), scores), width=painter.width - 4)
    return lines + [f"     {painter.scores(line)}".rstrip() for line in drawn.split("\n")]


def _with_scores(tree: Tree, scores: Sequence[float]) -> Tree:
    """Write the sentiment of every phrase that is clearly not neutral into its label."""
    left = iter(scores)
    labels = []
    for label, size in zip(tree.node_labels, tree.node_sizes, strict=True):
        score = 0.0 if size == 1 else next(left, 0.0)
        labels.append(f"{label}{score:+.2f}" if abs(score) >= _CLEAR else label)
    return Tree.from_preorder(labels, tree.node_sizes, tree.leaves)


def show_phrases(analysis: Analysis, painter: Painter) -> str:
    """List the sentiment of every phrase of each sentence's best reading, indented by depth."""
    lines = []
    for sentence in analysis.sentences:
        seen: set[tuple[int, int]] = set()
        ends: list[int] = []
        for span in sentence.readings[0].spans:
            if (span.start, span.end) in seen:
                continue
            seen.add((span.start, span.end))
            while ends and ends[-1] <= span.start:
                ends.pop()
            text = printable(analysis.text[span.start : span.end])
            score = painter.score(f"{span.sentiment:+.2f}", span.sentiment)
            lines.append(f"{score}\t{'  ' * len(ends)}{text}\n")
            ends.append(span.end)
    return "".join(lines)


def printable(text: str) -> str:
    """Show control characters and lone surrogates as U+FFFD, so that a terminal stays whole."""
    return "".join(c if c.isprintable() or c == " " else "\ufffd" for c in text)
