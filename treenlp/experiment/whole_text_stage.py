"""Training of the view of whole texts: reviews as running text, one label each."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from treenlp.data.sentiment import REVIEW_SETS, Review, read_reviews
from treenlp.encoder import PieceBatch, PieceTokenizer, Trunk
from treenlp.experiment.planning import plan_batches
from treenlp.experiment.trainer import Progress, TrainConfig, fit
from treenlp.tasks.whole_text import WholeText, WholeTextConfig
from treenlp.text import Document

__all__ = ["WholeTextTask", "choose_reviews", "train_whole_text"]

_SMOOTHING = 0.03  # labels of reviews are stars that people gave: some do not fit the words


def choose_reviews(shopping: int, *, seed: int) -> list[Review]:
    """Return all hotel reviews of the training part, and so many of the others at random."""
    reviews = read_reviews("train")
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
        """Plan all batches of a run.

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
        texts = [_running(review.text) for review in reviews]
        self.texts = [view.cut(pieces) for pieces in tokenizer.encode_batch(texts)]
        self.positive = torch.tensor([float(review.label) for review in reviews])
        self.plan = plan_batches(
            [[len(pieces.ids) + 2 for pieces in self.texts]],
            [1.0],
            [pieces_per_batch],
            steps=steps,
            seed=seed,
            spread=0.25,
        )

    def batch(self, step: int) -> tuple[PieceBatch, Tensor]:
        """Pieces and labels of a step."""
        _, chosen = self.plan[step]
        texts = [self.texts[n] for n in chosen]
        longest = max(len(pieces.ids) for pieces in texts) + 2
        return PieceBatch.build(texts, max_positions=longest), self.positive[list(chosen)]

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
    """Train the view of whole texts over a trunk that does not change.

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
    task = WholeTextTask(view, tokenizer, reviews, steps=config.steps, seed=config.seed)
    done = fit(task, task, config, folder, report=report, stop_after_minutes=stop_after_minutes)
    state = {name: value.contiguous() for name, value in view.state_dict().items()}
    save_file(state, folder / "whole_text.safetensors")
    return view, done
