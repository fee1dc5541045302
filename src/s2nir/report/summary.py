"""The Report on a run: what it says, as text and as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..emulate import Recording


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """A report on one Recording."""

    recording: Recording

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        image = self.recording.image
        return {"image": image.digest, "fit": image.fit(), "packets": self.recording.packets}


def report(recording: Recording) -> Report:
    """The Report on a Recording."""
    return Report(recording=recording)
