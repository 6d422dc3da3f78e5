"""Sentences of the newspaper with a word or character left out; a side of it may be hidden."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from treenlp.data.blanks import BLANK, Blank, character_blanks, sentences_by_part, word_blanks
from treenlp.data.homophones import read_homophones
from treenlp.data.parts import Part
from treenlp.data.pku import read_pku
from treenlp.experiment.lab.config import DataConfig
from treenlp.experiment.lab.items import Corpus, Item

__all__ = ["BLANK_ROW", "make_blanks", "read_blanks"]

BLANK_ROW = 0
"""Row of the vectors, and so the symbol, that stands for what is left out."""


def read_blanks(config: DataConfig) -> tuple[dict[Part, list[Blank]], tuple[str, ...]]:
    """Leave out characters or words of the newspaper.

    Returns:
        The blanks of each part, and what may be left out: the classes.
    """
    sentences = sentences_by_part(read_pku())
    if config.task == "homophones":
        sets = read_homophones(Path(config.homophones))
        blanks = character_blanks(sentences, sets, items=config.items, window=config.window)
        return blanks, tuple(character for own in sets for character in own.characters)
    blanks = word_blanks(sentences, words=config.words, items=config.items, window=config.window)
    return blanks, blanks["train"][0].candidates


def make_blanks(
    blanks: Mapping[Part, Sequence[Blank]],
    classes: Sequence[str],
    *,
    sides: str,
    table: Callable[[Sequence[str]], NDArray[np.float16]],
) -> Corpus:
    """Make items of which one side of the blank, or neither, is hidden.

    Items go round the blank, so that networks need not know of it: first what follows it, then a
    leaf for the blank, then what precedes it. A reader of either direction ends beside the blank,
    having read its own side last. (In the order of the text the two last states are a window
    away from it.) Of one side alone items begin with the blank and end beside it, so what
    follows it is read backwards.

    Args:
        blanks: of each part.
        classes: what may be left out.
        sides: "both", "left" or "right"; whichever it is, items and their order are the same.
        table: makes the vectors (W, D) of symbols.
    """
    number = {name: n for n, name in enumerate(classes)}
    rows: dict[str, int] = {BLANK: BLANK_ROW}
    symbols: list[int] = []
    parts: dict[Part, list[Item]] = {}
    for part, own in blanks.items():
        parts[part] = []
        for blank in own:
            shown = {
                "both": [*blank.after, BLANK, *blank.before],
                "left": [BLANK, *blank.before],
                "right": [BLANK, *reversed(blank.after)],
            }[sides]
            parts[part].append(
                Item(
                    start=len(symbols),
                    size=len(shown),
                    root=number[blank.answer],
                    candidates=tuple(number[name] for name in blank.candidates),
                )
            )
            symbols += [rows.setdefault(leaf, len(rows)) for leaf in shown]
    vectors = table(list(rows)[1:])
    drawn = np.random.default_rng(0).normal(size=(1, vectors.shape[1]))  # of the blank
    scale = vectors.std() if len(vectors) else 1.0
    text = {part: [asdict(blank) for blank in own] for part, own in blanks.items()}
    written = json.dumps([list(classes), text], ensure_ascii=False, sort_keys=True)
    return Corpus(
        vectors={"static": np.concatenate([drawn * scale, vectors]).astype(np.float16)},
        parts=parts,
        classes=tuple(classes),
        digest=hashlib.sha256(written.encode()).hexdigest(),
        symbols=np.array(symbols, dtype=np.int32),
    )
