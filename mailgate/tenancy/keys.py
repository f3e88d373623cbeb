"""The master key, and the content key of each tenant that it wraps (AES-256-GCM)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailgate.model.errors import UnavailableError
from mailgate.tenancy.databases.folders import sync_folder
from mailgate.tenancy.databases.ids import KeyId, TenantId, new_key_id
from mailgate.tenancy.databases.models import TenantKeyRow
from mailgate.tenancy.registry import Registry

KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class MasterKey:
    secret: bytes

    def __repr__(self) -> str:
        return f"MasterKey({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Says which key it is without saying anything of it; 16 hex digits."""
        return hashlib.blake2b(b"mailgate master key", key=self.secret, digest_size=8).hexdigest()

    def wrap(self, tenant: TenantId, key_id: KeyId, content_key: bytes) -> bytes:
        """Nonce and ciphertext; bound to tenant and key id, so that no tenant's row can stand in for another's."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.secret).encrypt(nonce, content_key, _context(tenant, key_id))

    def unwrap(self, tenant: TenantId, key_id: KeyId, wrapped: bytes) -> bytes:
        """The content key; raises UnavailableError where this is not the master key that wrapped it."""
        try:
            return AESGCM(self.secret).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _context(tenant, key_id))
        except (InvalidTag, ValueError):
            raise UnavailableError(f"key {key_id}: master key {self.fingerprint} does not open it") from None


def _context(tenant: TenantId, key_id: KeyId) -> bytes:
    return f"mailgate content key {tenant} {key_id}".encode()


def read_master_key(path: Path) -> MasterKey:
    """The key in the file (32 octets in base64); raises UnavailableError that says what is wrong with the file."""
    try:
        secret = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise UnavailableError(f"{path}: the master key can't be read: {error.strerror}") from error
    except binascii.Error:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise UnavailableError(
            f"{path}: a master key is {KEY_BYTES} octets in base64 (openssl rand -base64 {KEY_BYTES})"
        )
    return MasterKey(secret)


def make_master_key(path: Path) -> MasterKey:
    """A new key in a new file with mode 0600, synced before anything is wrapped by it."""
    key = MasterKey(os.urandom(KEY_BYTES))
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key.secret) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise UnavailableError(f"{path}: the master key can't be written: {error.strerror}") from error
    return key


class KeyRing:
    """Content keys by the registry, the master key from its file, read when it is first needed."""

    def __init__(self, registry: Registry, path: Path, may_be_made: bool) -> None:
        self._registry = registry
        self._path = path
        self._may_be_made = may_be_made
        self._master: MasterKey | None = None

    def new(self, tenant: TenantId, now: float) -> TenantKeyRow:
        """A wrapped content key for a new tenant; raises UnavailableError without the right master key."""
        master = self._master_key()
        key_id = new_key_id()
        wrapped = master.wrap(tenant, key_id, os.urandom(KEY_BYTES))
        return TenantKeyRow(id=key_id, tenant_id=tenant, master_key=master.fingerprint, wrapped=wrapped, created_at=now)

    def content_key(self, tenant: TenantId, key_id: KeyId) -> bytes:
        """Raises UnavailableError without the right master key."""
        return self._master_key().unwrap(tenant, key_id, self._registry.key(key_id).wrapped)

    def _master_key(self) -> MasterKey:
        if self._master is None:
            self._master = self._found_or_made()
        return self._master

    def _found_or_made(self) -> MasterKey:
        in_use = self._registry.master_key_in_use()
        if self._may_be_made and not in_use and not self._path.exists():
            return make_master_key(self._path)
        master = read_master_key(self._path)
        if in_use and master.fingerprint != in_use:
            raise UnavailableError(
                f"{self._path}: this is master key {master.fingerprint}, but {in_use} wrapped the tenants' keys: "
                "put that one in its place"
            )
        return master
