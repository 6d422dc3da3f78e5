"""The gate: intervals, the score sheet, what counts as worse, and the model card."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result as TyperResult
from typer.testing import CliRunner

from treenlp.cli.app import app
from treenlp.errors import ConfigError, DataError, ModelError
from treenlp.experiment.card import CARD_FILE, LICENCE, card_text, figures_table, write_card
from treenlp.experiment.evaluate import MEASURES, Evaluation, Measure, evaluate, run_gate
from treenlp.experiment.measures import Report, Result, System
from treenlp.experiment.scores import (
    SCORES_FILE,
    Figure,
    ScoreSheet,
    bootstrap_pairs,
    bootstrap_ratio,
    compare,
    digest_texts,
    read_scores,
    weight_digests,
    write_scores,
)
from treenlp.tasks.similarity import pearson

MODELS = Path(__file__).parents[1] / "treenlp" / "models"
FIGURE = Figure(
    name="set.right",
    split="dev",
    direction="higher",
    value=0.8,
    low=0.75,
    high=0.85,
    n=100,
    inputs="a",
    details={"count": 80.0},
)


def share(sums: np.ndarray) -> float:
    return float(sums[0] / sums[1])


def test_the_interval_of_a_share_is_about_two_standard_errors_wide_on_each_side() -> None:
    value, low, high = bootstrap_ratio([(n % 4 != 0, 1) for n in range(400)], share)
    assert value == 0.75
    error = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - error, abs=0.006)
    assert high == pytest.approx(0.75 + error, abs=0.006)
    again = bootstrap_ratio([(n % 4 != 0, 1) for n in range(400)], share)
    assert again == (value, low, high)


def test_units_are_drawn_whole() -> None:
    # The same shares, but the phrases of a sentence stand or fall together: four times the width.
    _, low, high = bootstrap_ratio([(16 * (n % 2), 16) for n in range(100)], share)
    _, single_low, single_high = bootstrap_ratio([(n % 2, 1) for n in range(1600)], share)
    assert (high - low) / (single_high - single_low) == pytest.approx(4.0, rel=0.15)


def test_the_interval_of_a_correlation_holds_it() -> None:
    generator = np.random.default_rng(1)
    targets = generator.normal(size=300)
    answers = targets + generator.normal(size=300)
    value, low, high = bootstrap_pairs(answers, targets, pearson)
    assert low < value < high
    assert value == pytest.approx(np.corrcoef(answers, targets)[0, 1])
    assert high - low == pytest.approx(2 * 1.96 * (1 - value**2) / math.sqrt(300), rel=0.2)


def test_nothing_to_measure_gives_no_number_and_one_pair_an_error() -> None:
    assert all(math.isnan(value) for value in bootstrap_ratio([], share))
    with pytest.raises(DataError, match="expected as many of each and at least two"):
        bootstrap_pairs([1.0], [1.0], pearson)


def test_digests_tell_where_texts_end() -> None:
    assert digest_texts(["ab", "c"]) != digest_texts(["a", "bc"]) != digest_texts(["c", "ab"])


@pytest.mark.parametrize(
    ("direction", "value", "status"),
    [
        ("higher", 0.75, "kept"),
        ("higher", 0.749, "worse"),
        ("higher", 0.99, "kept"),
        ("lower", 0.85, "kept"),
        ("lower", 0.851, "worse"),
        ("lower", 0.1, "kept"),
        ("higher", math.nan, "worse"),
    ],
)
def test_worse_is_more_than_half_the_stored_interval(
    direction: str, value: float, status: str
) -> None:
    old = replace(FIGURE, direction=direction)  # type: ignore[arg-type]
    # The width of the new interval plays no part.
    new = replace(old, value=value, low=0.0, high=1.0)
    (verdict,) = compare({"set.right": new}, {"set.right": old})
    assert verdict.status == status
    assert verdict.is_failure == (status == "worse")


def test_a_promise_is_broken_by_silence_and_by_other_inputs() -> None:
    stored = {"set.right": FIGURE, "test.right": replace(FIGURE, name="test.right", split="final")}
    (missing,) = compare({}, stored)
    assert (missing.status, missing.is_failure) == ("missing", True)
    (changed,) = compare({"set.right": replace(FIGURE, inputs="b", value=1.0)}, stored)
    assert (changed.status, changed.is_failure) == ("changed", True)
    (new,) = compare({"more.right": replace(FIGURE, name="more.right")}, {})
    assert (new.status, new.is_failure) == ("new", False)
    assert compare({}, {"set.right": replace(FIGURE, direction="information")}) == ()
    assert compare({}, stored, names=[]) == ()
    with pytest.raises(ConfigError, match="found the figure 'no', expected one of: set.right"):
        compare({}, stored, names=["no"])


def sheet(**figures: Figure) -> ScoreSheet:
    return ScoreSheet(
        model="tiny",
        weights={"config.json": "0" * 64},
        versions={"torch": "2"},
        figures={figure.name: figure for figure in figures.values()},
    )


def test_a_sheet_survives_its_file(tmp_path: Path) -> None:
    one = sheet(a=FIGURE, b=replace(FIGURE, name="none.f1", value=math.nan, n=0))
    write_scores(tmp_path, one)
    text = (tmp_path / SCORES_FILE).read_text(encoding="utf-8")
    assert json.loads(text)["figures"]["none.f1"]["value"] is None
    found = read_scores(tmp_path)
    assert found is not None
    assert found.figures["set.right"] == FIGURE
    assert math.isnan(found.figures["none.f1"].value)
    assert found.to_json() == text
    assert read_scores(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"schema": 1}',
        '{"schema": 1, "model": "m", "weights": {}, "figures": {"a": {}}}',
    ],
)
def test_a_damaged_sheet_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    (tmp_path / SCORES_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"scores\.json is no score sheet .*; restore it"):
        read_scores(tmp_path)


def test_a_sheet_of_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / SCORES_FILE).write_text('{"schema": 9}', encoding="utf-8")
    with pytest.raises(ModelError, match="found schema 9, expected 1"):
        read_scores(tmp_path)


class Script:
    """Measures that give what the test says, and remember that they ran."""

    def __init__(self) -> None:
        self.values = {"good": 0.8, "last": 0.7}
        self.ran: list[str] = []

    def measures(self) -> list[Measure]:
        return [
            Measure(name="good", split="dev", about="how good", run=self.runner("good")),
            Measure(name="last", split="final", about="how good at last", run=self.runner("last")),
        ]

    def runner(self, name: str):  # noqa: ANN201
        def run(system: System, report: Report | None) -> Sequence[Result]:
            self.ran.append(name)
            if report is not None:
                report("lines", 1, 1)
            value = self.values[name]
            return [
                Result(
                    name="right",
                    direction="higher",
                    value=value,
                    low=value - 0.05,
                    high=value + 0.05,
                    n=100,
                    inputs=name,
                    details={"count": 100 * value},
                )
            ]

        return run


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "tiny-1")


def gate(folder: Path, script: Script, **options: object) -> Evaluation:
    return run_gate(folder, report=None, measures=script.measures(), **options)  # type: ignore[arg-type]


def test_test_sets_are_read_only_when_asked_for_and_nothing_is_written(folder: Path) -> None:
    script = Script()
    before = sorted(path.name for path in folder.iterdir())
    found = gate(folder, script)
    assert found.is_passed
    assert script.ran == ["good"]
    assert list(found.sheet.figures) == ["good.right"]
    assert [verdict.status for verdict in found.verdicts] == ["new"]
    assert sorted(path.name for path in folder.iterdir()) == before


def test_final_records_and_the_next_run_is_compared(folder: Path) -> None:
    script = Script()
    assert gate(folder, script, final=True).is_recorded
    assert script.ran == ["good", "last"]
    stored = read_scores(folder)
    assert stored is not None
    assert list(stored.figures) == ["good.right", "last.right"]
    assert stored.weights == weight_digests(folder)
    assert (folder / CARD_FILE).is_file()
    script.values["good"] = 0.76
    assert gate(folder, script).is_passed
    script.values["good"] = 0.74
    assert not gate(folder, script).is_passed


def test_a_worse_model_reads_no_test_set_and_overwrites_nothing(folder: Path) -> None:
    script = Script()
    gate(folder, script, final=True)
    before = (folder / SCORES_FILE).read_bytes()
    script.values |= {"good": 0.7, "last": 1.0}
    script.ran.clear()
    found = gate(folder, script, final=True)
    assert not found.is_passed
    assert not found.is_recorded
    assert script.ran == ["good"]
    assert (folder / SCORES_FILE).read_bytes() == before


def test_one_measure_alone_is_compared_and_not_recorded(folder: Path) -> None:
    script = Script()
    found = gate(folder, script, final=True, only=["last"])
    assert script.ran == ["last"]
    assert not found.is_recorded
    assert list(found.sheet.figures) == ["last.right"]
    assert not (folder / SCORES_FILE).exists()


def test_names_are_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    script = Script()
    with pytest.raises(ConfigError, match="found the measure 'bad', expected one of: good, last"):
        gate(tmp_path, script, only=["bad"])
    with pytest.raises(ConfigError, match="'last', which reads a test set; say --final"):
        gate(tmp_path, script, only=["last"])
    with pytest.raises(ModelError, match=r"no model at|is missing"):
        gate(tmp_path, script)


def test_progress_names_the_measure(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    evaluate(
        folder,
        measures=Script().measures(),
        report=lambda what, done, total: told.append((what, done, total)),
    )
    assert told == [("good: lines", 1, 1)]


def test_measures_have_names_of_their_own_and_say_what_they_are() -> None:
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    assert {measure.split for measure in MEASURES} == {"dev", "final"}
    tested = ("test", "held_out", "second", "natural")
    for measure in MEASURES:
        assert (measure.split == "final") == any(word in measure.name for word in tested)
        assert measure.about


def test_the_card_says_what_the_reader_of_a_licence_needs() -> None:
    text = card_text(
        sheet(a=replace(FIGURE, name="sst_test.root", split="final", value=0.5123)),
        config={},
        sizes={"config.json": 1234},
        about={"sst_test": "sentences in five classes"},
    )
    assert LICENCE in text
    assert "0" * 64 in text
    assert "51.2 % (80)" in text
    assert "- `sst_test`: sentences in five classes." in text
    assert "1,234 bytes in all" in text
    for name in ("sick", "wsj_sample", "silver_zh", "online_shopping_10_cats"):
        assert f"\n| {name} |" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_the_card_of_a_free_model_names_what_that_learned_from() -> None:
    text = card_text(
        sheet(a=FIGURE),
        config={"data": ["mctb_en"], "licence": "CC BY-SA 4.0"},
        sizes={"config.json": 1},
        about={},
    )
    assert "The weights are under CC BY-SA 4.0." in text
    assert "| mctb_en |" in text
    assert "| sick |" not in text
    with pytest.raises(DataError, match="unknown data set 'mine'"):
        card_text(sheet(a=FIGURE), config={"data": ["mine"]}, sizes={"config.json": 1}, about={})


def test_figures_are_shown_in_their_units() -> None:
    rows = figures_table(
        [
            replace(
                FIGURE, name="sick_test.pearson", value=0.8612, low=0.85, high=0.87, details={}
            ),
            replace(FIGURE, name="gsdsimp_test.crossings", value=0.0599, low=0.055, high=0.0649),
        ]
    ).splitlines()
    assert "| 0.861 | 0.850 to 0.870 |" in rows[2]
    assert "| 5.99 % (80) | 5.50 to 6.49 % |" in rows[3]


def test_no_card_is_written_for_other_weights(folder: Path) -> None:
    with pytest.raises(ModelError, match="are not those that the score sheet was measured with"):
        write_card(folder, sheet(a=FIGURE), about={})


def test_shipped_weights_are_those_of_their_card() -> None:
    for path in sorted(MODELS.glob(f"*/{SCORES_FILE}")):
        stored = read_scores(path.parent)
        assert stored is not None
        assert weight_digests(path.parent) == dict(stored.weights), path.parent.name
        card = (path.parent / CARD_FILE).read_text(encoding="utf-8")
        for name, digest in stored.weights.items():
            assert f"| {name} |" in card
            assert digest in card


def run_command(monkeypatch: pytest.MonkeyPatch, script: Script, *words: str) -> TyperResult:
    monkeypatch.setattr(
        "treenlp.experiment.evaluate.run_gate",
        lambda folder, **options: run_gate(
            folder, measures=script.measures(), **{**options, "report": None}
        ),
    )
    return CliRunner().invoke(app, ["evaluate", *words])


def test_the_command_prints_json_and_fails_when_a_figure_is_worse(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    found = run_command(monkeypatch, script, "--model", str(folder), "--final")
    assert found.exit_code == 0, found.output
    assert list(json.loads(found.stdout)["figures"]) == ["good.right", "last.right"]
    assert found.stdout == (folder / SCORES_FILE).read_text(encoding="utf-8")
    script.values["good"] = 0.5
    found = run_command(monkeypatch, script, "--model", str(folder), "--only", "good")
    assert found.exit_code == 1
    assert "worse: good.right 0.5000, stored 0.8000, tolerated loss 0.0500" in found.stderr
    assert json.loads(found.stdout)["figures"]["good.right"]["value"] == 0.5


def test_the_command_lists_measures_and_refuses_a_bench_of_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = run_command(monkeypatch, Script(), "--list")
    assert [line.split("\t")[0] for line in found.stdout.splitlines()] == [
        measure.name for measure in MEASURES
    ]
    found = run_command(monkeypatch, Script(), "--bench", "--final")
    assert found.exit_code == 2
    assert "give --bench alone" in found.output
