"""Which models are at hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from treenlp.errors import ModelError

__all__ = ["ModelCard", "model_directory", "shipped_models"]

_SHIPPED = Path(__file__).parent / "models"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A model that is installed.

    Attributes:
        name: what `treenlp.load` takes.
        directory: where its files are.
        size: of all its files, in bytes.
        licence: of its weights.
        data: names of the sets that they learned from, as `treenlp.data.registry` has them.
    """

    name: str
    directory: Path
    size: int
    licence: str
    data: tuple[str, ...]


def shipped_models() -> list[ModelCard]:
    """List the models inside the package, by name.

    Raises:
        ModelError: if a configuration cannot be read.
    """
    cards = []
    for path in sorted(_SHIPPED.glob("*/config.json")):
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} is not readable JSON ({error}); reinstall treenlp") from error
        files = [file for file in path.parent.rglob("*") if file.is_file()]
        cards.append(
            ModelCard(
                name=path.parent.name,
                directory=path.parent,
                size=sum(file.stat().st_size for file in files),
                licence=str(config.get("licence", "see card.md")),
                data=tuple(map(str, config.get("data", ()))),
            )
        )
    return cards


def model_directory(model: str) -> Path:
    """Find a model by its name, or by the path of its directory.

    Args:
        model: name of a shipped model, or path of a directory with a config.json.

    Raises:
        ModelError: if there is none.
    """
    for directory in (_SHIPPED / model, Path(model)):
        if (directory / "config.json").is_file():
            return directory
    names = sorted(path.parent.name for path in _SHIPPED.glob("*/config.json"))
    raise ModelError(
        f"found no model {model!r}, expected one of: {', '.join(names) or 'none is installed'}; "
        "name one of them or give the path of a directory that holds config.json"
    )
