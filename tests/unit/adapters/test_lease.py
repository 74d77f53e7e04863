import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from kubernetes.aio.client.configuration import Configuration

from scalableapp.adapters.kube_api import KubeApi
from scalableapp.adapters.lease import Lease, LeaseLost, LeaseTimes
from scalableapp.errors import NotFound, Unavailable
from tests.unit.adapters.canned import ApiServer, Asked, Refusal

TIMES = LeaseTimes(duration_seconds=15, renew_deadline_seconds=10, retry_seconds=0.01)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class LeaseStore:
    """The API server's part: one Lease, with optimistic locking."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.broken = False

    def __call__(self, asked: Asked) -> Any:
        if self.broken:
            return Refusal(503, "etcd is away")
        if asked.verb == "POST":
            return Refusal(409) if self.lease else self._store(asked.body)
        if self.lease is None:
            return Refusal(404)
        if asked.verb == "GET":
            return self.lease
        if asked.body["metadata"]["resourceVersion"] != str(self.version):
            return Refusal(409, "the object has been modified")
        return self._store({**self.lease, "spec": {**self.lease["spec"], **asked.body["spec"]}})

    def _store(self, lease: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = {**lease, "metadata": {**lease["metadata"], "resourceVersion": str(self.version)}}
        return self.lease

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease
        spec: dict[str, Any] = self.lease["spec"]
        return spec


@pytest.fixture
def store(server: ApiServer) -> LeaseStore:
    store = LeaseStore()
    server.respond = store
    return store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def leases(server: ApiServer, store: LeaseStore, clock: Clock) -> AsyncIterator[tuple[Lease, Lease]]:
    api = KubeApi(Configuration(host=server.url), rate=10_000)
    one, two = (Lease(api, "system", "operator", identity, times=TIMES, clock=clock) for identity in ("one", "two"))
    yield one, two
    await api.close()


async def has_to_wait(lease: Lease) -> bool:
    """Whether several tries do not bring the Lease."""
    return all([await lease._try() != lease._identity for _ in range(3)])


async def test_the_first_one_gets_the_lease(leases: tuple[Lease, Lease], store: LeaseStore) -> None:
    await leases[0].acquire()
    assert store.spec["holderIdentity"] == "one"
    assert store.spec["leaseDurationSeconds"] == 15
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", store.spec["renewTime"])


async def test_a_second_one_waits_while_the_first_renews(leases: tuple[Lease, Lease], clock: Clock) -> None:
    one, two = leases
    await one.acquire()
    for _ in range(5):
        clock.now += 9
        assert await one._try() == "one"
        assert await has_to_wait(two)


async def test_it_takes_over_when_the_holder_has_been_silent_for_the_lease_s_duration(
    leases: tuple[Lease, Lease], clock: Clock, store: LeaseStore
) -> None:
    one, two = leases
    await one.acquire()
    assert await has_to_wait(two)
    clock.now += 14
    assert await has_to_wait(two)
    clock.now += 2
    await two.acquire()
    assert (store.spec["holderIdentity"], store.spec["leaseTransitions"]) == ("two", 2)


async def test_clocks_are_never_compared(leases: tuple[Lease, Lease], clock: Clock, store: LeaseStore) -> None:
    one, two = leases
    await one.acquire()
    store.spec["renewTime"] = "2001-01-01T00:00:00.000000Z"
    assert await has_to_wait(two)


async def test_renewing_keeps_the_time_of_acquiring(leases: tuple[Lease, Lease], store: LeaseStore) -> None:
    one, _ = leases
    await one.acquire()
    acquired, renewed = store.spec["acquireTime"], store.spec["renewTime"]
    await one._try()
    assert store.spec["acquireTime"] == acquired
    assert store.spec["renewTime"] > renewed
    assert store.spec["leaseTransitions"] == 1


async def test_of_two_at_once_only_one_gets_it(leases: tuple[Lease, Lease], store: LeaseStore) -> None:
    one, two = leases
    holders = await asyncio.gather(one._try(), two._try())
    assert [holder for holder in holders if holder] == [store.spec["holderIdentity"]]


async def test_the_holder_gives_up_before_others_may_take_over(
    leases: tuple[Lease, Lease], clock: Clock, store: LeaseStore
) -> None:
    one, two = leases
    await one.acquire()
    assert await has_to_wait(two)
    store.broken = True
    clock.now += TIMES.renew_deadline_seconds
    with pytest.raises(LeaseLost, match="could not be renewed within 10 s"):
        await anext(one.renewals())
    store.broken = False
    assert await has_to_wait(two)


async def test_a_holder_that_was_replaced_notices(leases: tuple[Lease, Lease], store: LeaseStore) -> None:
    one, _ = leases
    await one.acquire()
    store._store({**(store.lease or {}), "spec": {**store.spec, "holderIdentity": "two"}})
    with pytest.raises(LeaseLost, match="Lease system/operator was taken over by two"):
        await anext(one.renewals())
    assert one.why_not()


async def test_a_passing_fault_is_told_and_does_not_end_the_holder(
    leases: tuple[Lease, Lease], store: LeaseStore
) -> None:
    one, _ = leases
    await one.acquire()
    renewals = one.renewals()
    store.broken = True
    assert "etcd is away" in await anext(renewals)
    store.broken = False
    assert await anext(renewals) == ""
    assert not one.why_not()


async def test_nothing_may_be_written_before_the_lease_is_held_and_after_its_deadline(
    leases: tuple[Lease, Lease], clock: Clock
) -> None:
    one, two = leases
    assert one.why_not() == "the Lease system/operator is not held"
    await one.acquire()
    clock.now += TIMES.renew_deadline_seconds - 0.1
    assert not one.why_not()
    clock.now += 0.2  # as in a process that was stopped and does not know it yet
    assert one.why_not()
    assert two.why_not()


async def test_a_renewal_is_one_request(leases: tuple[Lease, Lease], server: ApiServer) -> None:
    one, _ = leases
    await one.acquire()
    server.asked.clear()
    renewals = one.renewals()
    for _ in range(3):
        assert await anext(renewals) == ""
    assert [asked.verb for asked in server.asked] == ["PATCH"] * 3


async def test_a_renewal_that_was_carried_out_but_not_answered_costs_a_look(
    leases: tuple[Lease, Lease], store: LeaseStore
) -> None:
    one, _ = leases
    await one.acquire()
    store._store(store.lease or {})
    assert await anext(one.renewals()) == ""


async def test_a_lease_that_was_deleted_is_made_again(leases: tuple[Lease, Lease], store: LeaseStore) -> None:
    one, _ = leases
    await one.acquire()
    store.lease = None
    assert await anext(one.renewals()) == ""
    assert store.spec["holderIdentity"] == "one"


@pytest.mark.parametrize(
    "answer", [{}, {"metadata": {}}, {"metadata": {"resourceVersion": "1"}, "spec": 3}], ids=["{}", "bare", "odd"]
)
async def test_an_answer_that_is_no_lease_is_an_error_of_the_api(
    leases: tuple[Lease, Lease], server: ApiServer, answer: Any
) -> None:
    server.respond = lambda _asked: answer
    with pytest.raises(Unavailable, match="cannot be read"):
        await leases[0].acquire()


async def test_a_namespace_that_is_missing_is_an_error(leases: tuple[Lease, Lease], server: ApiServer) -> None:
    server.respond = lambda _asked: Refusal(404, 'namespaces "system" not found')
    with pytest.raises(NotFound, match="namespaces"):
        await leases[0].acquire()


async def test_who_holds_it_instead_is_told(leases: tuple[Lease, Lease]) -> None:
    one, two = leases
    await one.acquire()
    told: asyncio.Queue[str] = asyncio.Queue()
    waiting = asyncio.create_task(two.acquire(told.put_nowait))
    assert await asyncio.wait_for(told.get(), 5) == "one"
    waiting.cancel()


async def test_released_it_is_free_at_once(leases: tuple[Lease, Lease], store: LeaseStore) -> None:
    one, two = leases
    await one.acquire()
    await one.release()
    await two.acquire()
    assert store.spec["holderIdentity"] == "two"


async def test_only_the_own_lease_is_released(leases: tuple[Lease, Lease], store: LeaseStore) -> None:
    one, two = leases
    await one.acquire()
    await two.release()
    assert store.spec["holderIdentity"] == "one"


async def test_releasing_without_an_api_only_warns(
    leases: tuple[Lease, Lease], store: LeaseStore, caplog: pytest.LogCaptureFixture
) -> None:
    await leases[0].acquire()
    store.broken = True
    await leases[0].release()
    assert "could not be released" in caplog.text


async def test_an_api_that_hangs_does_not_hold_up_the_release(
    leases: tuple[Lease, Lease], server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = leases
    await one.acquire()
    one._times = LeaseTimes(release_seconds=0.05)

    async def hang(_request: object) -> Any:
        await asyncio.sleep(1)

    server.respond = lambda _asked: hang
    async with asyncio.timeout(0.9):
        await one.release()
    assert "expires: no answer in time" in caplog.text


async def test_an_api_that_fails_is_an_error_for_whoever_waits(leases: tuple[Lease, Lease], store: LeaseStore) -> None:
    one, _ = leases
    store.broken = True
    with pytest.raises(Unavailable, match="etcd is away"):
        await one.acquire()
    store.broken = False
    await one.acquire()
    assert store.spec["holderIdentity"] == "one"
