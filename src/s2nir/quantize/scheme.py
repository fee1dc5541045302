"""How a network becomes integers: the options of post-training quantization, and of training that knows of it."""

from __future__ import annotations

import enum
import warnings
from dataclasses import dataclass, fields
from typing import Any

from ..arguments import Number, Whole, flag, settle
from ..errors import QuantizeError, S2NirWarning
from ..fixedpoint import Arithmetic, Rounding

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
            _member(self, name, kind)
        settle(self, QuantizeError, keep_v_reset=flag)
        if not _is(self.bits, "s4"):
            settle(self, QuantizeError, bits=Whole(2, 8, also=' or "s4"'))
        _percentile("PTQ", self.percentile)

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
        return _as_text(self)

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


class Threshold(enum.Enum):
    """What becomes of a threshold in training: it is scaled with the weights, or learned as well."""

    SCALED = "scaled"
    LEARNED = "learned"


class ScaleRule(enum.Enum):
    """Where a scale comes from in training: a moving average of a percentile of |w|, or gradients [Esser2020]."""

    EMA = "ema"
    LSQ = "lsq"


@dataclass(frozen=True, slots=True, kw_only=True)
class QAT:
    """Quantization-aware training: weights and thresholds are in integers while they are trained.

    bits : 2 to 8
    per : "channel" or "population"
    threshold : "scaled" keeps the threshold and scales it with the weights; "learned" trains it, one per scale
    scale : "ema" follows a percentile of the weights; "lsq" learns the step [Esser2020]
    percentile : 0 < p <= 100 of |w|, or "auto": per scale, the one of least squared error of the weights
    momentum : 0 <= m < 1, what the moving average keeps at each step of the optimizer
    arithmetic : the state format that `eval()` runs in, "float32" or "fixed"

    >>> QAT(bits=4).limit
    7
    """

    bits: int = 8
    per: Per | str = Per.CHANNEL
    threshold: Threshold | str = Threshold.SCALED
    scale: ScaleRule | str = ScaleRule.EMA
    percentile: float | str = "auto"
    momentum: float = 0.9
    arithmetic: Arithmetic | str = Arithmetic.FLOAT32

    def __post_init__(self) -> None:
        kinds = (("per", Per), ("threshold", Threshold), ("scale", ScaleRule), ("arithmetic", Arithmetic))
        for name, kind in kinds:
            _member(self, name, kind)
        settle(self, QuantizeError, bits=Whole(2, 8))
        _percentile("QAT", self.percentile)
        if Number(0, 1)(self.momentum, "QAT.momentum", QuantizeError) == 1:
            raise QuantizeError(f"QAT.momentum: found {self.momentum!r}, allowed from 0 to below 1")

    @property
    def limit(self) -> int:
        """Q, the largest integer weight."""
        return int(2 ** (self.bits - 1) - 1)

    @property
    def rules(self) -> dict[str, str]:
        """The options as text, by name."""
        return _as_text(self)

    def __str__(self) -> str:
        r = self.rules
        return f"QAT bits {r['bits']}, per {r['per']}, threshold {r['threshold']}, scale {r['scale']}"


def _member(options: PTQ | QAT, name: str, kind: type[enum.Enum]) -> None:
    """An option given as text becomes a member of its enumeration."""
    try:
        object.__setattr__(options, name, kind(getattr(options, name)))
    except ValueError:
        allowed = ", ".join(repr(k.value) for k in kind)
        found = f"{type(options).__name__}.{name}: found {getattr(options, name)!r}"
        raise QuantizeError(f"{found}, allowed {allowed}") from None


def _is(value: Any, word: str) -> bool:
    return isinstance(value, str) and value == word


def _percentile(owner: str, value: float | str) -> None:
    if _is(value, "auto"):
        return
    if Number(0, 100, above=True, also=', or "auto"')(value, f"{owner}.percentile", QuantizeError) <= 1:
        warnings.warn(
            f"{owner}.percentile: {value!r} clips nearly every weight; it counts from 0 to 100. For the "
            f"{float(value):.4g} quantile pass {100 * float(value):.6g}.", S2NirWarning, stacklevel=4,
        )


def _as_text(options: PTQ | QAT) -> dict[str, str]:
    values = {f.name: getattr(options, f.name) for f in fields(options)}
    return {n: str(v.value if isinstance(v, enum.Enum) else v) for n, v in values.items()}
