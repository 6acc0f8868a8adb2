"""``python -m equizoo``: the command line."""

import sys

from equizoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
