"""The one recipe of the shipped model: stage by stage, each from the committed result of the last.

1. ``trunk``: experiments/trunk/convert.py makes the trunk from its 4-bit source (no training).
2. ``parser``: `train_parser` learns the parser's own layers and heads.
3. ``meaning``: the upper trunk layers, composition, sentiment and similarity learn over the
   parser's trees (`treenlp.experiment.meaning_stage`).
4. `pack` writes the model folder: lower layers in the source's 4 bits, trained encoder layers in 6,
   the small rest in 8.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from treenlp.encoder import (
    PieceTokenizer,
    QuantizedTensor,
    Trunk,
    TrunkConfig,
    load_weights,
    quantize,
    save_weights,
)
from treenlp.encoder.quantize import BLOCK
from treenlp.errors import ModelError
from treenlp.experiment.parser_data import ParserData
from treenlp.experiment.parser_stage import ParserTask
from treenlp.experiment.trainer import Progress, TrainConfig, fit
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.scorer import ParserConfig, SpanScorer
from treenlp.text import Lang

__all__ = ["ATOMS_PER_BATCH", "load_source_trunk", "pack", "read_scorer", "train_parser"]

TRUNK_VERSION = "trunk-1"
ATOMS_PER_BATCH: dict[Lang, int] = {"zh": 1500, "en": 900}
"""Chart units in a batch: characters of Chinese, words of English."""


def load_source_trunk(folder: Path) -> tuple[Trunk, PieceTokenizer]:
    """Read what experiments/trunk/convert.py wrote."""
    path = folder / "trunk.json"
    if not path.is_file():
        raise ModelError(f"no trunk at {folder}; make it with experiments/trunk/convert.py")
    config = TrunkConfig(**json.loads(path.read_text(encoding="utf-8"))["trunk"])
    trunk = Trunk(config)
    trunk.load_state_dict(load_weights(folder / "trunk.safetensors", version=TRUNK_VERSION))
    tokenizer = PieceTokenizer.load(folder / "tokenizer.json")
    return trunk.eval().requires_grad_(False), tokenizer


def train_parser(
    folder: Path,
    trunk: Trunk,
    tokenizer: PieceTokenizer,
    data: ParserData,
    config: TrainConfig,
    *,
    initial: SpanScorer | None = None,
    report: Callable[[Progress], None] | None = None,
    stop_after_minutes: float = float("inf"),
) -> tuple[SpanScorer, bool]:
    """Train the parser, from `initial` or from the trunk's own layers.

    Args:
        folder: of checkpoints; ``parser.safetensors`` (full precision) and ``parser.json`` too.
        trunk: frozen.
        tokenizer: of the trunk.
        data: trees and dependencies.
        config: of the loop.
        initial: a parser to go on from; its labels are kept.
        report: called now and then.
        stop_after_minutes: stop then, resumable.

    Returns:
        The parser, and whether all steps are done.
    """
    torch.manual_seed(config.seed)
    scorer = initial
    if scorer is None:
        scorer = SpanScorer(ParserConfig(), trunk.config, data.grammars())
        scorer.copy_layers(trunk)
    task = ParserTask(
        scorer,
        trunk,
        tokenizer,
        data.sources(scorer.grammars),
        steps=config.steps,
        seed=config.seed,
        atoms_per_batch=ATOMS_PER_BATCH,
    )
    done = fit(
        task, task, config, folder, report=report, every=25, stop_after_minutes=stop_after_minutes
    )
    write_scorer(folder, scorer)
    return scorer, done


def write_scorer(folder: Path, scorer: SpanScorer) -> None:
    """Write a parser in full precision, to go on training or to pack."""
    state = {name: value.contiguous() for name, value in scorer.state_dict().items()}
    save_file(state, folder / "parser.safetensors")
    text = json.dumps(scorer.to_dict(), ensure_ascii=False)
    (folder / "parser.json").write_text(text + "\n", encoding="utf-8")


def read_scorer(folder: Path, trunk: TrunkConfig) -> SpanScorer:
    """Read what `write_scorer` wrote."""
    from safetensors.torch import load_file

    path = folder / "parser.json"
    if not path.is_file():
        raise ModelError(f"no trained parser at {folder}; run the parser stage first")
    values = json.loads(path.read_text(encoding="utf-8"))
    grammars: dict[Lang, Grammar] = {
        lang: Grammar.from_dict(found) for lang, found in values["grammars"].items()
    }
    scorer = SpanScorer(ParserConfig(**values["parser"]), trunk, grammars)
    scorer.load_state_dict(load_file(folder / "parser.safetensors"))
    return scorer


def pack(
    folder: Path,
    *,
    name: str,
    trunk: Trunk,
    frozen_layers: int,
    scorer: SpanScorer,
    tokenizer_file: Path,
    meaning: Mapping[str, Tensor] | None = None,
    meaning_config: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder.

    Args:
        folder: created when missing.
        name: the model's name; weights of another name are refused when loading.
        trunk: with fine-tuned upper layers.
        frozen_layers: layers below which the trunk is the source's: these keep its 4 bits.
        scorer: the parser.
        tokenizer_file: ``tokenizer.json`` of the trunk.
        meaning: parameters of the meaning model.
        meaning_config: its sizes, as plain values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tuned = tuple(f"layers.{n}." for n in range(frozen_layers, trunk.config.num_layers))
    trunk_weights = {
        key: _packed(value, 6 if key.startswith(tuned) else 4)
        for key, value in trunk.state_dict().items()
    }
    trunk_weights["positions.weight"] = trunk.state_dict()["positions.weight"]
    save_weights(folder / "trunk.safetensors", trunk_weights, version=name)
    parser_weights = {
        key: _packed(value, 6 if key.startswith("layers.") else 8)
        for key, value in scorer.state_dict().items()
    }
    save_weights(folder / "parser.safetensors", parser_weights, version=name)
    config: dict[str, Any] = {"version": name, "trunk": asdict(trunk.config), **scorer.to_dict()}
    if meaning is not None:
        meaning_weights = {key: _packed(value, 8) for key, value in meaning.items()}
        save_weights(folder / "meaning.safetensors", meaning_weights, version=name)
        config["meaning"] = dict(meaning_config or {})
    text = json.dumps(config, ensure_ascii=False, indent=1)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    if tokenizer_file.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer_file, folder / "tokenizer.json")


def _packed(value: Tensor, bits: int) -> Tensor | QuantizedTensor:
    """A matrix in few bits; vectors and odd shapes stay in 16."""
    is_matrix = value.dim() > 1 and value.shape[-1] % BLOCK == 0 and value.shape[0] > 16
    return quantize(value, bits) if is_matrix else value
