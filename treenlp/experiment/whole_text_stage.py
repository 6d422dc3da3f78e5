"""Training of the view of whole texts: Chinese reviews for the side, English ones for the class.

The layers learn by gradient from reviews and from the sentences and phrases of the sentiment
treebank, each phrase read alone, by their labels or by what teachers say of them
(`treenlp.experiment.distillation`); the table of pieces and pairs learns in closed form (logistic
regression) from the reviews. What each counts is fitted on the tuning part, on which none learned:
stacking after Wolpert (1992), "Stacked Generalization".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.data.sentiment import REVIEW_SETS, Review, ReviewPart, SentimentTree, read_reviews
from treenlp.encoder import PieceBatch, Pieces, PieceTokenizer, Trunk
from treenlp.experiment.planning import plan_batches
from treenlp.experiment.trainer import Progress, TrainConfig, fit
from treenlp.tasks.grams import GramScore, gram_buckets
from treenlp.tasks.sentiment import LABELS, polarity_logit
from treenlp.tasks.whole_text import PHRASE_WORDS, WholeText, WholeTextConfig, running_text
from treenlp.text import Document

__all__ = [
    "TextSource",
    "WholeTextTask",
    "average_views",
    "choose_reviews",
    "learn_grams",
    "review_sources",
    "train_whole_text",
    "weigh_grades",
    "weigh_sides",
    "whole_pieces",
]

_HOTEL_WEIGHT = 4.0  # hotels are an eighth of the reviews; chosen by log loss on the tuning part
_GRAM_STRENGTH = 10.0  # inverse of the ridge, chosen likewise among 1, 3 and 10
_TRUST = 0.25
_GRADE_SMOOTHING = 0.05
_SMOOTHING = 0.03  # labels of reviews are stars that people gave: some do not fit the words


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Texts of one kind, and what is to be said of them.

    Attributes:
        name: of the kind.
        share: of it in what is learned from, by pieces; positive, of any sum.
        texts: N, at least one.
        targets: (N, 5) float32, the probabilities of the classes, or (N,), that of the positive
            side where no more is known.
        trust: what the targets count beside what teachers say, 0 to 1; 0 where nobody labelled the
            texts: their targets are even then.
    """

    name: str
    share: float
    texts: tuple[str, ...]
    targets: Tensor
    trust: float = _TRUST

    @classmethod
    def of_classes(cls, name: str, share: float, labelled: Sequence[tuple[str, int]]) -> TextSource:
        """Texts with one of five classes each, smoothed."""
        labels = torch.tensor([label for _, label in labelled])
        sure = F.one_hot(labels, len(LABELS)).float()
        return cls(
            name=name,
            share=share,
            texts=tuple(text for text, _ in labelled),
            targets=sure * (1.0 - _GRADE_SMOOTHING) + _GRADE_SMOOTHING / len(LABELS),
        )

    @classmethod
    def of_sides(cls, name: str, share: float, reviews: Sequence[Review]) -> TextSource:
        """Reviews with a side each, smoothed."""
        labels = torch.tensor([float(review.label) for review in reviews])
        return cls(
            name=name,
            share=share,
            texts=tuple(review.text for review in reviews),
            targets=labels * (1.0 - 2.0 * _SMOOTHING) + _SMOOTHING,
        )

    @property
    def is_graded(self) -> bool:
        """Whether the targets are of five classes."""
        return self.targets.dim() == 2


def choose_reviews(shopping: int, *, seed: int, part: ReviewPart = "train") -> list[Review]:
    """Return all hotel reviews of a part, and so many of the others at random."""
    reviews = read_reviews(part)
    hotels = [review for review in reviews if REVIEW_SETS[0] in review.sets]
    others = [review for review in reviews if REVIEW_SETS[0] not in review.sets]
    return hotels + random.Random(seed).sample(others, min(shopping, len(others)))


def _sentences_and_phrases(
    sentences: Iterable[SentimentTree],
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """All sentences with their classes, and all their phrases of two words or more."""
    whole: list[tuple[str, int]] = []
    parts: list[tuple[str, int]] = []
    for sentence in sentences:
        whole.append((sentence.text, sentence.label))
        words = sentence.words
        spans = sentence.tree.node_spans()
        for (first, last), label in zip(spans, sentence.node_labels, strict=True):
            if PHRASE_WORDS <= last - first < len(words):
                parts.append((sentence.text[words[first][0] : words[last - 1][1]], label))
    return whole, parts


class WholeTextTask(nn.Module):
    """The view and what it learns from."""

    def __init__(
        self,
        view: WholeText,
        tokenizer: PieceTokenizer,
        sources: Sequence[TextSource],
        *,
        steps: int,
        seed: int,
        pieces_per_batch: int = 2_400,
    ) -> None:
        """Plan all batches of a run.

        Args:
            view: to be trained.
            tokenizer: of its trunk.
            sources: what is learned from.
            steps: batches in all.
            seed: of their order.
            pieces_per_batch: size of a batch, padding included.
        """
        super().__init__()
        self.view = view
        self._texts = [
            [view.cut(pieces) for pieces in whole_pieces(source.texts, tokenizer)]
            for source in sources
        ]
        self._targets = [source.targets for source in sources]
        self.plan = plan_batches(
            [[len(pieces.ids) + 2 for pieces in texts] for texts in self._texts],
            [source.share for source in sources],
            [pieces_per_batch] * len(sources),
            steps=steps,
            seed=seed,
            spread=0.25,
        )

    def batch(self, step: int) -> tuple[PieceBatch, Tensor]:
        """Pieces of a step, and targets (B, 5) of classes or (B,) of sides."""
        source, places = self.plan[step]
        chosen = [self._texts[source][place] for place in places]
        longest = max(len(pieces.ids) for pieces in chosen) + 2
        return PieceBatch.build(chosen, max_positions=longest), self._targets[source][list(places)]

    def loss(self, batch: object) -> Tensor:
        """Cross-entropy of the classes, or of the sides where no more is known, in nats."""
        if not isinstance(batch, tuple):
            raise TypeError(f"found {type(batch).__name__}, expected pieces and targets")
        pieces, targets = batch
        logits = self.view(pieces).float()
        if targets.dim() == 2:
            return F.cross_entropy(logits, targets)
        return F.binary_cross_entropy_with_logits(polarity_logit(logits), targets)


def review_sources(
    reviews: Sequence[Review], sentences: Iterable[SentimentTree]
) -> list[TextSource]:
    """Put hotels, other reviews, English sentences and their phrases in the recipe's shares.

    Args:
        reviews: of both kinds.
        sentences: of the sentiment treebank; may be empty.
    """
    hotels = [review for review in reviews if REVIEW_SETS[0] in review.sets]
    others = [review for review in reviews if REVIEW_SETS[0] not in review.sets]
    whole, phrases = _sentences_and_phrases(sentences)
    found = [
        TextSource.of_sides(name, share, own)
        for name, share, own in (("hotels", 0.18, hotels), ("others", 0.18, others))
        if own
    ]
    return found + [
        TextSource.of_classes(name, share, own)
        for name, share, own in (("sentences", 0.22, whole), ("phrases", 0.2, phrases))
        if own
    ]


def whole_pieces(texts: Sequence[str], tokenizer: PieceTokenizer) -> list[Pieces]:
    """Cut texts into pieces as they are cut when they are analysed."""
    return tokenizer.encode_batch(
        [
            running_text((sentence.model_text, sentence.lang) for sentence in Document.from_text(t))
            for t in texts
        ]
    )


def learn_grams(grams: GramScore, reviews: Sequence[Review], tokenizer: PieceTokenizer) -> None:
    """Fit the table by logistic regression, in place.

    Args:
        grams: the table.
        reviews: of both sides; hotels count `_HOTEL_WEIGHT` times.
        tokenizer: of the trunk.
    """
    texts = whole_pieces([review.text for review in reviews], tokenizer)
    weights = [_HOTEL_WEIGHT if REVIEW_SETS[0] in review.sets else 1.0 for review in reviews]
    model = LogisticRegression(C=_GRAM_STRENGTH, max_iter=1_000)
    labels = [review.label for review in reviews]
    model.fit(_features(texts, grams.num_buckets), labels, sample_weight=weights)
    with torch.no_grad():
        grams.table.copy_(torch.from_numpy(model.coef_).view_as(grams.table))
        grams.bias.copy_(torch.from_numpy(model.intercept_))


def _features(texts: Sequence[Pieces], num_buckets: int) -> csr_matrix:
    found = [gram_buckets(text.ids, num_buckets) for text in texts]
    sizes: NDArray[np.int64] = np.array([len(buckets) for buckets in found], dtype=np.int64)
    values = np.repeat(1.0 / np.sqrt(np.maximum(sizes, 1)), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return csr_matrix((values, np.concatenate(found), starts), shape=(len(texts), num_buckets))


def average_views(states: Sequence[Mapping[str, Tensor]], rank: int) -> dict[str, Tensor]:
    """Average runs that began with the same layers and other draws.

    Wortsman et al. (2022), "Model soups". The low-rank factors of two runs have nothing to do with
    each other, so their products are averaged and cut to the rank by a singular value
    decomposition; everything else is averaged as it is.

    Args:
        states: parameters of at least one view, all of the same sizes.
        rank: of the averaged changes.

    Returns:
        Parameters of a view of that rank.
    """
    found: dict[str, Tensor] = {}
    for name in states[0]:
        if name.endswith(".down"):
            continue
        if not name.endswith(".up"):
            found[name] = torch.stack([state[name].float() for state in states]).mean(0)
            continue
        down = name.removesuffix("up") + "down"
        changes = [state[name].float().T @ state[down].float() for state in states]
        left, values, right = torch.linalg.svd(torch.stack(changes).mean(0), full_matrices=False)
        root = values[:rank].sqrt()
        found[name] = (left[:, :rank] * root).T.contiguous()
        found[down] = (right[:rank] * root.unsqueeze(-1)).contiguous()
    return found


@torch.no_grad()
def weigh_sides(
    view: WholeText, reviews: Sequence[Review], tokenizer: PieceTokenizer
) -> tuple[float, float]:
    """Fit what layers and table count on reviews that neither learned from, in place.

    Args:
        view: trained; its configuration and its table are changed.
        reviews: of the tuning part, both sides.
        tokenizer: of the trunk.

    Returns:
        The factors of the layers and of the table.
    """
    texts = whole_pieces([review.text for review in reviews], tokenizer)
    beside = torch.zeros(len(texts)) if view.grams is None else view.grams(texts).cpu()
    both = torch.stack([polarity_logit(view.logits(texts)), beside], dim=1).double().numpy()
    model = LogisticRegression(C=1e6, fit_intercept=False)
    model.fit(both, [review.label for review in reviews])
    deep, wide = (max(float(factor), 0.0) for factor in model.coef_[0])
    view.config = replace(view.config, side_view=deep)
    if view.grams is not None:
        view.grams.table.mul_(wide)
        view.grams.bias.mul_(wide)
    return deep, wide


@torch.no_grad()
def weigh_grades(
    view: WholeText,
    trees: Tensor,
    texts: Sequence[Pieces],
    labels: Sequence[int],
    *,
    phrases: bool = False,
) -> tuple[float, float]:
    """Fit what trees and layers count for five classes, by log loss, in place.

    Args:
        view: trained; its configuration is changed.
        trees: (T, 5) logits of texts that neither learned from, from their trees.
        texts: the same texts.
        labels: their classes.
        phrases: whether they are phrases and not sentences, which are weighed apart.

    Returns:
        The factors of the trees and of the layers, at least 0.
    """
    targets = torch.tensor(labels)
    both = torch.stack([trees.float(), view.logits(texts)]).log_softmax(-1).double()

    def loss(factors: NDArray[np.float64]) -> float:
        weighted = torch.from_numpy(factors)[:, None, None] * both
        return float(F.cross_entropy(weighted.sum(0), targets))

    found = minimize(loss, np.array([0.5, 0.5]), method="L-BFGS-B", bounds=[(0.0, None)] * 2)
    tree, layers = map(float, found.x)
    if phrases:
        view.config = replace(view.config, phrase_tree=tree, phrase_view=layers)
    else:
        view.config = replace(view.config, grade_tree=tree, grade_view=layers)
    return tree, layers


def train_whole_text(
    folder: Path,
    trunk: Trunk,
    tokenizer: PieceTokenizer,
    sources: Sequence[TextSource],
    config: TrainConfig,
    *,
    initial: Mapping[str, Tensor] | None = None,
    sizes: WholeTextConfig | None = None,
    report: Callable[[Progress], None] | None = None,
    stop_after_minutes: float = inf,
) -> tuple[WholeText, bool]:
    """Train the layers of the view of whole texts over a trunk that does not change.

    Args:
        folder: of checkpoints; ``whole_text.safetensors`` (full precision) too.
        trunk: with its upper layers as they will be shipped.
        tokenizer: of the trunk.
        sources: what is learned from; see `review_sources`.
        config: of the loop.
        initial: parameters of a view to go on from; None starts from the trunk.
        sizes: of the view; None means the defaults.
        report: called now and then.
        stop_after_minutes: stop then, resumable.

    Returns:
        The view, and whether all steps are done.
    """
    torch.manual_seed(config.seed)
    view = WholeText(WholeTextConfig() if sizes is None else sizes, trunk, dropout=0.1)
    if initial is not None:
        view.load_state_dict(initial)
    task = WholeTextTask(view, tokenizer, sources, steps=config.batches, seed=config.seed)
    done = fit(task, task, config, folder, report=report, stop_after_minutes=stop_after_minutes)
    state = {name: value.contiguous() for name, value in view.state_dict().items()}
    save_file(state, folder / "whole_text.safetensors")
    return view, done
