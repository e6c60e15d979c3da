"""A real Slurm of one node and a real cluster of Ray, started for a test and ended after it.

Slurm runs as root, without systemd or cgroups, on ports that nobody listens on. All daemons are children of this
process, so that they are ended by their own numbers, and end with it whatever happens.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec

import pytest

SLURM = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "setpriv")
CONFIGURATION = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge/socket
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
JobRequeue=1
KillWait=5
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_witness(reason):
    """Skip a test for want of what it is held against, or fail where that must be there, as in CI."""
    if os.environ.get("WITNESSES") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def slurm(tmp_path):
    """Start a Slurm; yield the environment in which its commands find it, and end every job and daemon."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    lacking = [name for name in SLURM if shutil.which(name, path=path) is None]
    if lacking:
        missing_witness(f"no {', '.join(lacking)} here (Debian: slurmctld slurmd slurm-client munge)")
    if os.geteuid():
        missing_witness("the daemons of Slurm are started as root")
    place = tmp_path / "slurm-daemons"
    for folder in ("state", "spool", "munge"):
        (place / folder).mkdir(parents=True)
    (place / "munge").chmod(0o700)
    key, conf = place / "munge" / "key", place / "slurm.conf"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 500
    conf.write_text(
        CONFIGURATION.format(place=place, host=host, ports=free_ports(2), cpus=2, memory_mb=memory_mb)
    )
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(conf)}
    munge = [f"--{name}={place}/munge/{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    daemons = []
    try:
        daemons += [
            started(
                place / "munged.log",
                environment,
                "munged",
                "--foreground",
                "--force",
                f"--key-file={key}",
                *munge,
            )
        ]
        waited_for((place / "munge" / "socket").exists)
        daemons += [started(place / "slurmctld.log", environment, "slurmctld", "-D", "-f", conf)]
        daemons += [started(place / "slurmd.log", environment, "slurmd", "-D", "-f", conf, "-N", host)]
        waited_for(lambda: told(environment, "sinfo", "-h", "-o", "%t").strip() == "idle")
        yield environment
    finally:
        with suppress(AssertionError):  # the daemons end whatever the jobs do
            told(environment, "scancel", "--full", "--user=root")
            waited_for(lambda: not told(environment, "squeue", "-h").strip(), 20)
        for daemon in reversed(daemons):
            ended(daemon)


@pytest.fixture
def ray_nodes(tmp_path, monkeypatch):
    """Start three nodes of Ray with a processor each; yield their address and processes, the head's first."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # whatever token an earlier Ray left in the home folder
    if find_spec("ray") is None:
        missing_witness('no Ray here; pip install "astrojepa-bench[ray]"')
    port = free_ports(1)[0]
    place = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a longer path is none for its sockets
    steps = {"STEPS": str(tmp_path / "steps"), "PACE": "0.3"}  # for the objectives of paced.py
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **steps}
    small = (
        "--num-cpus",
        1,
        "--object-store-memory",
        80_000_000,
        "--node-ip-address",
        "127.0.0.1",
        "--block",
    )
    ray = (sys.executable, "-m", "ray.scripts.scripts", "start")
    head = ("--head", "--port", port, "--include-dashboard", "false", "--temp-dir", place)
    nodes = []
    try:
        for number in range(3):
            join = ("--address", f"127.0.0.1:{port}") if number else head
            nodes += [node_of_ray(tmp_path / f"node-{number}.log", environment, *ray, *join, *small)]
        yield f"127.0.0.1:{port}", nodes
    finally:
        for node in reversed(nodes):
            ended(node)
        shutil.rmtree(place, ignore_errors=True)


def node_of_ray(log, environment, *words):
    """Start a node; on a busy machine Ray may give it up after 30 s, and it is started again."""
    for _ in range(3):
        node = started(log, environment, *words)
        waited_for(lambda node=node: "Ray runtime started" in log.read_text() or node.poll() is not None, 120)
        if node.poll() is None:
            return node
    pytest.fail(log.read_text()[-3000:])


@pytest.fixture
def trained():
    """Return the function that reads the steps of `paced.py`: seed, step and process of each."""

    def read(steps):
        lines = steps.read_text().splitlines() if steps.exists() else []
        return [tuple(map(int, line.split())) for line in lines if line.count(" ") == 2]

    return read


@pytest.fixture
def numbers():
    """Return the function that reads what training gave below a folder, by seed; each has one record."""

    def read(out):
        found = {}
        for path in (out / "runs").rglob("*.json"):
            record = json.loads(path.read_bytes())
            assert record["seed"] not in found
            parts = ("run_id", "status", "scores", "health", "correct")
            curves = (record["training"]["loss_curve"], record["training"]["rank_curve"])
            weights = (out / "weights" / f"{record['run_id']}.safetensors").read_bytes()
            found[record["seed"]] = [*(record[part] for part in parts), curves, weights]
        return found

    return read


def started(log, environment, *words):
    """Start a daemon that ends with this process."""
    with log.open("wb") as file:
        command = ["setpriv", "--pdeathsig", "KILL", *map(str, words)]
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file)


def ended(process):
    """End a process, gently at first."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    process.kill()
    process.wait()


def told(environment, *words):
    """Return what a command prints; nothing where it fails."""
    done = subprocess.run([*map(str, words)], env=environment, capture_output=True, text=True, check=False)
    return done.stdout


@pytest.fixture(name="waited_for")
def lend_waited_for():
    """Return the function that waits until something happened."""
    return waited_for


def waited_for(happened, patience_s=60.0):
    until = time.monotonic() + patience_s
    while not (found := happened()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.2)
    return found


def free_ports(count):
    """Find ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
