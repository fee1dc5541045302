"""Random networks on random machines, in full: every pair of choices at least 20 times.

    python benchmarks/machines.py --networks 300

Each network runs under four combinations of machine (one chip, one board, 24 boards, a faulty board, three boards with
default routes), placer, router, minimiser and form of rows. Every key that is in use must come to each core that has
something for it, once, and to no other, by a walker in plain Python; and every membrane must be the one of the oracle,
which knows no cores. The suite runs 75 of them (tests/conformance/test_machines.py).
"""

import argparse
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests")]

from conformance.test_machines import fewest, random_networks  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=300)
    args = parser.parse_args()
    begin = time.perf_counter()
    done, ended, apart = random_networks(args.networks)
    print(f"{args.networks} networks, {sum(apart.values())} images, {apart[True]} of them on more than two chips, "
          f"{time.perf_counter() - begin:.0f} s")
    print(f"the rarest pair of choices occurred {fewest(done)} times")
    print("others ended by a rule:", ", ".join(f"{rule} {n}" for rule, n in sorted(ended.items())) or "none")


if __name__ == "__main__":
    main()
