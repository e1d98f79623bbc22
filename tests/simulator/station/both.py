"""What a CSMS requests and answers in either OCPP version, for tests that hold for both."""

from typing import Any

from tests.simulator.talk import Talk, in_seconds
from tests.support.csms import Payload


def info(talk: Talk, status: str, group: str | None = None) -> Payload:
    """An idTagInfo or idTokenInfo."""
    if talk.is_16:
        return {"status": status} | ({"parent_id_tag": group} if group else {})
    return {"status": status} | ({"group_id_token": token(group)} if group else {})


def token(value: str) -> Payload:
    return {"id_token": value, "type": "ISO14443"}


def answer_authorize(talk: Talk, **statuses: str | tuple[str, str]) -> None:
    """Sets the answer to Authorize by token: a status, or a status and a group. Others are Invalid."""

    def answer(payload: Payload) -> Payload:
        value = payload["id_tag"] if talk.is_16 else payload["id_token"]["id_token"]
        given = statuses.get(value, "Invalid")
        return {info_key(talk): info(talk, given) if isinstance(given, str) else info(talk, *given)}

    talk.csms.answers["Authorize"] = answer


def answer_start(talk: Talk, status: str, group: str | None = None) -> None:
    """Sets what the CSMS answers about the token of a transaction that starts."""
    answer: Payload = {info_key(talk): info(talk, status, group)}
    if talk.is_16:
        talk.csms.answers["StartTransaction"] = answer | {"transaction_id": 4711}
    else:
        talk.csms.answers["TransactionEvent"] = lambda payload: (
            answer if payload["event_type"] == "Started" else {}
        )


def answer_stop(talk: Talk, status: str) -> None:
    """Sets what the CSMS answers about the token at the end of a transaction."""
    answer: Payload = {info_key(talk): info(talk, status)}
    if talk.is_16:
        talk.csms.answers["StopTransaction"] = answer
    else:
        talk.csms.answers["TransactionEvent"] = lambda payload: (
            answer if payload["event_type"] == "Ended" else {}
        )


def info_key(talk: Talk) -> str:
    return "id_tag_info" if talk.is_16 else "id_token_info"


async def send_list(talk: Talk, version: int, kind: str, *entries: tuple[str, str | None]) -> str:
    """Sends a local list of tokens with their status (None: without info); the answer's status."""
    listed = [
        ({"id_tag": value} if talk.is_16 else {"id_token": token(value)})
        | ({info_key(talk): info(talk, status)} if status else {})
        for value, status in entries
    ]
    number = "list_version" if talk.is_16 else "version_number"
    # The schema of 2.0.1 has no empty list; absent means the same.
    fields: Payload = {number: version} | ({"local_authorization_list": listed} if listed else {})
    return str((await talk.call("SendLocalList", update_type=kind, **fields)).status)


async def list_version(talk: Talk) -> int:
    answer = await talk.call("GetLocalListVersion")
    return int(answer.list_version if talk.is_16 else answer.version_number)


async def show(talk: Talk, value: str, connector: int = 1) -> str:
    """A driver shows a token; whether that was possible."""
    return await talk.perform("PresentToken", f'{{"idToken": "{value}", "connector": {connector}}}')


async def request_start(talk: Talk, value: str, connector: int | None = None, **more: Any) -> str:
    """A remote start; the answer's status."""
    if talk.is_16:
        fields: Payload = {"id_tag": value} | ({} if connector is None else {"connector_id": connector})
        return str((await talk.call("RemoteStartTransaction", **fields, **more)).status)
    fields = {"id_token": token(value), "remote_start_id": 1}
    fields |= {} if connector is None else {"evse_id": connector}
    return str((await talk.call("RequestStartTransaction", **fields, **more)).status)


async def request_stop(talk: Talk) -> str:
    """A remote stop of the transaction on connector 1; the answer's status."""
    if talk.is_16:
        return str((await talk.call("RemoteStopTransaction", transaction_id=4711)).status)
    return await talk.request_stop()


async def started(talk: Talk) -> Payload:
    return await (talk.link.next("StartTransaction") if talk.is_16 else talk.event("Started"))


async def stopped(talk: Talk) -> Payload:
    """The next report of a transaction's end, with its `reason` and its `token` in both versions."""
    if talk.is_16:
        payload = await talk.link.next("StopTransaction")
        return payload | {"token": payload.get("id_tag")}
    payload = await talk.event("Ended")
    shown = payload.get("id_token", {}).get("id_token")
    return payload | {"reason": payload["transaction_info"]["stopped_reason"], "token": shown}


async def reserve(
    talk: Talk,
    number: int,
    connector: int,
    value: str = "MINE",
    group: str | None = None,
    *,
    for_s: float = 600,
) -> str:
    """Reserves a connector (0: any) for a token; the answer's status."""
    if talk.is_16:
        fields: Payload = {
            "connector_id": connector,
            "expiry_date": in_seconds(for_s),
            "id_tag": value,
            "reservation_id": number,
        } | ({"parent_id_tag": group} if group else {})
    else:
        fields = {"expiry_date_time": in_seconds(for_s), "id_token": token(value), "id": number}
        fields |= {"group_id_token": token(group)} if group else {}
        fields |= {"evse_id": connector} if connector else {}
    return str((await talk.call("ReserveNow", **fields)).status)


async def change_availability(talk: Talk, connector: int, status: str) -> str:
    """Sets a connector, or with 0 the whole charger, Operative or Inoperative; the answer's status."""
    if talk.is_16:
        return str((await talk.call("ChangeAvailability", connector_id=connector, type=status)).status)
    evse = {"evse": {"id": connector}} if connector else {}
    return str((await talk.call("ChangeAvailability", operational_status=status, **evse)).status)


async def set_option(talk: Talk, key: str, path: str, value: str) -> None:
    """Changes the option of this 1.6 key, or 2.0.1 Component.Variable."""
    if talk.is_16:
        answer = await talk.call("ChangeConfiguration", key=key, value=value)
        assert answer.status == "Accepted"
        return
    component, variable = path.split(".")
    entry = {
        "component": {"name": component},
        "variable": {"name": variable},
        "attribute_value": value,
    }
    (result,) = (await talk.call("SetVariables", set_variable_data=[entry])).set_variable_result
    assert result["attribute_status"] == "Accepted"
