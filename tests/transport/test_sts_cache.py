"""The cache of MTA-STS policies: what is fetched when, and what counts while DNS or HTTPS fail."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from mailgate.model.dns import Status
from mailgate.transport.https import HttpsAnswer, HttpsError, HttpsRequest
from mailgate.transport.mta_sts import Mode
from mailgate.transport.sts_cache import RETRY_SECONDS, StsCache
from tests.relay.harness import FakeNames
from tests.support.clock import ManualClock

TEXT = "version: STSv1\nmode: {mode}\nmx: mx.hop.example\nmax_age: {age}\n"


class Site:
    """The policy host of hop.example, with its record."""

    def __init__(self, folder: Path) -> None:
        self.names = FakeNames()
        self.names.put("mta-sts.hop.example", "A", "192.0.2.1")
        self.clock = ManualClock()
        self.folder = folder
        self.answer: HttpsAnswer | HttpsError | None = None
        self.requests: list[HttpsRequest] = []
        self.record("1")
        self.publish()

    def record(self, identifier: str) -> None:
        self.names.put("_mta-sts.hop.example", "TXT", f"v=STSv1; id={identifier}")

    def publish(self, mode: str = "enforce", age: int = 864_000, **answer: Any) -> None:
        given = {"status": 200, "content_type": "text/plain", "body": TEXT.format(mode=mode, age=age).encode()}
        self.answer = HttpsAnswer(**(given | answer))

    async def _fetch(self, request: HttpsRequest) -> HttpsAnswer:
        self.requests.append(request)
        if isinstance(self.answer, HttpsError):
            raise self.answer
        assert self.answer is not None
        return self.answer

    def cache(self) -> StsCache:
        return StsCache(self.names, self.folder, self.clock, lambda address: not address.startswith("10."), self._fetch)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "sts")


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


async def mode(cache: StsCache) -> Mode | None:
    policy = await cache.policy("hop.example")
    return policy.mode if policy is not None else None


def test_a_policy_is_fetched_once_and_kept_over_a_restart(site: Site) -> None:
    async def scenario() -> None:
        cache = site.cache()
        assert await mode(cache) is Mode.ENFORCE
        assert await mode(cache) is Mode.ENFORCE
        assert await mode(site.cache()) is Mode.ENFORCE
        [request] = site.requests
        assert (request.host, request.path) == ("mta-sts.hop.example", "/.well-known/mta-sts.txt")

    run(scenario())


@pytest.mark.parametrize("status", [Status.FAILED, Status.NXDOMAIN, Status.NO_DATA])
def test_a_kept_policy_counts_whatever_dns_says(site: Site, status: Status) -> None:
    async def scenario() -> None:
        cache = site.cache()
        await mode(cache)
        site.names.fail("_mta-sts.hop.example", "TXT", status)
        assert await mode(cache) is Mode.ENFORCE
        site.clock.advance(864_001)
        assert await mode(cache) is None

    run(scenario())


def test_a_changed_record_brings_the_new_policy_at_once(site: Site) -> None:
    async def scenario() -> None:
        cache = site.cache()
        await mode(cache)
        site.record("2")
        site.publish("testing")
        assert await mode(cache) is Mode.TESTING

    run(scenario())


def test_a_fetch_that_fails_leaves_the_kept_policy_and_is_not_repeated_at_once(site: Site) -> None:
    async def scenario() -> None:
        cache = site.cache()
        await mode(cache)
        site.record("2")
        site.answer = HttpsError("down")
        assert await mode(cache) is Mode.ENFORCE
        assert await mode(cache) is Mode.ENFORCE
        assert len(site.requests) == 2
        site.clock.advance(RETRY_SECONDS)
        await mode(cache)
        assert len(site.requests) == 3

    run(scenario())


def test_it_is_refreshed_ahead_of_its_end(site: Site) -> None:
    async def scenario() -> None:
        cache = site.cache()
        await mode(cache)
        site.clock.advance(86_401)
        assert await mode(cache) is Mode.ENFORCE
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(site.requests) == 2
        site.clock.advance(864_000 - 100)
        assert await mode(site.cache()) is Mode.ENFORCE, "it lives from the refresh on"

    run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 301},
        {"content_type": "text/html"},
        {"content_type": ""},
        {"body": b"\xff\xfe"},
        {"body": b"version: STSv1\nmode: enforce\nmax_age: 1\n"},
    ],
)
def test_what_is_no_policy(site: Site, answer: dict[str, Any]) -> None:
    site.publish(**answer)
    run(_finds_none(site))


async def _finds_none(site: Site) -> None:
    assert await mode(site.cache()) is None


def test_dns_leads_to_no_private_policy_host(site: Site) -> None:
    site.names.put("mta-sts.hop.example", "A", "10.0.0.1")
    run(_finds_none(site))
    assert site.requests == []


def test_without_record_nothing_is_fetched(site: Site) -> None:
    site.names.fail("_mta-sts.hop.example", "TXT", Status.NXDOMAIN)
    run(_finds_none(site))
    assert site.requests == []


def test_a_file_that_is_broken_is_left_out(site: Site) -> None:
    async def scenario() -> None:
        await mode(site.cache())
        for path in site.folder.iterdir():
            path.write_text("{")
        assert await mode(site.cache()) is Mode.ENFORCE
        assert len(site.requests) == 2

    run(scenario())
