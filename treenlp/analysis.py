"""What the pipeline says about a text: frozen values and their JSON.

Every ``start`` and ``end`` here is a half-open offset in Unicode code points of the caller's
text. `Analysis.to_dict` is the one place that fixes the shape of the JSON; the command line,
the service and the estimators all print what it returns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from treenlp.errors import InputError

__all__ = [
    "NEUTRAL",
    "SCHEMA",
    "SENTIMENT_LABELS",
    "SENTIMENT_WEIGHTS",
    "Alternative",
    "Ambiguity",
    "Analysis",
    "ReadingView",
    "SentenceView",
    "Sentiment",
    "SiteView",
    "SpanView",
    "TokenView",
]

SCHEMA = 1
"""Version of the JSON; it grows when a reader of the old one would misread the new one."""

SENTIMENT_LABELS = ("very negative", "negative", "neutral", "positive", "very positive")
SENTIMENT_WEIGHTS = (-1.0, -0.5, 0.0, 0.5, 1.0)

# Legal in a JSON string, but a lone surrogate cannot be encoded as UTF-8, and some readers
# take the others for the end of a line.
_ESCAPED = re.compile("[\u007f-\u009f\u2028\u2029\ud800-\udfff]")


def _number(value: float) -> float:
    """Round to six decimals: below what single precision can promise."""
    return round(float(value), 6) + 0.0  # -0.0 becomes 0.0


@dataclass(frozen=True, kw_only=True)
class Sentiment:
    """How a phrase, a sentence or a text feels.

    Attributes:
        distribution: probabilities of `SENTIMENT_LABELS`, in that order.

    Example:
        >>> Sentiment(distribution=(0.0, 0.0, 0.2, 0.6, 0.2)).label
        'positive'
    """

    distribution: tuple[float, float, float, float, float]

    @classmethod
    def of(cls, distribution: Sequence[float]) -> Sentiment:
        """Take five probabilities, from very negative to very positive."""
        if len(distribution) != len(SENTIMENT_LABELS):
            raise InputError(
                f"found {len(distribution)} sentiment probabilities, expected "
                f"{len(SENTIMENT_LABELS)}; give one for each of {', '.join(SENTIMENT_LABELS)}"
            )
        a, b, c, d, e = (float(p) for p in distribution)
        return cls(distribution=(a, b, c, d, e))

    @property
    def score(self) -> float:
        """Mean in [-1, 1] with the five labels at -1, -0.5, 0, 0.5 and 1."""
        return sum(w * p for w, p in zip(SENTIMENT_WEIGHTS, self.distribution, strict=True))

    @property
    def label(self) -> str:
        """The most probable label; of equals, the one nearer to neutral, then the lower."""
        best = max(
            range(len(SENTIMENT_LABELS)),
            key=lambda i: (self.distribution[i], -abs(SENTIMENT_WEIGHTS[i])),
        )
        return SENTIMENT_LABELS[best]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "label": self.label,
            "score": _number(self.score),
            "distribution": [_number(p) for p in self.distribution],
        }


NEUTRAL = Sentiment(distribution=(0.0, 0.0, 1.0, 0.0, 0.0))
"""The sentiment of a text without sentences."""


@dataclass(frozen=True, kw_only=True)
class TokenView:
    """A word or mark; `start` and `end` are offsets."""

    text: str
    start: int
    end: int
    pos: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"text": self.text, "start": self.start, "end": self.end, "pos": self.pos}


@dataclass(frozen=True, kw_only=True)
class SpanView:
    """A constituent of a reading.

    Attributes:
        label: its label; of a unary chain each label has a span of its own.
        start: offset of its first code point.
        end: offset behind its last one.
        prob: posterior of this labelled constituent over all trees of the sentence.
        sentiment: score in [-1, 1].
    """

    label: str
    start: int
    end: int
    prob: float
    sentiment: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "label": self.label,
            "start": self.start,
            "end": self.end,
            "prob": _number(self.prob),
            "sentiment": _number(self.sentiment),
        }


@dataclass(frozen=True, kw_only=True)
class ReadingView:
    """One way to understand a sentence.

    Attributes:
        rank: 1 is the best.
        prob: posterior, not renormalised over the readings listed.
        tree: Penn brackets on one line.
        spans: every constituent in preorder, preterminals left out.
        gloss: what sets this reading apart, in words.
        sentiment: of the sentence, read this way.
        tokens: the reading's words, or None where they are the sentence's own.
    """

    rank: int
    prob: float
    tree: str
    spans: tuple[SpanView, ...]
    gloss: str
    sentiment: Sentiment
    tokens: tuple[TokenView, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        value: dict[str, Any] = {
            "rank": self.rank,
            "prob": _number(self.prob),
            "tree": self.tree,
            "spans": [span.to_dict() for span in self.spans],
            "gloss": self.gloss,
            "sentiment": self.sentiment.to_dict(),
        }
        if self.tokens is not None:
            value["tokens"] = [token.to_dict() for token in self.tokens]
        return value


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """One way to read a contested place; `spans` are offsets."""

    prob: float
    gloss: str
    spans: tuple[tuple[int, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "prob": _number(self.prob),
            "gloss": self.gloss,
            "spans": [list(span) for span in self.spans],
        }


@dataclass(frozen=True, kw_only=True)
class SiteView:
    """A contested place of a sentence, its best alternative first."""

    start: int
    end: int
    kind: str
    alternatives: tuple[Alternative, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "start": self.start,
            "end": self.end,
            "kind": self.kind,
            "alternatives": [alternative.to_dict() for alternative in self.alternatives],
        }


@dataclass(frozen=True, kw_only=True)
class Ambiguity:
    """How evenly the posterior is split at the most contested place.

    Attributes:
        score: in [0, 1]; twice the mass off the best alternative of the worst site, at most 1.
        kind: the worst site's kind, or None where nothing is contested enough to matter.
        entropy: of the sentence's trees, in nats; None for a whole text.
        sites: the contested places; empty for a whole text.
    """

    score: float
    kind: str | None
    entropy: float | None = None
    sites: tuple[SiteView, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object: of a whole text, only score and kind."""
        if self.entropy is None:
            return {"score": _number(self.score), "kind": self.kind}
        return {
            "score": _number(self.score),
            "entropy": _number(self.entropy),
            "kind": self.kind,
            "sites": [site.to_dict() for site in self.sites],
        }


@dataclass(frozen=True, kw_only=True)
class SentenceView:
    """One sentence of a text.

    Attributes:
        start: offset of its first code point.
        end: offset behind its last one.
        tokens: the words of the best reading.
        sentiment: expected over the readings, weighted by their renormalised probabilities.
        ambiguity: how contested it is, and where.
        readings: by falling probability.
        omitted: posterior mass of the readings that are not listed.
        joined: whether it was too long for one chart, so that its tree is a flat row of
            stretches that were parsed one by one.
    """

    start: int
    end: int
    tokens: tuple[TokenView, ...]
    sentiment: Sentiment
    ambiguity: Ambiguity
    readings: tuple[ReadingView, ...]
    omitted: float
    joined: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; ``joined`` appears only where it is true."""
        value: dict[str, Any] = {
            "start": self.start,
            "end": self.end,
            "tokens": [token.to_dict() for token in self.tokens],
            "sentiment": self.sentiment.to_dict(),
            "ambiguity": self.ambiguity.to_dict(),
            "readings": [reading.to_dict() for reading in self.readings],
            "omitted": _number(self.omitted),
        }
        if self.joined:
            value["joined"] = True
        return value

    def with_reading(self, rank: int) -> SentenceView:
        """Return this sentence with one reading chosen and nothing contested any more."""
        for reading in self.readings:
            if reading.rank == rank:
                break
        else:
            ranks = ", ".join(str(r.rank) for r in self.readings) or "none"
            raise InputError(f"found rank {rank}, expected one of: {ranks}; choose a listed rank")
        return replace(
            self,
            tokens=self.tokens if reading.tokens is None else reading.tokens,
            sentiment=reading.sentiment,
            ambiguity=Ambiguity(score=0.0, kind=None, entropy=0.0),
            readings=(replace(reading, tokens=None),),
            omitted=max(0.0, 1.0 - reading.prob),
        )


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What treenlp says about one text.

    Attributes:
        text: as the caller gave it; bytes that are no UTF-8 stand as U+FFFD.
        lang: language of most of the text, "zh" or "en".
        model: name of the model that answered.
        sentiment: of the whole text.
        ambiguity: of its most ambiguous sentence.
        sentences: in order; none for an empty or blank text.
        error: why the text could not be analysed, or None.
    """

    text: str
    lang: str
    model: str
    sentiment: Sentiment = NEUTRAL
    ambiguity: Ambiguity = Ambiguity(score=0.0, kind=None)
    sentences: tuple[SentenceView, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; of a failed text only what is known of it."""
        head: dict[str, Any] = {"schema": SCHEMA, "model": self.model, "text": self.text}
        if self.error is not None:
            return {**head, "error": self.error}
        return {
            **head,
            "lang": self.lang,
            "sentiment": self.sentiment.to_dict(),
            "ambiguity": self.ambiguity.to_dict(),
            "sentences": [sentence.to_dict() for sentence in self.sentences],
        }

    def to_json(self, *, keys: Sequence[str] | None = None) -> str:
        r"""Return the object as one line of JSON that UTF-8 can carry.

        Args:
            keys: which of the outermost keys to keep, beside the schema and the model; None
                keeps all.

        Example:
            >>> Analysis(text="\ud800", lang="en", model="m", error="no").to_json()
            '{"schema": 1, "model": "m", "text": "\\ud800", "error": "no"}'
        """
        value = self.to_dict()
        if keys is not None:
            value = {key: value[key] for key in value if key in ("schema", "model", *keys)}
        line = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", line)

    def with_reading(self, rank: int, *, sentence: int = 0) -> Analysis:
        """Return this analysis with one reading of one sentence chosen.

        The sentiment of a text with other sentences stays: it was composed from all of them.

        Args:
            rank: of the reading, 1 is the best.
            sentence: index of the sentence.

        Raises:
            InputError: if there is no such sentence or reading.
        """
        if not 0 <= sentence < len(self.sentences):
            raise InputError(
                f"found sentence {sentence}, expected one below {len(self.sentences)}; "
                "count sentences from 0"
            )
        chosen = self.sentences[sentence].with_reading(rank)
        sentences = (*self.sentences[:sentence], chosen, *self.sentences[sentence + 1 :])
        worst = max(sentences, key=lambda s: s.ambiguity.score).ambiguity
        return replace(
            self,
            sentences=sentences,
            sentiment=chosen.sentiment if len(sentences) == 1 else self.sentiment,
            ambiguity=Ambiguity(score=worst.score, kind=worst.kind),
        )
