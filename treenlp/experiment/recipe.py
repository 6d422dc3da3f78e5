"""The one recipe of the shipped model: stage by stage, each from the committed result of the last.

1. ``trunk``: experiments/trunk/convert.py makes the trunk from its 4-bit source (no training).
2. ``parser``: `train_parser` learns the parser's own layers and heads.
3. ``meaning``: the upper trunk layers, composition, sentiment and similarity learn over the
   parser's trees (`treenlp.experiment.meaning_stage`).
4. ``whole-text``: teachers learn to read reviews and English texts as running text
   (`ask_teachers`); `train_whole_text` learns from what they say, over the same trunk, in one or
   several runs whose mean is taken; `learn_grams` adds a table of pieces and pairs of pieces.
5. ``english``: low-rank changes of the trunk as it is by then become English's own way to the
   parser (`with_english_view`), over layers that no later stage changes.
6. `pack` writes the model folder: lower layers in the source's 4 bits, trained encoder layers in 6,
   the small rest in 8.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from math import isinf
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from treenlp.data.leaks import MeasuredTexts
from treenlp.data.sentiment import read_reviews, read_sst
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
from treenlp.experiment.agreement import Agreement
from treenlp.experiment.calibration import calibrate, calibration_targets, with_temperatures
from treenlp.experiment.card import LICENCE
from treenlp.experiment.distillation import ask_teachers, unlabelled_sources
from treenlp.experiment.meaning_data import (
    MeaningData,
    collect_meaning,
    measure_meaning,
    read_meaning_texts,
    train_meaning,
    tuned_trunk,
)
from treenlp.experiment.meaning_stage import MeaningTask, judge_phrases, judge_sentences
from treenlp.experiment.parser_data import ParserData
from treenlp.experiment.parser_stage import ParserTask
from treenlp.experiment.trainer import Progress, TrainConfig, fit
from treenlp.experiment.whole_text_stage import (
    average_views,
    choose_reviews,
    learn_grams,
    review_sources,
    train_whole_text,
    weigh_grades,
    weigh_sides,
)
from treenlp.lexicon import generate, load_context_cases, load_natural_cases
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.parser import ChartParser, load_parser, read_model_config
from treenlp.parsing.scorer import ParserConfig, SpanScorer
from treenlp.tasks.sentiment import UNLABELLED
from treenlp.tasks.whole_text import WholeText, WholeTextConfig
from treenlp.text import Lang

__all__ = [
    "ATOMS_PER_BATCH",
    "RecipeConfig",
    "calibrated",
    "load_source_trunk",
    "pack",
    "read_scorer",
    "run_recipe",
    "train_parser",
    "with_english_view",
    "without_views",
    "write_scorer",
]

TRUNK_VERSION = "trunk-1"
ATOMS_PER_BATCH: dict[Lang, int] = {"zh": 1500, "en": 900}
"""Chart units in a batch: characters of Chinese, words of English."""


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """How long each stage learns, and from what.

    Attributes:
        parser_steps: optimizer steps of the parser; about 0.75 s each on two cores.
        english_steps: optimizer steps of English's own view; about 1 s each on one core.
        meaning_steps: optimizer steps of the meaning model; about 0.6 s each.
        teachers: of the view of whole texts; 0 lets it learn from the labels alone.
        teacher_rounds: in a later round teachers learn from what those of the round before say.
        teacher_steps: optimizer steps of each teacher; some seconds each on one core.
        whole_text_runs: runs of the view of whole texts, of which the mean is taken.
        whole_text_steps: optimizer steps of each; about 2 s each on one core.
        generated: Chinese items made from the lexicon.
        shopping_reviews: reviews of other things than hotels that the view of whole texts sees.
        free: leave out the sets that are for research or non-commercial use only. Those are all
            that teach sentiment and similarity: such a model reads trees and no more.
        minutes: of each stage, after which it stops with a checkpoint.
        seed: of everything random.
    """

    parser_steps: int = 5_000
    english_steps: int = 2_600
    meaning_steps: int = 4_000
    teachers: int = 6
    teacher_rounds: int = 1
    teacher_steps: int = 1_600
    whole_text_runs: int = 1
    whole_text_steps: int = 2_350
    generated: int = 80_000
    shopping_reviews: int = 50_000
    free: bool = False
    minutes: float = float("inf")
    seed: int = 1


_FREE = ("silver_zh", "text_zh", "pku_199801", "ud_gsd_2016", "ud_hk", "mctb_en", "silver_en")
_NOT_FREE = (
    "ud_beginner",
    "wsj_sample",
    "sst",
    "sick",
    "sts",
    "chnsenticorp",
    "online_shopping_10_cats",
    "lcqmc",
    "bq",
)
_FREE_LICENCE = "CC BY-SA 4.0; terms of the PKU newspaper not stated"
GRAM_BUCKETS = 65_536
"""Size of the table of pieces and pairs beside the view of whole texts: 64 KiB in 8 bits."""

ENGLISH_RANK = 16
"""Rank of the changes through which the parser reads English: 80 kB a layer."""

_TUNE_SHOPPING = 800  # about as many as there are hotels
FROZEN_LAYERS = 6
"""Trunk layers below the meaning model's own."""


def run_recipe(
    work: Path,
    output: Path,
    config: RecipeConfig,
    *,
    trunk_folder: Path,
    initial: Path | None = None,
    report: Callable[[str, Progress], None] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> bool:
    """Train the parser, then the meaning model over its trees, and pack the model.

    Everything in `work` is gone on with when the recipe is started again: finished stages are
    not run twice.

    Args:
        work: folder of checkpoints and caches.
        output: the model folder to write; its name is the model's.
        config: sizes.
        trunk_folder: what experiments/trunk/convert.py wrote.
        initial: a model folder whose parser is gone on from; None starts from the trunk.
        report: gets the stage's name and its progress.
        say: gets a line at the start of each part.

    Returns:
        Whether all steps are done and the model is written; False if time ran out.
    """

    def told(stage: str) -> Callable[[Progress], None] | None:
        return None if report is None else lambda progress: report(stage, progress)

    @cache
    def data() -> ParserData:
        say("reading trees, dependencies and the lexicon")
        own = {
            "natural cases": [case.text for case in load_natural_cases()],
            "contexts": [
                text
                for case in load_context_cases()
                for text in (case.first, case.following)
                if text
            ],
        }
        return ParserData.read(
            generate(split="train", n=config.generated, seed=config.seed),
            measured=MeasuredTexts.read(own=own).holds,
            free=config.free,
            on_skip=lambda error: say(f"left out: {error}"),
        )

    trunk, tokenizer = load_source_trunk(trunk_folder)
    learn = partial(_parser, work, data, tokenizer, config, say=say, told=told)

    def with_english(scorer: SpanScorer, trunk: Trunk) -> SpanScorer | None:
        training = TrainConfig(steps=config.english_steps, lr=1e-3, trunk_lr=1e-3, seed=config.seed)
        found = learn(
            stage="english",
            trunk=trunk,
            training=training,
            start=lambda: with_english_view(scorer, trunk),
            langs=("en",),
        )
        return None if found is None else calibrated(found, trunk, tokenizer)

    scorer = learn(
        stage="parser",
        trunk=trunk,
        training=TrainConfig(steps=config.parser_steps, trunk_lr=2e-4, seed=config.seed),
        start=lambda: (
            None if initial is None else without_views(load_parser(initial).scorer, trunk)
        ),
        langs=("zh", "en"),
    )
    if scorer is None:
        return False
    pack_these = partial(
        pack,
        output,
        name=output.name,
        frozen_layers=FROZEN_LAYERS,
        tokenizer_file=trunk_folder / "tokenizer.json",
        # what a model learned from stays with the models that are gone on from it
        free=config.free and (initial is None or _is_free(initial)),
    )
    if config.free:
        say("no free set teaches sentiment or similarity: the model reads trees only")
        reading = with_english(scorer, trunk)
        if reading is None:
            return False
        pack_these(trunk=trunk, scorer=reading)
        return True
    learned = _meaning(work, scorer, trunk, tokenizer, config, say=say, report=told("meaning"))
    if learned is None:
        return False
    task, found = learned
    tuned = tuned_trunk(task, trunk)
    whole_text = _whole_text(work, tuned, tokenizer, config, say=say, report=told("whole-text"))
    if whole_text is not None:
        dev = [example for example in found.phrases["parsed"] if example.root != UNLABELLED]
        weigh_grades(
            whole_text,
            judge_sentences(task, dev),
            [found.store.pieces(example.sentences[0]) for example in dev],
            [example.root for example in dev],
        )
        weigh_grades(whole_text, *judge_phrases(task, found.phrases["gold"]), phrases=True)
    reading = None if whole_text is None else with_english(scorer, tuned)
    if reading is None:
        return False
    pack_these(
        trunk=tuned,
        scorer=reading,
        whole_text=whole_text,
        meaning=task.model.state_dict(),
        meaning_config=asdict(task.model.config),
    )
    for name, value in measure_meaning(task, found).items():
        say(f"{name}: {value:.3f}")
    return True


def _parser(
    work: Path,
    data: Callable[[], ParserData],
    tokenizer: PieceTokenizer,
    config: RecipeConfig,
    *,
    stage: str,
    trunk: Trunk,
    training: TrainConfig,
    start: Callable[[], SpanScorer | None],
    langs: Sequence[Lang],
    say: Callable[[str], None],
    told: Callable[[str], Callable[[Progress], None] | None],
) -> SpanScorer | None:
    """Run a stage of the parser unless it is done; None if time ran out."""
    note = work / stage / "done.json"
    if not note.is_file():
        torch.manual_seed(config.seed)
        found, initial = data(), start()
        say(f"training the stage {stage!r}")
        _, done = train_parser(
            work / stage,
            trunk,
            tokenizer,
            found,
            training,
            initial=initial,
            langs=langs,
            report=told(stage),
            stop_after_minutes=config.minutes,
        )
        if not done:
            return None
        note.write_text(json.dumps(_settings(config)) + "\n", encoding="utf-8")
    return read_scorer(work / stage, trunk)


def _settings(config: RecipeConfig) -> dict[str, Any]:
    """The config as plain values for JSON, which knows no infinity."""
    return {**asdict(config), "minutes": None if isinf(config.minutes) else config.minutes}


def _meaning(
    work: Path,
    scorer: SpanScorer,
    trunk: Trunk,
    tokenizer: PieceTokenizer,
    config: RecipeConfig,
    *,
    say: Callable[[str], None],
    report: Callable[[Progress], None] | None,
) -> tuple[MeaningTask, MeaningData] | None:
    """Train the meaning model over the parser's trees; None if time ran out."""
    say("parsing and storing the texts of the meaning model")
    parser = ChartParser(copy.deepcopy(scorer), copy.deepcopy(trunk), tokenizer)
    found = collect_meaning(
        work / "texts",
        read_meaning_texts(),
        parser,
        trunk,
        tokenizer,
        fork=FROZEN_LAYERS,
        report=lambda what, done, total: say(f"{what}: {done:,} of {total:,}"),
    )
    say("training the meaning model")
    task, done = train_meaning(
        work / "meaning",
        trunk,
        found,
        TrainConfig(steps=config.meaning_steps, seed=config.seed),
        fork=FROZEN_LAYERS,
        report=report,
        stop_after_minutes=config.minutes,
    )
    return (task, found) if done else None


def _whole_text(
    work: Path,
    trunk: Trunk,
    tokenizer: PieceTokenizer,
    config: RecipeConfig,
    *,
    say: Callable[[str], None],
    report: Callable[[Progress], None] | None,
) -> WholeText | None:
    """Train the runs of the view of whole texts and put them together; None if time ran out."""
    reviews = choose_reviews(config.shopping_reviews, seed=config.seed)
    sentences = [*read_sst("train")]
    sources = review_sources(reviews, sentences)
    if config.teachers:
        taught = ask_teachers(
            work / "teachers",
            trunk,
            tokenizer,
            sources + unlabelled_sources(reviews, sentences, seed=config.seed),
            TrainConfig(steps=config.teacher_steps, trunk_lr=1e-4, seed=config.seed),
            teachers=config.teachers,
            rounds=config.teacher_rounds,
            report=report,
            say=say,
            stop_after_minutes=config.minutes,
        )
        if taught is None:
            return None
        sources = taught
    states = []
    for run in range(config.whole_text_runs):
        say(f"training the view of whole texts, run {run + 1} of {config.whole_text_runs}")
        view, done = train_whole_text(
            work / f"whole-text-{run}",
            trunk,
            tokenizer,
            sources,
            TrainConfig(
                steps=config.whole_text_steps, lr=1e-3, trunk_lr=1e-3, seed=config.seed + run
            ),
            sizes=WholeTextConfig(gram_buckets=GRAM_BUCKETS),
            report=report,
            stop_after_minutes=config.minutes,
        )
        if not done:
            return None
        states.append(view.state_dict())
    view.load_state_dict(average_views(states, view.config.rank))
    if view.grams is not None:
        learn_grams(view.grams, read_reviews("train"), tokenizer)
    tune = choose_reviews(_TUNE_SHOPPING, seed=config.seed, part="tune")
    weigh_sides(view, tune, tokenizer)
    return view


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
    langs: Sequence[Lang] = ("zh", "en"),
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
        initial: a parser to go on from; its labels are kept, and what is frozen stays.
        langs: whose sources are learned from.
        report: called now and then.
        stop_after_minutes: stop then, resumable.

    Returns:
        The parser, and whether all steps are done.
    """
    torch.manual_seed(config.seed)
    scorer = initial
    if scorer is None:
        scorer = SpanScorer(ParserConfig(), trunk, data.grammars())
        scorer.copy_layers(trunk)
    pairs = data.agreement
    task = ParserTask(
        scorer,
        trunk,
        tokenizer,
        [source for source in data.sources(scorer.grammars) if source.lang in langs],
        steps=config.batches,
        seed=config.seed,
        atoms_per_batch=ATOMS_PER_BATCH,
        agreement=Agreement(pairs, tokenizer) if pairs.counted or pairs.objects else None,
    )
    done = fit(
        task, task, config, folder, report=report, every=25, stop_after_minutes=stop_after_minutes
    )
    write_scorer(folder, scorer)
    return scorer, done


def without_views(scorer: SpanScorer, trunk: Trunk) -> SpanScorer:
    """Return a parser of which all languages share the layers, to go on learning.

    Args:
        scorer: is not changed; a language that had a view keeps its labels' weights.
        trunk: that the new one will run over.
    """
    found = SpanScorer(replace(scorer.config, english_rank=0), trunk, scorer.grammars)
    shared = {n: value for n, value in scorer.state_dict().items() if not n.startswith("views.")}
    found.load_state_dict(shared)
    return found


def with_english_view(scorer: SpanScorer, trunk: Trunk) -> SpanScorer:
    """Return a parser that reads English through changes of a trunk, which are to be learned.

    Args:
        scorer: is not changed. Everything of it but what belongs to English is kept, frozen.
        trunk: whose layers are changed; they must be those that the parser is used with.
    """
    config = replace(scorer.config, english_rank=ENGLISH_RANK, temperature_en=1.0)
    found = SpanScorer(config, trunk, scorer.grammars)
    own = ("views.", "heads.en.")
    kept = {name: value for name, value in scorer.state_dict().items() if not name.startswith(own)}
    found.load_state_dict({**found.state_dict(), **kept})
    found.requires_grad_(False)
    found.views.requires_grad_(True)
    found.head("en").requires_grad_(True)
    return found


def calibrated(scorer: SpanScorer, trunk: Trunk, tokenizer: PieceTokenizer) -> SpanScorer:
    """Return the scorer with a temperature for English, fitted on gold trees of the tuning part.

    Chinese stays as it is: what it could be fitted on is like what it learned from.

    Args:
        scorer: trained; it is not changed.
        trunk: of its training.
        tokenizer: of the trunk.
    """
    parser = ChartParser(copy.deepcopy(scorer), copy.deepcopy(trunk), tokenizer)
    fitted = calibrate(parser, {"en": calibration_targets(parser)["en"]})
    return with_temperatures(scorer, {"en": fitted["en"].temperature})


def write_scorer(folder: Path, scorer: SpanScorer) -> None:
    """Write a parser in full precision, to go on training or to pack."""
    state = {name: value.contiguous() for name, value in scorer.state_dict().items()}
    save_file(state, folder / "parser.safetensors")
    text = json.dumps(scorer.to_dict(), ensure_ascii=False)
    (folder / "parser.json").write_text(text + "\n", encoding="utf-8")


def read_scorer(folder: Path, trunk: Trunk) -> SpanScorer:
    """Read what `write_scorer` wrote, a parser over this trunk."""
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
    whole_text: WholeText | None = None,
    free: bool = False,
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
        whole_text: the view of whole texts, over the same trunk.
        free: whether the weights learned from the sets alone that `RecipeConfig.free` keeps; the
            configuration names the sets and the licence of the weights that follows.
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
        key: _packed(value, 6 if "layers" in key.split(".") else 8)
        for key, value in scorer.state_dict().items()
    }
    save_weights(folder / "parser.safetensors", parser_weights, version=name)
    config: dict[str, Any] = {
        "version": name,
        "licence": _FREE_LICENCE if free else LICENCE,
        "data": list(_FREE if free else _FREE + _NOT_FREE),
        "trunk": asdict(trunk.config),
        **scorer.to_dict(),
    }
    if meaning is not None:
        meaning_weights = {key: _packed(value, 8) for key, value in meaning.items()}
        save_weights(folder / "meaning.safetensors", meaning_weights, version=name)
        config["meaning"] = dict(meaning_config or {})
    if whole_text is not None:
        view = {
            key: _packed(value, 6 if "layers" in key.split(".") else 8)
            for key, value in whole_text.state_dict().items()
        }
        save_weights(folder / "whole_text.safetensors", view, version=name)
        config["whole_text"] = asdict(whole_text.config)
    text = json.dumps(config, ensure_ascii=False, indent=1)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    if tokenizer_file.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer_file, folder / "tokenizer.json")


def _is_free(folder: Path) -> bool:
    return read_model_config(folder).get("licence") == _FREE_LICENCE


def _packed(value: Tensor, bits: int) -> Tensor | QuantizedTensor:
    """A matrix in few bits; vectors and odd shapes stay in 16."""
    is_matrix = value.dim() > 1 and value.shape[-1] % BLOCK == 0 and value.shape[0] >= 16
    return quantize(value, bits) if is_matrix else value
