"""Turns into a program that ends with its parent: launch.py SIGNAL PARENT_PID USER PROGRAM [ARGUMENT...]

Runs under `python -I -S`, so it costs milliseconds and imports the standard library only.
USER is empty, or the account to become; `nobody+dac_read_search` keeps that one right of root.
"""

import ctypes
import os
import pwd
import sys

# <linux/prctl.h>
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2

# <linux/capability.h>
CAPABILITY_VERSION_3 = 0x20080522
RIGHTS = {"dac_override": 1, "dac_read_search": 2}


def main(death_signal: str, parent_pid: str, user: str, *argv: str) -> None:
    if user:
        become(user)
    if sys.platform == "linux":  # set last: a change of account clears it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent_pid):  # the parent ended before the line above
        sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - to become the program is the point
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


def become(user: str) -> None:
    name, _, right = user.partition("+")
    account = pwd.getpwnam(name)
    os.initgroups(name, account.pw_gid)
    os.setgid(account.pw_gid)
    if right:
        must(ctypes.CDLL(None).prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setuid(account.pw_uid)
    if right:
        keep_only(RIGHTS[right])


def keep_only(capability: int) -> None:
    """Give up every right of root but this one, which the program then has from its start."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask)  # effective, permitted, inheritable
    must(libc.capset(header, sets))
    must(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))


def must(answer: int) -> None:
    if answer != 0:
        sys.exit("this right of root is not ours to keep")


if __name__ == "__main__":
    main(*sys.argv[1:])
