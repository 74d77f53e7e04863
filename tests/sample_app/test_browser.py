"""What a person sees: the pages in a real browser, served by real gunicorns."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.sample_app import nginx
from tests.sample_app.browser import TIMEOUT_SECONDS, chromium, complaints, text, texts
from tests.sample_app.nginx import REPOSITORY
from tests.sample_app.serving import Server, eventually

pytestmark = pytest.mark.process

TOKEN = "a-token-of-these-tests"  # noqa: S105 - as it says
PHONE = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chrome: Chrome) -> Iterator[Chrome]:
    """On an empty page; nothing that it is shown may make the console complain."""
    chrome.get("about:blank")
    complaints(chrome)
    yield chrome
    assert complaints(chrome) == []


@pytest.fixture
def site(serve: Callable[..., Server], tmp_path: Path) -> str:
    """The address of a gunicorn with two workers."""
    server = serve(WEB_CONCURRENCY="2", PROFILE_TOKEN=TOKEN, PROFILE_FOLDER=str(tmp_path / "profiles"))
    return f"http://127.0.0.1:{server.port}"


def test_the_first_page_says_who_answers_and_all_its_links_lead_somewhere(browser: Chrome, site: str) -> None:
    browser.get(f"{site}/")
    assert text(browser, "h1") == "Hello from one of the replicas"
    assert texts(browser, "dd")[0] == "pod-a"
    assert _style(browser, "dl", "display") == "grid"  # the style sheet has come
    links = [link.get_attribute("href") or "" for link in browser.find_elements(By.CSS_SELECTOR, "li a")]
    assert len(links) == 7
    for link in links:
        browser.get(link)
        assert text(browser, "body")
    assert complaints(browser) == []


def test_a_visitor_pages_searches_and_looks_at_a_product(browser: Chrome, site: str) -> None:
    browser.get(f"{site}/products")
    first = texts(browser, "tbody a")
    assert len(first) == 20
    browser.find_element(By.LINK_TEXT, "Next page").click()
    second = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, "tbody a")]
    assert second[0] == f"{site}/products/21"
    browser.find_element(By.NAME, "q").send_keys("walnut cl\n")
    _wait(browser, lambda: text(browser, "h1") == "Products named “walnut cl”")
    assert {name.split()[1:2][0] for name in texts(browser, "tbody a")} == {"Walnut"}
    link = browser.find_element(By.CSS_SELECTOR, "tbody a")
    name = link.text
    link.click()
    _wait(browser, lambda: text(browser, "h1") == name)
    assert texts(browser, "h2") == ["Reviews", "Related"]
    assert len(texts(browser, "tbody a")) == 2


def test_slow_and_fast_queries_are_shown_side_by_side_with_their_statements(browser: Chrome, site: str) -> None:
    browser.get(f"{site}/products/plans")
    assert len(texts(browser, "h2")) == len(texts(browser, "table")) == 4
    assert texts(browser, "tbody th") == ["Before", "After"] * 4
    browser.find_element(By.CSS_SELECTOR, "summary").click()
    assert text(browser, "details pre").startswith("SELECT product.id")


def test_the_spread_over_replicas_is_counted_and_drawn(
    browser: Chrome, serve: Callable[..., Server], tmp_path: Path
) -> None:
    pods = []
    for name in ("pod-a", "pod-b"):
        (tmp_path / name).mkdir()
        pods.append(serve(POD_NAME=name, WEB_CONCURRENCY="2", PROMETHEUS_MULTIPROC_DIR=str(tmp_path / name)))
    ports = {8001: pods[0].port, 8002: pods[1].port}
    balancer = nginx.start(REPOSITORY / "docs" / "nginx-one-machine.conf", tmp_path / "nginx", ports)
    try:
        browser.get(f"http://127.0.0.1:{balancer.port}/spread?n=80")
        browser.find_element(By.TAG_NAME, "button").click()
        _wait(browser, lambda: browser.find_element(By.ID, "status").get_attribute("data-done") == "80")
    finally:
        balancer.stop()
    assert text(browser, "#status").startswith("80 requests, 0 failed, answered by 2 pods and")
    assert set(texts(browser, "tbody td:nth-child(1)")) == {"pod-a", "pod-b"}
    answers = [int(count) for count in texts(browser, "tbody td:nth-child(3)")]
    assert sum(answers) == 80
    bars = [bar.size["width"] for bar in browser.find_elements(By.CSS_SELECTOR, ".bar")]
    assert len(bars) == len(answers)
    assert min(bars) > 0


def test_a_profile_is_switched_on_taken_and_looked_at(browser: Chrome, site: str) -> None:
    browser.get(site.replace("//", f"//anybody:{TOKEN}@") + "/debug/profile/")
    assert "Off." in text(browser, "p")
    every = browser.find_element(By.NAME, "every")
    every.clear()
    every.send_keys("1")
    browser.find_element(By.XPATH, "//button[.='Switch on']").click()
    _wait(browser, lambda: "On: every request is profiled" in text(browser, "p"))

    def taken() -> bool:
        browser.get(f"{site}/products?plan=before")
        browser.get(f"{site}/debug/profile/")
        return "/products" in texts(browser, "tbody a")

    eventually(taken, "a request has been profiled")
    browser.find_element(By.CSS_SELECTOR, "tbody a").click()
    _wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "svg rect")) > 10)
    picture = browser.find_element(By.TAG_NAME, "svg").get_attribute("innerHTML") or ""
    assert "catalogue/queries.py" in picture
    assert len(texts(browser, "tbody tr")) > 10


def test_a_phone_shows_the_whole_width_of_every_page(browser: Chrome, site: str) -> None:
    widths = {}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        for path in ("/", "/products", "/products/17", "/products/plans", "/spread"):
            browser.get(f"{site}{path}")
            widths[path] = browser.execute_script("return document.documentElement.scrollWidth")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert max(widths.values()) <= PHONE["width"], widths


def _style(browser: Chrome, selector: str, name: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).value_of_css_property(name)


def _wait(browser: Chrome, condition: Callable[[], bool]) -> None:
    """A page that is being left may lose what was just found on it."""
    waiting = WebDriverWait(browser, TIMEOUT_SECONDS, ignored_exceptions=[StaleElementReferenceException])
    waiting.until(lambda _: condition())
