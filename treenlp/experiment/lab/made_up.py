"""Made-up sequences whose class stands far from their end: how far does a network remember?"""

from __future__ import annotations

import hashlib
import random

import numpy as np

from treenlp.data.parts import PARTS, Part
from treenlp.experiment.lab.items import Corpus, Item

__all__ = ["make_adding", "make_recall"]

_MARKS = 4
_FILLERS = 20


def make_recall(items: int, gap: int, *, agreement: bool = False, seed: int = 0) -> Corpus:
    """Make sequences whose class stands `gap` words before their end.

    Hochreiter & Schmidhuber (1997), section 5.2, in spirit. "Recall": the first word is one of
    four marks, then come `gap` words that say nothing. "Agreement": the first noun is singular or
    plural, other nouns of either number stand among the words between, and the class is the
    number of the first.

    Args:
        items: training items; a fifth as many are in each of the other parts.
        gap: words after the one that counts.
        agreement: which of the two.
        seed: of the draws.
    """
    rng = random.Random(f"{seed} {gap} {agreement}")
    vocabulary = _MARKS + _FILLERS
    table = np.random.default_rng(seed).normal(size=(vocabulary, 32)).astype(np.float16)
    classes = ("singular", "plural") if agreement else ("first", "second", "third", "fourth")
    rows: list[int] = []
    parts: dict[Part, list[Item]] = {}
    for part in PARTS:
        parts[part] = []
        for _ in range(items if part == "train" else max(items // 5, 1)):
            label = rng.randrange(len(classes))
            between = [rng.randrange(_MARKS, vocabulary) for _ in range(gap)]
            if agreement:  # other nouns on the way, of either number
                for place in range(2, gap, 5):
                    between[place] = rng.randrange(2)
            start = len(rows)
            rows += [label, *between]
            parts[part].append(Item(start=start, size=gap + 1, root=label))
    digest = hashlib.sha256(np.array(rows, dtype=np.int32).tobytes()).hexdigest()
    return Corpus(
        vectors={kind: table[np.array(rows)] for kind in ("static", "contextual")},
        parts=parts,
        classes=classes,
        digest=digest,
    )


_DIGITS = 5


def make_adding(items: int, gap: int, *, seed: int = 0) -> Corpus:
    """Make sequences of digits of which two are marked; the class is their sum.

    Hochreiter & Schmidhuber (1997), section 5.4, with digits of 0 to 4 instead of real numbers, so
    that the answer is one of nine classes. The first marked digit is the first of all, the second
    stands somewhere in the second half, so one is to be kept over half of the gap at least.

    Args:
        items: training items; a fifth as many are in each of the other parts.
        gap: digits after the first.
        seed: of the draws.
    """
    rng = random.Random(f"adding {seed} {gap}")
    table = np.random.default_rng(seed).normal(size=(2 * _DIGITS, 32)).astype(np.float16)
    rows: list[int] = []
    parts: dict[Part, list[Item]] = {}
    for part in PARTS:
        parts[part] = []
        for _ in range(items if part == "train" else max(items // 5, 1)):
            digits = [rng.randrange(_DIGITS) for _ in range(gap + 1)]
            second = rng.randrange((gap + 2) // 2, gap + 1)
            start, total = len(rows), digits[0] + digits[second]
            rows += [d + _DIGITS * (n in (0, second)) for n, d in enumerate(digits)]
            parts[part].append(Item(start=start, size=gap + 1, root=total))
    symbols = np.array(rows, dtype=np.int32)
    return Corpus(
        vectors={kind: table for kind in ("static", "contextual")},
        parts=parts,
        classes=tuple(map(str, range(2 * _DIGITS - 1))),
        digest=hashlib.sha256(symbols.tobytes()).hexdigest(),
        symbols=symbols,
    )
