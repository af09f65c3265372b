"""Plan, rows and scratch of a bank as one object of compiled code.

Handing a named tuple of arrays to compiled code unpacks every one of them, which for the few dozen
of a bank takes longer than a tick. Here they are unpacked once for many calls.
"""

from typing import Any

from numba import types
from numba.experimental import structref
from typing_extensions import override

from tclif_core.compilation import entrance
from tclif_core.kernels.cpu_plan import Plan, Rows, Workspace
from tclif_core.kernels.cpu_update_plan import UpdateRules


class Workbench(structref.StructRefProxy):
    """What the loops of the CPU backend work on; it keeps the arrays alive.

    Attributes:
        plan: The bank's.
        rows: The bank's.
        work: The bank's scratch.
        rules: The bank's, for its updates.
    """

    plan: Plan
    rows: Rows
    work: Workspace
    rules: UpdateRules


class _WorkbenchType(types.StructRef):
    @override
    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(field)) for name, field in fields)  # type: ignore[no-untyped-call]  # Numba is partly typed


structref.register(_WorkbenchType)  # type: ignore[no-untyped-call]  # as above
structref.define_proxy(Workbench, _WorkbenchType, list(Workbench.__annotations__))  # type: ignore[no-untyped-call]  # as above


@entrance
def lay_out(plan: Plan, rows: Rows, work: Workspace, rules: UpdateRules) -> Workbench:
    """Return the four as one object."""
    return Workbench(plan, rows, work, rules)  # type: ignore[no-untyped-call]  # as above
