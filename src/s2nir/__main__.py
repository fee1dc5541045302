"""`python -m s2nir` is the command `s2nir`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
