"""One server and one browser for all tests of the page that a process runs."""

import pytest

from support.browser import browser, served_page, visits


@pytest.fixture(scope="package")
def url(tmp_path_factory):
    """The address of a page that is served from an empty folder, and finds no credentials."""
    folder = tmp_path_factory.mktemp("web")
    with served_page(folder, {"AWS_EC2_METADATA_DISABLED": "true"}) as address:
        yield address
    assert list(folder.iterdir()) == [], "the server writes no file"


@pytest.fixture(scope="package")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture
def opened(chromium, url):
    """Open a link; at the end no page has written an error, nor asked another server."""
    with visits(chromium, url) as opened:
        yield opened
