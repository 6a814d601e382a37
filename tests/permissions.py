"""File permissions that also apply to root.

Root can read files without permission because of two Linux capabilities. Tests of permissions drop both of them first.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
PR_CAPBSET_DROP = 24
_VERSION_3 = 0x20080522

# Command prefix that runs the command in its arguments without the two capabilities. A process of root gets all
# capabilities of its bounding set, so they are removed from that set.
PERMISSIONS_LAUNCHER = (
    sys.executable,
    "-c",
    f"""
import ctypes, os, sys
for capability in ({CAP_DAC_OVERRIDE}, {CAP_DAC_READ_SEARCH}) if os.geteuid() == 0 else ():
    if ctypes.CDLL(None, use_errno=True).prctl({PR_CAPBSET_DROP}, capability, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot drop a capability")
os.execv(sys.argv[1], sys.argv[1:])
""",
)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def enforce_permissions() -> Iterator[None]:
    """Drop the two capabilities in this thread while the context is open; does nothing for users other than root."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_VERSION_3, 0), (_Set * 2)()
    _check_call(libc.capget, header, sets)
    original = sets[0].effective
    sets[0].effective &= ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    _check_call(libc.capset, header, sets)
    try:
        yield
    finally:
        sets[0].effective = original
        _check_call(libc.capset, header, sets)


def _check_call(function, header, sets):
    if function(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "cannot read or set capabilities")
