"""Who looks after the gateway: operators have an Ed25519 key each, and no password."""

from __future__ import annotations

import re

from sqlalchemy import select

from mailgate.model.errors import ConflictError, NotFoundError, UserError
from mailgate.tenancy import acting
from mailgate.tenancy.addresses import shown
from mailgate.tenancy.audit import log as audit_log
from mailgate.tenancy.databases.database import Database
from mailgate.tenancy.databases.models import Operator
from mailgate.tenancy.logins.operator_keys import fingerprint, is_signed, read_public

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Operators:
    """Those that the registry's database knows; read anew for every question, so that a removed one is out at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Operator]:
        with self._database.session() as session:
            return list(session.scalars(select(Operator).order_by(Operator.name)))

    def add(self, name: str, public_key: str, now: float) -> Operator:
        """`public_key` as PEM or as a line of OpenSSH. UserError, or ConflictError where name or key is taken."""
        if not _NAME.fullmatch(name):
            raise UserError(f"operator name {shown(name)}: it must be 1 to 63 characters of a-z, 0-9, '.', '_' and '-'")
        key = read_public(public_key)
        with self._database.session() as session:
            for other in session.scalars(select(Operator)):
                if other.name == name or other.key == key:
                    raise ConflictError(f"operator {other.name} exists already")
            operator = Operator(name=name, key=key, created_at=now)
            session.add(operator)
            after = {"key": fingerprint(key)}
            audit_log.REGISTRY.append(session, acting.current(), now, "operator.add", name, None, after)
        return operator

    def remove(self, name: str, now: float) -> None:
        """Raises NotFoundError."""
        with self._database.session() as session:
            operator = session.get(Operator, name)
            if operator is None:
                raise NotFoundError(f"there is no operator {shown(name)}")
            session.delete(operator)
            before = {"key": fingerprint(operator.key)}
            audit_log.REGISTRY.append(session, acting.current(), now, "operator.remove", name, before, None)

    def signed_by(self, challenge: bytes, signature: bytes) -> str:
        """The operator whose key signed the challenge, empty where it is nobody's."""
        for operator in self.all():
            if is_signed(operator.key, challenge, signature):
                return operator.name
        return ""
