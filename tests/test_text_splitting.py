"""Ends of sentences and languages, by example and by property."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treenlp.errors import InputError
from treenlp.text import Document, Lang, detect_language, split_sentences
from treenlp.text.characters import is_visible

PIECES = [
    "他来了", "老师", "。", "！", "？", "…", "……", "“", "”", "「", "」", "（", "）", "《", "》",
    "，", "：", "他说", "2.5", "1.", ".", "!", "?", "...", "Mr.", "U.S.", "I", "The end",
    "ok", " ", "  ", "\n", "\r\n", "\u2028", '"', "'", "(", ")", "http://a.cn/?B", "\u200b",
    "\ud800", "\x00", "❤️",
]  # fmt: skip
TEXTS = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=16).map("".join))


def check(sentences: str) -> None:
    """Join the sentences (a bar marks where they end), and expect the same cuts."""
    text = sentences.replace("|", "")
    found = [text[start:end].strip() for start, end in split_sentences(text)]
    assert found == [sentence.strip() for sentence in sentences.split("|")]


@pytest.mark.parametrize(
    "sentences",
    [
        "他来了。|你呢？|真好！！！|走吧",
        "他说：“我走了。|你呢？”|她没有回答。",
        "“你去哪儿？”他问道。|“回家。”|天黑了。",
        "「真的嗎？」|「當然。」",
        "他问“为什么？”然后就走了。|我也走了。",
        "他（真的吗？我不信）走了。|（这是第二句。）|第三句。",
        "《谁动了奶酪？》很好看。|我看了。",
        "我想……|算了。",
        "苹果、香蕉……等水果都有。|还有梨……，很甜。",
        "“你好！”的声音传来。|“是吗？”，他问。",
        "圆周率是3.14。|价格是2.5元.|还行.|再见",
        "真的吗?|我不信!|好吧",
        "我用Python.|他用Java。|微软的.NET不错。",
        "1.打开盒子，取出说明书。|2.读一遍。",
        "请看http://a.cn/?B=C。|谢谢。",
        "走着。|’98年的事。",
    ],
)
def test_chinese(sentences: str) -> None:
    check(sentences)


@pytest.mark.parametrize(
    "sentences",
    [
        "It rains. |Does it? |Yes! |Fine",
        "Mr. Bell met Dr. A. B. Low of Acme Inc. in Paris. |She left.",
        "They live in the U.S. |He does not.",
        "He came at 5 p.m. |Then he left at 6 p.m. on Monday.",
        "It cost $3.50, see Fig. 3 and No. 4. |Cheap, e.g. compared with that.",
        "We sell tea, coffee, etc. |But no milk, sugar, etc. is sold.",
        "That was Plan B. |It failed.",
        "Well... maybe. |Or not... |Who knows?",
        '"What?" he said. |"Go!" John said. |"So be it." |They went.',
        "“Is it?” |“It is.” |He nodded.",
        "She stayed (why? who knows) at home. |(He left. |Really.) |They met.",
        "1. Introduction to trees. |2. More of them.",
        "i like it. |it is cheap! |really? |yes",
        "It was late.|The bus had gone. |Why?|Because.",
        "Ask at www.example.com. |Or write to a.b@example.com. |Bye.",
        "Smith v. Jones was heard. |I agree with Smith et al. on that.",
        "Yahoo! and others fell. |Stocks rose.",
    ],
)
def test_english(sentences: str) -> None:
    check(sentences)


def test_mixed_lines_and_line_breaks() -> None:
    check("我喜欢它。|I like it very much. |他也是。|OK.")
    assert split_sentences("a\nb\r\n\nc\u2028d") == [(0, 1), (2, 3), (6, 7), (8, 9)]
    assert split_sentences("") == []


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("两个大学的老师", "zh"),
        ("我用Python和TensorFlow做项目", "zh"),
        ("A和B的C", "zh"),
        ("iPhone 手机", "zh"),
        ("Two teachers from a university", "en"),
        ("What does 老师 mean in English?", "en"),
        ("I love 北京", "en"),
        ("。。。", "zh"),
        ("……", "zh"),
    ],
)
def test_language(text: str, lang: Lang) -> None:
    assert detect_language(text) == lang


def test_language_of_a_text_without_letters_is_the_default() -> None:
    assert detect_language("123 :-)") == "en"
    assert detect_language("123 :-)", default="zh") == "zh"
    document = Document.from_text("他二十岁。\n123")
    assert [sentence.lang for sentence in document] == ["zh", "zh"]


@given(TEXTS)
def test_sentences_are_ordered_and_lose_nothing(text: str) -> None:
    place = 0
    for start, end in split_sentences(text):
        assert place <= start < end <= len(text)
        assert not is_visible(text[place:start])
        place = end
    assert not is_visible(text[place:])


@given(TEXTS)
def test_splitting_a_sentence_again_changes_nothing_at_its_edges(text: str) -> None:
    for start, end in split_sentences(text):
        assert split_sentences(text[start:end])[0][0] == 0


@pytest.mark.parametrize("text", [None, b"bytes"])
def test_only_strings(text: object) -> None:
    with pytest.raises(InputError, match="expected a str"):
        split_sentences(text)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected a str"):
        detect_language(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "unit",
    ["a", "中", "。", "a. ", "a.", "“中。”", "(a.)", "（", "(", "“", "!", "A.B", "...", "1. ", "…",
     " ' ", "”他说", "Mr. ", "((.)", "他问“中？”", "a.cn", "www.", "' '", " 　", "…等", "《。"],
)  # fmt: skip
def test_time_is_linear(unit: str) -> None:
    text = (unit * 20_000)[:20_000]
    Document.from_text("warm up. 热身。")
    began = time.perf_counter()
    Document.from_text(text)
    # About 0.09 s at most on a slow machine; something quadratic takes ten times the bound.
    assert time.perf_counter() - began < 1.0
