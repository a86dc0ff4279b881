"""Follows the changes of users in Muster, and prints them.

It begins with all users, keeps its position in the file `position`, goes on from there
whatever breaks, and begins anew where its position is gone. See README.md beside it.
"""

import os
import sys
import time
from pathlib import Path

import grpc
from muster.v1 import changes_pb2, changes_pb2_grpc

ADDRESS = os.environ.get("MUSTER_ADDRESS", "127.0.0.1:9090")
TOKEN = os.environ["MUSTER_TOKEN"]
POSITION = Path(os.environ.get("POSITION", "position"))

# Waiting does not mend these.
FINAL = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
}


def connect() -> grpc.Channel:
    """Connects without TLS to this machine, and with TLS to all others."""
    # Pings notice that the server's machine is gone, where nobody is left to say so.
    options = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000)]
    if ADDRESS.startswith(("127.0.0.1:", "localhost:")):
        return grpc.insecure_channel(ADDRESS, options)
    return grpc.secure_channel(ADDRESS, grpc.ssl_channel_credentials(), options)


def load() -> int:
    return int(POSITION.read_text()) if POSITION.exists() else 0


def save(position: int) -> None:
    """Writes the file whole: there is no time at which it holds half a number."""
    fresh = POSITION.with_suffix(".new")
    fresh.write_text(str(position))
    fresh.replace(POSITION)


def say(*words: object) -> None:
    print(*words, flush=True)


def handle(event: changes_pb2.WatchChangesResponse, in_snapshot: bool) -> bool:
    """Deals with one event, keeps the position, and tells whether a snapshot goes on.

    A service that has a database keeps the position there, in the transaction of what
    it makes of the change.
    """
    kind = event.WhichOneof("event")
    if kind == "resource":
        say("there is", event.resource.user.user_name)
    elif kind == "change":
        change = event.change
        say(changes_pb2.Change.Operation.Name(change.operation), change.user.user_name, *sorted(change.attributes))
        if not in_snapshot:
            save(change.position)
    elif kind == "snapshot_complete":
        say("that is all so far")
        save(event.snapshot_complete.position)
        return False
    elif kind == "heartbeat":
        save(event.heartbeat.position)
    return in_snapshot


def watch(stub: changes_pb2_grpc.ChangeServiceStub, position: int) -> None:
    """Follows one stream to its end, which is an error."""
    request = changes_pb2.WatchChangesRequest(
        after_position=position,
        snapshot=position == 0,
        filter=changes_pb2.ChangeFilter(resource_types=["User"]),
    )
    in_snapshot = request.snapshot
    for event in stub.WatchChanges(request, metadata=[("authorization", "Bearer " + TOKEN)]):
        in_snapshot = handle(event, in_snapshot)


def main() -> None:
    wait = 0.2
    with connect() as channel:
        stub = changes_pb2_grpc.ChangeServiceStub(channel)
        while True:
            position = load()
            try:
                watch(stub, position)
            except grpc.RpcError as e:
                if e.code() in FINAL:
                    sys.exit(f"{e.code().name}: {e.details()}")
                if e.code() == grpc.StatusCode.OUT_OF_RANGE:  # positionGone
                    save(0)
                    continue
                print(f"again in {wait:.1f} s: {e.code().name}: {e.details()}", file=sys.stderr)
            wait = 0.2 if load() != position else min(2 * wait, 30)
            time.sleep(wait)


if __name__ == "__main__":
    main()
