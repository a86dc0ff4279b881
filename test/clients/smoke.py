"""A session with the server at MUSTER_URL through the client library scim2-client.

The library builds its models from what the server's discovery endpoints say, and
validates every answer against them: an attribute with another type, mutability
or "returned" than /Schemas tells is an exception here.
"""

import os
import uuid

from httpx2 import Client
from scim2_client import SCIMClient
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import Error, PatchOp, PatchOperation, SCIMException, SearchRequest

RUN = uuid.uuid4().hex[:8]
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def connect() -> SyncSCIMClient:
    client = SyncSCIMClient(
        Client(
            base_url=os.environ["MUSTER_URL"],
            headers={"Authorization": "Bearer " + os.environ["MUSTER_TOKEN"]},
        ),
        raise_scim_errors=True,
    )
    client.discover()
    return client


def name(of: str) -> str:
    return f"{of}.{RUN}@example.com"


def patch(model: type, **operation: object) -> PatchOp:
    return PatchOp[model](operations=[PatchOperation[model](**operation)])


def users(client: SyncSCIMClient, made: list) -> None:
    """Create, read, replace, modify, conflict, delete."""
    User = client.get_resource_model("User")
    ada = client.create(
        User(
            user_name=name("ada"),
            display_name="Ada Lovelace",
            active=True,
            password="T0p-secret." + RUN,
            emails=[{"value": name("ada"), "type": "work", "primary": True}],
            **{ENTERPRISE: {"department": "Analysis"}},
        )
    )
    made.append(ada)
    assert ada.id and ada.meta.location.endswith("/Users/" + ada.id), ada
    assert getattr(ada, "password", None) is None, "the password came back"

    read = client.query(User, ada.id)
    assert read.user_name == name("ada") and read.emails[0].primary is True, read
    assert read.model_dump()[ENTERPRISE]["department"] == "Analysis", read

    read.display_name = "Augusta"
    replaced = client.replace(read)
    assert replaced.id == ada.id and replaced.display_name == "Augusta", replaced
    assert replaced.meta.version != ada.meta.version, "a change kept the version"

    try:
        client.replace(ada.model_copy(update={"display_name": "Lost"}))  # sends the old version
        raise AssertionError("a replace with an old version was accepted")
    except SCIMException as e:
        assert "412" in str(e.to_error().status), e

    client.modify(User, ada.id, patch(User, op="replace", path="title", value="Countess"))
    assert client.query(User, ada.id).title == "Countess"

    try:
        client.create(User(user_name=name("ADA")))
        raise AssertionError("a userName was taken twice")
    except SCIMException as e:
        error = e.to_error()
        assert isinstance(error, Error) and error.status == 409 and error.scim_type == "uniqueness", error


def groups(client: SyncSCIMClient, made: list) -> None:
    """A group with members, added and taken away."""
    User, Group = client.get_resource_model("User"), client.get_resource_model("Group")
    bob = client.create(User(user_name=name("bob")))
    made.append(bob)
    group = client.create(Group(display_name="Engineering " + RUN))
    made.append(group)
    client.modify(Group, group.id, patch(Group, op="add", path="members", value=[{"value": bob.id}]))
    assert [m.value for m in client.query(Group, group.id).members] == [bob.id]
    assert [g.value for g in client.query(User, bob.id).groups] == [group.id]
    client.modify(Group, group.id, patch(Group, op="remove", path=f'members[value eq "{bob.id}"]'))
    assert not client.query(Group, group.id).members


def queries(client: SyncSCIMClient, made: list) -> None:
    """Filters, pages, projection; and, where the server has them, order, cursors, search."""
    User = client.get_resource_model("User")
    made += [client.create(User(user_name=name(f"page{i}"), title=RUN)) for i in range(5)]
    query = {"filter": f'title eq "{RUN}"', "count": 2}
    seen: list[str] = []
    for start in (1, 3, 5):
        page = client.query(User, query_parameters=SearchRequest(start_index=start, **query))
        assert page.total_results == 5 and page.items_per_page == len(page.resources) <= 2, page
        seen += [u.user_name for u in page.resources]
    assert len(set(seen)) == len(seen) == 5, seen

    page = client.query(User, query_parameters=SearchRequest(attributes=["userName"], **query))
    assert page.resources[0].user_name and page.resources[0].title is None, page

    config = client.provider.config
    if config.sort and config.sort.supported:
        page = client.query(User, query_parameters=SearchRequest(sort_by="userName", sort_order="descending", **query))
        assert [u.user_name for u in page.resources] == [name("page4"), name("page3")], page
    if config.pagination and config.pagination.cursor:
        cursor, walked = "", []
        while cursor is not None:
            page = client.query(User, query_parameters=SearchRequest(cursor=cursor, **query))
            walked += [u.user_name for u in page.resources]
            cursor = page.next_cursor
        assert sorted(walked) == sorted(seen), walked


def main() -> None:
    client = connect()
    assert isinstance(client, SCIMClient) and client.provider.config.patch.supported
    made: list = []
    try:
        for part in (users, groups, queries):
            part(client, made)
            print("scim2-client:", part.__name__, "ok")
    finally:
        for resource in reversed(made):
            client.delete(type(resource), resource.id)
    try:
        client.query(type(made[0]), made[0].id)
        raise AssertionError("what was deleted can be read")
    except SCIMException as e:
        assert e.to_error().status == 404, e


if __name__ == "__main__":
    main()
