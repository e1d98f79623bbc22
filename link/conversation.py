"""What the link and a process say to each other over one connection, from the hello to the end."""

import asyncio

import structlog
from websockets.exceptions import ConnectionClosed

from link import metrics
from link.process import Link
from link.session import Session
from link.wire.closing import CloseCode, Closing
from link.wire.connection import ControlConnection
from link.wire.frames import BadFrame, Hello, read_frame, read_hello, read_host_report, read_items
from shared.auth.control_tokens import SESSION_TOKEN_TTL_S, ControlClaims

log = structlog.get_logger(__name__)

HELLO_WITHIN_S = 10.0
BYTES_PER_FRAME = 16 * 1024  # a longer frame counts as several


async def converse(link: Link, connection: ControlConnection) -> None:
    """Serve the connection until it ends. Never raises, whatever the process sends."""
    link.connections += 1
    try:
        await _converse(link, connection)
    except Closing as closing:
        metrics.CLOSED.labels(int(closing.code)).inc()
        log.info(
            "control.refused",
            process_id=connection.claims.process_id,
            code=int(closing.code),
            reason=closing.reason,
        )
        await connection.close(closing.code, closing.reason)
    except ConnectionClosed:
        pass  # before its hello was answered
    except Exception:
        log.exception("control.internal_error", process_id=connection.claims.process_id)
        await connection.close(CloseCode.INTERNAL_ERROR, "internal error")
    finally:
        link.connections -= 1


async def _converse(link: Link, connection: ControlConnection) -> None:
    hello = await _receive_hello(connection)
    check_claims(connection.claims, hello)
    session = Session(connection, hello)
    try:
        welcomes = await link.hellos.register(session, hello)
        metrics.HELLOS.labels("accepted").inc()
        log.info(
            "control.connected",
            process_id=session.process_id,
            session=session.id,
            chargers=len(session.chargers),
        )
        session.send(
            {
                "type": "welcome",
                "session": session.id,
                "token": link.tokens.session_token(session.process_id, session.boot_id),
                "token_expires_in_s": SESSION_TOKEN_TTL_S,
                "chargers": welcomes,
            }
        )
        link.enter(session)
        await _read(link, session, connection)
    finally:
        link.leave(session)


async def _receive_hello(connection: ControlConnection) -> Hello:
    """Raises Closing or ConnectionClosed."""
    try:
        async with asyncio.timeout(HELLO_WITHIN_S):
            return read_hello(read_frame(await connection.recv()))
    except TimeoutError:
        raise Closing(CloseCode.BAD_FRAME, f"no hello within {HELLO_WITHIN_S:g} s") from None
    except BadFrame as error:
        raise Closing(CloseCode.BAD_FRAME, str(error)) from None


def check_claims(claims: ControlClaims, hello: Hello) -> None:
    """Raises Closing unless the token is good for this hello."""
    if hello.process_id != claims.process_id:
        raise Closing(CloseCode.FORBIDDEN, "the token is another process's")
    if claims.boot_id not in {None, hello.boot_id}:
        raise Closing(CloseCode.BAD_TOKEN, "the token is good for another boot")
    if not hello.is_of_host and any(each.charger_id != hello.process_id for each in hello.chargers):
        raise Closing(CloseCode.FORBIDDEN, "a charger is another process's")


async def _read(link: Link, session: Session, connection: ControlConnection) -> None:
    """Read frames until the connection ends. A process that sends too fast is read no faster than its pace."""
    try:
        async for raw in connection:
            await session.pace.wait(1 + len(raw) / BYTES_PER_FRAME)
            _take_frame(link, session, raw)
            await link.room()
    except BadFrame as error:
        raise Closing(CloseCode.BAD_FRAME, str(error)) from None
    except ConnectionClosed:
        pass
    log.info(
        "control.disconnected",
        process_id=session.process_id,
        session=session.id,
        code=connection.close_code and int(connection.close_code),
        reason=connection.close_reason,
    )


def _take_frame(link: Link, session: Session, raw: str | bytes) -> None:
    """Raises BadFrame or Closing."""
    frame = read_frame(raw)
    if frame["type"] in ("host", "observed") and not session.is_of_host:
        raise BadFrame("only a host sends such frames")
    if frame["type"] == "host":
        link.take_host_report(session, read_host_report(frame))
        return
    found = read_items(frame)
    if found is None:
        log.info("control.unknown_frame", process_id=session.process_id, frame_type=frame["type"][:100])
        return
    items = list(found)  # all of a frame, or nothing of it
    strange = [item.charger_id for item in items if not session.may_name(item.charger_id)]
    if strange and not session.is_of_host:
        raise Closing(CloseCode.FORBIDDEN, "the frame names a charger of another process")
    if strange and not session.has_named_others:  # one that has left may be in a frame that was on its way
        session.has_named_others = True
        log.warning("control.not_of_this_host", process_id=session.process_id, charger_id=strange[0])
    for item in items:
        if session.may_name(item.charger_id):
            link.take(session, item, len(raw) // len(items))
