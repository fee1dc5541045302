"""What the published programs take and hold: models, parameters, words, bytes. [P], [U] as in machine/spinnaker2.py."""

from __future__ import annotations

from typing import NamedTuple


class Model(NamedTuple):
    """A neuron program.

    weight : the largest weight of a synapse word; delay : the largest delay; ring : bytes of delay ring per neuron
    needed : parameters that must be given; allowed : those that may be
    """

    weight: int
    delay: int
    ring: int
    needed: frozenset[str]
    allowed: frozenset[str]

    @property
    def current_based(self) -> bool:
        return "exc_decay" in self.needed


LIF = frozenset({"threshold", "alpha_decay", "i_offset", "v_reset", "reset"})
CURRENT = LIF | {"exc_decay", "inh_decay", "t_refrac"}
START = frozenset({"v_init"})
MODELS = {
    "lif": Model(15, 7, 64, LIF, LIF | START),  # [P]
    "lif_no_delay": Model(127, 0, 0, LIF, LIF | START),  # [P]; its word [U]
    "lif_curr_exp": Model(15, 7, 64, CURRENT, CURRENT | START),  # [P]
    "lif_curr_exp_no_delay": Model(127, 0, 0, CURRENT, CURRENT | START),  # [P]; its word [U]
    "lif_conv2d": Model(127, 0, 0, LIF, LIF | START),  # [P] host side
}
SOURCES = "spike_list"
RESETS = ("reset_by_subtraction", "reset_to_v_reset")
RECORDS = ("spikes", "v")
GEOMETRY = ("in_height", "in_width", "stride_x", "stride_y", "pool_x", "pool_y", "pad_top", "pad_bottom", "pad_left",
            "pad_right")

WINDOW = 67_328  # bytes of data memory of a core [U]; the older map has 44,992 [P]
CORES = {"SpiNNaker2Chip": 148, "SpiNNcloud48NodeBoard": 7_104}  # [P]
MOST_PER_CORE = 256  # targets that a row word can name [P]
PER_CORE = 250  # by default [P]

HEAD = 64  # bytes ahead of the tables [U]
ENTRY, ROW, PAIR_OF_WORDS = 12, 12, 4  # population table and synapse rows [P]
NEURON = 48  # parameters, state and input buffer [P]
CONV_ENTRY, CONV_GEOMETRY = 12, 16  # [U]
PACKET = TICK = 4  # of a spike list [U]


def spike_record(neurons: int) -> int:
    """Bytes of a spike record, per tick [P]."""
    return 4 * ((neurons + 31) // 32 + 2)


def voltage_record(neurons: int) -> int:
    """Bytes of a voltage record, per tick [P]."""
    return 4 * (1 + neurons)
