"""Root passes over permissions: tests of them first give up the two Linux capabilities that let it."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
PR_CAPBSET_DROP = 24
_VERSION_3 = 0x20080522

# Runs the command in its arguments. A process of root's gets all that its bounding set allows, so that is what shrinks.
WITHOUT_POWERS = (
    sys.executable,
    "-c",
    f"""
import ctypes, os, sys
for capability in ({CAP_DAC_OVERRIDE}, {CAP_DAC_READ_SEARCH}) if os.geteuid() == 0 else ():
    if ctypes.CDLL(None, use_errno=True).prctl({PR_CAPBSET_DROP}, capability, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "root cannot give up a capability")
os.execv(sys.argv[1], sys.argv[1:])
""",
)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def without_powers() -> Iterator[None]:
    """This thread without them; anyone but root has none to give up."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, held = _Header(_VERSION_3, 0), (_Set * 2)()
    _call(libc.capget, header, held)
    before = held[0].effective
    held[0].effective &= ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    _call(libc.capset, header, held)
    try:
        yield
    finally:
        held[0].effective = before
        _call(libc.capset, header, held)


def _call(function, header, sets):
    if function(ctypes.byref(header), sets):
        raise OSError(ctypes.get_errno(), "capabilities cannot be read or set")
