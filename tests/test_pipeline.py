"""The pipeline: order, batches across lines, errors one by one, and the JSON of the interface."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins import POISON, TableFrontend, WordMeaning, standin_pipeline

import treenlp
from treenlp.analysis import Analysis, Sentiment
from treenlp.errors import ConfigError, InputError, ModelError
from treenlp.pipeline import Pipeline

TEACHERS = "两个大学的老师"


@pytest.fixture(scope="module")
def tiny_nlp(tiny: Path) -> Pipeline:
    return treenlp.load(str(tiny))


@pytest.fixture(scope="module")
def nlp() -> Pipeline:
    return standin_pipeline()


def test_an_ambiguous_phrase_has_both_readings(nlp: Pipeline) -> None:
    (sentence,) = nlp(TEACHERS).sentences
    assert [r.prob for r in sentence.readings] == pytest.approx([0.55, 0.45])
    assert [r.rank for r in sentence.readings] == [1, 2]
    assert sentence.ambiguity.kind == "attachment"
    assert sentence.ambiguity.score == pytest.approx(0.9)
    assert sentence.omitted == pytest.approx(0.0, abs=1e-6)


def test_an_unambiguous_phrase_has_one_reading_and_says_what_is_left_out(nlp: Pipeline) -> None:
    (sentence,) = nlp("两所大学的老师").sentences
    assert len(sentence.readings) == 1
    assert sentence.omitted == pytest.approx(0.02)
    assert sentence.ambiguity.kind is None
    assert len(nlp("两所大学的老师", min_prob=0.0).sentences[0].readings) == 2
    assert len(nlp(TEACHERS, k=1).sentences[0].readings) == 1


def test_spans_are_offsets_in_the_whole_text(nlp: Pipeline) -> None:
    text = "  The film is not good.  It is bad."
    analysis = nlp(text)
    assert [text[s.start : s.end] for s in analysis.sentences] == [
        "The film is not good.",
        "It is bad.",
    ]
    for sentence in analysis.sentences:
        for token in sentence.tokens:
            assert text[token.start : token.end] == token.text
    spans = {(s.label, text[s.start : s.end]) for s in analysis.sentences[0].readings[0].spans}
    assert ("ADJP", "not good") in spans
    assert ("S", "The film is not good.") in spans


def test_probabilities_of_spans_are_marginals(nlp: Pipeline) -> None:
    first, second = nlp(TEACHERS).sentences[0].readings
    probs = {(s.label, s.start, s.end): s.prob for s in (*first.spans, *second.spans)}
    assert probs["NP", 0, 7] == pytest.approx(1.0)
    assert probs["DNP", 0, 5] == pytest.approx(0.55)
    assert probs["DNP", 2, 5] == pytest.approx(0.45)


def test_a_reading_with_other_words_carries_them(nlp: Pipeline) -> None:
    (sentence,) = nlp("乒乓球拍卖完了").sentences
    best, other = sentence.readings
    assert best.tokens is None
    assert other.tokens is not None
    assert [t.text for t in other.tokens] != [t.text for t in sentence.tokens]
    assert "tokens" not in best.to_dict()
    assert [t["text"] for t in other.to_dict()["tokens"]] == [t.text for t in other.tokens]


def test_sentiment_is_expected_over_the_readings(nlp: Pipeline) -> None:
    (sentence,) = nlp("The film is not good.").sentences
    parts = [(r.prob, r.sentiment.score) for r in sentence.readings]
    total = sum(prob for prob, _ in parts)
    expected = sum(prob * score for prob, score in parts) / total
    assert sentence.sentiment.score == pytest.approx(expected)


def test_phrases_are_judged_unless_they_are_not_wanted(nlp: Pipeline) -> None:
    text = "The film is not good."
    judged, spared = nlp(text), nlp(text, phrases=False)
    assert spared.sentiment == judged.sentiment
    scores = [
        [span.sentiment for reading in found.sentences[0].readings for span in reading.spans]
        for found in (judged, spared)
    ]
    assert any(scores[0])
    assert scores[1] == [0.0] * len(scores[0])


def test_the_text_is_as_ambiguous_as_its_worst_sentence(nlp: Pipeline) -> None:
    analysis = nlp("两所大学的老师。\n" + TEACHERS)
    assert [s.ambiguity.kind for s in analysis.sentences] == [None, "attachment"]
    assert analysis.ambiguity.score == analysis.sentences[1].ambiguity.score
    assert analysis.ambiguity.kind == "attachment"


def test_the_json_has_the_keys_of_the_interface(nlp: Pipeline) -> None:
    value = json.loads(nlp(TEACHERS).to_json())
    assert list(value) == ["schema", "model", "text", "lang", "sentiment", "ambiguity", "sentences"]
    assert value["schema"] == 1
    assert list(value["ambiguity"]) == ["score", "kind"]
    assert list(value["sentiment"]) == ["label", "score", "distribution"]
    (sentence,) = value["sentences"]
    assert list(sentence) == [
        "start",
        "end",
        "tokens",
        "sentiment",
        "ambiguity",
        "readings",
        "omitted",
    ]
    assert list(sentence["tokens"][0]) == ["text", "start", "end", "pos"]
    assert list(sentence["ambiguity"]) == ["score", "entropy", "kind", "sites"]
    assert list(sentence["ambiguity"]["sites"][0]) == ["start", "end", "kind", "alternatives"]
    assert list(sentence["ambiguity"]["sites"][0]["alternatives"][0]) == ["prob", "gloss", "spans"]
    reading = sentence["readings"][0]
    assert list(reading) == ["rank", "prob", "tree", "spans", "gloss", "sentiment"]
    assert list(reading["spans"][0]) == ["label", "start", "end", "prob", "sentiment"]
    assert reading["tree"].startswith("(NP (DNP ")


@pytest.mark.parametrize("text", ["", " ", "\u3000\t ", "\x00\x07", "\u200b"])
def test_a_blank_text_has_no_sentences(nlp: Pipeline, text: str) -> None:
    value = json.loads(nlp(text).to_json())
    assert value["sentences"] == []
    assert value["text"] == text
    assert "error" not in value


def test_bytes_that_are_no_utf8_name_the_byte(nlp: Pipeline) -> None:
    value = json.loads(nlp(b"ab\xffc").to_json())
    assert value == {
        "schema": 1,
        "model": "stand-in",
        "text": "ab\ufffdc",
        "error": "found byte 0xff at byte offset 2, which is no UTF-8 (invalid start byte); "
        "convert the line to UTF-8",
    }


def test_one_bad_line_costs_no_other_line_anything() -> None:
    nlp = standin_pipeline()
    lines = ["It is bad.", f"They {POISON}.", TEACHERS, b"\xff", "", f"{POISON}", "It is good."]
    found = list(nlp.pipe(lines, batch_size=8))
    assert [a.error is not None for a in found] == [False, True, False, True, False, True, False]
    assert found[0] == nlp("It is bad.")
    assert found[2] == nlp(TEACHERS)
    assert found[1].error == "found the poison; expected none"


def test_lines_come_in_order_and_in_batches_across_lines() -> None:
    frontend = TableFrontend()
    nlp = Pipeline(frontend=frontend, meaning=WordMeaning(), name="stand-in")
    lines = [f"It is {'very ' * (i % 7)}good. It is bad." for i in range(50)]
    found = list(nlp.pipe(lines, batch_size=16))
    assert [a.text for a in found] == lines
    assert max(frontend.batches) == 16
    assert sum(frontend.batches) == 100
    assert len(frontend.batches) < 15


def test_a_stream_is_read_no_further_than_a_window_ahead(nlp: Pipeline) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "It is good."

    stream = nlp.pipe(endless(), batch_size=4)
    for _ in range(3):
        next(stream)
    assert taken <= 64
    single = nlp.pipe(endless(), batch_size=1)
    taken = 0
    next(single)
    assert taken == 1


def test_batch_size_changes_nothing(tiny: Path) -> None:
    nlp = treenlp.load(str(tiny))
    lines = ["It is bad.", TEACHERS, "The film is not good. It is good.", "两所大学的老师"]
    alone = [nlp(line) for line in lines]
    together = list(nlp.pipe(lines, batch_size=32))
    for one, other in zip(alone, together, strict=True):
        assert one.sentences[0].readings[0].tree == other.sentences[0].readings[0].tree
        assert one.sentiment.distribution == pytest.approx(other.sentiment.distribution, abs=1e-4)
        assert one.ambiguity.score == pytest.approx(other.ambiguity.score, abs=1e-3)


def test_a_sentence_too_long_for_a_chart_is_joined() -> None:
    nlp = standin_pipeline(max_atoms=10)
    text = "，".join([TEACHERS] * 3)
    (sentence,) = nlp(text).sentences
    assert sentence.joined
    assert sentence.to_dict()["joined"] is True
    best = sentence.readings[0]
    assert best.tree.startswith("(JOINT ")
    assert best.spans[0].label == "JOINT"
    assert (best.spans[0].start, best.spans[0].end) == (0, len(text))
    assert "".join(t.text for t in sentence.tokens) == text
    assert 0.0 <= sentence.omitted <= 1.0


def test_only_one_stretch_varies_in_a_joined_sentence() -> None:
    nlp = standin_pipeline(max_atoms=8)
    words = "The film is not good. " * 1
    analysis = nlp(words.strip())
    assert not analysis.sentences[0].joined
    frontend = TableFrontend(max_atoms=7)
    longer = Pipeline(frontend=frontend, meaning=WordMeaning(), name="stand-in")
    (sentence,) = longer(TEACHERS + "两所大学的老师").sentences
    assert sentence.joined
    assert [r.prob for r in sentence.readings] == pytest.approx([0.55, 0.45])
    assert all(r.tree.count("老师") == 2 for r in sentence.readings)
    assert sentence.ambiguity.kind == "attachment"


def test_tokenized_lines_keep_their_words(tiny: Path) -> None:
    text = "两个 大学的\u00a0老师"
    (sentence,) = treenlp.load(str(tiny))(text, tokenized=True).sentences
    assert [t.text for t in sentence.tokens] == ["两个", "大学的\u00a0老师"]


def test_the_language_can_be_forced(nlp: Pipeline) -> None:
    assert nlp("OK", lang="zh").lang == "zh"
    assert nlp("OK").lang == "en"


def test_choosing_a_reading(nlp: Pipeline) -> None:
    analysis = nlp("乒乓球拍卖完了")
    chosen = analysis.with_reading(2)
    assert [r.rank for r in chosen.sentences[0].readings] == [2]
    assert chosen.sentences[0].tokens == analysis.sentences[0].readings[1].tokens
    assert chosen.ambiguity.score == 0.0
    assert analysis.sentences[0].ambiguity.score > 0.5
    with pytest.raises(InputError, match="found rank 9, expected one of: 1, 2"):
        analysis.with_reading(9)
    with pytest.raises(InputError, match="found sentence 3, expected one below 1"):
        analysis.with_reading(1, sentence=3)


def test_similarity(nlp: Pipeline) -> None:
    assert nlp.similarity("It is good.", "It is good.") == pytest.approx(1.0)
    assert nlp.similarity("It is good.", TEACHERS) < 0.9
    with pytest.raises(InputError, match="found a blank text"):
        nlp.similarity("It is good.", " ")


def test_a_bad_pair_costs_no_other_pair_anything(nlp: Pipeline) -> None:
    pairs = [("a b", "a b"), ("a", POISON), ("", "a"), (b"\xff", b"a"), ("a b", "a b c")] * 5
    found = list(nlp.pipe_similarity(pairs, batch_size=1))
    assert [o.value is None for o in found] == [False, True, True, True, False] * 5
    assert found[0].value == pytest.approx(1.0)


def test_trees_alone(nlp: Pipeline) -> None:
    (outcome,) = nlp.pipe_trees([TEACHERS])
    assert outcome.value is not None
    assert [len(trees) for trees in outcome.value] == [1]
    (outcome,) = nlp.pipe_trees([TEACHERS], with_probs=True)
    assert outcome.value is not None
    assert [t.prob for t in outcome.value[0]] == pytest.approx([0.55, 0.45])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "found k = 0, expected at least 1"),
        ({"min_prob": 1.5}, "found min_prob = 1.5, expected 0 to 1"),
        ({"lang": "fr"}, "found lang = 'fr', expected one of: auto, zh, en"),
    ],
)
def test_wrong_options_are_refused(nlp: Pipeline, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        nlp(TEACHERS, **options)  # type: ignore[arg-type]


def test_a_missing_model_is_named() -> None:
    with pytest.raises(ModelError, match="found no model 'nowhere', expected one of"):
        treenlp.load("nowhere")


def test_truncated_weights_are_named(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = broken / "parser.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="parser.safetensors"):
        treenlp.load(str(broken))


def test_weights_of_another_version_are_named(tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in tiny.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    config["version"] = "tiny-2"
    (other / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="holds weights of version 'tiny', expected 'tiny-2'"):
        treenlp.load(str(other))


HARD = [
    "x" * 20_000,
    "a\x00b\x1bc",
    "lone \ud800 surrogate \udfff",
    "👍🏽 👨\u200d👩\u200d👧 好",
    "我用 Python 写 program，OK？",
    "\ufeff他说：“hello world”。",
    "٣ ünïcødé 漢字 かな हिन्दी",
    "(-LRB- [x] {y})",
    "e\u0301\u0301\u0301 \u0301",
    "a\u2028b\u0085c\x0cd",
]


@pytest.mark.parametrize("text", HARD, ids=range(len(HARD)))
def test_hard_input_through_a_real_model(tiny_nlp: Pipeline, text: str) -> None:
    analysis = tiny_nlp(text)
    assert analysis.error is None
    line = analysis.to_json()
    assert json.loads(line.encode("utf-8"))["text"] == text
    assert len(line.splitlines()) == 1
    for sentence in analysis.sentences:
        for token in sentence.tokens:
            assert token.text == text[token.start : token.end]


@pytest.mark.slow
def test_twenty_thousand_characters_without_a_space(tiny: Path) -> None:
    text = "字" * 20_000
    (sentence,) = treenlp.load(str(tiny))(text).sentences
    assert sentence.joined
    assert sum(len(token.text) for token in sentence.tokens) == 20_000


@given(st.text(max_size=40))
def test_any_text_is_answered_with_exact_offsets(tiny_nlp: Pipeline, text: str) -> None:
    analysis = tiny_nlp(text)
    assert analysis.text == text.removesuffix("\n").removesuffix("\r")
    assert analysis.error is None
    for sentence in analysis.sentences:
        assert 0 <= sentence.start < sentence.end <= len(analysis.text)
        for token in sentence.tokens:
            assert token.text == analysis.text[token.start : token.end]
    json.loads(analysis.to_json().encode("utf-8"))


def test_the_label_of_a_distribution() -> None:
    assert Sentiment(distribution=(0.3, 0.2, 0.1, 0.2, 0.2)).label == "very negative"
    assert Sentiment(distribution=(0.0, 0.5, 0.5, 0.0, 0.0)).label == "neutral"
    assert Sentiment(distribution=(0.0, 0.1, 0.8, 0.1, 0.0)).score == pytest.approx(0.0)
    assert Sentiment(distribution=(0.0, 0.0, 0.0, 0.0, 1.0)).score == 1.0
    with pytest.raises(InputError, match="found 2 sentiment probabilities, expected 5"):
        Sentiment.of([0.5, 0.5])


def test_json_never_holds_what_utf8_or_a_line_reader_cannot_take() -> None:
    line = Analysis(text="\ud800\u2028\x85\n", lang="en", model="m", error="e").to_json()
    assert line.encode("utf-8").isascii()
    assert json.loads(line)["text"] == "\ud800\u2028\x85\n"


def test_loading_draws_no_initial_weights(tiny: Path) -> None:
    code = (
        "import sys, torch\n"
        "import treenlp.pipeline\n"
        "before = len(sys.modules)\n"
        f"treenlp.load({str(tiny)!r})('The film is good.')\n"
        "print(len(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100
