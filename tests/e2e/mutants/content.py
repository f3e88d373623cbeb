"""Installed as sitecustomize: syncs of ordinary files from Python do nothing (SQLite's own are left)."""

import os
import stat

_fsync = os.fsync


def _folders_only(descriptor: int) -> None:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        _fsync(descriptor)


os.fsync = os.fdatasync = _folders_only
