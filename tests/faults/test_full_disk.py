"""No room to commit: 507 before any acknowledgement, and all goes on when there is room. A failed fsync ends the process."""

import random
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from audit.settings import load_settings
from cli.access import make_token
from tests.faults import proxy as faults
from tests.faults.ledger import count
from tests.faults.load import Book, Load, Organization, post
from tests.faults.proxy import Proxy
from tests.faults.service import COMMAND, Deployment, Ingest, free_port, until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB: the write-ahead log alone takes 4 before it is copied into the file."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "none", str(tmp_path)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a tmpfs takes root; the file size limit is tested everywhere")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def limit_files(pid: int, size: int) -> None:
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_on_a_full_disk_senders_get_507_and_lose_nothing(deployment: Deployment, small_disk: Path) -> None:
    with Proxy(deployment.node) as proxy:
        ingest = deployment.ingest(store_url=proxy.url, TRAILKEEPER_SPOOL_PATH=str(small_disk / "spool.sqlite"))
        ingest.spool = small_disk / "spool.sqlite"
        ingest.start()
        with Load(ingest.port, deployment.key, deployment.organizations) as load:
            until(ingest.relayed, 30, "the first events are indexed")
            proxy.fault = faults.status(503)  # nothing leaves the spool
            until(lambda: load.book.statuses[507] > 10, 60, "507")
            assert ingest.get("/healthz").status_code == 200
            assert "events wait for the store" in ingest.get("/readyz").json()["checks"]["relay"]
            acknowledged = len(load.book.acknowledged)
            subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
            until(lambda: len(load.book.acknowledged) > acknowledged, 30, "it takes events again")
            proxy.fault = None
            book = load.finish()
        ingest.drain()
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\na full disk, {book.statuses[507]} requests answered 507: {counted}")
    assert counted.clean


def test_past_a_file_size_limit_it_is_the_same(deployment: Deployment) -> None:
    ingest = deployment.ingest().start()
    with Load(ingest.port, deployment.key, deployment.organizations) as load:
        until(ingest.relayed, 30, "the first events are indexed")
        limit_files(ingest.pid, 128 << 10)
        until(lambda: load.book.statuses[507] > 10, 60, "507")
        assert ingest.alive()
        acknowledged = len(load.book.acknowledged)
        limit_files(ingest.pid, resource.RLIM_INFINITY)
        until(lambda: len(load.book.acknowledged) > acknowledged, 30, "it takes events again")
        book = load.finish()
    ingest.drain()
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\na file size limit, {book.statuses[507]} requests answered 507: {counted}")
    assert counted.clean


def test_embedded_a_full_disk_stops_writing_and_not_reading(tmp_path: Path) -> None:
    """One file, one process: who reads goes on reading while nothing can be added.

    A query nobody made in the last five minutes would have to be put on the trail first, and can't be: it is refused, as
    no parameter and no full disk makes a reading that leaves no trace.
    """
    secret = "a secret of the tests' own, 32 bytes"
    store_url = f"sqlite:///{tmp_path / 'trail.sqlite'}"
    environment = {"TRAILKEEPER_JWT_SECRET": secret, "TRAILKEEPER_LIFECYCLE_INTERVAL_SECONDS": "1"}
    trail = Ingest(store_url, environment, [COMMAND, "serve"])
    trail.port = int(trail.environment.setdefault("TRAILKEEPER_PORT", str(free_port())))
    try:
        key = trail.run("keys", "create", "--organization", "org_1").stdout.strip()
        trail.start()
        book, dice = Book(), random.Random(4)
        organization = [Organization("org_1", "90d")]
        kept = book.batch(organization, 20, dice)
        assert post(trail.port, key, kept.lines)[0] == 202
        token = make_token(load_settings(store_url=store_url, jwt_secret=secret), "org_1", "owner", "u_1")

        def read(**query: str) -> httpx.Response:
            return httpx.get(
                f"http://127.0.0.1:{trail.port}/v1/organizations/org_1/audit-logs",
                params={"limit": "1000", **query},
                headers={"authorization": f"Bearer {token}"},
                timeout=30,
                trust_env=False,
            )

        assert read().status_code == 200
        limit_files(trail.pid, 64 << 10)
        statuses = {post(trail.port, key, book.batch(organization, 100, dice).lines)[0] for _ in range(20)}
        assert 507 in statuses
        assert statuses <= {202, 507}
        answer = read()
        assert answer.status_code == 200, answer.text
        assert set(kept.ids) <= {event["id"] for event in answer.json()["items"]}
        assert read(action="api_key.create").status_code == 503
        assert trail.get("/healthz").status_code == 200

        limit_files(trail.pid, resource.RLIM_INFINITY)
        again = book.batch(organization, 100, dice)
        until(lambda: post(trail.port, key, again.lines)[0] == 202, 30, "it takes events again")
        assert set(again.ids) <= {event["id"] for event in read().json()["items"]}
    finally:
        trail.close()


@pytest.mark.parametrize("syncs", [25, 60])
def test_a_failed_fsync_ends_the_process_and_the_next_start_has_all(deployment: Deployment, syncs: int) -> None:
    ingest = deployment.crashing_ingest(f"fsync:{syncs}").start()
    with Load(ingest.port, deployment.key, deployment.organizations) as load:
        assert ingest.wait_until_dead() == 70
        assert "fsync" in str(ingest.logged("ending"))
        ingest.start(TRAILKEEPER_TEST_FAULTS="")
        acknowledged = len(load.book.acknowledged)
        until(lambda: len(load.book.acknowledged) > acknowledged, 30, "it takes events again")
        book = load.finish()
    ingest.drain()
    counted = count(deployment.node, book, [each.id for each in deployment.organizations], [ingest.spool])
    print(f"\nfsync failed from the {syncs}th on: {counted}")
    assert counted.clean
