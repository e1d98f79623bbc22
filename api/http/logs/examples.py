"""Examples of a charger's log in the OpenAPI document."""

from api.http.document.examples import Examples

_LOG_BOUNDS = {"total": 1, "limit": 1000, "offset": 0, "next_offset": None}
LOGS = Examples(
    answers={
        "by_cursor": {
            "summary": "kind=frame,remark&limit=2",
            "value": {
                "data": [
                    {
                        "id": "38412063210000000000000000000000000000000000000000000002",
                        "kind": "remark",
                        "level": "warning",
                        "message": "the CSMS's answer to BootNotification is not valid: payload: lacks currentTime",
                        "timestamp": "2026-04-09T09:30:01Z",
                    },
                    {
                        "id": "38412063210000000000000000000000000000000000000000000001",
                        "kind": "frame",
                        "direction": "cp_to_csms",
                        "action": "BootNotification",
                        "message": '[2,"boot-001","BootNotification",{"chargePointModel":"Pulsar"}]',
                        "timestamp": "2026-04-09T09:30:00Z",
                        "message_type": 2,
                        "message_id": "boot-001",
                    },
                ],
                "total": None,
                "limit": 2,
                "offset": None,
                "next_offset": None,
                "next_cursor": "WyIyMDI2LTA0LTA5VDA5OjMwOjAwKzAwOjAwIiwiMzg0MTIiLDAsMCwwXQ.0vF0c1m2",
                "previous_cursor": "WyIyMDI2LTA0LTA5VDA5OjMwOjAxKzAwOjAwIiwiMzg0MTIiLDEsMCwxXQ.4nB8mKq1",
                "searched_until": None,
            },
        },
        "frames": {
            "summary": "OCPP messages",
            "value": {
                "data": [
                    {
                        "direction": "cp_to_csms",
                        "action": "BootNotification",
                        "message": '[2,"boot-001","BootNotification",'
                        '{"charge_point_vendor":"OCPPLAB","charge_point_model":"SDK-DC-50"}]',
                        "timestamp": "2026-04-09T09:30:00Z",
                    }
                ],
                **_LOG_BOUNDS,
            },
        },
        "remarks": {
            "summary": "kind=remark",
            "value": {
                "data": [
                    {
                        "level": "warning",
                        "message": "the CSMS's answer to BootNotification is not valid: payload: lacks currentTime",
                        "timestamp": "2026-04-09T09:30:01Z",
                    }
                ],
                **_LOG_BOUNDS,
            },
        },
        "connection": {
            "summary": "kind=connection",
            "value": {
                "data": [
                    {
                        "state": "disconnected",
                        "reason": "connection_refused",
                        "message": "nothing listens on csms.example.com:80",
                        "timestamp": "2026-04-09T09:29:58Z",
                    }
                ],
                **_LOG_BOUNDS,
            },
        },
    }
)
