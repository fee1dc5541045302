"""`python -m s2nir.export.stand_in SCRIPT [its arguments]`: the script with the stand-in under `spinnaker2`."""

from __future__ import annotations

import argparse
import runpy
import sys

from ...errors import ExportError
from .install import stand_in
from .limits import WINDOW

CHIP = ["--eth", "stand-in"]


def main() -> int:
    """Run a script; its own exit code, or 1 where a call of it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m s2nir.export.stand_in", description="Run an exported script without a board.",
        epilog="What follows SCRIPT goes to it; by default, --eth stand-in.",
    )
    parser.add_argument("--window", type=int, default=WINDOW, help=f"bytes of data memory of a core (default {WINDOW})")
    parser.add_argument("script", metavar="SCRIPT")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...")
    args = parser.parse_args()
    before, sys.argv = sys.argv, [args.script, *(args.rest or CHIP)]
    try:
        with stand_in(window=args.window):
            runpy.run_path(args.script, run_name="__main__")
    except ExportError as error:
        print(f"stand-in: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"stand-in: {error}", file=sys.stderr)
        return 3
    finally:
        sys.argv = before
    return 0


if __name__ == "__main__":
    sys.exit(main())
