"""What each rule of board mode costs on the Braille network with biases: one turned on alone, and one turned off alone.

    python examples/board_rules.py --shared ../shared

--shared : a folder with models/braille_noDelay_bias_zero.nir and data/braille/letters.npz (578 real letters)
"""

import argparse
from pathlib import Path

import numpy as np

import s2nir

RULES = {  # what the board's importer does, against what s2nir does by itself
    "one scale per population": ("per", "population", "channel"),
    "truncation toward zero": ("rounding", "toward_zero", "half_even"),
    "bias in the membrane": ("bias", "membrane", "synapse"),
    "constants from tick 0": ("onset", "board", "aligned"),
}


def right(graph: s2nir.Graph, spikes: np.ndarray, labels: np.ndarray, rules: dict[str, str]) -> float:
    """Share of letters decided as labelled, with some rules of the board."""
    scheme = s2nir.PTQ(**{k: v for k, v in rules.items() if k != "onset"})
    image = s2nir.compile(s2nir.quantize(graph, scheme), onset=rules["onset"])
    return float((s2nir.run(image, spikes, threads=2).decisions("lif2") == labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    folder = parser.parse_args().shared
    with np.load(folder / "data" / "braille" / "letters.npz") as z:
        spikes, labels = np.unpackbits(z["x"], axis=-1)[..., :12], z["y"]
    graph = s2nir.load(folder / "models" / "braille_noDelay_bias_zero.nir", reset="zero")
    floats = float((graph.simulate(spikes).decisions("lif2") == labels).mean())
    board = {name: rule[1] for name, rule in ((r[0], r) for r in RULES.values())}
    ours = {name: rule[2] for name, rule in ((r[0], r) for r in RULES.values())}
    print(f"floats {floats:.2%}, s2nir {right(graph, spikes, labels, ours):.2%}, "
          f"board mode {right(graph, spikes, labels, board):.2%}")
    print(f"{'rule of the board':28} {'alone':>8} {'all but it':>11}")
    for said, (name, on, off) in RULES.items():
        alone = right(graph, spikes, labels, ours | {name: on})
        without = right(graph, spikes, labels, board | {name: off})
        print(f"{said:28} {alone:8.2%} {without:11.2%}")


if __name__ == "__main__":
    main()
