"""Cycles of the loops of a neuron core on a Cortex-M4F, counted: a packet, a synapse word, a neuron, a recorded word.

    apt-get install gcc-arm-none-eabi qemu-system-arm llvm
    python benchmarks/cortex_m4/count.py --json benchmarks/results/cortex-m4.json

kernels.c is compiled (`FLAGS`), run in QEMU one instruction at a time, and every instruction that was executed is
given the cycles of the Cortex-M4 Technical Reference Manual (ARM DDI 0439, tables 3-1 and 7-1, and its load and store
timings): a load takes 2, a load or store behind it 1 where it does not need its result for an address; a store of
fixed offset 1; several registers 1 + n; a branch taken 1 + P; a divide or root of floats 14; the rest 1. Readings:

    least    P = 1, no stalls, every load or store 1 but for the first
    likely   P = 2, a cycle lost where an address comes straight from the result before it, float loads not pipelined
    most     P = 3, as likely, no load pipelined, one wait state for each data access, one for a float result used at
             once

What one unit takes is the slope between two sizes of a case, the rest is what it takes to begin. llvm-mca's model of
the Cortex-M4 is asked about one round of the same inner loops; branches are added with P = 2. Not counted: wait
states of instruction fetch, contention with DMA and the other ports of the SRAM, and interrupts but for their entry
and exit (12 and 12 cycles, DDI 0439, 3.9), which are added to `packet_interrupt`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CPU = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
FLAGS = [*CPU, "-O2", "-ffp-contract=off", "-std=c11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib",
         "-fno-tree-loop-distribute-patterns"]
QEMU = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting", "-singlestep", "-d", "exec,nochain"]
MCA = ["llvm-mca", "-mtriple=thumbv7em", "-mcpu=cortex-m4", "-mattr=+vfp4d16sp", "-iterations=1000"]
READINGS = ("least", "likely", "most")
REFILL = {"least": 1, "likely": 2, "most": 3}
INTERRUPT = 24  # entry and exit
TAPS = 6  # of the pixel of `conv_packet` that meet targets, for each channel


class Instruction(NamedTuple):
    """One line of the disassembly."""

    address: int
    size: int
    name: str
    operands: str

    @property
    def words(self) -> int:
        """Data accesses."""
        if re.match(r"ldm|stm|push|pop|vldm|vstm|vpush|vpop", self.name):
            inside = self.operands[self.operands.index("{") :]
            return len(re.findall(r"\w+", inside))
        if re.match(r"ldrd|strd", self.name):
            return 2
        return 1 if re.match(r"v?ldr|v?str", self.name) else 0

    @property
    def load(self) -> bool:
        return self.name.startswith(("ldr", "vldr")) and not self.name.startswith("ldrd")

    @property
    def store(self) -> bool:
        return self.name.startswith(("str", "vstr")) and not self.name.startswith("strd")

    @property
    def result(self) -> str:
        """The register that is written first; "" for stores, compares and branches."""
        if self.store or self.name.startswith(("cmp", "tst", "b", "cb", "it", "vcmp", "push", "pop", "stm", "ldm")):
            return ""
        return self.operands.split(",")[0].strip()

    def needs(self, register: str) -> bool:
        """Whether its address (of a load or store) or its operands hold a register."""
        held = self.operands[self.operands.find("[") :] if "[" in self.operands else self.operands.partition(",")[2]
        return bool(register) and re.search(rf"\b{register}\b", held) is not None


def cycles(one: Instruction, before: Instruction | None, taken: bool, reading: str) -> int:
    """Cycles of an instruction behind another one."""
    name, words = one.name, one.words
    if name.startswith(("vdiv", "vsqrt")):
        return 14
    total = 1
    if words and not (one.load or one.store):
        total = 1 + words
    elif one.load or one.store:
        floats = name.startswith("v")
        fixed = one.store and not floats and not re.search(r"\[\w+, \w*[a-z]", one.operands)
        behind = before is not None and before.load and not one.needs(before.result)
        if reading != "least" and floats:
            behind = False
        total = 1 if fixed or (behind and reading != "most") or (reading == "least" and behind) else 2
        if reading != "least" and before is not None and not before.words and one.needs(before.result):
            total += 1
    elif reading == "most" and name.startswith("v") and before is not None and before.name.startswith("v"):
        total += one.needs(before.result)
    if reading == "most":
        total += words
    return total + REFILL[reading] * taken


def disassembly(elf: Path) -> tuple[dict[int, Instruction], dict[str, int]]:
    """Instructions by address, and functions."""
    said = subprocess.run(["arm-none-eabi-objdump", "-d", str(elf)], capture_output=True, text=True, check=True).stdout
    found, functions = {}, {}
    for line in said.splitlines():
        if label := re.match(r"([0-9a-f]{8}) <(\w+)>:", line):
            functions[label[2]] = int(label[1], 16)
        elif code := re.match(r" +([0-9a-f]+):\t([0-9a-f ]+?) *\t(\S+)\t?([^@]*)", line):
            at = int(code[1], 16)
            name = code[3].removesuffix(".n").removesuffix(".w")
            found[at] = Instruction(at, len(code[2].replace(" ", "")) // 2, name, code[4].strip())
    return found, functions


def executed(elf: Path, log: Path) -> list[int]:
    """Addresses in the order in which they were executed."""
    subprocess.run([*QEMU, "-D", str(log), "-kernel", str(elf)], check=True, timeout=120, stdin=subprocess.DEVNULL)
    return [int(line.split("/")[1], 16) for line in log.read_text().splitlines() if line.startswith("Trace")]


def mca(way: list[Instruction], reading: str = "likely") -> float:
    """llvm-mca's cycles of one round of a loop as it was executed; its branches are added, as it does not have them."""
    branches = [k for k, i in enumerate(way) if re.match(r"b|cb", i.name)]
    text = ".syntax unified\n.thumb\n.fpu fpv4-sp-d16\n" + "\n".join(
        f"{i.name} {i.operands}" for k, i in enumerate(way) if k not in branches)
    said = subprocess.run(MCA, input=text, capture_output=True, text=True, check=True).stdout
    total = int(re.search(r"Total Cycles: +(\d+)", said)[1]) / 1000
    nearest = [*way[1:], way[0]]
    return total + sum(
        1 + REFILL[reading] * (way[k].address + way[k].size != nearest[k].address) for k in branches)


def case(way: list[Instruction]) -> dict[str, object]:
    """Cycles of one call under each reading, and llvm-mca's of a round of its innermost loop."""
    jumps = [a.address + a.size != b.address for a, b in zip(way, way[1:], strict=False)] + [True]
    found: dict[str, object] = {"instructions": len(way)}
    for reading in READINGS:
        found[reading] = sum(cycles(one, way[k - 1] if k else None, jumps[k], reading) for k, one in enumerate(way))
    begins = Counter(b.address for a, b in zip(way, way[1:], strict=False) if b.address < a.address)
    if begins and max(begins.values()) > 3:
        first = begins.most_common(1)[0][0]
        first_round, second = [k for k, i in enumerate(way) if i.address == first][1:3]
        found["mca"] = mca(way[first_round:second])
    return found


def count() -> dict[str, object]:
    """Every case of cases.h, and what one unit of it takes."""
    cases = re.findall(r"^CASE\((\w+), (\d+), (\w+)\)", (HERE / "cases.h").read_text(), re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        elf = Path(folder) / "kernels.elf"
        subprocess.run(["arm-none-eabi-gcc", *FLAGS, "-T", str(HERE / "layout.ld"), "-o", str(elf),
                        str(HERE / "main.c"), "-lgcc"], check=True)
        found, functions = disassembly(elf)
        trace = executed(elf, Path(folder) / "log")
    rows, at = [], 0
    main = functions["main"]
    for name, n, data in cases:
        at = trace.index(functions[name], at)
        end = at
        inside = sorted(functions.values())
        high = next((a for a in inside if a > functions[name]), 1 << 32)
        while functions[name] <= trace[end] < high:
            end += 1
        assert main <= trace[end] < next(a for a in [*inside, 1 << 32] if a > main), f"{name} calls something"
        rows.append({"function": name, "n": int(n), "data": data.lower(),
                     **case([found[a] for a in trace[at:end]])})
        at = end
    return {"cases": rows, "units": units(rows)}


def units(rows: list[dict]) -> dict[str, dict[str, float]]:
    """By function and data: what one more unit takes, from two sizes; of bisection and single cases, the whole."""
    found: dict[str, dict[str, float]] = {}
    for name, data in dict.fromkeys((r["function"], r["data"]) for r in rows):
        mine = [r for r in rows if (r["function"], r["data"]) == (name, data)]
        if name.startswith("packet"):
            more = INTERRUPT if name == "packet_interrupt" else 0
            for r in mine:
                found[f"{name}, n={r['n']}"] = {**{k: r[k] + more for k in READINGS}, "begin": 0, "mca": None}
            continue
        low, high = mine[0], mine[-1]
        each = TAPS if name == "conv_packet" else 1
        wide = each * (high["n"] - low["n"])
        taken = {k: round((high[k] - low[k]) / wide, 2) for k in READINGS}
        begin = round(low["likely"] - taken["likely"] * each * low["n"], 1)
        found[f"{name}, {data}"] = {**taken, "begin": begin, "mca": low.get("mca")}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {
        "kind": "s2nir cortex-m4 counts", "flags": " ".join(FLAGS),
        "compiler": subprocess.run(["arm-none-eabi-gcc", "--version"], capture_output=True, text=True,
                                   check=True).stdout.splitlines()[0],
        **count(),
    }
    print(f"{'':32}{'least':>8}{'likely':>8}{'most':>8}{'begin':>8}{'llvm-mca':>10}")
    for name, row in found["units"].items():
        said = "" if row["mca"] is None else f"{row['mca']:.1f}"
        print(f"{name:32}{row['least']:8.1f}{row['likely']:8.1f}{row['most']:8.1f}{row['begin']:8.1f}{said:>10}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
