"""One JSON object per line for everything the process says: the server's words, the access log, errors."""

import json
import logging
import logging.config
import os
import sys
from datetime import UTC, datetime
from typing import Any

from gunicorn.glogging import Logger


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON; `extra={"fields": {...}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            "pid": record.process,
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class ServerLogger(Logger):
    """Gunicorn's own logger, in our format."""

    def setup(self, cfg: Any) -> None:
        """Set up as gunicorn does, then change the format."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())


def say_from_signal_handler(message: str) -> None:
    """Log one line without the locks and buffers of logging, which the signal may have interrupted half-way."""
    record = logging.makeLogRecord({"levelname": "INFO", "msg": message})
    os.write(sys.stderr.fileno(), f"{JsonFormatter().format(record)}\n".encode())


def configure() -> None:
    """Send what the application logs to standard output."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter}},
            "handlers": {
                "stdout": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": "json",
                }
            },
            "root": {"level": "INFO", "handlers": ["stdout"]},
        }
    )
