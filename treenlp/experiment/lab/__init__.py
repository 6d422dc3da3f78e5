"""The composition laboratory: networks side by side on the same data, splits, seeds and budget."""

from treenlp.experiment.lab.archive import restore_runs
from treenlp.experiment.lab.config import ExperimentConfig
from treenlp.experiment.lab.report import write_report
from treenlp.experiment.lab.runner import compare_cells, list_cells, run_experiment

__all__ = [
    "ExperimentConfig",
    "compare_cells",
    "list_cells",
    "restore_runs",
    "run_experiment",
    "write_report",
]
