"""A job is tried again."""

from shared.vocabulary import ItemResult
from tests.api.routes.test_jobs import accept, write_results
from tests.support.fleet import Fleet


def test_a_retry_is_a_new_job_of_what_failed_and_still_exists(fleet: Fleet) -> None:
    three = [fleet.ready(identity=f"CP-{number}") for number in (1, 2, 3)]
    job_id = accept(fleet, "restart", charger_ids=three, rate_per_second=5)
    write_results(fleet, job_id, ItemResult.FAILED, ItemResult.FAILED, ItemResult.SUCCEEDED)
    fleet.delete(f"/ocpp/chargers/{three[1]}")

    answer = fleet.post(f"/ocpp/jobs/{job_id}/retry")

    assert (answer.status_code, answer.json["total"], answer.json["action"]) == (202, 1, "restart")
    retried = fleet.get(answer.headers["Location"]).json
    assert (retried["retry_of"], retried["rate_per_second"]) == (job_id, 5)
    nothing = fleet.post(f"/ocpp/jobs/{retried['id']}/retry")
    assert nothing.status_code == 422
    assert "no failed item" in nothing.json["detail"][0]["msg"]


def test_a_repeated_retry_gets_its_first_answer_also_when_nothing_is_left_to_try_again(fleet: Fleet) -> None:
    three = [fleet.ready(identity=f"CP-{number}") for number in (1, 2, 3)]
    job_id = accept(fleet, "restart", charger_ids=three)
    write_results(fleet, job_id, ItemResult.FAILED, ItemResult.SUCCEEDED, ItemResult.SUCCEEDED)
    headers = {"Idempotency-Key": "key-1"}
    first = fleet.post(f"/ocpp/jobs/{job_id}/retry", headers=headers)
    fleet.delete(f"/ocpp/chargers/{three[0]}")

    again = fleet.post(f"/ocpp/jobs/{job_id}/retry", headers=headers)

    assert (again.status_code, again.json) == (202, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
