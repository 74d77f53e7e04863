"""Settings of what the application keeps and where: its cache and its database."""

from dataclasses import dataclass
from typing import Self

from sample_app.environment import Environment, SettingsError, choice, integer, token

# A guessed token lets strangers empty the cache; 16 random characters take longer than anyone tries.


@dataclass(frozen=True, slots=True)
class Storing:
    """What an operator of the app may set about its cache and its database.

    redis_url: of the cache that all replicas share, for CACHE_BACKEND=Redis.
    stale_seconds: how long after its life an answer may be served while a new one is made.
    negative_seconds: life of a cached "not found".
    single_flight: whether only one request computes an answer that is missing.
    cache_token: who has it may invalidate; "" for nobody.
    database_url: of the product catalogue; "" for the SQLite file that comes with the image.
    """

    redis_url: str = ""
    stale_seconds: int = 30
    negative_seconds: int = 5
    single_flight: bool = True
    cache_token: str = ""
    database_url: str = ""

    @classmethod
    def from_env(cls, environ: Environment) -> Self:
        """Read the settings; an unset or empty variable means its default.

        Raises:
            SettingsError: a variable cannot be used.
        """
        default = cls()
        return cls(
            redis_url=_redis_url(environ),
            stale_seconds=integer(environ, "CACHE_STALE_SECONDS", default.stale_seconds, 0, 86400),
            negative_seconds=integer(environ, "CACHE_NEGATIVE_SECONDS", default.negative_seconds, 0, 86400),
            single_flight=choice(environ, "CACHE_SINGLE_FLIGHT", "1", ("0", "1")) == "1",
            cache_token=token(environ, "CACHE_TOKEN"),
            database_url=_database_url(environ),
        )


def _redis_url(environ: Environment) -> str:
    url = environ.get("CACHE_REDIS_URL", "")
    if environ.get("CACHE_BACKEND") == "Redis" and not url.startswith(("redis://", "rediss://")):
        # It may hold a password, so the message doesn't hold it.
        raise SettingsError("CACHE_REDIS_URL is not an address redis://HOST:PORT, which CACHE_BACKEND=Redis needs")
    return url


def _database_url(environ: Environment) -> str:
    url = environ.get("DATABASE_URL", "")
    if url and not url.startswith(("sqlite:", "postgresql:", "postgres:")):
        raise SettingsError("DATABASE_URL is not an address sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
    return url
