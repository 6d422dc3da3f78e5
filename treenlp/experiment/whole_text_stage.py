"""Training of the view of whole texts: reviews as running text, one label each.

The layers learn by gradient from a part of the reviews, the table of pieces and pairs in closed
form (logistic regression) from all of them. What each counts is fitted on the tuning part, on which
neither learned: stacking after Wolpert (1992), "Stacked Generalization".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.data.sentiment import REVIEW_SETS, Review, ReviewPart, read_reviews
from treenlp.encoder import PieceBatch, Pieces, PieceTokenizer, Trunk
from treenlp.experiment.planning import plan_batches
from treenlp.experiment.trainer import Progress, TrainConfig, fit
from treenlp.tasks.grams import GramScore, gram_buckets
from treenlp.tasks.whole_text import WholeText, WholeTextConfig
from treenlp.text import Document

__all__ = [
    "WholeTextTask",
    "average_views",
    "choose_reviews",
    "learn_grams",
    "review_pieces",
    "train_whole_text",
    "weigh_views",
]

_HOTEL_WEIGHT = 4.0  # hotels are an eighth of the reviews; chosen by log loss on the tuning part
_GRAM_STRENGTH = 10.0  # inverse of the ridge, chosen likewise among 1, 3 and 10
_HOTEL_SHARE = 0.3  # of the pieces that the layers learn from; a quarter by nature
_SMOOTHING = 0.03  # labels of reviews are stars that people gave: some do not fit the words


def choose_reviews(shopping: int, *, seed: int, part: ReviewPart = "train") -> list[Review]:
    """Return all hotel reviews of a part, and so many of the others at random."""
    reviews = read_reviews(part)
    hotels = [review for review in reviews if REVIEW_SETS[0] in review.sets]
    others = [review for review in reviews if REVIEW_SETS[0] not in review.sets]
    return hotels + random.Random(seed).sample(others, min(shopping, len(others)))


class WholeTextTask(nn.Module):
    """The view and the reviews that it learns from."""

    def __init__(
        self,
        view: WholeText,
        tokenizer: PieceTokenizer,
        reviews: Sequence[Review],
        *,
        steps: int,
        seed: int,
        pieces_per_batch: int = 2_400,
    ) -> None:
        """Plan all batches of a run: hotels have their share, whatever else there is.

        Args:
            view: to be trained.
            tokenizer: of its trunk.
            reviews: at least one.
            steps: batches in all.
            seed: of their order.
            pieces_per_batch: size of a batch, padding included.
        """
        super().__init__()
        self.view = view
        self.texts = [view.cut(pieces) for pieces in review_pieces(reviews, tokenizer)]
        self.positive = torch.tensor([float(review.label) for review in reviews])
        kinds: dict[bool, list[int]] = {True: [], False: []}  # is it of a hotel?
        for n, review in enumerate(reviews):
            kinds[REVIEW_SETS[0] in review.sets].append(n)
        self._kinds = [found for found in kinds.values() if found]
        self.plan = plan_batches(
            [[len(self.texts[n].ids) + 2 for n in found] for found in self._kinds],
            [_HOTEL_SHARE, 1.0 - _HOTEL_SHARE][: len(self._kinds)],
            [pieces_per_batch] * len(self._kinds),
            steps=steps,
            seed=seed,
            spread=0.25,
        )

    def batch(self, step: int) -> tuple[PieceBatch, Tensor]:
        """Pieces and labels of a step."""
        kind, places = self.plan[step]
        chosen = [self._kinds[kind][place] for place in places]
        texts = [self.texts[n] for n in chosen]
        longest = max(len(pieces.ids) for pieces in texts) + 2
        return PieceBatch.build(texts, max_positions=longest), self.positive[chosen]

    def loss(self, batch: object) -> Tensor:
        """Cross-entropy of the sides, in nats."""
        if not isinstance(batch, tuple):
            raise TypeError(f"found {type(batch).__name__}, expected pieces and labels")
        pieces, positive = batch
        targets = positive * (1.0 - 2.0 * _SMOOTHING) + _SMOOTHING
        return F.binary_cross_entropy_with_logits(self.view(pieces).float(), targets)


def _running(text: str) -> str:
    """Spell a review as its sentences are spelled one after another when it is analysed."""
    return "".join(sentence.model_text for sentence in Document.from_text(text))


def review_pieces(reviews: Sequence[Review], tokenizer: PieceTokenizer) -> list[Pieces]:
    """Cut reviews into pieces as they are cut when they are analysed."""
    return tokenizer.encode_batch([_running(review.text) for review in reviews])


def learn_grams(grams: GramScore, reviews: Sequence[Review], tokenizer: PieceTokenizer) -> None:
    """Fit the table by logistic regression, in place.

    Args:
        grams: the table.
        reviews: of both sides; hotels count `_HOTEL_WEIGHT` times.
        tokenizer: of the trunk.
    """
    texts = review_pieces(reviews, tokenizer)
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
def weigh_views(
    view: WholeText, reviews: Sequence[Review], tokenizer: PieceTokenizer
) -> tuple[float, float]:
    """Fit what layers and table count on reviews that neither learned from, in place.

    Args:
        view: trained; its head and its table are scaled.
        reviews: of the tuning part, both sides.
        tokenizer: of the trunk.

    Returns:
        The factors of the layers and of the table.
    """
    texts = review_pieces(reviews, tokenizer)
    beside = torch.zeros(len(texts)) if view.grams is None else view.grams(texts).cpu()
    both = torch.stack([view.odds(texts) - beside, beside], dim=1).double().numpy()
    model = LogisticRegression(C=1e6, fit_intercept=False)
    model.fit(both, [review.label for review in reviews])
    deep, wide = (float(factor) for factor in model.coef_[0])
    view.out.weight.mul_(deep)
    view.out.bias.mul_(deep)
    if view.grams is not None:
        view.grams.table.mul_(wide)
        view.grams.bias.mul_(wide)
    return deep, wide


def train_whole_text(
    folder: Path,
    trunk: Trunk,
    tokenizer: PieceTokenizer,
    reviews: Sequence[Review],
    config: TrainConfig,
    *,
    sizes: WholeTextConfig | None = None,
    report: Callable[[Progress], None] | None = None,
    stop_after_minutes: float = inf,
) -> tuple[WholeText, bool]:
    """Train the layers of the view of whole texts over a trunk that does not change.

    Args:
        folder: of checkpoints; ``whole_text.safetensors`` (full precision) too.
        trunk: with its upper layers as they will be shipped.
        tokenizer: of the trunk.
        reviews: what is learned from.
        config: of the loop.
        sizes: of the view; None means the defaults.
        report: called now and then.
        stop_after_minutes: stop then, resumable.

    Returns:
        The view, and whether all steps are done.
    """
    torch.manual_seed(config.seed)
    view = WholeText(WholeTextConfig() if sizes is None else sizes, trunk, dropout=0.1)
    task = WholeTextTask(view, tokenizer, reviews, steps=config.batches, seed=config.seed)
    done = fit(task, task, config, folder, report=report, stop_after_minutes=stop_after_minutes)
    state = {name: value.contiguous() for name, value in view.state_dict().items()}
    save_file(state, folder / "whole_text.safetensors")
    return view, done
