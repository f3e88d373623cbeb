"""Installed as sitecustomize: SQLite syncs nothing."""

import apsw


class UnsyncedFile(apsw.VFSFile):
    def xSync(self, flags: int) -> None:
        pass


class UnsyncedVFS(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("unsynced", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> UnsyncedFile:
        return UnsyncedFile("unix", name, flags)


kept_alive = UnsyncedVFS()
