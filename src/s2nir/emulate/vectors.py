"""What loops of the emulator are written with beside NumPy's words, as LLVM's own instructions: vectors, and a barrier.

Rows of synapses are short, and LLVM's checks and scalar rests cost more than a row of 16 itself: they are added as
vectors of 16 and 8 (30 to 12 ns a row), or of 32 from several rows at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

AHEAD = 512  # bytes


def _intrinsic(code: Callable[..., Any]) -> Any:
    return intrinsic(code)


def _lanes(width: int) -> Any:
    @_intrinsic
    def add(typing: Any, slot: Any, at: Any, weights: Any, begin: Any) -> Any:
        """slot[at : at + width] += weights[begin : begin + width]; nothing checks the bounds."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            wide, narrow = ir.VectorType(ir.IntType(32), width), ir.VectorType(ir.IntType(8), width)

            def place(n: int, vector: Any) -> Any:
                array = context.make_array(signature.args[n])(context, builder, args[n])
                return builder.bitcast(builder.gep(array.data, [args[n + 1]]), vector.as_pointer())

            to = place(0, wide)
            added = builder.sext(builder.load(place(2, narrow), align=1), wide)
            builder.store(builder.add(builder.load(to, align=4), added), to, align=4)
            return context.get_dummy_value()

        return types.void(slot, types.int64, weights, types.int64), code

    return add


add_8, add_16 = _lanes(8), _lanes(16)


@_intrinsic
def add_rows(typing: Any, slot: Any, at: Any, weights: Any, places: Any) -> Any:
    """slot[at : at + 32] += the sum of weights[k : k + 32] over the places k, up to 256; nothing checks the bounds.

    Of several rows, memory is asked for what comes `AHEAD` bytes later: by itself the processor sees each too late.
    """

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        ask = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, word, word, word]))
        wide, middle, narrow = (ir.VectorType(ir.IntType(bits), 32) for bits in (32, 16, 8))
        to = context.make_array(signature.args[0])(context, builder, args[0])
        from_ = context.make_array(signature.args[2])(context, builder, args[2])
        total = None
        for k in range(signature.args[3].count):
            row = builder.gep(from_.data, [builder.extract_value(args[3], k)])
            if signature.args[3].count > 1:
                later = builder.gep(row, [ir.Constant(ir.IntType(64), AHEAD)])
                builder.call(ask, [later, ir.Constant(word, 0), ir.Constant(word, 3), ir.Constant(word, 1)])
            row = builder.load(builder.bitcast(row, narrow.as_pointer()), align=1)
            row = builder.sext(row, middle)
            total = row if total is None else builder.add(total, row)
        place = builder.bitcast(builder.gep(to.data, [args[1]]), wide.as_pointer())
        builder.store(builder.add(builder.load(place, align=4), builder.sext(total, wide)), place, align=4)
        return context.get_dummy_value()

    return types.void(slot, types.int64, weights, places), code


@_intrinsic
def trailing_zeros(typing: Any, word: Any) -> Any:
    """Zeros below the lowest bit of a uint64 that is not 0."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


def _atomic(operation: str) -> Any:
    @_intrinsic
    def do(typing: Any, array: Any, at: Any, value: Any) -> Any:
        """Add to, set or read array[at] (int64) so that all threads see it; gives what stood there."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            place = builder.gep(data, [args[1]])
            if operation == "read":
                return builder.load_atomic(place, "acquire", 8)
            return builder.atomic_rmw(operation, place, args[2], "acq_rel")

        return types.int64(array, types.int64, types.int64), code

    return do


read, swap, plus = _atomic("read"), _atomic("xchg"), _atomic("add")


@_intrinsic
def rest(typing: Any) -> Any:
    """Let another thread have the processor, where the system has such a call."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if sys.platform != "win32":
            call = ir.FunctionType(ir.IntType(32), [])
            builder.call(_declared(builder.module, call, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), code


def _declared(module: Any, call: Any, name: str) -> Any:
    return module.globals.get(name) or ir.Function(module, call, name)


SPINS = 2000  # looks at the barrier before another thread is let on


@njit(inline="never", cache=True, nogil=True)
def wait(meet: Any, many: int) -> None:
    """Until `many` threads are here; meet : int64, two places of it are the barrier's, far from each other."""
    turn = read(meet, 8, 0)
    if plus(meet, 0, 1) == many - 1:
        swap(meet, 0, 0)
        plus(meet, 8, 1)
        return
    looks = 0
    while read(meet, 8, 0) == turn:
        looks += 1
        if looks > SPINS:
            rest()
            looks = 0
