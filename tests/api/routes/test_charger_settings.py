"""What a charger is to be beyond the contract's fields: security, connectors, vehicle and so on."""

from typing import Any

import pytest
from sqlalchemy import text

from shared.fleet.specification.reading import read_changes, read_specifications
from shared.sealing import Sealer
from tests.support.environment import ENCRYPTION_KEY
from tests.support.fleet import NEW_CHARGER, Fleet

SEALER = Sealer((ENCRYPTION_KEY,))
CA = """-----BEGIN CERTIFICATE-----
{}
-----END CERTIFICATE-----"""
ALL: dict[str, Any] = {
    "connectors": {"number": 2, "types": ["Type2", "Type2"]},
    "configuration": {"HeartbeatInterval": 60, "AuthorizeRemoteTxRequests": True},
    "vehicle": {
        "battery_wh": 77_000,
        "max_power_w": 11_000,
        "plug_in_after_s": 2.5,
        "leave_after_s": "never",
    },
    "visitors": {"every_s": 300, "id_tag": "EVERYBODY"},
    "scenario": [{"wait_until": {"link": "accepted"}}, {"do": "plug_connector"}],
    "serial_number": "SN-1",
    "firmware_version": "2.0",
    "iccid": "8931",
    "imsi": "2040",
    "meter_start_wh": 5_000,
    "boot_on_reconnect": True,
    "reconnect": {"wait_s": 0.5, "random_s": 1, "max_s": 5},
}


def spec(fleet: Fleet, charger_id: str) -> Any:
    return fleet.get(f"/ocpp/chargers/{charger_id}").json["spec"]


def variables(fleet: Fleet, charger_id: str) -> dict[str, str]:
    with fleet.sessions.begin() as session:
        [found] = read_specifications(session, [charger_id], SEALER)
    return found.environment


def test_a_charger_shows_what_it_was_created_with(fleet: Fleet) -> None:
    charger_id = fleet.create(**ALL)

    answer = fleet.get(f"/ocpp/chargers/{charger_id}").json

    assert answer["number_of_connectors"] == 2
    assert {key: answer["spec"][key] for key in ALL} == ALL
    assert answer["spec"]["revision"] == 1
    assert answer["spec"]["ws_url"] == NEW_CHARGER["ws_url"]
    assert answer["spec"]["applied_revision"] is None


def test_every_setting_reaches_the_charger_as_a_variable(fleet: Fleet) -> None:
    charger_id = fleet.create(**ALL, security={"password": "geheim"})

    found = variables(fleet, charger_id)

    assert (
        found
        | {
            "CHARGER_IDENTITY": "CP-TEST-001",
            "CHARGER_CONNECTORS": "2",
            "CHARGER_CONNECTOR_TYPES": "Type2,Type2",
            "CHARGER_CONFIGURATION": '{"HeartbeatInterval": 60, "AuthorizeRemoteTxRequests": true}',
            "CHARGER_EV_BATTERY_WH": "77000",
            "CHARGER_EV_MAX_POWER_W": "11000",
            "CHARGER_EV_PLUG_IN_S": "2.5",
            "CHARGER_EV_UNPLUG_S": "never",
            "CHARGER_VISITOR_EVERY_S": "300",
            "CHARGER_VISITOR_ID_TAG": "EVERYBODY",
            "CHARGER_SCENARIO": '[{"wait_until": {"link": "accepted"}}, {"do": "plug_connector"}]',
            "CHARGER_SERIAL_NUMBER": "SN-1",
            "CHARGER_FIRMWARE_VERSION": "2.0",
            "CHARGER_ICCID": "8931",
            "CHARGER_IMSI": "2040",
            "CHARGER_METER_START_WH": "5000",
            "CHARGER_BOOT_ON_RECONNECT": "true",
            "CHARGER_RETRY_WAIT_S": "0.5",
            "CHARGER_RETRY_RANDOM_S": "1",
            "CHARGER_RETRY_MAX_S": "5",
            "CHARGER_PASSWORD": "geheim",
            "CHARGER_PASSWORD_NUMBER": "1",
        }
        == found
    )


def test_a_charger_without_settings_is_as_before(fleet: Fleet) -> None:
    charger_id = fleet.create()

    shown = spec(fleet, charger_id)

    assert shown.pop("ws_url") == NEW_CHARGER["ws_url"]
    assert shown.pop("revision") == 0
    assert set(shown.values()) == {None}


def test_an_update_replaces_each_key_as_a_whole_and_null_removes_one(fleet: Fleet) -> None:
    charger_id = fleet.ready(**ALL)

    fleet.put(
        f"/ocpp/chargers/{charger_id}", json={"vehicle": {"battery_wh": 1}, "iccid": None, "connectors": None}
    )

    answer = fleet.get(f"/ocpp/chargers/{charger_id}").json
    assert answer["spec"]["vehicle"] == {"battery_wh": 1}
    assert answer["spec"]["iccid"] is answer["spec"]["connectors"] is None
    assert answer["number_of_connectors"] == 1  # the catalog's
    assert answer["spec"]["visitors"] == ALL["visitors"]
    assert answer["spec"]["revision"] == 2


def test_the_members_of_security_change_one_by_one(fleet: Fleet) -> None:
    charger_id = fleet.ready(ws_url="wss://csms.test", security={"profile": 2, "password": "geheim"})

    answer = fleet.put(f"/ocpp/chargers/{charger_id}", json={"security": {"profile": None}})

    assert answer.json["spec"]["security"] == {"password_set": True, "authorization_key_set": False}
    assert variables(fleet, charger_id)["CHARGER_PASSWORD"] == "geheim"


def test_a_key_takes_the_place_of_a_password(fleet: Fleet) -> None:
    charger_id = fleet.ready(security={"password": "geheim"})

    answer = fleet.put(
        f"/ocpp/chargers/{charger_id}", json={"security": {"authorization_key_hex": "ab" * 16}}
    )

    assert answer.json["spec"]["security"] == {"password_set": False, "authorization_key_set": True}
    found = variables(fleet, charger_id)
    assert found["CHARGER_AUTHORIZATION_KEY"] == "AB" * 16
    assert "CHARGER_PASSWORD" not in found


def test_a_repeated_update_changes_nothing(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    change = {"security": {"password": "geheim"}, "vehicle": {"battery_wh": 1}}
    first = fleet.put(f"/ocpp/chargers/{charger_id}", json=change).json

    again = fleet.put(f"/ocpp/chargers/{charger_id}", json=change).json

    assert again == first | {"runtime": again["runtime"]}
    assert len(fleet.commands(charger_id)) == 2


def test_a_repeated_create_with_a_password_makes_no_second_charger(fleet: Fleet) -> None:
    body = NEW_CHARGER | ALL | {"security": {"password": "geheim"}}
    first = fleet.post("/ocpp/chargers", json=body)

    again = fleet.post("/ocpp/chargers", json=body)
    other = fleet.post("/ocpp/chargers", json=body | {"security": {"password": "anders"}})
    fewer = fleet.post("/ocpp/chargers", json=NEW_CHARGER)

    assert again.json == first.json
    assert other.status_code == fewer.status_code == 400


def test_changes_are_read_with_their_revision_and_a_deleted_charger_has_none(fleet: Fleet) -> None:
    with fleet.sessions.begin() as session:
        began_at, nothing = read_changes(session, None)
    charger_id, deleted = fleet.ready(iccid="1"), fleet.ready(identity="CP-2", iccid="2")
    fleet.ready(identity="CP-3")
    fleet.put(f"/ocpp/chargers/{charger_id}", json={"ws_url": "ws://other.test/ocpp"})
    fleet.delete(f"/ocpp/chargers/{deleted}")

    with fleet.sessions.begin() as session:
        read_at, changes = read_changes(session, began_at)
        [found] = read_specifications(session, [charger_id, deleted], SEALER)

    assert nothing == {}
    assert read_at > began_at
    assert changes == {charger_id: 2, deleted: 1}
    assert (found.charger_id, found.revision) == (charger_id, 2)
    assert found.environment["CHARGER_WS_URL"] == "ws://other.test/ocpp"
    assert found.environment["CHARGER_ICCID"] == "1"


def test_a_secret_that_no_key_opens_is_not_left_out_in_silence(fleet: Fleet) -> None:
    """A charger without its password would be refused by its CSMS, and nobody would know why."""
    charger_id = fleet.create(security={"password": "geheim"})

    with fleet.sessions.begin() as session:
        found = read_specifications(session, [charger_id], Sealer(()))

    assert found == []


def test_a_secret_is_nowhere_in_the_database(fleet: Fleet) -> None:
    charger_id = fleet.ready(security={"password": "geheim-1"})
    fleet.put(f"/ocpp/chargers/{charger_id}", json={"security": {"password": "geheim-2"}})

    with fleet.sessions.begin() as session:
        tables = session.scalars(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        ).all()
        rows = "".join(
            str(row)
            for table in tables
            for row in session.execute(text(f'SELECT "{table}"::text FROM "{table}"'))  # noqa: S608
        )

    assert "csms.test" in rows
    assert "geheim" not in rows
    assert "geheim" not in str(fleet.get(f"/ocpp/chargers/{charger_id}").json)


REFUSED: list[tuple[dict[str, Any], list[str | int]]] = [
    ({"security": {"profile": 3}}, ["security", "profile"]),
    ({"security": {"profile": 4}}, ["security", "profile"]),
    ({"security": {"client_certificate": "PEM"}}, ["security", "client_certificate"]),
    ({"security": {"password": ""}}, ["security", "password"]),
    ({"security": {"password": "x" * 41}}, ["security", "password"]),
    ({"security": {"authorization_key_hex": "xyz" * 8}}, ["security", "authorization_key_hex"]),
    ({"security": {"ca_certificates": "no PEM"}}, ["security", "ca_certificates"]),
    ({"security": {"ca_certificates": CA.format("AAAA")}}, ["security", "ca_certificates"]),
    (
        {"security": {"password": "hidden", "authorization_key_hex": "ab" * 16}},
        ["security", "authorization_key_hex"],
    ),
    ({"security": {"passwort": "x"}}, ["security", "passwort"]),
    ({"security": "hidden"}, ["security"]),
    ({"connectors": {"number": 0}}, ["connectors", "number"]),
    ({"connectors": {"number": "2"}}, ["connectors", "number"]),
    ({"connectors": {"number": 1, "types": ["Type2", "Type2"]}}, ["connectors", "types"]),
    ({"vehicle": {"plug_in_after_s": "sometimes"}}, ["vehicle", "plug_in_after_s"]),
    ({"vehicle": {"soc_percent": 101}}, ["vehicle", "soc_percent"]),
    ({"vehicle": {"battery_wh": None}}, ["vehicle", "battery_wh"]),
    ({"vehicle": {"curve": "steep"}}, ["vehicle", "curve"]),
    ({"visitors": {}}, ["visitors", "every_s"]),
    ({"configuration": {"Authorizationkey": "hidden"}}, ["configuration", "Authorizationkey"]),
    ({"configuration": {"APN.Password": "hidden"}}, ["configuration", "APN.Password"]),
    (
        {"scenario": [{"do": "configuration", "with": {"configuration": {"AuthorizationKey": "hidden"}}}]},
        ["scenario", 0, "with"],
    ),
    ({"configuration": {"HeartbeatInterval": [1]}}, ["configuration", "HeartbeatInterval"]),
    ({"configuration": []}, ["configuration"]),
    ({"scenario": "plug in"}, ["scenario"]),
    ({"scenario": {"steps": []}}, ["scenario", "steps"]),
    ({"scenario": [{"when": "accepted"}]}, ["scenario", 0, "when"]),
    ({"scenario": [{"wait_s": 1, "do": "plug_connector"}]}, ["scenario", 0]),
    ({"scenario": {"steps": [{"wait_s": 1}, {"do": "fly"}]}}, ["scenario", "steps", 1, "do"]),
    ({"scenario": [{"do": "present_token", "with": {}}]}, ["scenario", 0, "with", "id_tag"]),
    ({"scenario": [{"loop": [{"wait_s": -1}]}]}, ["scenario", 0, "loop", 0, "wait_s"]),
    ({"scenario": [{"loop": [{"loop": [{}]}]}]}, ["scenario", 0, "loop", 0, "loop", 0]),
    (
        {"scenario": [{"do": "configuration", "with": {"configuration": {"AuthorizationKey": "hidden"}}}]},
        ["scenario", 0, "with"],
    ),
    ({"meter_start_wh": -1}, ["meter_start_wh"]),
    ({"meter_start_wh": True}, ["meter_start_wh"]),
    ({"boot_on_reconnect": "true"}, ["boot_on_reconnect"]),
    ({"reconnect": {"random_s": 61}}, ["reconnect", "max_s"]),
    ({"serial_number": "x" * 26}, ["serial_number"]),
]


@pytest.mark.parametrize(
    ("change", "loc"), REFUSED, ids=lambda value: ".".join(map(str, value)) if isinstance(value, list) else ""
)
def test_a_bad_setting_is_refused_by_its_name_and_changes_nothing(
    fleet: Fleet, change: dict[str, Any], loc: list[str | int]
) -> None:
    charger_id = fleet.ready()

    created = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {"identity": "CP-2"} | change)
    updated = fleet.put(f"/ocpp/chargers/{charger_id}", json=change)

    assert created.status_code == updated.status_code == 422, created.text
    assert [item["loc"] for item in created.json["detail"]] == [["body", *loc]]
    assert updated.json == created.json
    assert "hidden" not in created.text
    assert spec(fleet, charger_id)["revision"] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"connectors": {"types": ["CHAdeMO"]}},
        {"security": {"profile": 1}},
        {"security": {"profile": 2, "password": "x"}},
        {"security": {"profile": 0, "password": "x"}},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(fleet: Fleet, fields: dict[str, Any]) -> None:
    answer = fleet.post("/ocpp/chargers", json=NEW_CHARGER | fields)

    assert answer.status_code == 400
    assert fleet.get("/ocpp/chargers").json["total"] == 0
