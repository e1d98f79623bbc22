"""Becomes a program that gets SIGNAL when its parent ends: launch.py SIGNAL PARENT_PID USER PROGRAM [ARGUMENT...]

USER is empty, or the account to run as; `nobody+dac_read_search` also keeps that one capability of root.
It runs under `python -I -S`, so it takes milliseconds, and imports the standard library only.
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
CAPABILITIES = {"dac_override": 1, "dac_read_search": 2}


def main(death_signal: str, parent_pid: str, user: str, *argv: str) -> None:
    """Does not return: the process becomes the program, or exits with the reason."""
    if user:
        become(user)
    if sys.platform == "linux":  # after the change of account, which would clear it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent_pid):  # the parent ended before prctl
        sys.exit(1)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - becoming the program is the purpose
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


def become(user: str) -> None:
    """Run as the account from now on."""
    name, _, capability = user.partition("+")
    account = pwd.getpwnam(name)
    os.initgroups(name, account.pw_gid)
    os.setgid(account.pw_gid)
    if capability:
        must(ctypes.CDLL(None).prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setuid(account.pw_uid)
    if capability:
        keep_only(CAPABILITIES[capability])


def keep_only(capability: int) -> None:
    """Drop every other capability of root. The program keeps this one when it starts."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask)  # effective, permitted, inheritable
    must(libc.capset(header, sets))
    must(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))


def must(result: int) -> None:
    """Exit if a system call failed."""
    if result != 0:
        sys.exit("this process may not keep the capability of root")


if __name__ == "__main__":
    main(*sys.argv[1:])
