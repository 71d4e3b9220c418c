"""Log in, see the pipelines, log out: in Chromium, whose rules for cookies and forms are the ones that count."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from tests.integration.gateway_scene import PASSWORD, Gateway, gateway

pytestmark = pytest.mark.integration

# Dagster's UI is five megabytes of script, and the machine may be busy.
PATIENCE_S = 60


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a user of each role, named as the role."""
    with gateway(tmp_path_factory.mktemp("gateway")) as found:
        yield found


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """A headless Chromium with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = _installed("chromium")
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--window-size=1280,800", f"--user-data-dir={tmp_path / 'profile'}",
    ):  # fmt: skip
        options.add_argument(argument)
    found = webdriver.Chrome(options=options, service=Service(_installed("chromedriver")))
    yield found
    found.quit()


def test_person_logs_in_looks_around_and_logs_out(scene: Gateway, browser: webdriver.Chrome) -> None:
    browser.get(f"{scene.address}/assets")
    assert browser.current_url == f"{scene.address}/login?next=/assets"
    picture(browser, "log-in")

    fill_in(browser, "engineer", "wrong")
    assert browser.find_element(By.CSS_SELECTOR, "[role=alert]").text == "The user name or the password is wrong."
    picture(browser, "refused")

    fill_in(browser, "engineer", PASSWORD)
    wait = WebDriverWait(browser, PATIENCE_S)
    wait.until(lambda seen: "orders" in seen.find_element(By.TAG_NAME, "body").text)
    assert browser.current_url == f"{scene.address}/assets"
    picture(browser, "pipelines")
    # Chromium keeps Secure cookies of this machine without TLS, and no script sees them.
    assert {cookie["name"] for cookie in browser.get_cookies()} == {
        "__Host-analytics-access",
        "__Host-analytics-refresh",
    }
    assert browser.execute_script("return document.cookie") == ""

    browser.get(f"{scene.address}/logout")
    assert "engineer" in browser.find_element(By.TAG_NAME, "dl").text
    picture(browser, "session")
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    wait.until(expected_conditions.presence_of_element_located((By.ID, "password")))
    assert browser.get_cookies() == []
    browser.get(f"{scene.address}/assets")
    assert browser.current_url == f"{scene.address}/login?next=/assets"


def test_viewer_is_offered_no_button_that_operates(scene: Gateway, browser: webdriver.Chrome) -> None:
    browser.get(f"{scene.address}/login?next=/locations")
    fill_in(browser, "viewer", PASSWORD)
    wait = WebDriverWait(browser, PATIENCE_S)
    wait.until(lambda seen: "analytics" in seen.find_element(By.TAG_NAME, "body").text)
    buttons = browser.find_elements(By.XPATH, "//button[contains(., 'Reload')]")
    assert all(button.get_attribute("disabled") for button in buttons)
    picture(browser, "viewer")


def test_pages_fit_a_telephone_and_the_dark(scene: Gateway, browser: webdriver.Chrome) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    )
    browser.get(f"{scene.address}/login")
    picture(browser, "dark")
    wide = browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth")
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert not wide
    assert ground == "rgb(18, 21, 28)"


def fill_in(browser: webdriver.Chrome, name: str, password: str) -> None:
    form = browser.find_element(By.TAG_NAME, "form")
    field = form.find_element(By.NAME, "username")
    field.clear()
    field.send_keys(name)
    form.find_element(By.NAME, "password").send_keys(password)
    browser.execute_script("window.isFormerPage = true")
    form.find_element(By.TAG_NAME, "button").click()
    # Asked of the page and not of the form: chromedriver fails where it looks for an element of a document that is just
    # being exchanged ("Node with given id does not belong to the document").
    WebDriverWait(browser, PATIENCE_S).until(
        lambda seen: seen.execute_script("return document.readyState === 'complete' && !window.isFormerPage")
    )


def picture(browser: webdriver.Chrome, name: str) -> None:
    """Kept for a person to look at where SCREENSHOTS names a folder."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def _installed(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: install the Debian packages chromium and chromium-driver"
    return found
