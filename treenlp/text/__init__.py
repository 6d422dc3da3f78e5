"""Sentences, atoms, offsets and languages: from the caller's string to what the chart reads."""

from treenlp.text.characters import Lang
from treenlp.text.chinese import chinese_atoms
from treenlp.text.document import Document, Sentence, Token, check_lang
from treenlp.text.english import detokenize, gaps, tokenize_english
from treenlp.text.language import detect_language
from treenlp.text.normalize import normalize, to_simplified
from treenlp.text.splitting import split_sentences

__all__ = [
    "Document",
    "Lang",
    "Sentence",
    "Token",
    "check_lang",
    "chinese_atoms",
    "detect_language",
    "detokenize",
    "gaps",
    "normalize",
    "split_sentences",
    "to_simplified",
    "tokenize_english",
]
