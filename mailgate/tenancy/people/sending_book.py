"""What accounts have sent, and those whose mail is held, in their tenant's database. From the directory's thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from mailgate.model.errors import ConflictError
from mailgate.tenancy.databases.ids import UserId
from mailgate.tenancy.databases.models import Brake, SentHour
from mailgate.tenancy.people import people
from mailgate.tenancy.work import Work

Hours = Mapping[int, tuple[int, int]]  # hour since 1970: (messages, recipients)


@dataclass(frozen=True, slots=True)
class SendingState:
    """`held_since` (seconds since 1970) and `reason` where the account's mail is held."""

    hours: Hours
    held_since: float | None = None
    reason: str = ""


def state_of(work: Work, login: str) -> SendingState:
    """Raises NotFoundError."""
    user = people.find_user(work, login)
    rows = work.session.scalars(select(SentHour).where(SentHour.user_id == user.id))
    hours = {row.hour: (row.messages, row.recipients) for row in rows}
    brake = work.session.get(Brake, user.id)
    return SendingState(hours) if brake is None else SendingState(hours, brake.created_at, brake.reason)


def held_because(work: Work, user: UserId) -> str:
    """Empty where the user's mail is not held."""
    brake = work.session.get(Brake, user)
    return "" if brake is None else brake.reason


def save(work: Work, login: str, hours: Hours, oldest: int) -> None:
    """Hours before `oldest` are forgotten. Raises NotFoundError."""
    user = people.find_user(work, login)
    for hour, (messages, recipients) in hours.items():
        values = {"messages": messages, "recipients": recipients}
        statement = insert(SentHour).values(user_id=user.id, hour=hour, **values)
        work.session.execute(statement.on_conflict_do_update(index_elements=["user_id", "hour"], set_=values))
    work.session.execute(delete(SentHour).where(SentHour.user_id == user.id, SentHour.hour < oldest))


def hold(work: Work, login: str, reason: str) -> list[str]:
    """The account's mail is held from now on. Returns whom to tell: the logins of the tenant's administrators. Raises
    NotFoundError."""
    user = people.find_user(work, login)
    if work.session.get(Brake, user.id) is None:
        work.session.add(Brake(user_id=user.id, reason=reason, created_at=work.now))
        work.audit("user.hold", user.login, None, {"reason": reason})
    return [each.login for each in people.administrators(work)]


def release(work: Work, login: str) -> str:
    """Its mail is held no more, and what it sent in these hours counts no more. Raises NotFoundError, ConflictError."""
    user = people.find_user(work, login)
    brake = work.session.get(Brake, user.id)
    if brake is None:
        raise ConflictError(f"the mail of {user.login} is not held")
    work.session.execute(delete(SentHour).where(SentHour.user_id == user.id, SentHour.hour >= work.now // 3600 - 1))
    work.audit("user.release", user.login, {"reason": brake.reason, "since": brake.created_at})
    work.session.delete(brake)
    work.session.flush()
    return user.login
