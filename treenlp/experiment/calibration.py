"""Calibration of the parser: one temperature a language, inside the chart.

Guo et al. (2017), "On Calibration of Modern Neural Networks", section 4.2, with the whole chart's
log-likelihood in place of a classifier's: all scores are divided by T before the inside pass, so
marginals, readings and trees stay consistent with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from treenlp.parsing.atoms import AtomBatch
from treenlp.parsing.parser import ChartParser
from treenlp.parsing.targets import ChartTarget, TargetBatch, crf_loss

__all__ = ["GRID", "Calibration", "fit_temperature"]

GRID = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
"""Temperatures that are tried."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What each temperature costs.

    Attributes:
        temperature: the best one.
        losses: mean loss an atom in nats, for each of `GRID`.
    """

    temperature: float
    losses: tuple[float, ...]


@torch.inference_mode()
def fit_temperature(
    parser: ChartParser, targets: Sequence[ChartTarget], *, batch_size: int = 32
) -> Calibration:
    """Find the temperature under which held-out targets are likeliest.

    Args:
        parser: with temperature 1 for the language of the targets.
        targets: held-out sentences of one language with whole trees or partial brackets.
        batch_size: sentences scored at once.

    Returns:
        The losses over `GRID` and their minimum (the first one, if there are several).
    """
    scorer, trunk = parser.scorer, parser.trunk
    lang = targets[0].sentence.lang
    head, grammar = scorer.head(lang), scorer.grammars[lang]
    order = sorted(targets, key=lambda target: target.sentence.num_atoms)
    losses = torch.zeros(len(GRID), dtype=torch.float64)
    atoms = 0
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
        atoms += int(batch.lengths.sum())
    mean = (losses / atoms).tolist()
    return Calibration(temperature=GRID[mean.index(min(mean))], losses=tuple(mean))
