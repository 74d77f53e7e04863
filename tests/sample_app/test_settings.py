import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app.cgroup import cpu_limit
from sample_app.settings import MAX_WORKERS, Settings, SettingsError, worker_count
from sample_app.storing import Storing


def test_every_default_is_as_promised() -> None:
    assert Settings.from_env({}) == Settings(
        pod="localhost",
        port=8000,
        cache_backend="Memory",
        cache_timeout_seconds=30,
        workers=2,
        threads=4,
        drain_seconds=3,
        storing=Storing(
            redis_url="",
            stale_seconds=30,
            negative_seconds=5,
            single_flight=True,
            cache_token="",
            database_url="",
            server_timing=False,
        ),
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
        "DEMO": "1",
    }
    expected = Storing("redis://cache:6379/0", 7, 2, False, "0123456789abcdef", "postgresql://db/shop", True)
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
    ("limit", "cores", "workers"),
    [
        pytest.param(0.3, 8, 2, id="a small limit still has a spare worker"),
        pytest.param(1.0, 8, 2, id="one core"),
        pytest.param(2.5, 8, 3, id="a part of a core is used too"),
        pytest.param(4.0, 2, 2, id="no more than the node has"),
        pytest.param(None, 4, 4, id="no limit: the cores"),
        pytest.param(None, 64, 8, id="a large node does not decide the memory"),
    ],
)
def test_workers_follow_the_cpu_limit(limit: float | None, cores: int, workers: int) -> None:
    assert worker_count(limit, cores) == workers


@given(limit=st.none() | st.floats(0.001, 10_000), cores=st.integers(1, 1024))
def test_workers_are_always_within_bounds(limit: float | None, cores: int) -> None:
    assert 2 <= worker_count(limit, cores) <= MAX_WORKERS


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"cpu.max": "50000 100000\n"}, 0.5, id="v2"),
        pytest.param({"cpu.max": "max 100000\n"}, None, id="v2 without limit"),
        pytest.param({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1.5, id="v1"),
        pytest.param(
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None, id="v1 without limit"
        ),
        pytest.param({}, None, id="no cgroup"),
    ],
)
def test_the_cpu_limit_is_read_from_the_cgroup(tmp_path: Path, files: dict[str, str], limit: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_limit(tmp_path) == limit
