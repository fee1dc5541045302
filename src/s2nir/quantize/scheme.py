"""How a Graph becomes integers: the options of post-training quantization."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from numbers import Integral

from ..errors import QuantizeError
from ..fixedpoint import Rounding

AUTO_CANDIDATES = (99.0, 99.5, 99.9, 99.99, 100.0)


class Per(enum.Enum):
    """What shares one scale: a population, or an output channel (a neuron where there are no channels)."""

    POPULATION = "population"
    CHANNEL = "channel"


class Overflow(enum.Enum):
    """What becomes of a weight over the limit: held at it, or wrapped as an int8 register would."""

    CLIP = "clip"
    WRAP = "wrap"


class BiasPath(enum.Enum):
    """Where the bias of a current-based neuron acts: in the synapse as NIR has it, or as a membrane offset."""

    SYNAPSE = "synapse"
    MEMBRANE = "membrane"


@dataclass(frozen=True, slots=True, kw_only=True)
class PTQ:
    """Percentile scaling of weights and thresholds together.

    g = Q / percentile(|w|) with Q = 2**(bits-1) - 1; weights become round(g w), thresholds, leak, bias and v_reset are
    scaled alike.

    percentile : 0 < p <= 100, or "auto": chosen per population on calibration data from `AUTO_CANDIDATES`
    bits : 2 to 8, or "s4" for -15..15, the weight of the delay word
    per : "channel" or "population"
    rounding : "half_even" or "toward_zero"
    overflow : "clip" or "wrap"
    bias : "synapse" or "membrane"
    keep_v_reset : False puts 0 in its place

    >>> PTQ(bits=4).limit, PTQ(bits="s4").limit
    (7, 15)
    """

    percentile: float | str = 100.0
    bits: int | str = 8
    per: Per | str = Per.CHANNEL
    rounding: Rounding | str = Rounding.HALF_EVEN
    overflow: Overflow | str = Overflow.CLIP
    bias: BiasPath | str = BiasPath.SYNAPSE
    keep_v_reset: bool = True

    def __post_init__(self) -> None:
        for name, kind in (("per", Per), ("rounding", Rounding), ("overflow", Overflow), ("bias", BiasPath)):
            try:
                object.__setattr__(self, name, kind(getattr(self, name)))
            except ValueError:
                allowed = ", ".join(repr(k.value) for k in kind)
                raise QuantizeError(f"PTQ.{name}: found {getattr(self, name)!r}, allowed {allowed}") from None
        if self.bits != "s4" and (not isinstance(self.bits, Integral) or not 2 <= self.bits <= 8):
            raise QuantizeError(f'PTQ.bits: found {self.bits!r}, allowed 2 to 8 or "s4"')
        if self.percentile != "auto" and (isinstance(self.percentile, str) or not 0 < self.percentile <= 100):
            raise QuantizeError(f'PTQ.percentile: found {self.percentile!r}, allowed above 0 up to 100, or "auto"')

    @classmethod
    def board(cls, percentile: float = 100.0) -> PTQ:
        """What py-spinnaker2's importer does today: one scale per population, truncation, wrapping, no v_reset."""
        return cls(
            percentile=percentile,
            per=Per.POPULATION,
            rounding=Rounding.TOWARD_ZERO,
            overflow=Overflow.WRAP,
            bias=BiasPath.MEMBRANE,
            keep_v_reset=False,
        )

    @property
    def limit(self) -> int:
        """Q, the largest integer weight."""
        return 15 if isinstance(self.bits, str) else 2 ** (self.bits - 1) - 1

    @property
    def rules(self) -> dict[str, str]:
        """The options as text, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {n: str(v.value if isinstance(v, enum.Enum) else v) for n, v in values.items()}

    def __str__(self) -> str:
        assert isinstance(self.per, Per)
        assert isinstance(self.rounding, Rounding)
        assert isinstance(self.overflow, Overflow)
        assert isinstance(self.bias, BiasPath)
        words = [f"PTQ bits {self.bits}, percentile {self.percentile}, per {self.per.value}", self.rounding.value]
        if self.overflow is Overflow.WRAP:
            words.append("overflow wraps")
        if self.bias is BiasPath.MEMBRANE:
            words.append("bias in the membrane")
        if not self.keep_v_reset:
            words.append("v_reset dropped")
        return ", ".join(words)
