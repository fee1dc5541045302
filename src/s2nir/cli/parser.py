"""The command `s2nir`: check, quantize, map, run, report, evaluate, sweep, export, bench, demo.

Exit codes: 0 fits and runs, 1 a check failed (it does not fit, cannot be quantized, the contract has a gap, a match is
below `--min-match`), 2 wrong use, 3 bad input (a file that cannot be read, or that is not what it should be).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from ..errors import ImageError, InputError, LoadError, S2NirError, S2NirWarning

FITS, FAILED, BAD_INPUT, INTERRUPTED, PIPE_CLOSED = 0, 1, 3, 130, 141
RESETS = ("subtract", "zero", "to_value", "none", "snntorch_restored")
COMPARES = (">=", ">")
APPLICATIONS = (
    "auto", "lif", "lif_no_delay", "lif_curr_exp", "lif_curr_exp_no_delay", "lif_conv2d", "lif_curr_exp_conv2d",
    "lif_compact", "lif_curr_exp_compact", "lif_dram", "lif_curr_exp_dram",
)
BOARD = "py-spinnaker2"
MAX_BYTES = 1 << 28
PLACERS = ("sequential", "curve", "exchange", "annealing")
ROUTERS = ("dimension", "nearest", "load")
MINIMISERS = ("auto", "none", "neighbours", "ordered_covering", "expand", "fewest", "any")
RECORDS = ("spikes", "voltages", "time")
WINDOW, MOST_COUNT, MOST_BOARDS = (1024, 98_304), 65_535, 1365
BENCHMARKS = ("dvs-gesture", "nmnist")
MANY = ("evaluate", "sweep")


class WrongUse(Exception):
    """Flags that do not go together; ends as argparse's own errors do."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest word that there is, and where help is in another."""

    commands: dict[str, _Parser]

    def error(self, message: str) -> NoReturn:
        what = "COMMAND [flags]" if " " not in self.prog else "[flags]"
        self.exit(2, f"{self.prog}: {message}\nusage: {self.prog} {what}; `{self.prog} --help` lists all\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"found {value!r}, allowed {_allowed(value, action.choices)}")

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Flags that do not exist are said first: what else is missing may be for want of them."""
        known = [flag for action in self._actions for flag in action.option_strings]
        for word in words:
            flag = word.partition("=")[0]
            if word == "--":
                return
            if flag.startswith("--") and flag not in known:
                near = get_close_matches(flag, [k for k in known if k.startswith("--")], 1, 0.65)
                self.error(f"there is no flag {flag}" + (f"; did you mean {near[0]}?" if near else ""))


def _allowed(word: Any, words: Iterable[Any]) -> str:
    """The allowed words, and the nearest one.

    >>> _allowed("substract", ["subtract", "zero"])
    'subtract, zero; did you mean subtract?'
    """
    known = [str(w) for w in words]
    near = get_close_matches(str(word), known, 1)
    return ", ".join(known) + (f"; did you mean {near[0]}?" if near else "")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    >>> main(["check", "no-such-file.nir", "--json"])
    {"command": "check", "error": {"kind": "LoadError", "message": "no-such-file.nir: there is no such file"}}
    3
    """
    top = parser()
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] in top.commands:
        top.commands[words[0]].refuse_unknown(words[1:])
    args, rest = top.parse_known_args(words)
    if rest:
        top.commands[args.command].error(f"found {' '.join(rest)}, which is no flag and has no place")
    from .console import Console

    out = Console(as_json=args.json)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name from a file must not end the command on a narrow terminal
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("always", S2NirWarning)
        warnings.showwarning = out.warn
        try:
            answer, code = _command(args.command)(args, out)
            error: Exception | None = None
            if not args.json:
                sys.stdout.flush()
        except KeyboardInterrupt:
            out.message("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            return _reader_gone()
        except WrongUse as found:
            top.commands[args.command].error(str(found).removeprefix(f"{args.command}: "))
        except (LoadError, InputError, ImageError, OSError) as found:
            error, code = found, BAD_INPUT
        except S2NirError as found:
            error, code = found, FAILED
    if error is not None:
        answer = {"error": {"kind": type(error).__name__, "message": str(error)}}
        out.message(f"s2nir {args.command}: {error}")
    if args.json:
        _print_json({"command": args.command, **answer, **({"warnings": out.warned} if out.warned else {})})
    return code


def _command(name: str) -> Callable[..., tuple[dict[str, Any], int]]:
    from . import commands, many

    found: Callable[..., tuple[dict[str, Any], int]] = getattr(many if name in MANY else commands, name)
    return found


def _print_json(answer: dict[str, Any]) -> None:
    try:
        print(json.dumps(answer, allow_nan=False), flush=True)
    except BrokenPipeError:
        _reader_gone()


def _reader_gone() -> int:
    """Whoever read the answer has seen enough; nothing more can be said there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def parser() -> _Parser:
    """The whole command line; flags are named as the arguments of s2nir.load, PTQ, quantize, compile and run."""
    top = _Parser(
        prog="s2nir",
        description="Spiking networks from NIR to SpiNNaker2: check, quantize, map, run, report, evaluate, sweep, "
        "export, bench.",
        epilog="Exit codes: 0 fits and runs, 1 a check failed, 2 wrong use, 3 bad input. "
        "`s2nir COMMAND --help` has an example of each.",
    )
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    top.commands = sub.choices
    check = _add(sub, "check", "say what a network is, what its contract lacks, and whether it fits",
                 "s2nir check model.nir --reset zero")
    quantize = _add(sub, "quantize", "make a network integers and say what that does to it",
                    "s2nir quantize model.nir --reset zero --bits 4 --calibration x.npy")
    mapping = _add(sub, "map", "compile a network to an image", "s2nir map model.nir --reset zero -o model.s2.h5")
    run = _add(sub, "run", "run an image, or a network the whole way, on the emulator",
               "s2nir run model.s2.h5 --poisson 0.02 --steps 300 --seed 1 --report run.html")
    report = _add(sub, "report", "run a network in floats and in integers, and report on both",
                  "s2nir report model.nir --reset zero --input x.npy -o run.html --min-match 0.99")
    for command in (check, quantize, mapping, run, report):
        what = "a NIR file, or an image (.s2.h5)" if command in (check, run) else "a NIR file"
        command.add_argument("file", metavar="FILE", help=what)
        _load_flags(command)
        _quantize_flags(command)
    for command in (check, mapping, run, report):
        _compile_flags(command)
    for command in (run, report):
        _run_flags(command)
        _timing_flags(command)
    mapping.add_argument("-o", "--output", metavar="IMAGE", help="the image to write: one HDF5 file, or, "
                         "as NAME.s2, a folder; replaces one of that name")
    mapping.add_argument("--explain", action="store_true", help="say what it takes of each resource, which one ends it "
                         "first, and the cheapest change that lets it fit; needs no -o")
    run.add_argument("-o", "--output", metavar="NPZ", help="spikes to write, (batch, steps, *shape) by population")
    run.add_argument("--report", metavar="FILE", help="report to write: .html, .json or .txt")
    report.add_argument("-o", "--output", metavar="FILE", help="report to write: .html, .json or .txt")
    report.add_argument("--min-match", type=_share, metavar="SHARE",
                        help="exit with 1 where fewer of a population's entries (neuron and step) are alike than this "
                             "share (0 to 1)")
    _many_commands(sub)
    export = _add(sub, "export", "write a script that runs an image on a board by py-spinnaker2",
                  "s2nir export model.s2.h5 x.npy -o run_on_board.py")
    export.add_argument("file", metavar="IMAGE", help="an image (.s2.h5)")
    export.add_argument("spikes", metavar="SPIKES", help="what it is given, as --input of `run`")
    export.add_argument("-o", "--output", metavar="SCRIPT", default="run_on_board.py", help="the script to write; "
                        "its data stand beside it (default run_on_board.py)")
    export.add_argument("--record", action="append", metavar="NAME", help="a population to compare; once or several "
                        "times (default all)")
    export.add_argument("--recording", type=_whole(0), metavar="N", help="which one of several recordings")
    bench = _add(sub, "bench", "train, quantize and deploy a network, and compare all of it on a whole test split",
                 "s2nir bench dvs-gesture --synthetic --preset fast -o bench")
    _bench_flags(bench)
    demo = _add(sub, "demo", "the whole way on a network and events of our own", "s2nir demo -o demo")
    demo.add_argument("-o", "--output", metavar="FOLDER", default="s2nir-demo", help="where the report goes")
    return top


def _add(sub: Any, name: str, words: str, example: str) -> _Parser:
    command: _Parser = sub.add_parser(
        name, help=words, description=f"{words[0].upper()}{words[1:]}.", epilog=f"example: {example}",
        allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return command


def _many_commands(sub: Any) -> None:
    """Commands that go over a whole data set."""
    evaluate = _add(sub, "evaluate", "run an image on a whole data set, on threads or on a cluster",
                    "s2nir evaluate model.s2.h5 x.npy --labels y.npy --threads 4")
    evaluate.add_argument("file", metavar="IMAGE", help="an image (.s2.h5)")
    evaluate.add_argument("--piece", type=_whole(1), metavar="N", help="recordings that are handed out at once")
    sweep = _add(sub, "sweep", "quantize, map and run a network under many options",
                 "s2nir sweep model.nir x.npy --labels y.npy --reset zero --over bits=8,6,4")
    sweep.add_argument("file", metavar="FILE", help="a NIR file")
    sweep.add_argument("--over", action="append", required=True, metavar="NAME=VALUE,...", type=_over,
                       help="an option of PTQ, quantize or compile, and what to try; several times for "
                       "all combinations")
    sweep.add_argument("--calibration", metavar="FILE", help="spikes to calibrate on, .npy or .npz")
    sweep.add_argument("-o", "--output", metavar="FILE", help="rows as lines of JSON; the same command goes on there")
    _load_flags(sweep)
    for command in (evaluate, sweep):
        command.add_argument("data", metavar="DATA", help="spikes (batch, steps, *shape), as --input of `run`")
        command.add_argument("--labels", metavar="FILE", help="the right neuron of each recording, a .npy of whole "
                             "numbers; gives the accuracy")
        where = command.add_mutually_exclusive_group()
        where.add_argument("--threads", type=_whole(1), metavar="N", help="of this process (default: evaluate takes as "
                           "many as there are cores, sweep one)")
        where.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://10.0.0.1:8786")


def _load_flags(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("time and reset (as of s2nir.load)")
    group.add_argument("--dt", type=_positive, metavar="SECONDS", help="time step, where the file does not prove it")
    group.add_argument("--reset", action="append", type=_named(RESETS), metavar="[NAME=]RESET",
                       help=f"{', '.join(RESETS)}; once for all, or several times as NAME=RESET")
    group.add_argument("--reset-late", action="store_true", help="a reset comes one step after its spike")
    group.add_argument("--compare", action="append", type=_named(COMPARES), metavar="[NAME=]COMPARE",
                       help='">" (the default) or ">="; once for all, or several times as NAME=COMPARE')
    group.add_argument("--integrator", choices=("euler", "exponential"), default="euler")
    group.add_argument("--loops", choices=("refuse", "machine"), default="refuse",
                       help="machine: each hop of a loop that no lags exist for takes its tick")
    group.add_argument("--max-bytes", type=_whole(1), default=MAX_BYTES, metavar="N",
                       help="what the file's arrays may take together, as float64 (default 2**28)")
    group.add_argument("--like", choices=(BOARD,), help="as that importer puts it on a board today")


def _quantize_flags(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("integers (as of s2nir.PTQ and s2nir.quantize)")
    group.add_argument("--bits", type=_bits, help='2 to 8, or "s4" for the weight of the delay word (default 8)')
    group.add_argument("--percentile", type=_percentile, help='above 0 up to 100, or "auto" (default 100)')
    group.add_argument("--per", choices=("channel", "population"), help="what shares a scale (default channel)")
    group.add_argument("--arithmetic", choices=("float32", "fixed"), default="float32", help="the format of all state")
    group.add_argument("--calibration", metavar="FILE", help="spikes to calibrate on, .npy or .npz")


def _compile_flags(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("mapping (as of s2nir.compile)")
    group.add_argument("--application", choices=APPLICATIONS, default="auto", help="the program of the cores")
    group.add_argument("--onset", choices=("aligned", "board"), help="when constants start to act (default aligned)")
    group.add_argument("--max-count", type=_whole(1, MOST_COUNT), default=255, metavar="N",
                       help="packets of a source in one tick")
    group.add_argument("--max-relays", type=_whole(0), default=32, metavar="N", help="relay populations allowed")
    group.add_argument("--window", type=_whole(*WINDOW), metavar="BYTES",
                       help="data memory per core, in place of 67328")
    group.add_argument("--boards", type=_boards, metavar="N", help="boards of 48 chips: 1, or a multiple of 3 "
                       "(default: one chip)")
    group.add_argument("--rows", choices=("sram", "dram", "compact"), default="sram", help="where synapse rows are, "
                       "and their form (default sram, as published)")
    group.add_argument("--tick", type=_positive, metavar="SECONDS", help="length of a tick (default 0.001)")
    group.add_argument("--share", type=_part, metavar="SHARE", help="neurons per core, as a share of what fits "
                       "(default 1)")
    group.add_argument("--faults", metavar="FILE", help="JSON of dead cores, chips, links and routers")
    group.add_argument("--place", choices=PLACERS, help="slices to cores (default: exchange on several chips)")
    group.add_argument("--route", choices=ROUTERS, default="load", help="multicast trees (default load)")
    group.add_argument("--minimise", choices=MINIMISERS, default="auto", help="smaller routing tables "
                       "(default auto: where a router would overflow)")
    group.add_argument("--copies", type=_copies, metavar="fill|N", help="copies of the network, each with "
                       "inputs of its own; fill: as many as fit (default 1)")
    group.add_argument("--ticks", type=_whole(1), metavar="N", help="make room for a recording of N ticks")
    group.add_argument("--record", type=_records, default=("spikes",), metavar="WHAT",
                       help="what that room is for: spikes, voltages, time, with commas")


def _run_flags(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("input (one of --input and --poisson)")
    given = group.add_mutually_exclusive_group(required=True)
    given.add_argument("--input", metavar="FILE", help="spikes (steps, *shape) or (batch, steps, *shape) as .npy; "
                       "several inputs as .npz by input name")
    given.add_argument("--poisson", type=_positive, metavar="RATE", help="random packets, RATE per source and step")
    group.add_argument("--steps", type=_whole(1), default=100, metavar="N", help="steps of --poisson (default 100)")
    group.add_argument("--seed", type=_whole(0), default=0, metavar="S", help="seed of --poisson (default 0)")
    group.add_argument("--labels", metavar="FILE", help="the right neuron of each recording, a .npy of whole numbers; "
                       "gives the accuracy")
    group.add_argument("--threads", type=_whole(1), default=1, metavar="N", help="over the recordings; changes no bit")


def _timing_flags(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("time (an estimate)")
    group.add_argument("--timing", choices=("event",), help="event: simulate packets, FIFOs, routers, links, and cores "
                       "that overrun their ticks; by default all cores keep time")
    group.add_argument("--fifo", type=_whole(1), metavar="N", help="packets that a core's FIFO holds (default 512)")
    group.add_argument("--overflow", choices=("drop", "overwrite", "stall"), help="what becomes of more packets "
                       "(default drop)")


def _bench_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", choices=BENCHMARKS, nargs="?", default=BENCHMARKS[0],
                         help="dvs-gesture (the default) or nmnist")
    command.add_argument("--dataset", choices=BENCHMARKS, help="the same as NAME")
    given = command.add_mutually_exclusive_group(required=True)
    given.add_argument("--data", metavar="PATH", help="folder of DVS128 Gesture (IBM's layout or tonic's), or folder "
                       "or file of N-MNIST")
    given.add_argument("--synthetic", action="store_true", help="synthetic gestures, made on the spot")
    command.add_argument("--preset", choices=("fast", "long", "gaps", "paper"), default="fast",
                         help="fast: a first look; long: 1,800 ticks of 1 ms; gaps: 3 seeds, a large test split; "
                         "paper: the paper's steps and epochs")
    command.add_argument("--seeds", type=_whole(1), metavar="N", help="how often all of it is done and trained")
    command.add_argument("-o", "--output", metavar="FOLDER", help="where all of it is kept, also to go on after a kill "
                         "(default s2nir-bench/NAME-PRESET)")
    command.add_argument("--jobs", type=_whole(1), default=1, metavar="N", help="seeds at once, each in a process")
    command.add_argument("--device", choices=("cpu", "cuda"), help="of the training; default a GPU where there is one")


def _named(allowed: tuple[str, ...]) -> Callable[[str], tuple[str | None, str]]:
    """VALUE or NAME=VALUE; the value itself may have an equals sign in it."""

    def parse(text: str) -> tuple[str | None, str]:
        if text in allowed:
            return None, text
        for value in allowed:
            if text.endswith(f"={value}") and len(text) > len(value) + 1:
                return text[: -len(value) - 1], value
        said = _allowed(text.rpartition("=")[2], allowed)
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed (also as NAME=...) {said}")

    return parse


def _over(text: str) -> tuple[str, list[Any]]:
    """NAME=VALUE,VALUE: whole numbers, numbers, none or words.

    >>> _over("bits=8,s4"), _over("window=none,8192")
    (('bits', [8, 's4']), ('window', [None, 8192]))
    """
    name, equals, values = text.partition("=")
    if not name.isidentifier() or not equals or "" in values.split(","):
        raise argparse.ArgumentTypeError(f"found {text!r}, needed NAME=VALUE,VALUE as in bits=8,6,4")
    return name, [_value(v) for v in values.split(",")]


def _value(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return None if text == "none" else text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, needed a number") from None


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text}, needed a number above 0")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"found {text}, needed a share from 0 to 1")
    return value


def _part(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"found {text}, needed a share above 0 up to 1")
    return value


def _boards(text: str) -> int:
    if text not in map(str, (1, *range(3, MOST_BOARDS + 1, 3))):
        raise argparse.ArgumentTypeError(f"found {text}, allowed 1, or a multiple of 3 up to {MOST_BOARDS}")
    return int(text)


def _records(text: str) -> tuple[str, ...]:
    for word in text.split(","):
        if word not in RECORDS:
            raise argparse.ArgumentTypeError(f"found {word!r}, allowed {_allowed(word, RECORDS)}")
    return tuple(text.split(","))


def _percentile(text: str) -> float | str:
    value = text if text == "auto" else _number(text)
    if not isinstance(value, str) and not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f'found {text}, needed above 0 up to 100, or "auto"')
    return value


def _bits(text: str) -> int | str:
    if text not in ("2", "3", "4", "5", "6", "7", "8", "s4"):
        raise argparse.ArgumentTypeError(f'found {text}, needed 2 to 8, or "s4"')
    return text if text == "s4" else int(text)


def _copies(text: str) -> int | str:
    if text != "fill" and not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f'found {text}, needed a whole number from 1 up, or "fill"')
    return text if text == "fill" else int(text)


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            upto = "up" if most is None else f"to {most}"
            raise argparse.ArgumentTypeError(f"found {text}, needed a whole number from {least} {upto}")
        return int(text)

    return parse
