"""The gate: every measure that the model card promises, and whether any got worse.

Measures on dev data are run whenever weights change and compared with the sheet beside the model.
Measures on final data are read once for each finished piece of work; what they say is recorded
with the weights' checksums, and the card is written from it.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from treenlp.data.dependencies import read_ud_zh
from treenlp.data.parts import Part
from treenlp.data.sentiment import ReviewPart, read_reviews, read_sst
from treenlp.data.similarity import SickPart, read_sick, read_stsb_en_zh
from treenlp.data.treebanks import MCTB_DOMAINS, MctbPart, read_mctb_en
from treenlp.errors import ConfigError, ModelError
from treenlp.experiment.card import write_card
from treenlp.experiment.measures import (
    Report,
    Result,
    System,
    measure_attachment_pairs,
    measure_brackets,
    measure_calibration,
    measure_cases,
    measure_dependencies,
    measure_reviews,
    measure_similarity,
    measure_treebank_sentiment,
    to_stderr,
)
from treenlp.experiment.scores import (
    ScoreSheet,
    Split,
    Verdict,
    compare,
    read_scores,
    weight_digests,
    write_scores,
)
from treenlp.lexicon import GeneratedItem, generate, load_natural_cases

__all__ = [
    "MEASURES",
    "Evaluation",
    "Measure",
    "calibration_items",
    "evaluate",
    "run_gate",
]

Run = Callable[[System, Report | None], Sequence[Result]]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One named measure; its figures are called after it.

    Attributes:
        name: of the set measured on.
        split: "dev" or "final".
        about: what is measured, in a sentence.
        run: reads the data and measures.
    """

    name: str
    split: Split
    about: str
    run: Run


def _three(system: System, report: Report | None) -> Sequence[Result]:
    cases = [case for case in load_natural_cases() if case.kind == _THREE]
    return measure_cases(system, cases, report=report)


def _sixty(system: System, report: Report | None) -> Sequence[Result]:
    cases = [case for case in load_natural_cases() if case.kind != _THREE]
    return measure_cases(system, cases, report=report)


_THREE = "toss-up"  # kind of the three phrases over one classifier, or two that decide
_PAIR_ITEMS, _PAIR_SEED = 1200, 11
_PAIR_MIX = {
    "classifier": 0.25,
    "localizer": 0.13,
    "verb_object": 0.30,
    "duration": 0.15,
    "frequency": 0.05,
    "relative": 0.12,
}


def _pairs(system: System, report: Report | None) -> Sequence[Result]:
    items = generate(split="validation", n=_PAIR_ITEMS, seed=_PAIR_SEED, mix=_PAIR_MIX)
    return measure_attachment_pairs(system, items, report=report)


_READING_ITEMS, _READING_SEED = 400, 12  # other draws than those of the pairs


def calibration_items() -> list[GeneratedItem]:
    """Return the validation items whose readings are held against their probabilities."""
    return generate(split="validation", n=_READING_ITEMS, seed=_READING_SEED, mix=_PAIR_MIX)


def _calibration(system: System, report: Report | None) -> Sequence[Result]:
    return measure_calibration(system, calibration_items(), report=report)


def _dependencies(part: str, *, attachment: bool) -> Run:
    def run(system: System, report: Report | None) -> Sequence[Result]:
        sentences = list(read_ud_zh([part]))
        return measure_dependencies(system, sentences, attachment=attachment, report=report)

    return run


_MEASURED_PARTS = ("gsdsimp_test", "hk_second", "beginner_second")


def _attachment(system: System, report: Report | None) -> Sequence[Result]:
    sentences = list(read_ud_zh(_MEASURED_PARTS, use="measure"))
    results = measure_dependencies(system, sentences, report=report)
    return [result for result in results if result.name == "attachment"]


def _english(part: MctbPart) -> Run:
    def run(system: System, report: Report | None) -> Sequence[Result]:
        domains = {
            domain: list(read_mctb_en(part, (domain,), on_skip=lambda _: None))
            for domain in MCTB_DOMAINS
        }
        return measure_brackets(system, domains, report=report)

    return run


def _phrases(part: Part) -> Run:
    def run(system: System, report: Report | None) -> Sequence[Result]:
        return measure_treebank_sentiment(system, list(read_sst(part)), report=report)

    return run


def _hotels(part: ReviewPart) -> Run:
    def run(system: System, report: Report | None) -> Sequence[Result]:
        reviews = [review for review in read_reviews(part) if "ChnSentiCorp" in review.sets]
        return measure_reviews(system, reviews, report=report)

    return run


def _sick(part: SickPart) -> Run:
    def run(system: System, report: Report | None) -> Sequence[Result]:
        return measure_similarity(system, list(read_sick(part)), report=report)

    return run


def _across(system: System, report: Report | None) -> Sequence[Result]:
    return measure_similarity(system, list(read_stsb_en_zh()), rank=True, report=report)


_CROSSINGS = (
    "phrases of the best tree of raw text that cross a gold dependency subtree, punctuation and "
    "the whole sentence left out (lower is better); words as Universal Dependencies cuts them"
)
_SST_ABOUT = (
    "Stanford Sentiment Treebank: sentences in five classes and by side on our own trees, all "
    "nodes on the treebank's trees"
)

MEASURES: tuple[Measure, ...] = (
    Measure(
        name="three_phrases",
        split="dev",
        about="两个 / 两所 / 两位大学的老师: the readings listed are exactly those that it has",
        run=_three,
    ),
    Measure(
        name="generated",
        split="dev",
        about="generated pairs over the same nouns, whose classifiers, nouns and verbs are in no "
        "training item; both members right",
        run=_pairs,
    ),
    Measure(
        name="calibration",
        split="dev",
        about="probabilities of the competing readings of generated items, toss-ups included, "
        "held against the right ones: calibration error over ten bins of equal mass, Brier score, "
        "log loss in nats (lower is better); the readings listed by default that are right",
        run=_calibration,
    ),
    Measure(
        name="gsdsimp_dev",
        split="dev",
        about=f"Chinese GSDSimp dev: {_CROSSINGS}; natural `Num CL … N1 的 N2`",
        run=_dependencies("gsdsimp_dev", attachment=True),
    ),
    Measure(
        name="mctb_tune",
        split="dev",
        about="English gold trees of four domains, words given: labelled F1",
        run=_english("tune"),
    ),
    Measure(name="sst_dev", split="dev", about=_SST_ABOUT, run=_phrases("dev")),
    Measure(
        name="chnsenticorp_tune",
        split="dev",
        about="Chinese hotel reviews, positive or negative, from raw text",
        run=_hotels("tune"),
    ),
    Measure(
        name="sick_trial",
        split="dev",
        about="relatedness of English sentences: Pearson's coefficient",
        run=_sick("trial"),
    ),
    Measure(
        name="stsb_en_zh",
        split="dev",
        about="similarity of an English and a Chinese sentence: Spearman's coefficient",
        run=_across,
    ),
    Measure(
        name="natural_cases",
        split="final",
        about="60 hand-written natural sentences: classifiers, relative clauses, durations, "
        "segmentation, coordination",
        run=_sixty,
    ),
    Measure(
        name="natural_num_cl",
        split="final",
        about="natural `Num CL … N1 的 N2` of all measuring parts, attached as the gold "
        "dependencies say",
        run=_attachment,
    ),
    Measure(
        name="gsdsimp_test",
        split="final",
        about=f"Chinese GSDSimp test: {_CROSSINGS}",
        run=_dependencies("gsdsimp_test", attachment=False),
    ),
    Measure(
        name="hk_second",
        split="final",
        about=f"second half of Chinese HK, traditional script: {_CROSSINGS}",
        run=_dependencies("hk_second", attachment=False),
    ),
    Measure(
        name="beginner_second",
        split="final",
        about=f"second half of Chinese Beginner, traditional script: {_CROSSINGS}",
        run=_dependencies("beginner_second", attachment=False),
    ),
    Measure(
        name="mctb_held_out",
        split="final",
        about="English gold trees, a fifth of each of four domains, words given: labelled F1",
        run=_english("held_out"),
    ),
    Measure(name="sst_test", split="final", about=_SST_ABOUT, run=_phrases("test")),
    Measure(
        name="chnsenticorp_held_out",
        split="final",
        about="Chinese hotel reviews, positive or negative, from raw text",
        run=_hotels("held_out"),
    ),
    Measure(
        name="sick_test",
        split="final",
        about="relatedness of English sentences: Pearson's coefficient",
        run=_sick("test"),
    ),
)
"""All measures, in the order in which they run; figures are called `measure.figure`."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a run of the gate found.

    Attributes:
        sheet: what was measured.
        verdicts: on the dev figures, against the sheet beside the model.
        is_recorded: whether the sheet and the card were written.
    """

    sheet: ScoreSheet
    verdicts: tuple[Verdict, ...]
    is_recorded: bool

    @property
    def is_passed(self) -> bool:
        """Whether no promised figure is worse than tolerated."""
        return not any(verdict.is_failure for verdict in self.verdicts)


def evaluate(
    model: System | Path,
    *,
    final: bool = False,
    only: Sequence[str] | None = None,
    device: str = "cpu",
    report: Report | None = to_stderr,
    measures: Sequence[Measure] = MEASURES,
) -> ScoreSheet:
    """Measure a model.

    Args:
        model: what is measured, or its folder.
        final: whether to read the test sets, too.
        only: names of measures; those on test sets still need `final`.
        device: where to compute, if a folder is given.
        report: told about progress; None for silence.
        measures: to choose from.

    Returns:
        The figures; with a folder also the checksums of its files.

    Raises:
        ConfigError: if a name is unknown, or is that of a test set without `final`.
        DataError: if reference data is missing.
        ModelError: if the model cannot be loaded.

    Example:
        >>> sheet = evaluate(Path("my-model"), only=["three_phrases"])  # doctest: +SKIP
        >>> sheet.figures["three_phrases.right"].value  # doctest: +SKIP
        1.0
    """
    chosen = _choose(measures, final=final, only=only)
    digests = weight_digests(model) if isinstance(model, Path) else {}
    system = System.load(model, device) if isinstance(model, Path) else model
    figures = {}
    for measure in chosen:
        start = time.perf_counter()
        results = measure.run(system, _named(report, measure.name))
        seconds = time.perf_counter() - start
        for result in results:
            figure = result.figure(prefix=measure.name, split=measure.split, seconds=seconds)
            figures[figure.name] = figure
    return ScoreSheet(model=system.name, weights=digests, versions=_versions(), figures=figures)


def _choose(
    measures: Sequence[Measure], *, final: bool, only: Sequence[str] | None
) -> list[Measure]:
    known = {measure.name: measure for measure in measures}
    for name in only or ():
        if name not in known:
            raise ConfigError(f"found the measure {name!r}, expected one of: {', '.join(known)}")
        if known[name].split == "final" and not final:
            raise ConfigError(
                f"found the measure {name!r}, which reads a test set; say --final if the work is "
                "finished, or choose one on dev data"
            )
    allowed = [measure for measure in measures if final or measure.split == "dev"]
    return [measure for measure in allowed if only is None or measure.name in only]


def _named(report: Report | None, name: str) -> Report | None:
    if report is None:
        return None

    def tell(what: str, done: int, total: int) -> None:
        report(f"{name}: {what}", done, total)

    return tell


def _versions() -> dict[str, str]:
    versions = {name: metadata.version(name) for name in ("torch", "numpy", "tokenizers")}
    return {"python": platform.python_version(), **versions}


def run_gate(
    folder: Path,
    *,
    final: bool = False,
    only: Sequence[str] | None = None,
    device: str = "cpu",
    report: Report | None = to_stderr,
    measures: Sequence[Measure] = MEASURES,
) -> Evaluation:
    """Measure a model folder and compare it with the sheet beside it.

    With `final` the dev figures are compared first. If one is worse, no test set is read and
    nothing is written; otherwise the sheet and the card are.

    Args:
        folder: of the model.
        final: whether to read the test sets and record.
        only: names of measures; then nothing is recorded.
        device: where to compute.
        report: told about progress; None for silence.
        measures: to choose from.

    Returns:
        What was found; the gate is shut if `is_passed` is False.

    Raises:
        ConfigError: if a name is unknown, or is that of a test set without `final`.
        DataError: if reference data is missing.
        ModelError: if the model or its sheet cannot be read.
    """
    _choose(measures, final=final, only=only)
    stored = read_scores(folder)
    if final and not os.access(folder, os.W_OK):
        raise ModelError(f"{folder} cannot be written; run --final on a model that you may change")
    system = System.load(folder, device)
    dev = [measure for measure in measures if measure.split == "dev"]
    wanted = None if only is None else [name for name in only if name in {m.name for m in dev}]
    sheet = evaluate(system, only=wanted, report=report, measures=dev)
    verdicts = compare(
        sheet.figures,
        {} if stored is None else stored.figures,
        names=None if only is None else list(sheet.figures),
    )
    found = Evaluation(
        sheet=_with(sheet, weights=weight_digests(folder)), verdicts=verdicts, is_recorded=False
    )
    if not final or not found.is_passed:
        return found
    tests = [measure for measure in measures if measure.split == "final"]
    wanted = None if only is None else [name for name in only if name in {m.name for m in tests}]
    last = evaluate(system, final=True, only=wanted, report=report, measures=tests)
    whole = ScoreSheet(
        model=sheet.model,
        weights=found.sheet.weights,
        versions=sheet.versions,
        figures={**sheet.figures, **last.figures},
    )
    if only is None:
        write_scores(folder, whole)
        write_card(folder, whole, about={m.name: m.about for m in measures})
    return Evaluation(sheet=whole, verdicts=verdicts, is_recorded=only is None)


def _with(sheet: ScoreSheet, *, weights: Mapping[str, str]) -> ScoreSheet:
    return ScoreSheet(
        model=sheet.model, weights=weights, versions=sheet.versions, figures=sheet.figures
    )
