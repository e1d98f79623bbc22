"""The routes for start and stop as the manuals of Flask, SQLAlchemy's ORM, PyJWT and Celery write them, on our tables.

gunicorn serves them as its manual recommends for requests that wait: --worker-class gthread. BASELINE_TUNED=1 applies
the settings that the same manuals recommend for many threads; the code of the routes stays the same.
"""

import os
from typing import Any
from uuid import uuid4

import jwt
from celery import Celery
from flask import Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import scoped_session, sessionmaker

from shared.models import Charger, Command

TUNED = os.environ.get("BASELINE_TUNED") == "1"
THREADS = int(os.environ.get("BASELINE_THREADS", "16"))

app = Flask(__name__)
celery = Celery("baseline", broker=os.environ["REDIS_URL"])
if TUNED:
    # A connection for each thread: the defaults (5, and 10 more that are closed after use; 10 to the broker) are too
    # few for 16 threads. And the answer does not read the committed rows again.
    celery.conf.broker_pool_limit = THREADS
    engine = create_engine(os.environ["DATABASE_URL"], pool_size=THREADS, max_overflow=0)
    db_session = scoped_session(sessionmaker(engine, expire_on_commit=False))
else:
    db_session = scoped_session(sessionmaker(create_engine(os.environ["DATABASE_URL"])))


@app.teardown_appcontext
def shutdown_session(_exception: BaseException | None = None) -> None:
    db_session.remove()


@celery.task(name="baseline.change", ignore_result=True)
def change(command_id: str, charger_id: str) -> None:
    """No worker runs it: the benchmark measures accepting."""


@app.post("/ocpp/chargers/<charger_id>/start-charger")
def start_charger(charger_id: str) -> ResponseReturnValue:
    return _accept(charger_id, "start_charger", desired_count=1)


@app.post("/ocpp/chargers/<charger_id>/stop-charger")
def stop_charger(charger_id: str) -> ResponseReturnValue:
    return _accept(charger_id, "stop_charger", desired_count=0)


def _accept(charger_id: str, event_type: str, *, desired_count: int) -> ResponseReturnValue:
    claims = _claims()
    charger = db_session.scalars(
        select(Charger)
        .where(
            Charger.id == charger_id,
            Charger.organization_id == claims["organization_id"],
            Charger.deleted_at.is_(None),
        )
        .with_for_update()
    ).one_or_none()
    if charger is None:
        abort(404)
    if charger.provisioning_status != "READY":
        abort(422)
    charger.desired_count = desired_count
    charger.generation += 1
    charger.newest_command_id = uuid4()
    charger.newest_event_type = event_type
    charger.publish_at = func.now()
    command = Command(
        id=charger.newest_command_id,
        charger_id=charger.id,
        organization_id=charger.organization_id,
        event_type=event_type,
        generation=charger.generation,
        requested_by=claims["sub"],
    )
    db_session.add(command)
    db_session.commit()
    change.apply_async(kwargs={"command_id": str(command.id), "charger_id": charger.id})
    return jsonify(
        id=charger.id,
        event_type=event_type,
        ocpp_version=charger.ocpp_version,
        payload={"desired_count": desired_count, "status": charger.service_status},
        command_id=str(command.id),
        generation=charger.generation,
    ), 202


def _claims() -> dict[str, Any]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        abort(401)
    try:
        return jwt.decode(token, os.environ["JWT_SECRET"], algorithms=["HS256"])
    except jwt.InvalidTokenError:
        abort(401)
