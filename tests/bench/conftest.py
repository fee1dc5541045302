"""The writer of AEDAT files that the tests of data use."""

from data.conftest import aedat_bytes

__all__ = ["aedat_bytes"]
