# ruff: noqa: ANN401, ARG001 - Numba hands over types and values of its own
"""Registers in compiled loops: some float32 numbers next to each other, moved as one.

Compiled loops over a matrix leave it to the compiler which numbers stay in registers. Where a tile
of it takes many ticks one after the other, it stays there only if the loop says so. These words do:

    tile = load(row, at, WIDE)
    for k in range(n_ticks):
        tile = multiply_add(spread(traces[k], WIDE), load(errors, k * n, WIDE), tile)
    store(row, at, tile)

Each lane is a number of its own, so that no bit depends on how many there are. They may lie
anywhere in a contiguous row; nothing checks that they lie within it.

How many lanes a processor has is its own matter: the compiler makes several registers of one tile,
or one of several.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

LANES = 16
"""Numbers of a narrow tile."""

WIDE = 64 if binding.get_host_cpu_features().get("avx512f", False) else 16
"""Numbers of a wide tile, so many that four tiles leave half of the registers free."""

# every processor of today but x86 before 2013; the others would call a function for each number
_FUSES = binding.get_host_cpu_features().get("fma", True)
WIDEST = 2 * WIDE
"""Numbers of a tile that has the registers to itself."""

FEW = 4
"""Numbers of the narrowest tile."""

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_REASSOCIATE = ("contract", "reassoc")


class _Lanes(types.Type):
    """A tile of float32 numbers in compiled code; it never leaves it."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Lanes({width})")


class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: _Lanes) -> None:
        super().__init__(manager, lanes, ir.VectorType(_FLOAT, lanes.width))  # type: ignore[no-untyped-call]  # Numba is partly typed


register_model(_Lanes)(_LanesModel)


def _place(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [at])


def _intrinsic(builder: Any, name: str, answer: Any, taken: list[Any]) -> Any:
    kind = ir.FunctionType(answer, taken)
    return cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]  # as above


def _load(_: Any, array: Any, at: Any, width: Any) -> Any:
    """Take ``width`` numbers of a row, from ``at`` on."""
    if not isinstance(width, types.IntegerLiteral):
        return None

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments[:2])
        tile = ir.VectorType(_FLOAT, width.literal_value)
        taken = builder.load(builder.bitcast(place, tile.as_pointer()), typ=tile)
        taken.align = 4
        return taken

    return _Lanes(width.literal_value)(array, types.intp, width), build


def _store(_: Any, array: Any, at: Any, lanes: Any) -> Any:
    """Put a tile into a row, from ``at`` on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments[:2])
        place = builder.bitcast(place, arguments[2].type.as_pointer())
        builder.store(arguments[2], place, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), build


def _spread(_: Any, number: Any, width: Any) -> Any:
    """Return a tile of ``width`` times the same number."""
    if not isinstance(width, types.IntegerLiteral):
        return None
    tile = ir.VectorType(_FLOAT, width.literal_value)
    places = ir.Constant(ir.VectorType(_INT, width.literal_value), [0] * width.literal_value)

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        nothing = ir.Constant(tile, ir.Undefined)
        first = builder.insert_element(nothing, arguments[0], ir.Constant(_INT, 0))
        return builder.shuffle_vector(first, nothing, places)

    return _Lanes(width.literal_value)(types.float32, width), build


def _multiply(_: Any, one: Any, other: Any) -> Any:
    """Return the products of two tiles."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments)

    return one(one, other), build


def _multiply_add(_: Any, one: Any, other: Any, added: Any) -> Any:
    """Return ``one * other + added`` of three tiles or numbers, rounded once.

    Left to the compiler, it would choose which of two products joins a sum, and might choose
    otherwise for one tick than for many.
    """

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if not _FUSES:
            return builder.fadd(builder.fmul(*arguments[:2]), arguments[2])
        tile = arguments[0].type
        name = f"v{tile.count}f32" if isinstance(tile, ir.VectorType) else "f32"
        return builder.call(_intrinsic(builder, f"llvm.fma.{name}", tile, [tile] * 3), arguments)

    return one(one, other, added), build


def _without_tiny(_: Any, lanes: Any, least: Any) -> Any:
    """Return a tile with zero where a magnitude lies below the lane of ``least``; a NaN stays."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        moved, smallest = arguments
        minus, zero = builder.fneg(moved), ir.Constant(moved.type, None)
        is_above = builder.fcmp_unordered(">=", moved, smallest)
        is_below = builder.fcmp_unordered(">=", minus, smallest)
        return builder.select(builder.or_(is_above, is_below), moved, zero)

    return lanes(lanes, least), build


def _total(_: Any, lanes: Any) -> Any:
    """Return the sum of a tile, in an order of the processor's own."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        tile = arguments[0].type
        name = f"llvm.vector.reduce.fadd.v{tile.count}f32"
        function = _intrinsic(builder, name, _FLOAT, [_FLOAT, tile])
        zero = ir.Constant(_FLOAT, 0.0)
        return builder.call(function, [zero, arguments[0]], fastmath=_REASSOCIATE)

    return types.float32(lanes), build


def _fetch(_: Any, array: Any, at: Any) -> Any:
    """Ask for the cache line of a row's number before it is needed."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        place = builder.bitcast(_place(context, builder, signature.args[0], *arguments), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, _INT, _INT, _INT])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]  # as above
        # to read, into the second level, data
        builder.call(fetch, [place, *(ir.Constant(_INT, n) for n in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), build


fetch: Any = intrinsic(_fetch)
load: Any = intrinsic(_load)
store: Any = intrinsic(_store)
spread: Any = intrinsic(_spread)
multiply: Any = intrinsic(_multiply)
multiply_add: Any = intrinsic(_multiply_add)
without_tiny: Any = intrinsic(_without_tiny)
total: Any = intrinsic(_total)
