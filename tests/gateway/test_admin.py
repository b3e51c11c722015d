"""Virtual keys in a running gateway: made, limited, rotated, revoked; and no address without a key."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from experts.base import SetupError
from gateway import auth
from gateway.__main__ import main
from gateway.auth import Keys, Virtual, digest
from gateway.errors import APIError
from gateway.money import Money
from policies.accounts import Accounts
from policies.limits import Limit
from policies.pick import Utility
from tests.gateway.conftest import KEY, make_door, scripted, serving
from tests.gateway.test_main import SCRIPTED

ADMIN = "admin-secret"
OPEN = {"/healthz", "/readyz"}
ASK = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}


@asynccontextmanager
async def governed(tmp_path, admin=ADMIN, **named):
    """A gateway with virtual keys and an admin key."""
    door = make_door(tmp_path, [scripted("first"), scripted("second")], **named)
    door.keys.virtual = Virtual(tmp_path)
    door.admin_key = digest(admin) if admin else None
    door.school.books.guard(door.keys)
    async with serving(door) as served:
        yield served


async def made(served, **about):
    response = await served.http(ADMIN).post("/admin/keys", json=about)
    assert response.status_code == 201
    return response.json()


async def asked(served, secret, **body):
    return await served.http(secret).post("/v1/chat/completions", json=ASK | body)


async def test_every_address_denies_whoever_has_no_key_row_61(tmp_path):
    async with governed(tmp_path) as served:
        await made(served)
        for method, route in served.door.handlers():
            path = route.replace("{id}", "x") + ("x" if route.endswith("/") else "")
            for secret in (None, "wrong", "lyc-x-wrong"):
                response = await served.http(secret).request(method, path, content=b"{}")
                if route not in OPEN:
                    assert response.status_code == 401, path
                    assert "key" in response.json()["error"]["message"]


@pytest.mark.parametrize("secret", [KEY, "wrong", None])
async def test_only_the_admin_key_opens_admin_row_63(tmp_path, secret):
    async with governed(tmp_path) as served:
        assert (await served.http(secret).get("/admin/keys")).status_code == 401
        assert (await served.http(ADMIN).get("/v1/models")).status_code == 401


async def test_without_an_admin_key_nobody_is_admin(tmp_path):
    async with governed(tmp_path, admin="") as served:
        assert (await served.http(ADMIN).get("/admin/keys")).status_code == 401
        assert (await served.http(None).get("/admin/keys")).status_code == 401


async def test_a_key_is_made_used_rotated_and_revoked_at_once(tmp_path):
    async with governed(tmp_path) as served:
        key = await made(served, name="ada", team="ml", seconds=3600)
        assert (await asked(served, key["secret"])).status_code == 200
        assert served.ledger("decisions")[0]["key"] == key["id"]
        rotated = await served.http(ADMIN).post(f"/admin/keys/{key['id']}/rotate", json={"grace": 60})
        assert (await asked(served, key["secret"])).status_code == 200
        assert (await asked(served, rotated.json()["secret"])).status_code == 200
        again = await served.http(ADMIN).post(f"/admin/keys/{key['id']}/rotate")
        assert (await asked(served, key["secret"])).status_code == 401
        assert (await served.http(ADMIN).delete(f"/admin/keys/{key['id']}")).json()["revoked"]
        assert (await asked(served, again.json()["secret"])).status_code == 401
        [listed] = (await served.http(ADMIN).get("/admin/keys")).json()["data"]
        assert listed["revoked"] is not None
        assert "secret" not in listed
        for path in (f"/admin/keys/{key['id']}", "/admin/keys/nobody"):
            assert (await served.http(ADMIN).delete(path)).json()["error"]["code"] == "key_not_found"
        gone = await served.http(ADMIN).post(f"/admin/keys/{key['id']}/rotate")
        assert gone.json()["error"]["code"] == "key_not_found"


async def test_a_key_may_ask_only_whom_it_is_allowed(tmp_path):
    async with governed(tmp_path, best=Utility(1.0)) as served:
        key = await made(served, experts=["second"], policies=["auto"])
        good = await asked(served, key["secret"])
        assert good.headers["x-lyceum-expert"] == "second"
        assert (await asked(served, key["secret"], model="auto:0.5")).status_code == 200
        assert (await asked(served, key["secret"], model="second")).status_code == 200
        for model in ("first", "best"):
            refused = await asked(served, key["secret"], model=model)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
            assert (await served.http(key["secret"]).get(f"/v1/models/{model}")).status_code == 404
        route = await served.http(key["secret"]).post("/v1/route", json=ASK)
        assert [each["expert"] for each in route.json()["candidates"]] == ["second"]
        models = (await served.http(key["secret"]).get("/v1/models")).json()["data"]
        assert [each["id"] for each in models] == ["auto", "second"]
        assert len((await served.http().get("/v1/models")).json()["data"]) == 4


async def test_the_budget_of_a_team_holds_for_all_of_its_keys(tmp_path):
    async with governed(tmp_path) as served:
        accounts = Accounts.open(tmp_path / "accounts.sqlite", [Limit("ml", 0.0, ("team:ml",))])
        served.door.school.books.money = Money(accounts)
        served.door.school.books.money.know(served.door.keys)
        mine, other = await made(served, team="ml"), await made(served, team="web")
        assert (await asked(served, mine["secret"])).status_code == 429
        assert (await asked(served, other["secret"])).status_code == 200
        assert (await asked(served, KEY)).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": 1}, "name"),
        ({"team": "x" * 65}, "team"),
        ({"experts": "first"}, "experts"),
        ({"experts": ["nobody"]}, "experts"),
        ({"policies": ["nothing"]}, "policies"),
        ({"owner": "me"}, "owner"),
        ({"seconds": -1}, None),
        ({"seconds": True}, None),
    ],
)
async def test_a_mistake_in_a_new_key_is_named(tmp_path, body, param):
    async with governed(tmp_path) as served:
        response = await served.http(ADMIN).post("/admin/keys", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_keys_that_cannot_be_looked_up_are_no_wrong_keys_row_25(tmp_path):
    (tmp_path / auth.KEYS).write_bytes(b"this is no database" * 100)
    async with governed(tmp_path) as served:
        response = await asked(served, "lyc-abcdef-secret")
        assert (response.status_code, response.json()["error"]["code"]) == (503, "key_store_unavailable")
        assert (await asked(served, KEY)).status_code == 200


def test_the_admin_key_must_be_where_the_configuration_says(monkeypatch):
    with pytest.raises(SetupError, match="server.admin_key_env: set the variable 'NOT_SET_ANYWHERE'"):
        auth.admin("NOT_SET_ANYWHERE")
    monkeypatch.setenv("SECRET", "x")
    assert auth.admin("SECRET") == digest("x")
    assert auth.admin("") is None


def test_a_key_of_the_configuration_may_belong_to_a_team(monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    keys = auth.from_table({"ci": {"env": "SECRET", "team": "ml", "experts": ["first"]}})
    assert keys.scopes("ci") == {"team": "ml", "key": "ci"}
    assert keys.experts("ci", ["first", "second"]) == ["first"]
    assert Keys({}).scopes("new") == {"key": "new"}
    with pytest.raises(SetupError, match="keys.ci"):
        auth.from_table({"ci": {"env": "SECRET", "team": 1}})


def test_keys_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lyceum.toml").write_text(SCRIPTED.format(port=0))
    assert main(["keys", "create", "--name", "ada", "--team", "ml", "--experts", "one", "--days", "1", "--json"]) == 0
    key = json.loads(capsys.readouterr().out)
    keys = Keys({})
    keys.virtual = Virtual(tmp_path / "state")
    headers = {b"authorization": b"Bearer " + key["secret"].encode()}
    assert keys.name(headers) == key["id"]
    assert main(["keys", "rotate", key["id"], "--grace", "9"]) == 0
    assert capsys.readouterr().out.startswith(f"lyc-{key['id']}-")
    assert keys.name(headers) == key["id"]
    assert main(["keys", "revoke", key["id"]]) == 0
    with pytest.raises(APIError, match="not known"):
        keys.name(headers)
    assert main(["keys", "list"]) == 0
    assert "revoked" in capsys.readouterr().out
    assert main(["keys", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["team"] == "ml"
    assert main(["keys", "create", "--days", "2"]) == 0
    capsys.readouterr()
    assert main(["keys", "list"]) == 0
    for words, said in (
        (["keys", "revoke", key["id"]], "there is no such key"),
        (["keys", "rotate", "nobody"], "there is no such key"),
        (["keys", "create", "--policies", "none"], "the configuration has no 'none'"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
