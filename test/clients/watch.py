"""Plays docs/examples/python: a watcher made by grpcio-tools from the contract.

It sees users who are made, changed and deleted, also while it is not running, and each
change once.
"""

import os
import queue
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
RUN = uuid.uuid4().hex[:8]
HEADERS = {"Authorization": "Bearer " + os.environ["MUSTER_TOKEN"], "Content-Type": "application/scim+json"}


def generate(folder: str) -> None:
    """Makes the client as the README beside the example says."""
    protos = [str(p) for p in (ROOT / "proto/muster/v1").glob("*.proto")]
    flags = ["-I", str(ROOT / "proto"), "--python_out=" + folder, "--grpc_python_out=" + folder]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *flags, *protos], check=True)


class Watcher:
    """The example, running."""

    def __init__(self, folder: str) -> None:
        env = os.environ | {"PYTHONPATH": folder, "POSITION": folder + "/position"}
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "docs/examples/python/watch.py"], env=env, stdout=subprocess.PIPE, text=True
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def until(self, last: str) -> list[str]:
        """The lines of users of this run up to one, which must come."""
        got = []
        while not got or got[-1] != last:
            line = self.lines.get(timeout=30)
            if RUN in line or line == last:
                got.append(line)
        return got

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def request(method: str, path: str, body: dict | None = None) -> dict:
    answer = requests.request(method, os.environ["MUSTER_URL"] + path, headers=HEADERS, json=body, timeout=30)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else {}


def create(name: str) -> str:
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": f"{name}-{RUN}"}
    return request("POST", "/Users", body)["id"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        generate(folder)
        ada = create("ada")
        watcher = Watcher(folder)
        assert watcher.until("that is all so far") == [f"there is ada-{RUN}", "that is all so far"]
        create("bob")
        assert watcher.until(f"OPERATION_CREATE bob-{RUN}") == [f"OPERATION_CREATE bob-{RUN}"]
        watcher.end()
        patch = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [{"op": "replace", "path": "active", "value": False}]}
        request("PATCH", "/Users/" + ada, patch)
        watcher = Watcher(folder)
        request("DELETE", "/Users/" + ada)
        want = [f"OPERATION_UPDATE ada-{RUN} active", f"OPERATION_DELETE ada-{RUN}"]
        got = watcher.until(want[-1])
        watcher.end()
        # It ended between printing bob and keeping the position, or after it.
        assert got in (want, [f"OPERATION_CREATE bob-{RUN}", *want]), got
    print("the watcher in Python: all as it should be")


main()
