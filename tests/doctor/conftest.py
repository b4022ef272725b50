"""What the tests of several kinds of files share."""

import pytest

from support.node_files import REFUSED, log


@pytest.fixture
def lines(tmp_path):
    """Return the lines of a log that shows a minimum-only stall."""
    log(tmp_path, REFUSED, minimum_ip=9, pool=[(9, 9, 0)])
    text = (tmp_path / "ipamd.log").read_text().splitlines()
    (tmp_path / "ipamd.log").unlink()
    return text
