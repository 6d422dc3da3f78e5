"""Ask the shipped model what a numeral counts, before and after it reads on; write it all here.

python experiments/context/run.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import treenlp
from treenlp.analysis import Analysis
from treenlp.experiment.scores import digest_texts, weight_digests
from treenlp.lexicon import generate, load_context_cases
from treenlp.lexicon.entries import ContextCase
from treenlp.parsing.parser import load_parser
from treenlp.pipeline import Pipeline
from treenlp.text import Document
from treenlp.trees.tree import Tree

HERE = Path(__file__).parent
MODEL = "zh-en-1"
KINDS = ("classifier", "noun", "person", "predicate", "inside")
SEEDS, MIX = (401, 402, 403), {"classifier": 0.6, "localizer": 0.4}
LEAST = 1e-4  # a probability of 0 would make the log loss infinite


def main() -> int:
    """Run, print and write."""
    cases = load_context_cases()
    nlp = treenlp.load(MODEL)
    alone = [c.first.partition("，")[0] if c.kind == "inside" else c.first for c in cases]
    before = [
        near_prob(a, c) for a, c in zip(nlp.pipe(alone, k=50, min_prob=0), cases, strict=True)
    ]
    texts = [case.first + case.following for case in cases]
    after = [near_prob(a, c) for a, c in zip(nlp.pipe(texts, k=50, min_prob=0), cases, strict=True)]
    rows = [
        measure(part, kind, cases, before, after)
        for part in ("dev", "test")
        for kind in ("all", *KINDS)
    ]
    mute = [n for n, case in enumerate(cases) if case.is_near is None]
    moved = sum(abs(before[n] - after[n]) > 1e-6 for n in mute)
    marks = measure_marks(nlp)
    result = {
        "model": MODEL,
        "weights": weight_digests(Path(treenlp.__file__).parent / "models" / MODEL),
        "cases": digest_texts(f"{c.part} {c.first} {c.following}" for c in cases),
        "figures": rows,
        "mute": {"n": len(mute), "moved": moved},
        "marks": marks,
    }
    columns = ("part", "kind", "n", "alone", "context", "loss_alone", "loss_context")
    head = ("part", "what tells", "n", "alone, %", "read on, %", "log loss alone", "read on")
    lines = [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {' | '.join(str(row[name]) for name in columns)} |" for row in rows),
        "",
        f"Of {len(mute)} texts that tell nothing, {moved} changed the odds.",
        "",
        "| mark after a phrase alone | n | parser, % | pipeline, % |",
        "|---|---|---|---|",
        *(f"| {m['mark']} | {m['n']} | {m['parser']} | {m['pipeline']} |" for m in marks),
    ]
    text = "\n".join(lines) + "\n"
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (HERE / "results.md").write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


def near_prob(analysis: Analysis, case: ContextCase) -> float:
    """Share of the readings whose numeral counts the nearer noun."""
    start, end = case.near
    readings = analysis.sentences[0].readings
    near = sum(
        reading.prob
        for reading in readings
        if any((span.start, span.end) == (start, end) for span in reading.spans)
    )
    return near / sum(reading.prob for reading in readings)


def measure_marks(nlp: Pipeline) -> list[dict[str, object]]:
    """Generated phrases over unseen words, alone and with a mark: parser and pipeline."""
    items = [
        item
        for seed in SEEDS
        for item in generate(split="validation", n=900, seed=seed, mix=MIX)
        if len(item.trees) == 1 and item.trees[0].label == "NP" and "的" in item.text
    ]
    phrases = {item.text: item.trees[0] for item in items if item.trees[0].tags[-1] != "PU"}
    right = [has_near(tree, text.index("的")) for text, tree in phrases.items()]
    parser = load_parser(Path(treenlp.__file__).parent / "models" / MODEL)
    rows = []
    for mark in ("", "。", "！"):
        texts = [text + mark for text in phrases]
        answers = {
            "parser": parser.parse([s for text in texts for s in Document.from_text(text)]),
            "pipeline": [o.value[0][0].tree for o in nlp.pipe_trees(texts) if o.value],
        }
        row: dict[str, object] = {"mark": mark or "none", "n": len(texts)}
        for name, trees in answers.items():
            found = [
                has_near(tree, text.index("的")) for tree, text in zip(trees, texts, strict=True)
            ]
            row[name] = round(100 * float(np.mean(np.equal(found, right))), 1)
        rows.append(row)
    return rows


def has_near(tree: Tree, end: int) -> bool:
    """Whether the first characters, up to an offset, are a phrase: the nearer noun is counted."""
    edges = np.cumsum([0, *(len(leaf) for leaf in tree.leaves)])
    return any((edges[a], edges[b]) == (0, end) and b - a > 1 for a, b in tree.node_spans())


def measure(
    part: str,
    kind: str,
    cases: Sequence[ContextCase],
    before: Sequence[float],
    after: Sequence[float],
) -> dict[str, object]:
    """One row of the table."""
    chosen = [
        n
        for n, case in enumerate(cases)
        if case.part == part and case.is_near is not None and kind in ("all", case.kind)
    ]
    right = np.array([cases[n].is_near for n in chosen])
    row: dict[str, object] = {"part": part, "kind": kind, "n": len(chosen)}
    for name, probs in (("alone", before), ("context", after)):
        near = np.clip([probs[n] for n in chosen], LEAST, 1 - LEAST)
        row[name] = round(100 * float(np.mean((near > 0.5) == right)), 1)
        row[f"loss_{name}"] = round(float(-np.log(np.where(right, near, 1 - near)).mean()), 3)
    return row


if __name__ == "__main__":
    raise SystemExit(main())
