"""A Lambda process's folder on its scratch disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def own_folder(function: str) -> Path:
    """An empty folder of this process, without what processes of the function before it have left.

    Lambda keeps /tmp when it ends a process that ran out of time or memory.
    """
    parent, prefix = Path(tempfile.gettempdir()), f"atlas-{function}-"
    for left in parent.glob(f"{prefix}*"):
        if not _runs(int(left.name.removeprefix(prefix))):
            shutil.rmtree(left, ignore_errors=True)
    own = parent / f"{prefix}{os.getpid()}"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    return own


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True
