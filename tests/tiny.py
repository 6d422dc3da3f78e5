"""A whole model folder with random weights: every file and every code path of a shipped one."""

from __future__ import annotations

import string
from dataclasses import asdict
from pathlib import Path

import torch
from standins import SENTENCES
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import Unigram

from treenlp.encoder import Trunk, TrunkConfig
from treenlp.experiment.recipe import pack
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.scorer import ParserConfig, SpanScorer
from treenlp.tasks.meaning import MeaningConfig, MeaningModel
from treenlp.tasks.whole_text import WholeText, WholeTextConfig
from treenlp.text import Lang
from treenlp.trees.brackets import parse_brackets
from treenlp.trees.transforms import collapse_unary

SIZE = 32


def write_tiny_model(folder: Path) -> Path:
    """Write a model folder of some 100 kB; equal every time."""
    folder.mkdir(parents=True)
    characters = sorted({c for text in SENTENCES for c in text} | set(string.printable) - {" "})
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [(piece, 0.0) for piece in special] + [("\u2581", -3.0)]
    pieces += [(character, -4.0) for character in characters]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    source = folder / "source.json"
    tokenizer.save(str(source))
    generator_state = torch.get_rng_state()
    torch.manual_seed(7)
    trunk_config = TrunkConfig(
        vocab_size=len(pieces),
        hidden_size=SIZE,
        num_layers=3,
        num_heads=2,
        intermediate_size=64,
        max_positions=64,
    )
    trunk = Trunk(trunk_config)
    grammars: dict[Lang, Grammar] = {
        "zh": _grammar("zh", max_word_units=4),
        "en": _grammar("en", max_word_units=1),
    }
    parser_config = ParserConfig(
        fork=1,
        last=2,
        atom_size=SIZE,
        span_size=SIZE,
        word_size=SIZE,
        affinity_rank=2,
        english_rank=16,
        english_last=3,
    )
    meaning_config = MeaningConfig(
        trunk_size=SIZE, hidden_size=SIZE, sentiment_size=SIZE, similarity_size=SIZE
    )
    meaning = MeaningModel(meaning_config)
    whole_text = WholeText(
        WholeTextConfig(first=1, rank=SIZE, side_tree=0.5, grade_tree=0.5), trunk
    )
    torch.nn.init.normal_(whole_text.out.weight)
    scorer = SpanScorer(parser_config, trunk, grammars)
    for layer in scorer.view("en").layers:  # without a change they are the trunk's
        for change in (layer.query_key_value, layer.outer):
            torch.nn.init.normal_(change.up, std=0.1)
    pack(
        folder,
        name="tiny",
        trunk=trunk,
        frozen_layers=1,
        scorer=scorer,
        tokenizer_file=source,
        meaning=meaning.state_dict(),
        meaning_config=asdict(meaning_config),
        whole_text=whole_text,
    )
    torch.set_rng_state(generator_state)
    source.unlink()
    return folder


def _grammar(lang: Lang, *, max_word_units: int) -> Grammar:
    trees = [
        collapse_unary(parse_brackets(brackets))
        for text, options in SENTENCES.items()
        if (text[0] < "\u4e00") == (lang == "en")
        for brackets, _ in options
    ]
    if lang == "zh":
        trees.append(collapse_unary(parse_brackets("(IP (NP (NN 猫)) (VP (VV 跑)) (PU 。))")))
    return Grammar.from_trees(trees, lang=lang, max_word_units=max_word_units)
