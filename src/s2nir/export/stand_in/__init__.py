"""A stand-in for py-spinnaker2: the calls that an exported script makes, checked strictly and run in float32.

It is a second implementation, written from what is published of the library and the chip; it shares no code with the
exporter or the emulator. `python -m s2nir.export.stand_in run_on_board.py` runs a script, unchanged, with this in the
place of `spinnaker2`; `stand_in()` does so for a `with` block.
"""

from .install import stand_in

__all__ = ["stand_in"]
