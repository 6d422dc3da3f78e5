"""Sentences to trees: scores, charts, forests, readings, and the frontends that make them."""

from treenlp.parsing.forest import Forest
from treenlp.parsing.parser import ChartParser, Parser, load_parser
from treenlp.parsing.readings import Reading

__all__ = ["ChartParser", "Forest", "Parser", "Reading", "load_parser"]
