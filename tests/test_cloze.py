"""Blanks: what is left out of which part, what is hidden, who may answer what, and baselines."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from treenlp.data.blanks import (
    BLANK,
    Blank,
    TextPart,
    character_blanks,
    sentences_by_part,
    split_sentences,
    word_blanks,
)
from treenlp.data.homophones import HomophoneSet
from treenlp.data.keys import text_key
from treenlp.data.pku import TaggedText, parse_pku_line
from treenlp.errors import ConfigError, DataError
from treenlp.experiment.lab.baselines import count_neighbours, gap_of
from treenlp.experiment.lab.blank_items import BLANK_ROW, make_blanks
from treenlp.experiment.lab.classifier import ClassifierTask, PhraseClassifier, answer
from treenlp.experiment.lab.config import DataConfig, ExperimentConfig, GridConfig, LearnConfig
from treenlp.experiment.lab.items import Corpus
from treenlp.experiment.lab.made_up import make_recall
from treenlp.experiment.lab.report import write_report
from treenlp.experiment.lab.runner import cells_of, compare_cells, list_cells, run_experiment
from treenlp.tasks.cloze import Gap, NeighbourModel

SETS = (
    HomophoneSet(sound="jing4", characters=("静", "净")),
    HomophoneSet(sound="shi4", characters=("市", "事")),
)
WORDS = "安静 干净 城市 事情 老师 学生 北京 天气 房间 问题".split()


def paper() -> list[str]:
    """Lines of a newspaper: 300 paragraphs of two sentences, the second often seen before."""
    lines = []
    for n in range(300):
        first = [WORDS[(n * 7 + k * k) % len(WORDS)] for k in range(4)]
        second = [WORDS[(n + k) % len(WORDS)] for k in range(3)]
        tags = [f"{word}/n" for word in first]
        lines.append(
            "  ".join([f"{n}/m", *tags, "，/w", "很/d", "好/a", "。/w"])
            + "  "
            + "  ".join([*(f"{word}/n" for word in second), "。/w"])
        )
    return lines


def texts() -> list[TaggedText]:
    found = [parse_pku_line(line) for line in paper()]
    return [text for text in found if text is not None]


def table(leaves: Sequence[str]) -> NDArray[np.float16]:
    """A vector of each leaf that depends on nothing else."""
    rows = [np.random.default_rng(ord(leaf[0])).normal(size=4) for leaf in leaves]
    return np.array(rows, dtype=np.float16).reshape(-1, 4)


# Data


def test_sentences_end_at_marks_and_lose_nothing() -> None:
    text = parse_pku_line("他/r  问/v  ：/w  “/w  谁/r  ？/w  ”/w  我/r  。/w  （/w  完/v  ）/w")
    assert text is not None
    found = list(split_sentences(text))
    assert [sentence.text for sentence in found] == ["他问：“谁？”", "我。", "（完）"]
    assert sum((sentence.tags for sentence in found), ()) == text.tags


def test_no_sentence_is_in_two_parts_and_order_does_not_matter() -> None:
    parts = sentences_by_part(texts())
    keys = {part: {text_key(text.text) for text in own} for part, own in parts.items()}
    assert all(keys.values())
    assert len(set.union(*keys.values())) == sum(map(len, parts.values()))
    assert len(keys["train"]) > 5 * len(keys["test"])
    again = sentences_by_part(list(reversed(texts())))
    for part in parts:  # first sentences, with a number, are there once: they stay where they were
        own = {text.text for text in parts[part] if text.text[0].isdigit()}
        assert own == {text.text for text in again[part] if text.text[0].isdigit()}
        assert own
    assert sum(map(len, parts.values())) < 2 * len(texts())  # repeated ones count once
    assert sentences_by_part(texts(), seed=1) != parts


def test_a_character_is_left_out_and_those_that_sound_like_it_may_answer() -> None:
    parts = sentences_by_part(texts())
    blanks = character_blanks(parts, SETS, items=60, window=5)
    assert {part: len(own) for part, own in blanks.items()} == {"train": 60, "dev": 12, "test": 12}
    for part, own in blanks.items():
        sentences = {text.text for text in parts[part]}
        for blank in own:
            assert blank.answer in blank.candidates
            assert blank.candidates in [found.characters for found in SETS]
            assert max(len(blank.before), len(blank.after)) <= 5
            window = "".join((*blank.before, blank.answer, *blank.after))
            assert any(window in sentence for sentence in sentences)
    assert sum(blank.candidates == SETS[0].characters for blank in blanks["train"]) == 30
    shown = [(blank.before, blank.after) for own in blanks.values() for blank in own]
    assert len(set(shown)) == len(shown)
    assert blanks == character_blanks(parts, SETS, items=60, window=5)
    assert blanks != character_blanks(parts, SETS, items=60, window=5, seed=1)


def test_a_character_that_the_text_lacks_is_named() -> None:
    odd = HomophoneSet(sound="wu4", characters=("物", "雾"))
    with pytest.raises(DataError, match="found 物 雾 nowhere in the text"):
        character_blanks(sentences_by_part(texts()), (*SETS, odd), items=9, window=5)


def test_frequent_words_are_counted_where_is_learned() -> None:
    train = [TaggedText(words=(a, b, "的"), tags=("n", "v", "u")) for a, b in ["红花", "红叶"]]
    assert len(train[0].words[0]) == 1  # words of one character are not content enough
    parts: dict[TextPart, list[TaggedText]] = {
        "train": [
            *train,
            TaggedText(words=("花园", "开花", "王小"), tags=("n", "v", "nr")),
            TaggedText(words=("花园", "里", "开花", "很快"), tags=("n", "f", "v", "d")),
            TaggedText(words=("花园", "很", "美丽"), tags=("n", "d", "a")),
        ],
        "dev": [TaggedText(words=("大", "花园", "美丽"), tags=("a", "n", "a"))],
        "test": [TaggedText(words=("开花",) * 3, tags=("v",) * 3)],
    }
    blanks = word_blanks(parts, words=2, items=10, window=1)
    assert all(blank.candidates == ("花园", "开花") for own in blanks.values() for blank in own)
    assert blanks["dev"] == [
        Blank(before=("大",), after=("美丽",), answer="花园", candidates=("花园", "开花"))
    ]
    assert all(len(blank.before) <= 1 and len(blank.after) <= 1 for blank in blanks["test"])
    assert len(blanks["test"]) == 2  # five items are wanted at most a fifth of, two
    with pytest.raises(DataError, match="found 3 content words in the text, expected 9"):
        word_blanks(parts, words=9, items=10, window=1)


# Items


def blank_of(before: str, after: str, answer: str = "静") -> Blank:
    return Blank(
        before=tuple(before), after=tuple(after), answer=answer, candidates=SETS[0].characters
    )


CLASSES = ("市", "静", "净", "事")


def corpus_of(*blanks: Blank, sides: str = "both") -> Corpus:
    parts: dict[TextPart, list[Blank]] = {part: list(blanks) for part in ("train", "dev", "test")}
    return make_blanks(parts, CLASSES, sides=sides, table=table)


def read(corpus: Corpus, number: int = 0) -> NDArray[np.float16]:
    """Vectors of an item's leaves in the order of reading."""
    item = corpus.parts["train"][number]
    assert corpus.symbols is not None
    return corpus.vectors["static"][corpus.symbols[item.start : item.start + item.size]]


def test_items_go_round_the_blank_and_end_beside_it() -> None:
    blank = blank_of("甲乙", "丙丁")
    expected = {"both": "丙丁＿甲乙", "left": "＿甲乙", "right": "＿丁丙"}
    for sides, leaves in expected.items():
        corpus = corpus_of(blank, sides=sides)
        own = read(corpus)
        place = leaves.index(BLANK)
        assert (own[place] == corpus.vectors["static"][BLANK_ROW]).all()
        others = [leaf for leaf in leaves if leaf != BLANK]
        assert (np.delete(own, place, axis=0) == table(others)).all()
        (item,) = corpus.parts["test"]
        assert [CLASSES[n] for n in item.candidates] == ["静", "净"]
        assert CLASSES[item.root] == "静"


def test_what_is_hidden_changes_nothing() -> None:
    one, other = blank_of("甲乙", "丙丁"), blank_of("甲乙", "戊己庚")
    assert (read(corpus_of(one, sides="left")) == read(corpus_of(other, sides="left"))).all()
    assert len(read(corpus_of(one))) != len(read(corpus_of(other)))
    one, other = blank_of("甲乙", "丙丁"), blank_of("戊", "丙丁")
    assert (read(corpus_of(one, sides="right")) == read(corpus_of(other, sides="right"))).all()
    digests = {corpus_of(one, sides=sides).digest for sides in ("both", "left", "right")}
    assert len(digests) == 1  # the same items, whatever is shown of them
    assert corpus_of(other).digest not in digests


def test_a_blank_without_neighbours_can_be_read() -> None:
    for sides in ("both", "left", "right"):
        assert len(read(corpus_of(blank_of("", ""), sides=sides))) == 1


# Candidates


def task_of(network: str, corpus: Corpus) -> ClassifierTask:
    torch.manual_seed(0)
    model = PhraseClassifier(network, 4, 4, len(CLASSES), 0.0)
    with torch.no_grad():
        model.out.bias[0] += 100.0  # 市, of another sound
    return ClassifierTask(
        model,
        corpus,
        corpus.parts["train"],
        network=network,
        trees="balanced",
        leaves="static",
        phrases=False,
        batch_size=2,
        steps=2,
        seed=0,
    )


@pytest.mark.parametrize("network", ["lstm", "bi-lstm", "tree-lstm"])
def test_who_sounds_otherwise_is_never_the_answer(network: str) -> None:
    corpus = corpus_of(blank_of("甲乙", "丙丁"), blank_of("甲", "丙丁", "净"))
    task = task_of(network, corpus)
    found = answer(task, corpus.parts["test"])
    assert set(found.roots.tolist()) <= {1, 2}
    step = task.make(corpus.parts["test"])
    logits = task.model(step)[step.roots]
    assert torch.isinf(logits).tolist() == [[True, False, False, True]] * 2
    loss = task.loss(step)
    assert math.isfinite(loss.item())
    loss.backward()  # type: ignore[no-untyped-call]
    for parameter in task.model.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_without_candidates_every_class_may_be_the_answer() -> None:
    corpus = corpus_of(blank_of("甲乙", "丙丁"))
    items = [replace(item, candidates=()) for item in corpus.parts["test"]]
    assert answer(task_of("lstm", corpus), items).roots.tolist() == [0]


# Baselines


def gap(before: tuple[int, ...] = (), after: tuple[int, ...] = ()) -> Gap:
    return Gap(before=before, after=after, candidates=(0, 1))


def test_neighbours_are_counted_as_by_hand() -> None:
    """Two of three answers are 0, so P = 3/5 and 2/5; 7 stood twice before a 0, 8 before a 1."""
    seen = [gap((7, 9)), gap((7, 5)), gap((8,), (4,))]
    model = NeighbourModel(seen, [0, 0, 1], strength=1.0)
    after_seven = [(2 + 0.6) / (2 + 1), 0.4 / 3]
    assert model.log_scores(gap((7,))) == pytest.approx(np.log(after_seven))
    assert model.log_scores(gap((7, 3))) == pytest.approx(np.log(after_seven))  # backs off
    after_both = [(1 + after_seven[0]) / 2, after_seven[1] / 2]
    assert model.log_scores(gap((7, 9))) == pytest.approx(np.log(after_both))
    before_four = [0.6 / 2, (1 + 0.4) / 2]
    expected = [a * b / p for a, b, p in zip(after_both, before_four, (0.6, 0.4), strict=True)]
    assert model.log_scores(gap((7, 9), (4,))) == pytest.approx(np.log(expected))
    assert [model.answer(own) for own in seen] == [0, 0, 1]
    assert model.answer(gap((3,), (2,))) == 0  # nothing is known but who is frequent
    assert model.size == 2 + 2 + 2 + 1  # who is frequent; 7 and 8; 7 9 and 7 5; 4


def test_the_majority_is_that_of_the_own_candidates() -> None:
    others = Gap(before=(), after=(), candidates=(2, 3))
    model = NeighbourModel([gap((7,)), gap((7,)), gap((8,)), others], [0, 0, 1, 3], reach=0)
    assert model.answer(gap((8,))) == 0
    assert model.answer(others) == 3
    unknown = Gap(before=(7,), after=(), candidates=(1, 2))
    assert model.answer(unknown) == 1  # of equals the first
    with pytest.raises(DataError, match="found 1 gaps and 2 answers"):
        NeighbourModel([others], [1, 2])


def test_the_prior_is_tuned_on_other_gaps() -> None:
    """0 is right eight times of ten: only a weak prior believes one neighbour against that."""
    seen = [gap((9,))] * 8 + [gap((7,)), gap((8,))]
    model = NeighbourModel(seen, [0] * 8 + [1, 1], strength=30.0)
    assert model.answer(gap((7,))) == 0
    model.tune([gap((7,)), gap((8,))], [1, 1])
    assert model.strength == 0.1
    assert model.answer(gap((7,))) == 1


def test_baselines_see_what_is_shown() -> None:
    blank = blank_of("甲乙丙", "丁戊己")
    corpus = corpus_of(blank)
    assert corpus.symbols is not None
    names = dict(zip(corpus.symbols[:7].tolist(), "丁戊己＿甲乙丙", strict=True))
    found = gap_of(corpus, corpus.parts["train"][0])
    assert [names[n] for n in found.before] == ["丙", "乙"]
    assert [names[n] for n in found.after] == ["丁", "戊"]
    for sides, expected in (("left", "丙乙"), ("right", "丁戊")):
        one = corpus_of(blank, sides=sides)
        assert one.symbols is not None
        rows = table(list(expected))
        own = gap_of(one, one.parts["train"][0])
        assert own.after == ()
        assert (one.vectors["static"][list(own.before)] == rows).all()
    counted = count_neighbours("majority", corpus, corpus.parts["train"])
    assert counted.test.score == counted.dev.score == 1.0
    with pytest.raises(ConfigError, match="found the baseline 'unigram', expected one of: major"):
        count_neighbours("unigram", corpus, corpus.parts["train"])
    recall = make_recall(10, 2)
    with pytest.raises(ConfigError, match="found items without a blank"):
        count_neighbours("majority", recall, recall.parts["train"])


# Experiments

SMALL = ExperimentConfig(
    question="Does it run?",
    data=DataConfig(task="homophones", items=60, window=4),
    grid=GridConfig(
        models=("majority", "trigram", "bi-lstm", "tree-lstm"),
        trees=("balanced",),
        leaves=("static",),
        sides=("both", "left", "right"),
        seeds=2,
    ),
    learn=LearnConfig(epochs=2, batch_size=20, hidden_size=8),
)


def test_the_majority_stands_once_and_everything_else_for_each_side() -> None:
    names = [cell.name for cell in cells_of(SMALL)]
    assert len(names) == len(set(names)) == 1 + 3 * 3
    assert names[0] == "majority.words.static.both"
    assert "tree-lstm.balanced.static.right" in names
    assert ExperimentConfig.from_toml(SMALL.to_toml(), source="memory") == SMALL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data]\ntask = 'homophone'", "found task with 'homophone'; did you mean 'homophones'"),
        ("[data]\nwindows = 3", "found the key 'data.windows'; did you mean data.window"),
        ("[data]\nwindow = 0", "found window = 0, expected 1 or more"),
        ("[data]\nwords = 1", "found words = 1, expected 2 or more"),
        ("[grid]\nsides = ['lefd']", "found sides with 'lefd'; did you mean 'left'"),
        ("[grid]\nsides = []", "found no sides, expected one or more"),
        ("[grid]\nsides = ['left']", "found 'left' with the task 'sst', which has no blanks"),
        (
            "[grid]\nmodels = ['trigram']",
            "found 'trigram' with the task 'sst', which has no blanks",
        ),
        ("[grid]\nmodels = ['trigramm']", "found models with 'trigramm'; did you mean 'trigram'"),
        (
            "[data]\ntask = 'cloze'\n[grid]\ntrees = ['left']",
            "found the leaves 'contextual' with the task 'cloze'",
        ),
        (
            "[data]\ntask = 'cloze'\n[grid]\nleaves = ['static']",
            "found the trees 'gold' with the task 'cloze'",
        ),
    ],
)
def test_bad_configs_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExperimentConfig.from_toml(text, source="mine")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newspaper and the sets as files."""
    root = tmp_path_factory.mktemp("data")
    (root / "text_zh").mkdir()
    path = root / "text_zh" / "people_daily_199801.tagged.txt.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(paper()) + "\n")
    rows = [f"{own.sound}\t{','.join(own.characters)}\n" for own in SETS]
    (root / "sets.tsv").write_text("sound\tcharacters\n" + "".join(rows), encoding="utf-8")
    return root


def test_baselines_are_cells_of_the_experiment(
    data: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREENLP_DATA", str(data))
    config = SMALL.with_setting(f"data.homophones={data / 'sets.tsv'}")
    config = replace(config, search=replace(config.search, trials=1, epochs=1, hidden_size=(8,)))
    folder = tmp_path / "run"
    totals = []
    run_experiment(config, folder, model=tiny, report=lambda now: totals.append(now.total))
    assert totals == [4 * 2 + 6 * 3] * (4 * 2 + 6 * 3)
    states = {state.name: (state.trials, state.seeds) for state in list_cells(folder)}
    assert states["trigram.words.static.left"] == (0, 2)
    assert states["bi-lstm.words.static.left"] == (1, 2)
    run_experiment(config, folder, model=tiny, report=lambda now: totals.append(now.done))
    assert totals[-1] == totals[0]
    corpora = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    assert set(corpora) == {"both", "left", "right"}
    assert len({own["digest"] for own in corpora.values()}) == 1
    difference, _ = compare_cells(folder, "trigram.words.static.both", "bi-lstm.words.static.right")
    assert -1.0 <= difference <= 1.0
    text = write_report(folder, tmp_path / "report").read_text(encoding="utf-8")
    for name in states:
        assert name in text


def test_words_are_left_out_of_the_same_newspaper(
    data: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREENLP_DATA", str(data))
    config = replace(
        SMALL,
        data=DataConfig(task="cloze", items=60, window=4, words=10),
        grid=replace(SMALL.grid, models=("majority", "lstm"), sides=("left",), seeds=1),
    )
    folder = tmp_path / "run"
    run_experiment(config, folder, model=tiny)
    corpora = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    assert sorted(corpora["left"]["classes"]) == sorted(WORDS)
    with pytest.raises(ConfigError, match="found no model, expected the folder of one: cloze"):
        run_experiment(config, tmp_path / "other")


def test_of_many_classes_the_most_frequent_mistakes_are_listed(
    data: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREENLP_DATA", str(data))
    monkeypatch.setattr("treenlp.experiment.lab.report._MOST_CLASSES", 3)
    config = replace(SMALL, grid=replace(SMALL.grid, models=("majority",), seeds=1))
    config = config.with_setting(f"data.homophones={data / 'sets.tsv'}")
    run_experiment(config, tmp_path / "run", model=tiny)
    text = write_report(tmp_path / "run", plots=False).read_text(encoding="utf-8")
    summary = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    (cell,) = summary["cells"]
    assert "confusion" not in cell
    wrong = sum(n for _, _, n in cell["mistakes"])
    assert wrong == round((1.0 - cell["test"][0]) * 12)
    assert "mistakes (meant→judged, all seeds):" in text
