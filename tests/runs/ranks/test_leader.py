"""What is settled before any other process is called."""

import pytest

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.runs.ranks.leader import leading
from astrojepa_bench.runs.request import make_request


@pytest.fixture
def launched_twice(monkeypatch):
    place = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}
    for name, value in place.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(
    ("asked", "flag"), [({"isolate": True}, "--isolate"), ({"timeout": 60}, "--timeout")]
)
def test_a_request_that_runs_cells_elsewhere_is_refused(launched_twice, asked, flag):
    """Processes within processes would train everything as often as there are ranks."""
    request = make_request({"objectives": ["steady"], **asked})
    with (
        pytest.raises(ConfigError, match=f"{flag}: torchrun started 2 processes .* leave {flag} out"),
        leading(request),
    ):
        pass


def test_one_process_leads_nobody():
    """Whatever it runs."""
    with leading(make_request({"objectives": ["steady"], "isolate": True})):
        pass
