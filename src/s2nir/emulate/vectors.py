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


def _place(context: Any, builder: Any, array: Any, value: Any, at: Any, kind: Any = None) -> Any:
    """A pointer to value[at], to a vector of that kind where one is given."""
    found = builder.gep(context.make_array(array)(context, builder, value).data, [at])
    return found if kind is None else builder.bitcast(found, kind.as_pointer())


def _ask(builder: Any, pointer: Any) -> None:
    """Ask memory for the line of the cache at an i8 pointer."""
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    call = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    builder.call(call, [builder.bitcast(pointer, byte), *(ir.Constant(word, n) for n in (0, 3, 1))])


@_intrinsic
def ask(typing: Any, array: Any, at: Any) -> Any:
    """Ask memory for array[at], which need not be there: nothing is read."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _ask(builder, _place(context, builder, signature.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return types.void(array, types.int64), code


@_intrinsic
def ask_for(typing: Any, address: Any) -> Any:
    """Ask memory for what lies at an address."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _ask(builder, builder.inttoptr(args[0], ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64), code


@_intrinsic
def load(typing: Any, address: Any, at: Any, unit: Any) -> Any:
    """The number like `unit` that lies `at` such numbers behind an address."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.gep(builder.inttoptr(args[0], args[2].type.as_pointer()), [args[1]]))

    return unit(types.int64, types.int64, unit), code


@_intrinsic
def store(typing: Any, address: Any, at: Any, value: Any) -> Any:
    """Put a number `at` such numbers behind an address."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = builder.gep(builder.inttoptr(args[0], args[2].type.as_pointer()), [args[1]])
        builder.store(args[2], to)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, value), code


@_intrinsic
def where(typing: Any, array: Any, at: Any) -> Any:
    """The address of array[at]."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(_place(context, builder, signature.args[0], args[0], args[1]), ir.IntType(64))

    return types.int64(array, types.int64), code


@_intrinsic
def of(typing: Any, array: Any, value: Any) -> Any:
    """A whole number as what the array holds: what is done at addresses learns from it what lies there."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.IntType(array.dtype.bitwidth)
        return builder.trunc(args[1], kind) if kind.width < value.bitwidth else args[1]

    return array.dtype(array, value), code


@_intrinsic
def further(typing: Any, address: Any, by: Any, unit: Any) -> Any:
    """The address `by` numbers like `unit` on."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.add(args[0], builder.mul(args[1], ir.Constant(ir.IntType(64), unit.bitwidth // 8)))

    return types.int64(types.int64, types.int64, unit), code


def _lanes(width: int, times: bool = False) -> Any:
    @_intrinsic
    def add(typing: Any, to: Any, row: Any, at: Any, number: Any) -> Any:
        """slot[at : at + width] += number * row[at : at + width], of int8, at addresses; without `times`, number is 1
        and says what a slot is alone."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            wide, narrow = (ir.VectorType(ir.IntType(n), width) for n in (number.bitwidth, 8))
            slot, weights = (
                builder.bitcast(builder.gep(builder.inttoptr(args[n], kind.element.as_pointer()), [args[2]]),
                                kind.as_pointer()) for n, kind in enumerate((wide, narrow)))
            added = builder.sext(builder.load(weights, align=1), wide)
            if times:
                one = builder.insert_element(ir.Constant(wide, ir.Undefined), args[3], ir.Constant(ir.IntType(32), 0))
                zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
                added = builder.mul(added, builder.shuffle_vector(one, ir.Constant(wide, ir.Undefined), zeros))
            builder.store(builder.add(builder.load(slot, align=number.bitwidth // 8), added), slot,
                          align=number.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64, number), code

    return add


add_32, add_16, add_8, add_4, add_2, add_1 = (_lanes(n) for n in (32, 16, 8, 4, 2, 1))
times_8, times_1 = (_lanes(n, times=True) for n in (8, 1))


def _rows(width: int) -> Any:
    @_intrinsic
    def add(typing: Any, to: Any, places: Any, unit: Any) -> Any:
        """to[:width], of numbers like `unit`, += the sum of the weights at some addresses, up to 256.

        Of several rows, memory is asked for what comes `AHEAD` bytes later: by itself the processor sees each too late.
        """

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            byte = ir.IntType(8).as_pointer()
            wide, middle, narrow = (ir.VectorType(ir.IntType(n), 32) for n in (unit.bitwidth, 16, 8))
            rows = [builder.inttoptr(builder.extract_value(args[1], k), byte) for k in range(places.count)]
            slot = builder.inttoptr(args[0], wide.as_pointer())
            for row in rows:
                _ask(builder, builder.gep(row, [ir.Constant(ir.IntType(64), AHEAD)]))
            for n in range(width // 32):
                total = None
                for row in rows:
                    part = builder.bitcast(builder.gep(row, [ir.Constant(ir.IntType(64), 32 * n)]), narrow.as_pointer())
                    part = builder.sext(builder.load(part, align=1), middle)
                    total = part if total is None else builder.add(total, part)
                place = builder.gep(slot, [ir.Constant(ir.IntType(64), n)])
                total = total if unit.bitwidth == 16 else builder.sext(total, wide)
                builder.store(builder.add(builder.load(place, align=2), total), place, align=2)
            return context.get_dummy_value()

        return types.void(types.int64, places, unit), code

    return add


rows_64, rows_32 = _rows(64), _rows(32)


def _panel(width: int) -> Any:
    @_intrinsic
    def add(typing: Any, words: Any, many: Any, to: Any, weights: Any, shift: Any, unit: Any) -> Any:
        """to[:width], of numbers like `unit`, += the sum of weights[k : k + width] over k = word >> shift of the
        `many` words, 1 to 256; at addresses. The sums stay in registers."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word, byte = ir.IntType(64), ir.IntType(8)
            many_of = width // 32
            wide, middle, narrow = (ir.VectorType(ir.IntType(n), 32) for n in (unit.bitwidth, 16, 8))
            held, from_ = builder.inttoptr(args[0], word.as_pointer()), builder.inttoptr(args[3], byte.as_pointer())
            before, loop = builder.block, builder.append_basic_block("rows")
            behind = builder.append_basic_block("sums")
            builder.branch(loop)
            builder.position_at_end(loop)
            k, sums = builder.phi(word), [builder.phi(middle) for _ in range(many_of)]
            row = builder.gep(from_, [builder.ashr(builder.load(builder.gep(held, [k])), args[4])])
            further = builder.add(k, ir.Constant(word, 1))
            for value, none in ((k, ir.Constant(word, 0)), *((total, ir.Constant(middle, None)) for total in sums)):
                value.add_incoming(none, before)
            k.add_incoming(further, loop)
            more = []
            for n, total in enumerate(sums):
                part = builder.bitcast(builder.gep(row, [ir.Constant(word, 32 * n)]), narrow.as_pointer())
                more.append(builder.add(total, builder.sext(builder.load(part, align=1), middle)))
                total.add_incoming(more[-1], loop)
            builder.cbranch(builder.icmp_signed("<", further, args[1]), loop, behind)
            builder.position_at_end(behind)
            slot = builder.inttoptr(args[2], wide.as_pointer())
            for n, total in enumerate(more):
                place = builder.gep(slot, [ir.Constant(word, n)])
                total = total if unit.bitwidth == 16 else builder.sext(total, wide)
                builder.store(builder.add(builder.load(place, align=2), total), place, align=2)
            return context.get_dummy_value()

        i = types.int64
        return types.void(i, i, i, i, i, unit), code

    return add


panel_256, panel_128, panel_64, panel_32 = (_panel(n) for n in (256, 128, 64, 32))


FLAGS = 64  # as many as a word has bits


@_intrinsic
def flags(typing: Any, fired: Any, at: Any) -> Any:
    """A bit for each of the `FLAGS` bytes fired[at : at + FLAGS] that is not 0."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), FLAGS)
        held = builder.load(_place(context, builder, signature.args[0], args[0], args[1], kind), align=1)
        lanes = builder.icmp_unsigned("!=", held, ir.Constant(kind, None))
        return builder.bitcast(lanes, ir.IntType(FLAGS))

    return types.uint64(fired, types.int64), code


@_intrinsic
def bare(typing: Any, held: Any) -> Any:
    """The arrays of a tuple, or one, as they are, but without their references counted: a count is an atomic operation,
    and some hundreds of them are as long as a tick. What holds the arrays must outlive those that are given back."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def one(kind: Any, value: Any) -> Any:
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, value)
                array.meminfo = ir.Constant(array.meminfo.type, None)
                array.parent = ir.Constant(array.parent.type, None)
                return array._getvalue()
            if isinstance(kind, types.BaseTuple):
                for n, member in enumerate(kind):  # type: ignore[arg-type, var-annotated]
                    value = builder.insert_value(value, one(member, builder.extract_value(value, n)), n)
            return value

        return one(signature.args[0], args[0])

    return held(held), code


@_intrinsic
def take(typing: Any, array: Any, at: Any) -> Any:
    """array[at], `at` not below 0; nothing checks the bounds, nor whether to count from the end."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, signature.args[0], args[0], args[1]))

    return array.dtype(array, types.int64), code


@_intrinsic
def add_one(typing: Any, slot: Any, at: Any, value: Any) -> Any:
    """slot[at] += value, as `take`."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], args[1])
        builder.store(builder.add(builder.load(place), args[2]), place)
        return context.get_dummy_value()

    return types.void(slot, types.int64, slot.dtype), code


@_intrinsic
def put(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at] = value, a whole number, as `take`."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], args[1])
        kind = place.type.pointee
        narrow = kind.width < args[2].type.width
        builder.store(builder.trunc(args[2], kind) if narrow else args[2], place)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), code


@_intrinsic
def ones(typing: Any, word: Any) -> Any:
    """How many bits of a uint64 are set."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), code


@_intrinsic
def trailing_zeros(typing: Any, word: Any) -> Any:
    """Zeros below the lowest bit of a uint64; 64 of one that is 0."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), code


def _atomic(operation: str) -> Any:
    @_intrinsic
    def do(typing: Any, array: Any, at: Any, value: Any) -> Any:
        """Add to, set or read array[at] (int64) so that all threads see it; gives what stood there."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = _place(context, builder, signature.args[0], args[0], args[1])
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
