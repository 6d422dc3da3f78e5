"""The items of an experiment, whatever its task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from treenlp.errors import ConfigError
from treenlp.experiment.lab.blank_items import make_blanks, read_blanks
from treenlp.experiment.lab.config import BLANK_TASKS, DataConfig
from treenlp.experiment.lab.items import Corpus
from treenlp.experiment.lab.leaves import piece_vectors
from treenlp.experiment.lab.made_up import make_adding, make_recall
from treenlp.experiment.lab.texts import read_pair_corpus, read_text_corpus
from treenlp.experiment.lab.treebank import read_sst_corpus

__all__ = ["read_corpus"]


def read_corpus(
    config: DataConfig,
    cache: Path,
    *,
    leaves: Sequence[str],
    trees: Sequence[str],
    gap: int,
    sides: str,
    model: Path | None,
    say: Callable[[str], None],
) -> Corpus:
    """Make the corpus of an experiment.

    Args:
        config: which task.
        cache: folder of what is made once.
        leaves: kinds of leaf vectors that are needed (sst, texts, pairs).
        trees: kinds of trees that are needed (sst).
        gap: of the made-up tasks.
        sides: of a blank that are shown.
        model: folder whose trunk and parser are used (sst, texts, pairs; its trunk alone around
            blanks).
        say: gets a line about long work.

    Raises:
        DataError: if the data are not there.
        ConfigError: if a model is needed and none is given.
    """
    if config.task == "sst":
        return read_sst_corpus(
            config, cache, _needed(model, config.task), leaves=leaves, trees=trees, say=say
        )
    if config.task == "texts":
        return read_text_corpus(config, cache, _needed(model, config.task), leaves=leaves, say=say)
    if config.task == "pairs":
        return read_pair_corpus(config, cache, _needed(model, config.task), leaves=leaves, say=say)
    if config.task in BLANK_TASKS:
        say("leaving out what is to be found")
        blanks, classes = read_blanks(config)
        table = partial(piece_vectors, model=_needed(model, config.task))
        return make_blanks(blanks, classes, sides=sides, table=table)
    if config.task == "adding":
        return make_adding(config.items, gap)
    return make_recall(config.items, gap, agreement=config.task == "agreement")


def _needed(model: Path | None, task: str) -> Path:
    if model is None:
        raise ConfigError(f"found no model, expected the folder of one: {task} needs its trunk")
    return model
