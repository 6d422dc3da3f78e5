"""Read Chinese and English sentences as trees: every plausible one, and what each means.

The public names are loaded on first use, so that ``import treenlp`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from treenlp.errors import TreenlpError
    from treenlp.pipeline import Analysis, Pipeline, load
    from treenlp.trees.tree import Tree

__version__ = "0.1.0"

__all__ = ["Analysis", "Pipeline", "Tree", "TreenlpError", "__version__", "load"]

_HOMES = {
    "Analysis": "treenlp.pipeline",
    "Pipeline": "treenlp.pipeline",
    "Tree": "treenlp.trees.tree",
    "TreenlpError": "treenlp.errors",
    "load": "treenlp.pipeline",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(
            f"module 'treenlp' has no attribute {name!r}; it has {', '.join(sorted(__all__))}"
        )
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
