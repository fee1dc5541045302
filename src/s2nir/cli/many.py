"""The commands that go over a whole data set: `evaluate` and `sweep`, on threads or on a cluster."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..cluster import connected, data_of
from ..cluster import evaluate as on_all
from ..cluster import sweep as over_all
from ..frontend import load
from ..mapping import MachineImage
from .commands import Answer, can_write, is_image, loading, named_spikes, no_image
from .console import Console
from .parser import FITS, WrongUse
from .spikefiles import read_spikes


def evaluate(args: argparse.Namespace, out: Console) -> Answer:
    """An image on a whole data set."""
    if not is_image(args.file) and Path(args.file).is_file():
        raise WrongUse(f"{args.file} is no image; make one with `s2nir map {args.file} -o model.s2.h5`")
    image = MachineImage.load(args.file)
    data = data_of(image, _data(args, image.inputs), None)
    with connected(args.scheduler) as client, out.progress("evaluate", data.n) as done:
        found = on_all(image, data, client, threads=args.threads, piece=args.piece, progress=done)
    out.say(str(found))
    return {"file": args.file, "data": args.data, **found.to_dict()}, FITS


def sweep(args: argparse.Namespace, out: Console) -> Answer:
    """A network under many options."""
    no_image(args)
    can_write(args.output)
    points = dict(args.over)
    if len(points) < len(args.over):
        raise WrongUse("--over: give each option once, with all its values")
    graph = load(args.file, **loading(args))
    fixed = {} if args.calibration is None else {"calibration": named_spikes(args.calibration, graph.inputs)}
    data = _data(args, graph.inputs)
    number = math.prod(len(values) for values in points.values())
    with connected(args.scheduler) as client, out.progress("sweep", number) as done:
        found = over_all(graph, data, points, client, threads=args.threads, like=args.like, file=args.output,
                         progress=done, **fixed)
    head, lines = found.lines()
    out.table(head, lines, f"{args.file}, {len(lines)} points")
    if args.output:
        out.say(f"written: {args.output}")
    return {"file": args.file, "data": args.data, "output": args.output, "rows": list(found.rows)}, FITS


def _data(args: argparse.Namespace, inputs: Sequence[Any]) -> tuple[Any, Any]:
    """Spikes and labels from files."""
    labels = None if args.labels is None else read_spikes(args.labels)
    return named_spikes(args.data, inputs), labels
