import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app.serving import Serving
from sample_app.settings import MAX_WORKERS, Settings, SettingsError, worker_count
from sample_app.storing import Storing


def test_every_default_is_as_promised() -> None:
    assert Settings.from_env({}) == Settings(
        pod="localhost",
        port=8000,
        cache_backend="Memory",
        cache_timeout_seconds=30,
        workers=None,
        threads=4,
        drain_seconds=3,
        serving=Serving(),
        storing=Storing(),
    )


def test_every_variable_is_read() -> None:
    environ = {
        "POD_NAME": "pod-a",
        "HOSTNAME": "host",
        "PORT": "9000",
        "CACHE_BACKEND": "None",
        "CACHE_TIMEOUT_SECONDS": "5",
        "WEB_CONCURRENCY": "3",
        "WEB_THREADS": "7",
        "DRAIN_SECONDS": "0",
    }
    assert Settings.from_env(environ) == Settings("pod-a", 9000, "None", 5, 3, 7, 0)


def test_every_variable_of_what_is_kept_is_read() -> None:
    environ = {
        "CACHE_BACKEND": "Redis",
        "CACHE_REDIS_URL": "redis://cache:6379/0",
        "CACHE_STALE_SECONDS": "7",
        "CACHE_NEGATIVE_SECONDS": "2",
        "CACHE_SINGLE_FLIGHT": "0",
        "CACHE_TOKEN": "0123456789abcdef",
        "DATABASE_URL": "postgresql://db/shop",
    }
    expected = Storing("redis://cache:6379/0", 7, 2, False, "0123456789abcdef", "postgresql://db/shop")
    assert Settings.from_env(environ).storing == expected


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"CACHE_BACKEND": "Redis"}, "CACHE_REDIS_URL"),
        ({"CACHE_BACKEND": "Redis", "CACHE_REDIS_URL": "http://secret@cache"}, "CACHE_REDIS_URL"),
        ({"CACHE_TOKEN": "secret"}, "CACHE_TOKEN"),
        ({"DATABASE_URL": "mysql://secret@db"}, "DATABASE_URL"),
    ],
    ids=["Redis without an address", "no address of a Redis", "a token to guess", "an unknown database"],
)
def test_secrets_are_not_told_when_they_cannot_be_used(environ: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match=name) as refusal:
        Settings.from_env(environ)
    assert "secret" not in str(refusal.value)


def test_an_empty_variable_means_the_default() -> None:
    assert Settings.from_env({"WEB_THREADS": "", "CACHE_BACKEND": ""}) == Settings()


def test_the_pod_is_told_by_its_host_name_when_nothing_better_is_known() -> None:
    assert Settings.from_env({"HOSTNAME": "web-7d9f"}).pod == "web-7d9f"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("PORT", "0", id="port below the bounds"),
        pytest.param("PORT", "65536", id="port above the bounds"),
        pytest.param("WEB_THREADS", "four", id="a word"),
        pytest.param("WEB_THREADS", "-1", id="negative"),
        pytest.param("WEB_CONCURRENCY", "1.5", id="a fraction"),
        pytest.param("WEB_CONCURRENCY", "9", id="too many workers"),
        pytest.param("CACHE_TIMEOUT_SECONDS", "9" * 5000, id="thousands of digits"),
        pytest.param("DRAIN_SECONDS", "٣", id="digits of another script"),
        pytest.param("CACHE_BACKEND", "memory", id="wrong case"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"{name}={value!r}")):
        Settings.from_env({name: value})


@pytest.mark.parametrize(
    ("limit", "cores", "memory", "workers"),
    [
        pytest.param(0.3, 8, None, 2, id="a small limit still has a spare worker"),
        pytest.param(1.0, 8, None, 2, id="one core"),
        pytest.param(2.5, 8, None, 3, id="a part of a core is used too"),
        pytest.param(4.0, 2, None, 2, id="no more than the node has"),
        pytest.param(None, 4, None, 4, id="no limit: the cores"),
        pytest.param(None, 64, None, 8, id="a large node does not decide the memory"),
        pytest.param(8.0, 8, 128 << 20, 3, id="no more than fit into the memory"),
        pytest.param(8.0, 8, 16 << 20, 2, id="a spare worker however small the memory"),
    ],
)
def test_workers_follow_the_limits(limit: float | None, cores: int, memory: int | None, workers: int) -> None:
    assert worker_count(limit, cores, memory) == workers


@given(
    limit=st.none() | st.floats(0.001, 10_000),
    cores=st.integers(1, 1024),
    memory=st.none() | st.integers(1, 1 << 50),
)
def test_workers_are_always_within_bounds(limit: float | None, cores: int, memory: int | None) -> None:
    assert 2 <= worker_count(limit, cores, memory) <= MAX_WORKERS


def test_what_is_kept_has_the_promised_defaults() -> None:
    assert Settings.from_env({}).storing == Storing(
        redis_url="", stale_seconds=30, negative_seconds=5, single_flight=True, cache_token="", database_url=""
    )


def test_everything_that_protects_the_pod_can_be_set() -> None:
    environ = {
        "DEMO": "1",
        "PROFILE_TOKEN": "0123456789abcdef",
        "PROFILE_FOLDER": "/profiles",
        "RATE_LIMIT": "10/second;100/minute",
        "RATE_LIMIT_STORAGE": "redis://redis:6379",
        "TRUSTED_PROXIES": "2",
        "MAX_BODY_BYTES": "5",
        "QUEUE_LIMIT": "7",
        "QUEUE_SECONDS": "3",
        "CGROUP_FOLDER": "/cgroup",
        "STATIC_FOLDER": "/static",
    }
    assert Settings.from_env(environ).serving == Serving(
        demo=True,
        profile_token="0123456789abcdef",
        profile_folder=Path("/profiles"),
        rate_limit="10/second;100/minute",
        rate_limit_storage="redis://redis:6379",
        trusted_proxies=2,
        max_body_bytes=5,
        queue_limit=7,
        queue_seconds=3,
        cgroup_folder=Path("/cgroup"),
        static_folder=Path("/static"),
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("DEMO", "yes", "DEMO='yes' is not one of 0, 1", id="a switch"),
        pytest.param("RATE_LIMIT", "often", "RATE_LIMIT='often' is not a limit such as 100/minute", id="a rate"),
        pytest.param("RATE_LIMIT_STORAGE", "file://x", "is not memory:// or an address redis://", id="a storage"),
        pytest.param("STATIC_FOLDER", "static", "STATIC_FOLDER='static' is not an absolute path", id="a folder"),
        pytest.param("QUEUE_LIMIT", "0", "QUEUE_LIMIT='0' is not a whole number from 1 to 1000", id="a bound"),
        pytest.param("PROFILE_TOKEN", "short", "PROFILE_TOKEN is not 16 or more ASCII characters", id="a weak token"),
    ],
)
def test_what_cannot_protect_the_pod_is_refused(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(expected)):
        Settings.from_env({name: value})


@pytest.mark.parametrize("name", ["PROFILE_TOKEN", "RATE_LIMIT_STORAGE"])
def test_a_refused_secret_is_not_told(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: "secret"})
    assert "secret" not in str(refused.value)
