"""Rows of several seeds as one table, and the gaps between them with paired intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .energy import ASSUMED
from .rows import Row, rows
from .sets import Source

CONFIDENCE = 0.95
CHOICE = "each training keeps the epoch with the best accuracy on the validation split; the test split chooses nothing"


def summarize(source: Source, facts: dict[str, Any], seeds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """All that the page and the figure show, as plain values.

    seeds : by seed, what was kept of each row
    """
    preset = source.preset
    table = [_line(row, [kept[row.name] for kept in seeds]) for row in rows(preset)]
    return {
        "kind": "s2nir benchmark",
        "schema": 1,
        "data": source.said,
        "synthetic": source.synthetic,
        "plan": preset.to_dict(),
        "made_with": facts,
        "choice": CHOICE,
        "energy": f"an estimate; {ASSUMED}",
        "rows": table,
        "labels": seeds[0]["float"]["labels"],
        "gaps": [_gap(row, seeds) for row in rows(preset) if row.integer and row.whole],
        "seeds": [{n: {k: one[k] for k in ("decisions", "accuracy", "recordings")} for n, one in kept.items()}
                  for kept in seeds],
    }


def _line(row: Row, kept: list[dict[str, Any]]) -> dict[str, Any]:
    """One row over all seeds: means, and the spread of the accuracy."""
    accuracy = np.array([k["accuracy"] for k in kept])
    line: dict[str, Any] = {
        "row": row.name, "kind": row.kind, "bits": row.bits, "percentile": row.percentile, "per": row.per,
        "recordings": kept[0]["recordings"], "accuracy": float(accuracy.mean()),
        "accuracy_spread": float(accuracy.std(ddof=1)) if len(kept) > 1 else None,
        "accuracy_by_tick": np.mean([k["accuracy_by_tick"] for k in kept], axis=0).round(4).tolist(),
        "settled_tick_median": float(np.mean([k["settled_tick_median"] for k in kept])),
        "spikes_per_recording": _mean_of(kept, "spikes_per_recording"), "rate": _mean_of(kept, "rate"),
    }
    if row.integer:
        for name in ("cores", "cores_input", "sram_bytes", "lag_ticks"):
            line[name] = float(np.mean([one[name] for one in kept]))
        line["energy_j"] = np.mean([k["energy_j"] for k in kept], axis=0).tolist()
        line["differing"] = {n: sum(k["differing"][n] for k in kept) for n in kept[0]["differing"]}
        line["divergence"] = [k["divergence"] for k in kept]
    return line


def _mean_of(kept: list[dict[str, Any]], name: str) -> dict[str, float]:
    return {p: float(np.mean([k[name][p] for k in kept])) for p in kept[0][name]}


def _gap(row: Row, seeds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Float minus quantized, in points, paired by seed and recording."""
    differences = []
    for kept in seeds:
        labels = _bytes(kept["float"]["labels"])
        right = [_bytes(kept[n]["decisions"]) == labels for n in ("float", row.name)]
        differences.append(right[0].astype(np.float64) - right[1].astype(np.float64))
    low, high = interval(np.array(differences) * 100)
    return {"row": row.name, "points": float(np.mean(differences) * 100), "low": low, "high": high}


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of the mean of paired differences (seeds, recordings), of a t distribution over recordings.

    A recording's differences are averaged over the seeds first: seeds share their recordings, so only recordings are
    independent of each other.

    >>> low, high = interval(np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]]))
    >>> round(low, 4), round(high, 4)
    (-0.4187, 1.4187)
    """
    each = differences.mean(axis=0)
    mean, n = float(each.mean()), each.size
    if n < 2:
        return mean, mean
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * float(each.std(ddof=1)) / math.sqrt(n)
    return mean - half, mean + half


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(text), np.uint8)
