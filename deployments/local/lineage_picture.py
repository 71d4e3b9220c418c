"""Takes the README's picture of the lineage from a running UI: `make picture`. Needs Chromium and its driver."""

import shutil
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

from PIL import Image, ImageChops
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from deployments.local.plan import addresses
from resources.settings import load_settings

# Whatever lies between the raw tables and the marts is the data team's own; a group stands for each stage of it.
OPEN_GROUPS = ("routes", "log", "landing", "sources", "features", "models", "serving")
ON_THE_GRAPH = ("ingest_events", "landing", "marts", "customer_activity", "churn_model", "predict_churn")
_SIDE_BARS_PX = 545
_HEAD_PX = 110
_MARGIN_PX = 24


def take(dagster: str, path: Path, timeout_s: float = 90.0) -> None:
    """Open the global lineage, wait until the way from the door to the prediction is on it, and save the graph.

    Raises:
        selenium.common.TimeoutException: the graph did not show all of `ON_THE_GRAPH`.
        FileNotFoundError: Chromium or its driver is not installed.
    """
    with tempfile.TemporaryDirectory() as profile:
        browser = _browser(profile)
        try:
            groups = ",".join(f"global@global:{group}" for group in OPEN_GROUPS)
            browser.get(f"{dagster}/asset-groups?expanded={urllib.parse.quote(groups)}")
            WebDriverWait(browser, timeout_s).until(_shows_the_way)
            time.sleep(3)  # the graph glides into place after its names are there
            browser.save_screenshot(str(path))
        finally:
            browser.quit()
    with Image.open(path) as whole:
        graph = whole.convert("RGB").crop((_SIDE_BARS_PX, _HEAD_PX, whole.width - 52, whole.height))
    # The background's dots are nearly white: what is darker is the graph.
    ink = ImageChops.invert(graph.convert("L")).point(lambda level: 255 if level > 24 else 0).getbbox()
    if ink is not None:
        left, top, right, bottom = ink
        around = (max(0, left - _MARGIN_PX), max(0, top - _MARGIN_PX), right + _MARGIN_PX, bottom + _MARGIN_PX)
        graph = graph.crop((*around[:2], min(graph.width, around[2]), min(graph.height, around[3])))
    graph.save(path, optimize=True)


def _browser(profile: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = _installed("chromium")
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=3680,1800",
        f"--user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=Service(_installed("chromedriver")))


def _installed(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is missing: install the Debian packages chromium and chromium-driver.")
    return found


def _shows_the_way(browser: webdriver.Chrome) -> bool:
    text = browser.find_element(By.TAG_NAME, "body").text
    return all(name in text for name in ON_THE_GRAPH)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("lineage.png")
    take(addresses(load_settings())["dagster"], target)
    sys.stderr.write(f"wrote {target}\n")
