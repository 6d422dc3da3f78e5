"""Calibration: bins and errors, competing readings, phrases, and temperatures that travel."""

from __future__ import annotations

import importlib.util
import math
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from charts import forest_of
from hypothesis import given
from hypothesis import strategies as st
from standins import HIGH, LOW, SENTENCES

from treenlp.data.treebanks import spell_tokens
from treenlp.encoder import Trunk
from treenlp.errors import InputError
from treenlp.experiment.calibration import (
    GRID,
    Bin,
    Calibration,
    calibrate,
    expected_error,
    fit_temperature,
    reliability,
    with_temperatures,
)
from treenlp.experiment.card import figures_table
from treenlp.experiment.evaluate import MEASURES, Measure, run_gate
from treenlp.experiment.measures import (
    Predictions,
    Result,
    System,
    measure_calibration,
    predict_phrases,
    predict_readings,
)
from treenlp.experiment.parser_stage import tree_target
from treenlp.experiment.recipe import pack
from treenlp.experiment.scores import bootstrap_units
from treenlp.lexicon import GeneratedItem
from treenlp.parsing.forest import Forest
from treenlp.parsing.parser import ChartParser, load_parser
from treenlp.parsing.readings import Reading, Readings
from treenlp.parsing.targets import ChartTarget
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.tree import Tree

ROOT = Path(__file__).parents[1]
PROBS = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), min_size=1, max_size=40)


def test_bins_have_equal_mass_and_the_error_is_their_mean_gap() -> None:
    probs = [0.9, 0.1, 0.8, 0.2, 0.6, 0.3]
    outcomes = [1, 0, 1, 0, 0, 1]
    bins = reliability(probs, outcomes, num_bins=3)
    assert [b.n for b in bins] == [2, 2, 2]
    assert [(b.low, b.high) for b in bins] == [(0.1, 0.2), (0.3, 0.6), (0.8, 0.9)]
    assert [b.mean for b in bins] == pytest.approx([0.15, 0.45, 0.85])
    assert [b.right for b in bins] == pytest.approx([0.0, 0.5, 1.0])
    wanted = (0.15 + 0.05 + 0.15) / 3
    assert expected_error(probs, outcomes, num_bins=3) == pytest.approx(wanted)


@given(PROBS, st.randoms(use_true_random=False))
def test_the_order_of_predictions_plays_no_part(probs: list[float], random: object) -> None:
    outcomes = [float(random.random() < 0.5) for _ in probs]  # type: ignore[attr-defined]
    order = list(range(len(probs)))
    random.shuffle(order)  # type: ignore[attr-defined]
    mixed = [probs[n] for n in order], [outcomes[n] for n in order]
    assert expected_error(probs, outcomes) == pytest.approx(expected_error(*mixed))
    assert sum(b.n for b in reliability(probs, outcomes)) == len(probs)


@given(PROBS)
def test_what_comes_true_as_often_as_it_is_said_has_no_error(probs: list[float]) -> None:
    assert expected_error(probs, probs) == pytest.approx(0.0)
    assert expected_error(probs, [1.0 - p for p in probs]) <= 1.0


def test_the_error_of_sure_and_wrong_is_one_and_of_nothing_none() -> None:
    assert expected_error([1.0] * 20, [0.0] * 20) == 1.0
    assert math.isnan(expected_error([], []))
    assert reliability([], []) == ()
    with pytest.raises(InputError, match="expected one list of each, of one length"):
        reliability([0.5], [])


def test_a_biased_interval_is_moved_back_around_the_figure() -> None:
    generator = np.random.default_rng(3)
    probs = generator.random(400)
    outcomes = (generator.random(400) < probs).astype(float)

    def error(chosen: np.ndarray) -> float:
        return expected_error(probs[chosen], outcomes[chosen])

    value, low, high = bootstrap_units(400, error)
    assert low > 0.5 * value  # the draws are noisier than the data
    moved = bootstrap_units(400, error, is_biased=True)
    assert moved[0] == value
    assert moved[1] < value < moved[2]
    assert moved[2] - moved[1] == pytest.approx(high - low)
    assert all(math.isnan(v) for v in bootstrap_units(0, error))


@dataclass(frozen=True)
class Told:
    """A forest that has been told its readings."""

    trees: tuple[tuple[str, float], ...]

    def readings(self, k: int, min_prob: float) -> Readings:
        chosen = [
            (tree, prob)
            for rank, (tree, prob) in enumerate(self.trees[:k])
            if not rank or prob >= min_prob
        ]
        listed = tuple(
            Reading(
                tree=parse_brackets(tree),
                words=(),
                log_prob=math.log(prob),
                rank=rank,
                gloss="",
                num_trees=1,
            )
            for rank, (tree, prob) in enumerate(chosen, start=1)
        )
        return Readings(listed=listed, omitted=0.0, num_trees=len(listed))


class Oracle:
    """Knows the readings of a few texts."""

    max_atoms = 60

    def __init__(self, **known: tuple[tuple[str, float], ...]) -> None:
        self._known = known

    def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
        raise AssertionError("no best tree was to be asked for")

    def forests(self, sentences: Sequence[Sentence]) -> list[Forest]:
        return [Told(self._known[s.surface]) for s in sentences]  # type: ignore[misc]


def item(tree: str, member: str, *, pair: int, other: str | None = None) -> GeneratedItem:
    parsed = parse_brackets(tree)
    return GeneratedItem(
        text="".join(parsed.leaves),
        tree=parsed,
        alternatives=() if other is None else (parse_brackets(other),),
        kind="classifier",
        pair_id=pair,
        member=member,
        words=parsed.leaves,
        content=(),
        cues=(),
    )


ITEMS = [
    item(LOW.format("所"), "low", pair=1),
    item(LOW.format("个"), "either", pair=2, other=HIGH.format("个")),
    item(HIGH.format("位"), "high", pair=1),
    item(HIGH.format("名"), "high", pair=3),  # without a partner
]
FLAT = "(NP (CD 两) (M {}) (NN 大学) (DEG 的) (NN 老师))"
TABLE = System(
    name="oracle",
    parser=Oracle(
        两所大学的老师=(
            (LOW.format("所"), 0.8),
            (HIGH.format("所"), 0.1),
            (FLAT.format("所"), 0.06),
            (LOW.format("所").replace("DEG", "DEC"), 0.04),
        ),
        两位大学的老师=((LOW.format("位"), 0.6), (HIGH.format("位"), 0.4)),
        两个大学的老师=((LOW.format("个"), 0.7), (HIGH.format("个"), 0.3)),
    ),
    meaning=None,
)


def test_each_competing_reading_is_asked_for_by_its_structure() -> None:
    found = predict_readings(TABLE, ITEMS)
    told = found.predictions
    # Own structure, then the partner's: 所, 位, then both sides of 个. Labels play no part.
    assert told.probs.tolist() == pytest.approx([0.84, 0.1, 0.4, 0.6, 0.7, 0.3])
    assert told.outcomes.tolist() == [1, 0, 1, 0, 0.5, 0.5]
    assert told.unit.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.item.tolist() == [0, 0, 1, 1, 2, 2]
    # The fourth reading of 所 is too improbable to be listed; the third is wrong.
    assert found.listed.tolist() == [[3, 1, 1, 1], [2, 1, 1, 1], [2, 2, 2, 2]]
    assert found.is_toss_up.tolist() == [False, False, True]


def by_name(results: Sequence[Result]) -> dict[str, Result]:
    return {result.name: result for result in results}


def test_calibration_of_readings_is_scored() -> None:
    found = by_name(measure_calibration(TABLE, ITEMS))
    squares = [0.16**2, 0.1**2, 0.6**2, 0.6**2, *[(0.7**2 + 0.3**2) / 2] * 2]
    assert found["brier"].value == pytest.approx(sum(squares) / 6)
    surprise = [-math.log(0.84), -math.log(0.4), -(math.log(0.7) + math.log(0.3)) / 2]
    assert found["log_loss"].value == pytest.approx(sum(surprise) / 3)
    gaps = [0.16, 0.1, 0.6, 0.6, 0.2, 0.2]
    assert found["ece"].value == pytest.approx(sum(gaps) / 6)  # one bin each
    assert (found["ece"].n, found["brier"].n, found["log_loss"].n) == (6, 6, 3)
    assert (found["listed_right"].value, found["listed_right"].n) == (pytest.approx(4 / 7), 7)
    assert found["listed_right"].details == {
        "count": 4.0,
        "right_listed": 1.0,
        "toss_ups_both": 1.0,
    }
    assert found["listed"].value == pytest.approx(7 / 3)
    directions = {name: result.direction for name, result in found.items()}
    assert directions == {
        "ece": "lower",
        "brier": "lower",
        "log_loss": "lower",
        "listed_right": "higher",
        "listed": "information",
    }
    for result in found.values():
        assert result.low <= result.value <= result.high


def test_what_the_parser_never_saw_costs_no_more_than_the_floor() -> None:
    blind = System(
        name="blind",
        parser=Oracle(
            两所大学的老师=((HIGH.format("所"), 1.0),), 两位大学的老师=((HIGH.format("位"), 1.0),)
        ),
        meaning=None,
    )
    found = by_name(measure_calibration(blind, [ITEMS[0], ITEMS[2]]))
    assert found["log_loss"].value == pytest.approx(-math.log(0.001) / 2)
    assert found["brier"].value == 0.5


def test_without_competing_readings_there_is_no_figure() -> None:
    found = by_name(measure_calibration(TABLE, [ITEMS[3]]))
    assert all(math.isnan(result.value) for result in found.values())


def test_the_gate_takes_the_figures_as_new_and_the_table_shows_their_units(tiny: Path) -> None:
    assert [m.split for m in MEASURES if m.name == "calibration"] == ["dev"]
    measures = [
        Measure(
            name="calibration",
            split="dev",
            about="",
            run=lambda system, report: measure_calibration(TABLE, ITEMS, report=report),
        )
    ]
    found = run_gate(tiny, report=None, measures=measures)
    assert [verdict.status for verdict in found.verdicts] == ["new"] * 4
    assert found.is_passed
    rows = figures_table(found.sheet.figures.values()).splitlines()[2:]
    shown = {row.split("|")[1].strip(): row.split("|")[3].strip() for row in rows}
    assert shown == {
        "calibration.ece": "31.0 %",
        "calibration.brier": "0.223",
        "calibration.log_loss": "0.624",
        "calibration.listed_right": "57.1 % (4)",
        "calibration.listed": "2.333",
    }


def test_phrases_are_held_against_the_gold_tree() -> None:
    best = "(S (NP (DT The) (NN film)) (VP (VBZ is) (ADJP (RB not) (JJ good))) (. .))"

    class Sure:
        max_atoms = 60

        def parse(self, sentences: Sequence[Sentence]) -> list[Tree]:
            raise AssertionError("no best tree was to be asked for")

        def forests(self, sentences: Sequence[Sentence]) -> list[Forest]:
            options = SENTENCES["The film is not good."]
            return [forest_of(s.surface, options, lang="en") for s in sentences]

    gold = parse_brackets(best.replace("ADJP", "ADVP"))
    found = predict_phrases(System(name="sure", parser=Sure(), meaning=None), [gold])
    # NP and VP are right, ADJP is not; the root is left out.
    assert found.outcomes.tolist() == [1.0, 1.0, 0.0]
    assert found.probs[0] == pytest.approx(1.0)
    assert 0.0 < found.probs[2] < 1.0
    assert found.unit.tolist() == [0, 0, 0]


def chinese(parser: ChartParser, *brackets: str) -> list[ChartTarget]:
    grammar = parser.scorer.grammars["zh"]
    found = [tree_target(spell_tokens(parse_brackets(b)), grammar, "zh") for b in brackets]
    return [target for target in found if target is not None]


def test_temperatures_are_fitted_written_and_read(tiny: Path, tmp_path: Path) -> None:
    parser = load_parser(tiny)
    first, second, other = chinese(parser, LOW.format("个"), HIGH.format("个"), LOW.format("所"))
    fitted = calibrate(parser, {"zh": [(first, second), other], "en": []})
    assert list(fitted) == ["zh"]
    assert fitted["zh"].num_targets == 2
    # A toss-up weighs what one sentence weighs.
    pair = fit_temperature(parser, [first, second])
    single = fit_temperature(parser, [other])
    wanted = [(a + b) / 2 for a, b in zip(pair.losses, single.losses, strict=True)]
    assert fitted["zh"].losses == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(InputError, match="found no target"):
        fit_temperature(parser, [])
    changed = with_temperatures(parser.scorer, {"zh": 0.7, "en": 1.5})
    assert (parser.scorer.config.temperature_zh, parser.scorer.config.temperature_en) == (1, 1)
    pack(
        tmp_path / "cooler",
        name="cooler",
        trunk=Trunk(parser.trunk.config),
        frozen_layers=1,
        scorer=changed,
        tokenizer_file=tiny / "tokenizer.json",
    )
    read = load_parser(tmp_path / "cooler").scorer.config
    assert (read.temperature_zh, read.temperature_en) == (0.7, 1.5)
    # The temperature in force plays no part in fitting the next one, and is felt in the chart.
    hot = ChartParser(with_temperatures(parser.scorer, {"zh": 2.0}), parser.trunk, parser.tokenizer)
    assert fit_temperature(hot, [first]) == fit_temperature(parser, [first])
    plain = parser.forests([first.sentence])[0].log_partition()
    assert hot.forests([first.sentence])[0].log_partition() != pytest.approx(plain)
    with pytest.raises(InputError, match="found the temperature 0.0 of 'en', expected one above 0"):
        with_temperatures(parser.scorer, {"en": 0.0})


def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = ROOT / "experiments" / "calibration" / "run.py"
    spec = importlib.util.spec_from_file_location("calibration_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_diagram_is_a_picture_and_the_table_holds_what_it_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = script(monkeypatch)
    told = Predictions(
        probs=np.array([0.1, 0.4, 0.6, 0.9]),
        outcomes=np.array([0.0, 0.5, 0.5, 1.0]),
        unit=np.array([0, 0, 1, 1]),
        inputs="",
    )
    monkeypatch.setattr(run, "reliability", lambda p, o: reliability(p, o, num_bins=2))
    curves = [run.curve(lang, name, 1.0, told) for lang in ("zh", "en") for name in run.NAMES]
    assert curves[0].bins[0] == Bin(n=2, low=0.1, high=0.4, mean=0.25, right=0.25)
    root = ElementTree.fromstring(run.drawing(curves))
    assert root.tag.endswith("svg")
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert tags.count("circle") == 4 * (2 + 1)
    fitted = {"zh": Calibration(temperature=1.0, losses=(0.5,) * len(GRID), num_targets=3)}
    table = run.markdown(fitted, curves)
    assert "| 1 | 2 | 0.100 to 0.400 | 0.250 | 0.250 |" in table
    assert "Fitted for zh on 3 sentences: T = 1." in table
    assert replace(curves[0], name="x").ece == pytest.approx(0.1)
