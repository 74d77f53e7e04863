"""Headless Chromium, from Debian's packages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

# As root in a container, without a GPU, and without asking anybody on the internet for anything.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_SECONDS = 30


@contextmanager
def chromium(folder: Path) -> Iterator[Chrome]:
    """A browser without a past; `folder` holds what it keeps."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium; apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, ChromeService(driver))
    browser.set_page_load_timeout(TIMEOUT_SECONDS)
    try:
        yield browser
    finally:
        browser.quit()


def complaints(browser: Chrome) -> list[str]:
    """What the console has said since it was last asked."""
    return [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]  # upstream


def text(browser: Chrome, selector: str) -> str:
    """What a person reads there."""
    return browser.find_element(By.CSS_SELECTOR, selector).text


def texts(browser: Chrome, selector: str) -> list[str]:
    """The same for all of them."""
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector)]
