"""Run the command line with ``python -m treenlp``."""

from treenlp.cli import main

if __name__ == "__main__":
    main()
