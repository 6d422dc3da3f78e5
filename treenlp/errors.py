"""The exceptions of treenlp.

Every message says what was found, what was expected and what to do about it. All of them
derive from `TreenlpError`, so that a caller can catch everything the package raises on
purpose without catching programming errors.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DataError",
    "GrammarError",
    "InputError",
    "LexiconError",
    "MissingExtraError",
    "ModelError",
    "ShapeError",
    "TreeFormatError",
    "TreenlpError",
]


class TreenlpError(Exception):
    """Base of every exception that treenlp raises on purpose."""


class TreeFormatError(TreenlpError):
    """A file or string that should hold trees is malformed.

    Attributes:
        message: what was found, what was expected and what to do, without the position.
        source: name of the file, or None for a string in memory.
        line: 1-based line number, or None where the tree was not read from text.
        column: 1-based column in code points, or None where only the line is known.

    Example:
        >>> str(TreeFormatError("found ')'", source="a.trees", line=3, column=7))
        "a.trees:3:7: found ')'"
    """

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Keep the parts; `str()` joins them as `source:line:column: message`."""
        super().__init__(message, source, line, column)
        self.message = message
        self.source = source
        self.line = line
        self.column = column

    def __str__(self) -> str:
        """Return the message after as much of its position as is known."""
        position = [] if self.source is None and self.line is None else [self.source or "<string>"]
        if self.line is not None:
            position.append(str(self.line))
            if self.column is not None:
                position.append(str(self.column))
        return f"{':'.join(position)}: {self.message}" if position else self.message

    def __reduce__(
        self,
    ) -> tuple[object, tuple[str, str | None, int | None, int | None]]:
        """Let copies and worker processes keep the keyword-only parts."""
        return _rebuild_format_error, (self.message, self.source, self.line, self.column)


def _rebuild_format_error(
    message: str, source: str | None, line: int | None, column: int | None
) -> TreeFormatError:
    return TreeFormatError(message, source=source, line=line, column=column)


class DataError(TreenlpError):
    """A data set is missing, incomplete, or does not match its recorded checksum."""


class InputError(TreenlpError):
    """The text or argument a caller gave cannot be used."""


class ModelError(TreenlpError):
    """A model folder is missing, damaged, or made for another version."""


class GrammarError(TreenlpError):
    """No tree fits: a label, word or constraint that the grammar cannot cover."""


class ShapeError(TreenlpError):
    """A tensor has the wrong number of axes, or sizes that do not match."""


class ConfigError(TreenlpError):
    """A setting is unknown, has the wrong type, or lies outside its range."""


class LexiconError(TreenlpError):
    """A row of a lexicon file is malformed or contradicts another row."""


class MissingExtraError(TreenlpError):
    """A feature needs a package that is not installed.

    Example:
        >>> str(MissingExtraError("nltk", extra="nltk", feature="to_nltk"))
        "to_nltk needs the package 'nltk', which is not installed; run: pip install treenlp[nltk]"
    """

    def __init__(self, package: str, *, extra: str, feature: str) -> None:
        """Build the message from the package, the extra that brings it, and what needs it."""
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed; "
            f"run: pip install treenlp[{extra}]"
        )
        self.package = package
        self.extra = extra
        self.feature = feature

    def __reduce__(self) -> tuple[object, tuple[str, str, str]]:
        """Let copies and worker processes keep the keyword-only parts."""
        return _rebuild_missing_extra, (self.package, self.extra, self.feature)


def _rebuild_missing_extra(package: str, extra: str, feature: str) -> MissingExtraError:
    return MissingExtraError(package, extra=extra, feature=feature)
