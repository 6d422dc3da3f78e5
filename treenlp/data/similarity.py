"""Pairs of sentences with a judgement of how alike they are, graded or yes and no.

SICK comes in its official parts. STS and the two Chinese sets are divided into train and tune
here, in such a way that no sentence stands in both: pairs that share a sentence, directly or
through other pairs, go together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from treenlp.data.keys import seeded_fraction, text_key
from treenlp.data.paths import find_file, read_lines
from treenlp.errors import DataError

__all__ = [
    "PARAPHRASE_SETS",
    "SICK_SIZES",
    "STS_FILES",
    "PairKind",
    "SentencePair",
    "SickPart",
    "TrainOrTune",
    "divide_pairs",
    "read_paraphrases",
    "read_sick",
    "read_sts",
    "read_stsb_en_zh",
]

PairKind = Literal["relatedness", "similarity", "paraphrase"]
SickPart = Literal["train", "trial", "test"]
TrainOrTune = Literal["train", "tune"]

STS_FILES = (
    "2012.MSRpar.test",
    "2012.MSRpar.train",
    "2012.OnWN.test",
    "2012.SMTeuroparl.test",
    "2012.SMTeuroparl.train",
    "2012.SMTnews.test",
    "2013.FNWN.test",
    "2013.OnWN.test",
    "2013.headlines.test",
    "2014.OnWN.test",
    "2014.deft-forum.test",
    "2014.deft-news.test",
    "2014.headlines.test",
    "2014.images.test",
    "2014.tweet-news.test",
    "2015.answers-forums.test",
    "2015.answers-students.test",
    "2015.belief.test",
    "2015.headlines.test",
    "2015.images.test",
    "2016.headlines.test",
    "2016.plagiarism.test",
    "2016.postediting.test",
    "2016.question-question.test",
)
PARAPHRASE_SETS = ("lcqmc", "bq")
SICK_SIZES: dict[SickPart, int] = {"train": 4500, "trial": 500, "test": 4927}

_SICK_FILES: dict[SickPart, str] = {
    "train": "SICK_train.txt",
    "trial": "SICK_trial.txt",
    "test": "SICK_test_annotated.txt",
}
_SICK_HEADER = ["pair_ID", "sentence_A", "sentence_B", "relatedness_score", "entailment_judgment"]
_ENTAILMENTS = ("NEUTRAL", "ENTAILMENT", "CONTRADICTION")
_SEED = "treenlp pairs 1"
_TUNE_SHARE = 0.1
_LARGEST_TUNE_GROUP = 0.01


@dataclass(frozen=True, kw_only=True)
class SentencePair:
    """Two sentences and a judgement.

    Attributes:
        first: one sentence, without white space around it.
        second: the other; of another language in `stsb_en_zh`.
        score: in [0, 1], 1 for the same meaning. SICK's 1 to 5 and STS's 0 to 5 are mapped
            linearly; paraphrases have 0 or 1.
        kind: which question was asked: "relatedness" (SICK), "similarity" (STS), "paraphrase".
        source: name of the set, for STS with the file.
        entailment: SICK's "NEUTRAL", "ENTAILMENT" or "CONTRADICTION"; None elsewhere.
    """

    first: str
    second: str
    score: float
    kind: PairKind
    source: str
    entailment: str | None = None


def read_sick(part: SickPart, *, check_size: bool = True) -> Iterator[SentencePair]:
    """Yield an official part of SICK 2014.

    Args:
        part: "train" (4,500), "trial" (500) or "test" (4,927; to be scored once).
        check_size: whether another number of pairs is an error.

    Raises:
        DataError: if the part is unknown, or the file is missing, malformed or of another size.
    """
    if part not in get_args(SickPart):
        raise DataError(f"unknown part of sick: {part!r}; expected one of train, trial, test")
    path = find_file("sick", _SICK_FILES[part])
    rows = list(_rows(path, 5))
    if not rows or rows[0][1] != _SICK_HEADER:
        raise DataError(f"{path}: found no header line; expected {_SICK_HEADER}")
    if check_size and len(rows) - 1 != SICK_SIZES[part]:
        raise DataError(
            f"{path}: found {len(rows) - 1} pairs, expected {SICK_SIZES[part]}; fetch it again"
        )
    for number, (_, first, second, score, entailment) in rows[1:]:
        if entailment not in _ENTAILMENTS:
            raise DataError(
                f"{path}, line {number}: found the judgement {entailment!r}, expected one of "
                f"{', '.join(_ENTAILMENTS)}"
            )
        yield SentencePair(
            first=first,
            second=second,
            score=_scaled(score, 1.0, 5.0, path, number),
            kind="relatedness",
            source="sick",
            entailment=entailment,
        )


def read_sts(
    part: TrainOrTune | None = None, files: Sequence[str] = STS_FILES
) -> Iterator[SentencePair]:
    """Yield English pairs of SemEval STS 2012 to 2016.

    The division into train and tune is over the given files together.

    Args:
        part: "train" or "tune"; both by default.
        files: names from `STS_FILES`.

    Raises:
        DataError: if a part or file is unknown, or a file is missing or malformed.
    """
    if isinstance(files, str):
        raise DataError(f"found the string {files!r}; expected a sequence of names: ({files!r},)")
    for name in files:
        if name not in STS_FILES:
            raise DataError(f"unknown file of sts: {name!r}; expected one of {STS_FILES}")
    pairs = [pair for name in files for pair in _sts_file(name)]
    return _only(pairs, part)


def read_stsb_en_zh() -> Iterator[SentencePair]:
    """Yield pairs of an English and a Chinese sentence: for tuning only, never to train on.

    Raises:
        DataError: if the file is missing or malformed.
    """
    return _sts_file("stsb_en_zh.dev")


def read_paraphrases(name: str, part: TrainOrTune | None = None) -> Iterator[SentencePair]:
    """Yield Chinese questions and whether they ask the same.

    These are the published dev files; train and tune are our own division of them.

    Args:
        name: "lcqmc" (8,802 pairs from a web forum) or "bq" (10,000 from a bank).
        part: "train" or "tune"; both by default.

    Raises:
        DataError: if a name is unknown, or the file is missing or malformed.
    """
    if name not in PARAPHRASE_SETS:
        raise DataError(f"unknown set of paraphrases: {name!r}; expected one of {PARAPHRASE_SETS}")
    path = find_file("similarity_zh", f"{name}.dev.tsv")
    pairs = [
        SentencePair(
            first=first,
            second=second,
            score=_scaled(label, 0.0, 1.0, path, number),
            kind="paraphrase",
            source=name,
        )
        for number, (first, second, label) in _rows(path, 3)
    ]
    for pair in pairs:
        if pair.score not in (0.0, 1.0):
            raise DataError(f"{path}: found the label {pair.score}, expected 0 or 1")
    return _only(pairs, part)


def divide_pairs(pairs: Sequence[SentencePair], *, seed: str = _SEED) -> tuple[TrainOrTune, ...]:
    """Say for each pair whether it is for training or tuning (about one in ten).

    Pairs that share a sentence, compared by `text_key` and directly or through other pairs,
    form a group; a seeded hash of the group's first key decides for all of it. A group of more
    than a hundredth of all pairs goes to training.

    Args:
        pairs: of one or several sets.
        seed: of the hash.

    Returns:
        "train" or "tune" for each pair.

    Example:
        >>> divide_pairs([])
        ()
    """
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        parents.setdefault(key, key)
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    keys = [(text_key(pair.first), text_key(pair.second)) for pair in pairs]
    for first, second in keys:
        low, high = sorted((root(first), root(second)))
        parents[high] = low  # so the root of a group is its least key
    groups = [root(first) for first, _ in keys]
    sizes = Counter(groups)
    limit = max(1.0, _LARGEST_TUNE_GROUP * len(pairs))
    return tuple(
        "tune" if seeded_fraction(seed, group) < _TUNE_SHARE and sizes[group] <= limit else "train"
        for group in groups
    )


def _only(pairs: Sequence[SentencePair], part: TrainOrTune | None) -> Iterator[SentencePair]:
    if part is not None and part not in get_args(TrainOrTune):
        raise DataError(f"unknown part: {part!r}; expected train or tune")
    if part is None:
        return iter(pairs)
    parts = divide_pairs(pairs)
    return (pair for pair, where in zip(pairs, parts, strict=True) if where == part)


def _sts_file(name: str) -> Iterator[SentencePair]:
    path = find_file("sts", f"{name}.tsv")
    for number, (score, first, second) in _rows(path, 3):
        yield SentencePair(
            first=first,
            second=second,
            score=_scaled(score, 0.0, 5.0, path, number),
            kind="similarity",
            source=f"sts/{name}",
        )


def _rows(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Yield number and stripped fields of the lines of a TSV file; quotes mean nothing in it."""
    for number, line in _filled(read_lines(path)):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != columns or not all(fields):
            raise DataError(
                f"{path}, line {number}: found {len(fields)} fields, {fields.count('')} of them "
                f"empty; expected {columns} that are filled"
            )
        yield number, fields


def _filled(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((n, line) for n, line in enumerate(lines, start=1) if line.strip())


def _scaled(text: str, low: float, high: float, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise DataError(
            f"{path}, line {number}: found the score {text!r}, expected {low:g} to {high:g}"
        )
    return (value - low) / (high - low)
