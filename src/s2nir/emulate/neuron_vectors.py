"""Steps of 16 neurons at once, as LLVM's own instructions: each operation is rounded to float32 by itself."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 16  # neurons that a call steps
SIZE, EXPONENT, SIGN = 0x7FFFFFFF, 0x7F800000, 0x80000000  # of a float32's bits


REALS, WORDS, BYTES = (ir.VectorType(k, WIDTH) for k in (ir.FloatType(), ir.IntType(32), ir.IntType(8)))


def _membranes(still: bool, to_value: bool) -> Any:
    @intrinsic
    def membranes(
        typing: Any, v: Any, slot: Any, at: Any, decay: Any, offset: Any, threshold: Any, value: Any, above: Any,
        last: Any, unit: Any,
    ) -> Any:
        """v = decay * v + slot + offset of `WIDTH` neurons from `at` on, each operation rounded to float32; for those
        of the bits `last` then v - what their threshold was set to, or `value` with `to_value`; slot = 0. Gives the
        bits of those with v >= threshold.

        v, slot, threshold : addresses, of float32, of numbers like `unit`, and of the thresholds of these neurons, 0 or
        more; decay : 0 to 1; above : 1 where a threshold is the float32 that follows what it was set to; with `still`,
        nothing comes of membranes and slots that are 0, and the offset is 0. Products of membranes below the normal
        range are rounded as integers: a processor takes a hundred times as long for them, and membranes that decay are
        there sooner or later.
        """

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            taken, bits = ir.VectorType(ir.IntType(unit.bitwidth), WIDTH), ir.IntType(WIDTH)
            membrane, slots = _at(builder, args[0], REALS, args[2]), _at(builder, args[1], taken, args[2])
            before, arriving = builder.load(membrane, align=4), _words_of(builder, builder.load(slots, align=2))

            def stepped() -> Any:
                x = _product(builder, before, _all(builder, args[3]))
                x = builder.fadd(x, builder.sitofp(arriving, REALS))
                x = x if still else builder.fadd(x, _all(builder, args[4]))
                value = _all(builder, args[6]) if to_value else None
                builder.store(ir.Constant(taken, None), slots, align=2)
                return _compared(builder, x, membrane, args[5], value, args[7], args[8])

            if not still:
                return stepped()
            found = cgutils.alloca_once_value(builder, ir.Constant(bits, 0))  # type: ignore[no-untyped-call]
            busy = builder.or_(arriving, builder.bitcast(before, WORDS))
            with builder.if_then(_some(builder, builder.icmp_signed("!=", busy, _words(0)))):
                builder.store(stepped(), found)
            return builder.load(found)

        f, i = types.float32, types.int64
        return types.uint16(i, i, i, f, f, i, f, types.int32, types.uint16, unit), code

    return membranes


membranes, still, to_value = _membranes(False, False), _membranes(True, False), _membranes(False, True)


def _currents(to_value: bool) -> Any:
    @intrinsic
    def currents(
        typing: Any, v: Any, i: Any, slot: Any, at: Any, decay: Any, syn_decay: Any, offset: Any, bias: Any,
        threshold: Any, value: Any, above: Any, last: Any, unit: Any,
    ) -> Any:
        """As `membranes`, of neurons with a synaptic current: i = syn_decay * i + slot + bias, v = decay * v + i +
        offset."""

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            taken = ir.VectorType(ir.IntType(unit.bitwidth), WIDTH)
            membrane, current, slots = (
                _at(builder, args[n], kind, args[3]) for n, kind in enumerate((REALS, REALS, taken)))
            x = _product(builder, builder.load(current, align=4), _all(builder, args[5]))
            x = builder.fadd(x, builder.sitofp(_words_of(builder, builder.load(slots, align=2)), REALS))
            x = builder.fadd(x, _all(builder, args[7]))
            builder.store(x, current, align=4)
            builder.store(ir.Constant(taken, None), slots, align=2)
            x = builder.fadd(_product(builder, builder.load(membrane, align=4), _all(builder, args[4])), x)
            x = builder.fadd(x, _all(builder, args[6]))
            value = _all(builder, args[9]) if to_value else None
            return _compared(builder, x, membrane, args[8], value, args[10], args[11])

        f, i64 = types.float32, types.int64
        return types.uint16(i64, i64, i64, i64, f, f, f, f, i64, f, types.int32, types.uint16, unit), code

    return currents


currents, currents_to_value = _currents(False), _currents(True)


def _at(builder: Any, address: Any, kind: Any, at: Any) -> Any:
    """A pointer to a vector, `at` of its numbers behind an address."""
    found = builder.gep(builder.inttoptr(address, kind.element.as_pointer()), [at])
    return builder.bitcast(found, kind.as_pointer())


def _all(builder: Any, value: Any, kind: Any = REALS) -> Any:
    """A number in every lane."""
    none = ir.Constant(kind, ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0)), none, _words(0))


def _words_of(builder: Any, numbers: Any) -> Any:
    return builder.sext(numbers, WORDS) if numbers.type.element.width < 32 else numbers


def _compared(builder: Any, x: Any, membrane: Any, threshold: Any, value: Any, above: Any, last: Any) -> Any:
    """Reset those of the bits `last`, keep the membranes, and give the bits of those that fire."""
    level = builder.load(_at(builder, threshold, REALS, ir.Constant(ir.IntType(64), 0)), align=4)
    if value is None:
        set_to = builder.sub(builder.bitcast(level, WORDS), _all(builder, above, WORDS))
        value = builder.fsub(x, builder.bitcast(set_to, REALS))
    x = builder.select(builder.bitcast(last, ir.VectorType(ir.IntType(1), WIDTH)), value, x)
    builder.store(x, membrane, align=4)
    return builder.bitcast(builder.fcmp_ordered(">=", x, level), ir.IntType(WIDTH))


def _words(n: int) -> Any:
    return ir.Constant(WORDS, [n] * WIDTH)


def _some(builder: Any, lanes: Any) -> Any:
    """Whether any lane is set."""
    bits = builder.bitcast(lanes, ir.IntType(WIDTH))
    return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))


def _product(builder: Any, v: Any, factor: Any) -> Any:
    """v * factor, rounded to float32, as its lanes below the normal range are whole numbers of the smallest step."""
    found = cgutils.alloca_once(builder, REALS)  # type: ignore[no-untyped-call]
    bits = builder.bitcast(v, WORDS)
    none = builder.icmp_unsigned("==", builder.and_(bits, _words(EXPONENT)), _words(0))
    tiny = builder.and_(none, builder.icmp_unsigned("!=", bits, _words(0)))  # or -0, which is well there too
    size = builder.and_(bits, _words(SIZE))
    with builder.if_else(_some(builder, tiny), likely=False) as (then, otherwise):
        with then:
            rest = builder.bitcast(builder.select(tiny, _words(0), bits), REALS)
            doubles = ir.VectorType(ir.DoubleType(), WIDTH)
            steps = builder.sitofp(builder.select(tiny, size, _words(0)), doubles)
            steps = builder.fmul(steps, builder.fpext(factor, doubles))
            whole = ir.Constant(doubles, [2.0**52] * WIDTH)  # what is added to it is rounded to a whole number
            steps = builder.fptosi(builder.fsub(builder.fadd(steps, whole), whole), WORDS)
            small = builder.or_(steps, builder.and_(bits, _words(SIGN)))
            plain = builder.bitcast(builder.fmul(rest, factor), WORDS)
            builder.store(builder.bitcast(builder.select(tiny, small, plain), REALS), found)
        with otherwise:
            builder.store(builder.fmul(v, factor), found)
    return builder.load(found)
