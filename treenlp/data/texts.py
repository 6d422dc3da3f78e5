"""Texts with one label each, by the name of their corpus: reviews, or what ``datasets`` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from treenlp.data.hub import HUB_PREFIX, hub_parts
from treenlp.data.keys import seeded_fraction, text_key
from treenlp.data.parts import Part
from treenlp.data.sentiment import REVIEW_SETS, ReviewPart, read_reviews
from treenlp.errors import DataError

__all__ = ["TEXT_SOURCES", "LabelledText", "LabelledTexts", "read_texts"]

_REVIEW_PARTS: Mapping[ReviewPart, Part] = {
    "train": "train",
    "tune": "dev",
    "held_out": "test",
}
_SEED = "treenlp texts 1"


@dataclass(frozen=True, kw_only=True)
class LabelledText:
    """A text.

    Attributes:
        text: as its corpus has it, of one or more sentences.
        label: place among the classes.
    """

    text: str
    label: int


@dataclass(frozen=True, kw_only=True)
class LabelledTexts:
    """A corpus.

    Attributes:
        parts: texts of each part.
        classes: names of the classes.
    """

    parts: Mapping[Part, tuple[LabelledText, ...]]
    classes: tuple[str, ...]


def read_texts(source: str, *, text: str = "text", label: str = "label") -> LabelledTexts:
    """Read a corpus of labelled texts.

    Args:
        source: a name from `TEXT_SOURCES`, or "datasets:" and a name or folder (see
            `treenlp.data.hub`).
        text: column of the texts; of "datasets:" alone.
        label: column of the labels; likewise. Rows without a label, and blank texts, are left out.

    Returns:
        Train, dev and test. Where a corpus has no dev or test part with answers, a tenth of its
        training texts each, by a hash of their letters, so that copies of a text stay together.

    Raises:
        DataError: if the source is unknown, cannot be read, or has fewer than two classes.
    """
    if source in TEXT_SOURCES:
        return TEXT_SOURCES[source]()
    if not source.startswith(HUB_PREFIX):
        raise DataError(
            f"found the source {source!r}, expected one of: {', '.join(TEXT_SOURCES)}, or "
            f"{HUB_PREFIX} and a name or folder"
        )
    name = source.removeprefix(HUB_PREFIX)
    rows = {
        part: [(str(t), str(c)) for t, c in found if t is not None and c is not None]
        for part, found in hub_parts(name, (text, label)).items()
    }
    classes = tuple(sorted({c for t, c in rows["train"] if t.strip()}))
    if len(classes) < 2:
        raise DataError(f"{name}: found the classes {classes} in {label!r}, expected at least two")
    number = {c: n for n, c in enumerate(classes)}
    hidden = {"-1"} - {*classes}  # how corpora write that an answer is kept back
    rows = {
        part: [(t, c) for t, c in own if t.strip() and c not in hidden]
        for part, own in rows.items()
    }
    there = {part for part, own in rows.items() if own}
    found: dict[Part, list[LabelledText]] = {"train": [], "dev": [], "test": []}
    for part, own in rows.items():
        for content, c in own:
            if c not in number:
                raise DataError(
                    f"{name}, {part}: found the label {c!r}, expected one of those of the "
                    f"training part: {', '.join(classes)}"
                )
            found[_cut(part, content, there)].append(LabelledText(text=content, label=number[c]))
    return LabelledTexts(
        parts={part: tuple(texts) for part, texts in found.items()}, classes=classes
    )


def _cut(part: Part, content: str, there: set[Part]) -> Part:
    """Take a tenth of the training texts for each part that a corpus lacks."""
    if part != "train":
        return part
    fraction = seeded_fraction(_SEED, text_key(content))
    if fraction < 0.1 and "dev" not in there:
        return "dev"
    return "test" if fraction >= 0.9 and "test" not in there else "train"


def _reviews(name: str) -> LabelledTexts:
    """Reviews of one set in the joint split of both."""
    found: dict[Part, list[LabelledText]] = {"train": [], "dev": [], "test": []}
    for review in read_reviews():
        if name in review.sets:
            text = LabelledText(text=review.text, label=review.label)
            found[_REVIEW_PARTS[review.part]].append(text)
    return LabelledTexts(
        parts={part: tuple(texts) for part, texts in found.items()},
        classes=("negative", "positive"),
    )


TEXT_SOURCES: Mapping[str, Callable[[], LabelledTexts]] = {
    "chnsenticorp": lambda: _reviews(REVIEW_SETS[0]),
    "online_shopping_10_cats": lambda: _reviews(REVIEW_SETS[1]),
}
"""Corpora that the registry describes, by name."""
