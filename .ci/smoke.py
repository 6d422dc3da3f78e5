"""Look at what the installed commands wrote into the working directory; called by .ci/run."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any

import treenlp
from treenlp.trees.brackets import parse_brackets


def read(name: str) -> str:
    """Return a file of the working directory."""
    return Path(name).read_text(encoding="utf-8")


def records(name: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a file, one of each line."""
    return [json.loads(line) for line in read(name).split("\n")[:-1]]


def main() -> None:
    """Fail at the first thing that is not as it should be."""
    installed = Path(sysconfig.get_path("purelib")).resolve()
    assert installed in Path(treenlp.__file__).resolve().parents, treenlp.__file__

    name, _, _, folder, *_ = read("models.txt").splitlines()[0].split("\t")
    assert name == "zh-en-1"
    assert installed in Path(folder).resolve().parents, folder
    assert (Path(folder) / "card.md").is_file()

    assert "两个大学的老师" in read("drawn.txt")
    ambiguous, blank, counted, english = records("answers.jsonl")
    assert ambiguous["text"] == "两个大学的老师"
    assert ambiguous["model"] == name
    assert len(ambiguous["sentences"][0]["readings"]) >= 2
    assert blank["sentences"] == []
    assert len(counted["sentences"][0]["readings"]) >= 1
    assert english["lang"] == "en"
    for record in (ambiguous, counted, english):
        for reading in record["sentences"][0]["readings"]:
            assert 0 < reading["prob"] <= 1
            assert reading["spans"]
            assert parse_brackets(reading["tree"]).num_leaves > 1
        assert abs(sum(record["sentiment"]["distribution"]) - 1) < 1e-3

    assert "".join(parse_brackets(read("tree.txt")).leaves) == "两位大学的老师"
    assert 0 <= float(read("similarity.txt")) <= 1

    failed, answered = records("failed.jsonl")
    assert failed["error"]
    assert "error" not in answered
    assert answered["sentences"]


if __name__ == "__main__":
    main()
