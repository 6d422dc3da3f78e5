"""Words to vectors: the bundled trunk, its pieces and its quantised weights."""

from treenlp.encoder.pieces import PieceBatch, Pieces, PieceTokenizer
from treenlp.encoder.quantize import (
    QuantizedEmbedding,
    QuantizedTensor,
    load_table,
    load_weights,
    quantize,
    save_weights,
)
from treenlp.encoder.trunk import EncoderLayer, Trunk, TrunkConfig, run_layers

__all__ = [
    "EncoderLayer",
    "PieceBatch",
    "PieceTokenizer",
    "Pieces",
    "QuantizedEmbedding",
    "QuantizedTensor",
    "Trunk",
    "TrunkConfig",
    "load_table",
    "load_weights",
    "quantize",
    "run_layers",
    "save_weights",
]
