"""Soft targets for the view of whole texts: what several teachers, on the mean, say of its texts.

Hinton et al. (2015), "Distilling the Knowledge in a Neural Network", sections 2 and 5, at
temperature 1, with teachers no larger than the layers that the student changes: Furlanello et al.
(2018), "Born-Again Neural Networks". A teacher learns all its layers in full, so it is as large as
the trunk and does not ship. Teachers also judge texts that nobody labelled, which are cut from
labelled ones.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from treenlp.data.sentiment import Review, SentimentTree
from treenlp.encoder import PieceTokenizer, Trunk
from treenlp.encoder.device import has_fast_bfloat16
from treenlp.errors import ConfigError
from treenlp.experiment.trainer import Progress, TrainConfig
from treenlp.experiment.whole_text_stage import TextSource, train_whole_text, whole_pieces
from treenlp.tasks.sentiment import LABELS, polarity_logit
from treenlp.tasks.whole_text import PHRASE_WORDS, WholeText, WholeTextConfig, running_text
from treenlp.text import Document

__all__ = ["ask_teachers", "judge_source", "soften", "unlabelled_sources"]

_STRETCHES = 10  # drawn of each English sentence; those that are phrases have a label already
_LEFT_OUT = (0.1, 0.2, 0.3)  # of the words of an English sentence
_KEPT = 0.6  # of the sentences of a review


def unlabelled_sources(
    reviews: Iterable[Review], sentences: Iterable[SentimentTree], *, seed: int
) -> list[TextSource]:
    """Cut texts that have no label from those that have one.

    Args:
        reviews: of each with several sentences, some are left out.
        sentences: of the sentiment treebank: stretches of words that are no phrases, and copies
            with words left out.
        seed: of what is left out.

    Returns:
        Sources with a trust of 0 and even targets; none is empty.
    """
    rng = random.Random(seed)
    cut = [text for sentence in sentences for text in _cut_sentence(sentence, rng)]
    shortened = [text for review in reviews for text in _shortened(review, rng)]
    even = (
        torch.full((len(cut), len(LABELS)), 1.0 / len(LABELS)),
        torch.full((len(shortened),), 0.5),
    )
    return [
        TextSource(name=name, share=share, texts=tuple(texts), targets=targets, trust=0.0)
        for name, share, texts, targets in (
            ("cut sentences", 0.14, cut, even[0]),
            ("shortened reviews", 0.08, shortened, even[1]),
        )
        if texts
    ]


def _cut_sentence(sentence: SentimentTree, rng: random.Random) -> Iterator[str]:
    words, text = sentence.words, sentence.text
    places = range(len(words) + 1)
    drawn = {(min(pair), max(pair)) for pair in (rng.sample(places, 2) for _ in range(_STRETCHES))}
    for first, last in sorted(drawn.difference(sentence.tree.node_spans())):
        if last - first >= PHRASE_WORDS:
            yield text[words[first][0] : words[last - 1][1]]
    gaps = [0, *(end for _, end in words)]  # a word takes the blank before it along
    for share in _LEFT_OUT:
        kept = [n for n in range(len(words)) if rng.random() >= share]
        if PHRASE_WORDS <= len(kept) < len(words):
            yield "".join(text[gaps[n] : words[n][1]] for n in kept).strip()


def _shortened(review: Review, rng: random.Random) -> Iterator[str]:
    sentences = [
        (sentence.model_text, sentence.lang) for sentence in Document.from_text(review.text)
    ]
    kept = [sentence for sentence in sentences if rng.random() < _KEPT]
    if 0 < len(kept) < len(sentences):
        yield running_text(kept)


@torch.no_grad()
def judge_source(view: WholeText, source: TextSource, tokenizer: PieceTokenizer) -> Tensor:
    """Return what a view says of texts, in the shape of their targets.

    Args:
        view: trained.
        source: texts.
        tokenizer: of the view's trunk.

    Returns:
        (N, 5) float32 probabilities, or (N,), that of the positive side.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16()):
        logits = view.logits(whole_pieces(source.texts, tokenizer))
    return logits.softmax(-1) if source.is_graded else polarity_logit(logits).sigmoid()


def soften(source: TextSource, said: Sequence[Tensor]) -> TextSource:
    """Mix the targets of texts with the mean of what teachers say of them.

    Args:
        source: its `trust` says how much its own targets count.
        said: of each teacher, as `judge_source` returns it.
    """
    mean = torch.stack(list(said)).mean(0)
    return replace(source, targets=source.trust * source.targets + (1.0 - source.trust) * mean)


def ask_teachers(
    folder: Path,
    trunk: Trunk,
    tokenizer: PieceTokenizer,
    sources: Sequence[TextSource],
    config: TrainConfig,
    *,
    teachers: int,
    rounds: int = 1,
    sizes: WholeTextConfig | None = None,
    report: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
    stop_after_minutes: float = inf,
) -> list[TextSource] | None:
    """Train teachers one after another and let them say what the texts' targets are.

    In the first round they learn from the labels, in a later one from the targets of the round
    before, unlabelled texts included. Each begins with the trunk's layers; their seeds differ.

    Args:
        folder: of checkpoints, and of what each teacher says. Everything there is gone on with.
        trunk: of the student; it is not changed.
        tokenizer: of the trunk.
        sources: labelled ones, and others with a trust of 0.
        config: of a teacher's loop; the n-th teacher's seed is n more.
        teachers: in a round, at least 1.
        rounds: at least 1.
        sizes: of the teachers; their rank is 0 in any case. None means the defaults.
        report: called now and then.
        say: gets a line before a teacher learns, and before it judges the texts of a source.
        stop_after_minutes: stop a teacher then, resumable.

    Returns:
        The sources with the last round's targets; None if time ran out.

    Raises:
        ConfigError: if the folder holds what other teachers say, or say of other texts.
    """
    free = replace(sizes or WholeTextConfig(), rank=0, gram_buckets=0)
    learned = [source for source in sources if source.trust > 0.0]
    for turn in range(rounds):
        said: list[list[Tensor]] = []
        for n in range(teachers):
            name = f"teacher {n + 1} of {teachers}, round {turn + 1} of {rounds}"
            own = folder / f"round-{turn}" / f"teacher-{n}"
            loop = replace(config, seed=config.seed + n)
            basis = _basis(learned, loop, free)
            answers = [_read_answer(own, source, basis) for source in sources]
            if any(answer is None for answer in answers):
                say(f"training {name}")
                view, done = train_whole_text(
                    own,
                    trunk,
                    tokenizer,
                    learned,
                    loop,
                    sizes=free,
                    report=report,
                    stop_after_minutes=stop_after_minutes,
                )
                if not done:
                    return None
                for source, answer in zip(sources, answers, strict=True):
                    if answer is None:
                        say(f"asking {name} about {len(source.texts):,} {source.name}")
                        _write_answer(own, source, basis, judge_source(view, source, tokenizer))
                answers = [_read_answer(own, source, basis) for source in sources]
            said.append([answer for answer in answers if answer is not None])
        learned = [
            soften(source, answers)
            for source, answers in zip(sources, zip(*said, strict=True), strict=True)
        ]
    return learned


def _basis(learned: Sequence[TextSource], loop: TrainConfig, sizes: WholeTextConfig) -> str:
    """Digest of what makes a teacher: texts, targets, shares, loop and sizes."""
    found = hashlib.sha256(f"{loop} {sizes}".encode())
    for source in learned:
        found.update(f"{source.share} {_digest(source)}".encode())
        found.update(source.targets.numpy().tobytes())
    return found.hexdigest()


def _digest(source: TextSource) -> str:
    return hashlib.sha256("\0".join(source.texts).encode()).hexdigest()


def _write_answer(folder: Path, source: TextSource, basis: str, said: Tensor) -> None:
    path = _answer_path(folder, source)
    partial = path.with_name(path.name + ".partial")
    save_file({"said": said}, partial, metadata={"basis": basis, "texts": _digest(source)})
    partial.replace(path)


def _read_answer(folder: Path, source: TextSource, basis: str) -> Tensor | None:
    path = _answer_path(folder, source)
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as file:
        if file.metadata() != {"basis": basis, "texts": _digest(source)}:
            raise ConfigError(
                f"{path} is of another teacher or of other texts than the {len(source.texts):,} "
                f"{source.name} asked about; give another folder or delete {folder}"
            )
        found: Tensor = file.get_tensor("said")
    return found


def _answer_path(folder: Path, source: TextSource) -> Path:
    return folder / f"said-{source.name.replace(' ', '-')}.safetensors"
