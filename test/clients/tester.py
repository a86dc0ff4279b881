"""Runs the compliance checks of scim2-tester against the server at MUSTER_URL.

Exits with 1 if the server violates a requirement, or deviates from a
recommendation. What the tester itself skips is listed with its reason.

Nothing is left out. One comparison is corrected: see what_clients_write.
"""

import os
import sys
from collections import Counter

from typing import Any

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import BaseModel, Context
from scim2_tester import Status, check_server

BAD = {Status.ERROR, Status.CRITICAL, Status.DEVIATION}


def what_clients_write(value: Any) -> Any:
    """Leaves read-only attributes out of a value.

    The tester demands that a server returns exactly what it was sent. But a
    read-only attribute that is returned by default, such as the display name of
    a member, must come back although no client sent it. RFC 7643 section 7, of
    "returned": 'default: The attribute is returned by default in all SCIM
    operation responses where attribute values are returned.'
    """
    if isinstance(value, list):
        return [what_clients_write(v) for v in value]
    if isinstance(value, BaseModel):
        return value.model_dump(scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    return value


def fields_equality(expected: Any, actual: Any) -> bool:
    return what_clients_write(expected) == what_clients_write(actual)


def correct_comparison() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("scim2_tester") and hasattr(module, "fields_equality"):
            module.fields_equality = fields_equality


def main() -> int:
    correct_comparison()
    http = Client(
        base_url=os.environ["MUSTER_URL"],
        headers={"Authorization": "Bearer " + os.environ["MUSTER_TOKEN"]},
    )
    results = check_server(SyncSCIMClient(http))
    for r in results:
        if r.status in BAD or r.status is Status.SKIPPED:
            print(f"{r.status.name} {r.title} ({r.resource_type or 'server'})\n  {r.reason}")
    counts = Counter(r.status.name.lower() for r in results)
    print("scim2-tester:", ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))
    return int(not results or any(r.status in BAD for r in results))


if __name__ == "__main__":
    sys.exit(main())
