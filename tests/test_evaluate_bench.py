"""The bench: numbers of fresh processes, and what it says when one fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from treenlp.errors import ModelError
from treenlp.experiment.bench import Bench, cold_start, throughput


def test_the_report_holds_every_number_and_the_ratio() -> None:
    found = Bench(
        model="tiny",
        threads=2,
        processor="x",
        bytes=10,
        parse_zh=100.0,
        parse_en=120.5,
        analyze_zh=30.0,
        analyze_en=20.0,
        peak_bytes=1000,
        first_answer_s=3.0,
        import_torch_s=2.0,
    )
    values = json.loads(found.to_json())
    assert values["cold_start_ratio"] == 1.5
    assert values["parse_en"] == 120.5
    assert values["bytes"] == 10


@pytest.mark.slow
def test_a_fresh_process_counts_sentences_and_memory(tiny: Path) -> None:
    lines = ["两个大学的老师。两所大学的老师。", "The film is not good."]
    found = throughput(tiny, lines, task="parse", threads=1, rounds=1)
    assert found["sentences"] == 3
    assert found["seconds"] > 0
    assert found["peak_bytes"] > 50_000_000
    assert throughput(tiny, lines, task="analyze", threads=1, rounds=1)["sentences"] == 3


@pytest.mark.slow
def test_a_cold_start_takes_longer_than_importing_torch(tiny: Path) -> None:
    answer, torch = cold_start(tiny, rounds=1, threads=1)
    assert answer > torch > 0


@pytest.mark.slow
def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="(?s)a process of the bench failed .*found no model"):
        throughput(tmp_path, ["a"], threads=1)
    with pytest.raises(ModelError, match="(?s)a process of the bench failed .*found no model"):
        cold_start(tmp_path, rounds=1, threads=1)
