"""Turns into a program that ends with its parent: launch.py SIGNAL PARENT_PID USER PROGRAM [ARGUMENT...]

Runs under `python -I -S`, so it costs milliseconds and imports the standard library only.
USER is empty, or the account to become.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


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
    account = pwd.getpwnam(user)
    os.initgroups(user, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


if __name__ == "__main__":
    main(*sys.argv[1:])
