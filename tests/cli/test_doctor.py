"""`doctor` says whether this machine is ready, and if not, why."""

import json

from astrojepa_bench.cli import doctor


def checks(out):
    """Read the checks by name."""
    return {check["name"]: check for check in json.loads(out)["checks"]}


def test_healthy_machine_exits_zero(command):
    """The tests run where everything required is installed."""
    code, out, _ = command("doctor", "--json")

    assert code == 0
    assert json.loads(out)["healthy"]
    assert {"python", "torch", "torchvision", "timm", "h5py", "numpy", "scikit-learn"} <= set(checks(out))
    assert checks(out)["plugin"]["text"] == "ringmasks offers 2 components"


def test_lines_begin_with_the_state(command):
    """People scan the first column."""
    _, out, _ = command("doctor")

    assert {line.split()[0] for line in out.splitlines()} <= {"ok", "warn"}


def test_broken_plugin_is_named_and_exits_two(command, tmp_path):
    """The examination goes on to its end and shows what is broken."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise OSError('no disk')")

    code, out, _ = command("doctor", "--json", plugin=broken)

    assert code == 2
    assert not json.loads(out)["healthy"]
    assert "OSError: no disk" in checks(out)["plugins"]["text"]


def test_missing_package_is_broken(monkeypatch):
    """Pip does not keep together what it once installed."""
    needed = ["no-such-package>=1", "tox>=4; extra == 'dev'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needed)

    states = {check.name: check.state for check in doctor._packages()}

    assert states == {"astrojepa-bench": "ok", "no-such-package": "broken"}


def test_little_room_is_a_warning(monkeypatch):
    """A full disk is better known before the download than after."""
    usage = type("Usage", (), {"free": 1e9})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)

    [check] = doctor._cache()

    assert check.state == "warn"
    assert "1.0 GB free" in check.text
