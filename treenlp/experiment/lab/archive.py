"""All finished runs of an experiment in one file beside its report.

With what every run said of every item of the test set, others can compare their network with those
of a report, or add seeds and networks to it, without running again what was run.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from treenlp.errors import ConfigError
from treenlp.experiment.lab.config import ExperimentConfig
from treenlp.experiment.lab.runner import (
    CORPUS_FILE,
    RESULT_FILE,
    cells_of,
    claim,
    read_corpora,
    read_experiment,
    run_folders,
)

__all__ = ["ARCHIVE_FILE", "restore_runs", "write_archive"]

ARCHIVE_FILE = "runs.json.gz"


def write_archive(folder: Path, output: Path) -> Path:
    """Write the finished runs of an experiment, trials included, without their weights.

    Args:
        folder: that `run_experiment` filled.
        output: folder of the report.

    Returns:
        The file: equal for equal runs.
    """
    config = read_experiment(folder)
    runs = {
        f"{run.parent.name}/{run.name}": json.loads((run / RESULT_FILE).read_text(encoding="utf-8"))
        for cell in cells_of(config)
        for run in run_folders(folder, cell, config)
        if (run / RESULT_FILE).is_file()
    }
    values = {"config": config.to_toml(), "corpora": read_corpora(folder), "runs": runs}
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    path = output / ARCHIVE_FILE
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(gzip.compress(text.encode(), mtime=0))
    partial.replace(path)
    return path


def restore_runs(source: Path, folder: Path, config: ExperimentConfig) -> int:
    """Put the runs of a report into a folder, where `run_experiment` then goes on from them.

    Runs of cells and seeds that the experiment does not have are left out, and what is already in
    the folder stays. That the data are those of today `run_experiment` checks when it reads them.

    Args:
        source: folder of the report.
        folder: of the experiment; created when missing.
        config: the experiment: all but the question and the grid must be that of the report.

    Returns:
        How many runs were put there.

    Raises:
        ConfigError: if there is no readable archive, it is of another experiment or of other data,
            or the folder is of another experiment.
    """
    values = _read(source / ARCHIVE_FILE)
    before = ExperimentConfig.from_toml(values["config"], source=str(source / ARCHIVE_FILE))
    for part in ("data", "learn", "search"):
        found, wanted = getattr(before, part), getattr(config, part)
        if found != wanted:
            raise ConfigError(
                f"{source / ARCHIVE_FILE} has [{part}] {found}, expected {wanted}: only the grid "
                "may differ from that of the runs gone on from"
            )
    claim(folder, config)
    path = folder / CORPUS_FILE
    known = read_corpora(folder) if path.is_file() else {}
    corpora: dict[str, Any] = {**known, **values["corpora"]}
    if any(corpora[name] != known[name] for name in known):
        raise ConfigError(
            f"{source / ARCHIVE_FILE} is of other data than {path}; give another folder"
        )
    _write(path, corpora)
    restored = 0
    for cell in cells_of(config):
        for run in run_folders(folder, cell, config):
            result = values["runs"].get(f"{run.parent.name}/{run.name}")
            if result is None or (run / RESULT_FILE).is_file():
                continue
            run.mkdir(parents=True, exist_ok=True)
            _write(run / RESULT_FILE, result)
            restored += 1
    return restored


def _write(path: Path, values: object) -> None:
    """Whole or not at all: an experiment may be killed at any moment."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(values) + "\n", encoding="utf-8")
    partial.replace(path)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(
            f"found no {path}; expected the folder of a report that `treenlp experiment report` "
            "wrote"
        )
    try:
        values: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); write the report again") from error
    missing = {"config", "corpora", "runs"} - {*values}
    if missing:
        raise ConfigError(f"{path} has no {min(missing)!r}; write the report again")
    return values
