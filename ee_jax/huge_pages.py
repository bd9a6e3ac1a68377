"""Huge pages for large arrays, where Linux gives them to whoever asks.

A compiled program gets its memory anew at every call, and on a CPU the kernel then hands it
over page by page: a gradient of a small encoder meets 130,000 of them. glibc asks for pages of
2 MiB where it is told to before a process starts.
"""

import os
import sys
from pathlib import Path

SETTING = "glibc.malloc.hugetlb"
TUNABLES = "GLIBC_TUNABLES"
ON_REQUEST = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def ask_for_huge_pages() -> None:
    """Starts the running command again, with huge pages asked for, where that changes anything.

    Who has set glibc's tunable, either way, keeps it.
    """
    given = os.environ.get(TUNABLES, "")
    if SETTING in given or not _on_request():
        return
    tunables = ":".join(filter(None, [given, f"{SETTING}=1"]))
    arguments = [sys.executable, *sys.orig_argv[1:]]
    try:
        os.execve(sys.executable, arguments, {**os.environ, TUNABLES: tunables})
    except OSError:  # the command does without
        return


def _on_request() -> bool:
    try:
        return "[madvise]" in ON_REQUEST.read_text()
    except OSError:  # not Linux, or a sandbox
        return False
