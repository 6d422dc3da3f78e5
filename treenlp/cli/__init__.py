"""The command line: Typer commands over the pipeline, no logic of their own."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the ``treenlp`` command."""
    from treenlp.cli.app import run

    run()
