"""The stand-in under the name `spinnaker2`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from . import hardware, snn
from .limits import WINDOW

NAMES = ("spinnaker2", "spinnaker2.snn", "spinnaker2.hardware", "spinnaker2.brian2_sim")


@contextmanager
def stand_in(window: int = WINDOW) -> Iterator[ModuleType]:
    """`import spinnaker2` gives the stand-in within the block, and what it gave before after it.

    window : bytes of data memory of a core; the older map of the memory has 44,992

    >>> with stand_in():  # doctest: +ELLIPSIS
    ...     from spinnaker2 import snn
    ...     snn.Population(size=2, neuron_model="lif_fugu", params={}, name="a")
    Traceback (most recent call last):
    s2nir.errors.ExportError: Population 'a': neuron_model 'lif_fugu' is not known; known are 'spike_list', 'lif', ...
    """
    machines = hardware.machines(window)
    made = {name: ModuleType(name) for name in NAMES}
    top = made["spinnaker2"]
    for name in NAMES[1:]:
        setattr(top, name.split(".")[1], made[name])
    for kind in (snn.Population, snn.Projection, snn.Conv2DProjection, snn.Network):
        setattr(made["spinnaker2.snn"], kind.__name__, kind)
    for name, maker in machines.items():
        home = "spinnaker2.brian2_sim" if name == "Brian2Backend" else "spinnaker2.hardware"
        setattr(made[home], name, maker)
    before = {name: sys.modules.pop(name, None) for name in NAMES}
    sys.modules.update(made)
    try:
        yield top
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module
