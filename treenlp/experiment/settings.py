"""Values of a configuration, from TOML or the command line, checked against its fields."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from treenlp.errors import ConfigError

__all__ = ["with_setting", "with_values"]

Config = TypeVar("Config")


def with_values(config: Config, values: Mapping[str, Any], place: str = "") -> Config:
    """Replace fields of a frozen dataclass by values of the same types.

    Args:
        config: numbers, booleans, strings, tuples of these, and dataclasses of such fields.
        values: by name; of a field that is a dataclass a mapping.
        place: name of the whole and a dot, for errors.

    Returns:
        The changed copy; what is not named stays.

    Raises:
        ConfigError: at an unknown name (the nearest one is given) or a value of another type.
    """
    known = {part.name: getattr(config, part.name) for part in fields(config)}  # type: ignore[arg-type]
    hints = get_type_hints(type(config))
    changed: dict[str, Any] = {}
    for name, value in values.items():
        full = f"{place}{name}"
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"found the key {full!r}; did you mean {place}{near}? Expected one of: "
                f"{', '.join(known)}"
            )
        if is_dataclass(known[name]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"found {full} = {value!r}, expected a table [{full}]")
            changed[name] = with_values(known[name], value, f"{full}.")
        elif isinstance(known[name], tuple):
            if not isinstance(value, list):
                raise ConfigError(f"found {full} = {value!r}, expected a list")
            kind = get_args(hints[name])[0]
            changed[name] = tuple(_typed(full, element, kind) for element in value)
        else:
            changed[name] = _typed(full, value, type(known[name]))
    found: Config = replace(config, **changed)  # type: ignore[type-var]
    return found


def with_setting(config: Config, setting: str) -> Config:
    """Change one value by ``name=value`` or ``part.name=value``.

    Args:
        config: as in `with_values`.
        setting: the value as TOML; quotes may be left out.

    Raises:
        ConfigError: as in `with_values`, or without an equals sign.
    """
    name, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError(f"found the setting {setting!r}, expected NAME=VALUE")
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        value = text
    values: dict[str, Any] = {name.split(".")[-1]: value}
    for part in reversed(name.split(".")[:-1]):
        values = {part: values}
    return with_values(config, values)


def _typed(name: str, value: object, kind: type) -> object:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(
            f"found {name} = {value!r} (type {type(value).__name__}), expected the type "
            f"{kind.__name__}"
        )
    return value
