"""Vector instructions for the compiled kernels: the few that are needed, as LLVM values.

Loops over small local arrays would leave their elements in memory, so the kernels name their vectors and
LLVM keeps them in registers.  Imports numba; only the kernel files import this one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["VECTOR_BYTES", "WIDE", "Vectors", "pointer"]

# llvmlite ships no types and comes with numba.
ir: Any = importlib.import_module("llvmlite.ir")
_FEATURES = importlib.import_module("llvmlite.binding").get_host_cpu_features()
WIDE = bool(_FEATURES.get("avx512f"))
VECTOR_BYTES = 64 if WIDE else 32 if _FEATURES.get("avx2") else 16
I64, I32 = ir.IntType(64), ir.IntType(32)


def pointer(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return the address of an array's first element."""
    return context.make_array(kind)(context, builder, value).data


class Vectors:
    """Writes vector instructions of one element type at the builder's place.

    Parameters
    ----------
    context, builder : object
        numba's.
    kind : numba type
        float32 or float64.
    """

    def __init__(self, context: Any, builder: Any, kind: Any) -> None:
        self.builder = builder
        self.scalar = context.get_value_type(kind)
        self.size = kind.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.size
        self.kind = ir.VectorType(self.scalar, self.lanes)
        self.zero = ir.Constant(self.kind, [0.0] * self.lanes)
        name = f"llvm.fma.v{self.lanes}f{8 * self.size}"
        function = ir.FunctionType(self.kind, (self.kind,) * 3)
        self._fma = builder.module.globals.get(name) or ir.Function(builder.module, function, name)

    def at(self, base: Any, index: Any) -> Any:
        """Return the address of the vector that begins ``index`` elements after ``base``."""
        return self.builder.bitcast(self.builder.gep(base, [index]), self.kind.as_pointer())

    def load(self, base: Any, index: Any) -> Any:
        """Load the vector there; it need not be aligned."""
        return self.builder.load(self.at(base, index), align=self.size)

    def store(self, value: Any, base: Any, index: Any) -> None:
        """Store a vector there; it need not be aligned."""
        self.builder.store(value, self.at(base, index), align=self.size)

    def spread(self, value: Any) -> Any:
        """Return a vector of one scalar."""
        undefined = ir.Constant(self.kind, ir.Undefined)
        one = self.builder.insert_element(undefined, value, I32(0))
        return self.builder.shuffle_vector(
            one, undefined, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        )

    def constant(self, value: float) -> Any:
        """Return a vector of one constant."""
        return ir.Constant(self.kind, [value] * self.lanes)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return ``a * b + c``, rounded once."""
        return self.builder.call(self._fma, [a, b, c])

    def by_fours(self, base: Any, index: Any) -> list[Any]:
        """Load four vectors of consecutive elements; return every fourth element, those after them, ...

        Where a register holds several times four elements, they are loaded four at a time in such an order that
        the four vectors need only be transposed within every four: the processors' shuffles do not cross 16 bytes.
        """
        if self.size != 4:
            line = self._load_long(base, index, 4 * self.lanes)
            return [self._shuffle(line, line, range(first, 4 * self.lanes, 4)) for first in range(4)]
        rows = []
        for i in range(4):
            places = range(4 * i, 4 * self.lanes, 16)
            rows.append(self._joined([self._load_long(base, self.builder.add(index, I64(p)), 4) for p in places]))
        return self._transposed(rows)

    def store_by_fours(self, columns: list[Any], base: Any, index: Any) -> None:
        """Store four vectors so that ``by_fours`` would return them."""
        b = self.builder
        if self.size != 4:
            pairs = [self._woven(columns[0], columns[2]), self._woven(columns[1], columns[3])]
            self._store_long(self._woven(*pairs), base, index)
            return
        for i, row in enumerate(self._transposed(columns)):
            for place in range(0, self.lanes, 4):
                part = self._shuffle(row, row, range(place, place + 4))
                self._store_long(part, base, b.add(index, I64(4 * i + 4 * place)))

    def first(self, count: Any, value: Any) -> Any:
        """Return the first ``count`` elements, and zeros after them."""
        limit = self.builder.trunc(count, I32)
        kind = ir.VectorType(I32, self.lanes)
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), limit, I32(0))
        spread = self._shuffle(one, one, [0] * self.lanes)
        inside = self.builder.icmp_signed("<", ir.Constant(kind, list(range(self.lanes))), spread)
        return self.builder.select(inside, value, self.zero)

    def total(self, value: Any) -> Any:
        """Return the sum of a vector's elements."""
        parts = [self.builder.extract_element(value, I32(lane)) for lane in range(self.lanes)]
        while len(parts) > 1:
            parts = [self.builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    def gathered(self, base: Any, indices: list[Any]) -> Any:
        """Load single elements into one vector."""
        made = ir.Constant(self.kind, ir.Undefined)
        for lane, index in enumerate(indices):
            value = self.builder.load(self.builder.gep(base, [index]))
            made = self.builder.insert_element(made, value, I32(lane))
        return made

    def repeat(
        self, start: Any, stop: Any, carried: list[Any], body: Callable[[Any, list[Any]], list[Any]]
    ) -> list[Any]:
        """Write ``for i in range(start, stop): carried = body(i, carried)``; return what is carried out."""
        b = self.builder
        entry, head = b.block, b.append_basic_block("head")
        inside, done = b.append_basic_block("body"), b.append_basic_block("done")
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(I64)
        i.add_incoming(start, entry)
        values = [b.phi(value.type) for value in carried]
        b.cbranch(b.icmp_signed("<", i, stop), inside, done)
        b.position_at_end(inside)
        after = body(i, list(values))
        i.add_incoming(b.add(i, I64(1)), b.block)
        for value, before, last in zip(values, carried, after, strict=True):
            value.add_incoming(before, entry)
            value.add_incoming(last, b.block)
        b.branch(head)
        b.position_at_end(done)
        return values

    def _transposed(self, rows: list[Any]) -> list[Any]:
        """Transpose 4x4 elements within every four of four vectors."""
        fours = range(0, self.lanes, 4)
        low = [f + i for f in fours for i in (0, self.lanes, 1, self.lanes + 1)]
        high = [m + 2 for m in low]
        left = [f + i for f in fours for i in (0, 1, self.lanes, self.lanes + 1)]
        right = [m + 2 for m in left]
        pairs = [(rows[0], rows[1]), (rows[2], rows[3])]
        lows, highs = ([self._shuffle(a, b, mask) for a, b in pairs] for mask in (low, high))
        return [self._shuffle(a, b, mask) for a, b in (lows, highs) for mask in (left, right)]

    def _joined(self, parts: list[Any]) -> Any:
        """Return one vector of several, one after the other."""
        while len(parts) > 1:
            parts = [self._shuffle(a, b, range(2 * a.type.count)) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    def _woven(self, a: Any, b: Any) -> Any:
        """Return ``a[0], b[0], a[1], b[1], ...`` of two vectors of any one length."""
        count = a.type.count
        return self._shuffle(a, b, [lane + half for lane in range(count) for half in (0, count)])

    def _load_long(self, base: Any, index: Any, count: int) -> Any:
        kind = ir.VectorType(self.scalar, count).as_pointer()
        return self.builder.load(self.builder.bitcast(self.builder.gep(base, [index]), kind), align=self.size)

    def _store_long(self, value: Any, base: Any, index: Any) -> None:
        here = self.builder.bitcast(self.builder.gep(base, [index]), value.type.as_pointer())
        self.builder.store(value, here, align=self.size)

    def _shuffle(self, a: Any, b: Any, mask: Iterable[int]) -> Any:
        mask = list(mask)
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(mask)), mask))
