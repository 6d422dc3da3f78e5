"""Calibration of the parser: how far its probabilities can be taken at their word.

`reliability` holds probabilities against what came true, over bins of equal mass (Nguyen &
O'Connor 2015, "Posterior Calibration and Exploratory Analysis for Natural Language Processing
Models", section 3). Departures: the error is the mean absolute gap of Guo et al. (2017), not the
root of the squared ones, and predictions of one probability share their mean outcome, so that the
order of the data does not matter where a bin cuts through them.

`fit_temperature` finds one temperature a language, inside the chart: Guo et al. (2017), "On
Calibration of Modern Neural Networks", section 4.2, with the whole chart's log-likelihood in place
of a classifier's. All scores are divided by T before the inside pass, so marginals, readings and
trees stay consistent with each other.

The recipe fits English before it packs: temperatures are part of `ParserConfig`, which is written
with the weights and read with them. Chinese stays at 1: what it could be fitted on, items of the
training split, it has learned too well.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from treenlp.data.treebanks import read_mctb_en, spell_english
from treenlp.errors import InputError
from treenlp.experiment.parser_data import generated_targets
from treenlp.experiment.parser_stage import tree_target
from treenlp.lexicon import generate
from treenlp.parsing.atoms import AtomBatch
from treenlp.parsing.parser import ChartParser
from treenlp.parsing.scorer import SpanScorer
from treenlp.parsing.targets import ChartTarget, TargetBatch, crf_loss
from treenlp.text import Lang

__all__ = [
    "GRID",
    "NUM_BINS",
    "Bin",
    "Calibration",
    "calibrate",
    "calibration_targets",
    "expected_error",
    "fit_temperature",
    "reliability",
    "with_temperatures",
]

Floats = NDArray[np.float64]
Target = ChartTarget | tuple[ChartTarget, ...]

NUM_BINS = 10
GRID = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
"""Temperatures that are tried."""

FIT_ITEMS, FIT_SEED = 400, 17
"""Generated items of the training split that the Chinese temperature is fitted on."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Predictions of about the same probability.

    Attributes:
        n: number of predictions.
        low: least probability.
        high: greatest.
        mean: their mean.
        right: share that came true; a toss-up counts one half.
    """

    n: int
    low: float
    high: float
    mean: float
    right: float


def reliability(
    probs: ArrayLike, outcomes: ArrayLike, *, num_bins: int = NUM_BINS
) -> tuple[Bin, ...]:
    """Sort predictions by probability and cut them into bins of equal mass.

    Args:
        probs: (N,) probabilities.
        outcomes: (N,) what came true, in [0, 1].
        num_bins: most bins; fewer if there are fewer predictions.

    Returns:
        Bins by rising probability; their sizes differ by one at most.

    Raises:
        InputError: if the two differ in length.

    Example:
        >>> [b.right for b in reliability([0.1, 0.2, 0.8, 0.9], [0, 1, 1, 1], num_bins=2)]
        [0.5, 1.0]
    """
    prob = np.asarray(probs, dtype=np.float64)
    outcome = np.asarray(outcomes, dtype=np.float64)
    if prob.shape != outcome.shape or prob.ndim != 1:
        raise InputError(
            f"found {prob.shape} probabilities and {outcome.shape} outcomes, expected one list of "
            "each, of one length"
        )
    return tuple(
        Bin(
            n=len(own),
            low=float(own[0]),
            high=float(own[-1]),
            mean=float(own.mean()),
            right=float(came.mean()),
        )
        for own, came in _cut(prob, outcome, num_bins)
    )


def expected_error(probs: ArrayLike, outcomes: ArrayLike, *, num_bins: int = NUM_BINS) -> float:
    """Return the mean gap between probability and outcome over bins of equal mass, in [0, 1].

    Args:
        probs: (N,) probabilities.
        outcomes: (N,) what came true, in [0, 1].
        num_bins: most bins.

    Returns:
        The error; nan without predictions.

    Example:
        >>> expected_error([0.5, 0.5], [0, 1])
        0.0
    """
    prob, outcome = np.asarray(probs, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if not len(prob):
        return math.nan
    gaps = [abs(float((own - came).sum())) for own, came in _cut(prob, outcome, num_bins)]
    return sum(gaps) / len(prob)


def _cut(prob: Floats, outcome: Floats, num_bins: int) -> list[tuple[Floats, Floats]]:
    """Probabilities and outcomes of each bin; those of equal probability share their outcome."""
    if not len(prob):
        return []
    values, group, size = np.unique(prob, return_inverse=True, return_counts=True)
    shared = np.bincount(group, weights=outcome) / size
    parts = np.array_split(np.sort(group), min(num_bins, len(prob)))
    return [(values[part], shared[part]) for part in parts]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What each temperature costs.

    Attributes:
        temperature: the best one.
        losses: mean loss an atom in nats, for each of `GRID`.
        num_targets: sentences that it was fitted on.
    """

    temperature: float
    losses: tuple[float, ...]
    num_targets: int


@torch.inference_mode()
def fit_temperature(
    parser: ChartParser, targets: Sequence[Target], *, batch_size: int = 32
) -> Calibration:
    """Find the temperature under which held-out targets are likeliest.

    Args:
        parser: of any temperature: the one that it has now plays no part.
        targets: held-out sentences of one language with whole trees or partial brackets; several
            targets of one sentence are equally right and share its weight.
        batch_size: sentences scored at once.

    Returns:
        The losses over `GRID` and their minimum (the first one, if there are several).

    Raises:
        InputError: if there is no target.
    """
    flat = [
        replace(target, weight=target.weight / len(group))
        for group in (found if isinstance(found, tuple) else (found,) for found in targets)
        for target in group
    ]
    if not flat:
        raise InputError("found no target to fit a temperature on, expected one or more")
    scorer, trunk = parser.scorer, parser.trunk
    lang = flat[0].sentence.lang
    head, grammar = scorer.head(lang), scorer.grammars[lang]
    order = sorted(flat, key=lambda target: target.sentence.num_atoms)
    losses = torch.zeros(len(GRID), dtype=torch.float64)
    atoms = 0.0
    for at in range(0, len(order), batch_size):
        chosen = order[at : at + batch_size]
        batch = AtomBatch.build(
            [target.sentence for target in chosen],
            parser.tokenizer,
            max_positions=trunk.config.max_positions,
        )
        packed = parser.pack_scores(batch)
        found = TargetBatch.build(chosen, grammar)
        for place, heat in enumerate(GRID):
            scaled = replace(
                packed,
                phrase=packed.phrase / heat,
                word=packed.word / heat,
                affinity=packed.affinity / heat,
            )
            each = crf_loss(scaled, found, head.child / heat, head.root / heat, grammar)
            losses[place] += (each * found.weight).sum().item()
        atoms += float((batch.lengths * found.weight).sum())
    mean = (losses / atoms).tolist()
    return Calibration(
        temperature=GRID[mean.index(min(mean))], losses=tuple(mean), num_targets=len(targets)
    )


def calibration_targets(
    parser: ChartParser, *, trained: Collection[str] = ()
) -> dict[Lang, list[Target]]:
    """Return what temperatures are fitted on.

    Chinese: generated items of the training split from a seed of their own; English: every second
    sentence of the tuning part of the gold trees, from the first. The others, and validation
    items, serve to measure and are not touched.

    Args:
        parser: whose labels the targets are made of; languages that it lacks are left out.
        trained: texts that it learned from; no generated item is one of them.

    Raises:
        DataError: if the English trees are not found.
    """
    grammars = parser.scorer.grammars
    found: dict[Lang, list[Target]] = {}
    if "zh" in grammars:
        known = frozenset(trained)
        items = generate(split="train", n=FIT_ITEMS, seed=FIT_SEED)
        found["zh"] = generated_targets([i for i in items if i.text not in known], grammars["zh"])
    if "en" in grammars:
        trees = map(spell_english, islice(read_mctb_en("tune", on_skip=lambda _: None), 0, None, 2))
        targets = (tree_target(tree, grammars["en"], "en") for tree in trees)
        found["en"] = [target for target in targets if target is not None]
    return found


def calibrate(
    parser: ChartParser, targets: Mapping[Lang, Sequence[Target]]
) -> dict[Lang, Calibration]:
    """Fit the temperature of each language that there are targets of; see `with_temperatures`.

    Args:
        parser: trained.
        targets: as `calibration_targets` gives them.

    Example:
        >>> found = calibrate(parser, calibration_targets(parser))  # doctest: +SKIP
        >>> heats = {lang: one.temperature for lang, one in found.items()}  # doctest: +SKIP
        >>> pack(folder, scorer=with_temperatures(scorer, heats), ...)  # doctest: +SKIP
    """
    return {lang: fit_temperature(parser, own) for lang, own in targets.items() if own}


def with_temperatures(scorer: SpanScorer, temperatures: Mapping[Lang, float]) -> SpanScorer:
    """Return the same scorer with other temperatures; weights are shared, the old one stays.

    Args:
        scorer: trained.
        temperatures: above 0; languages that are not named keep theirs.

    Raises:
        InputError: if one is not above 0.
    """
    for lang, heat in temperatures.items():
        if not 0.0 < heat < math.inf:
            raise InputError(f"found the temperature {heat} of {lang!r}, expected one above 0")
    other = copy.copy(scorer)
    changes = {f"temperature_{lang}": heat for lang, heat in temperatures.items()}
    other.config = replace(scorer.config, **changes)  # type: ignore[arg-type]
    return other
