"""Predictions, billing rows and usage: pages, filters, and what each row holds."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from upsim.core.states import JobState

if TYPE_CHECKING:
    import httpx

    from tests.http.wavespeed.conftest import Api, Start

UPSCALER = "wavespeed-ai/video-upscaler"
UPSCALE_V1 = "runwayml/upscale-v1"
VIDEO = "https://clips.example/12.mp4"
PAGE = {"page": 1, "page_size": 100}
DAY = 86_400
STATUSES = "created, processing, completed, failed, cancelled, timeout, deleted"
START = 1_767_225_600_000
PERIOD = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-31T00:00:00Z"}


def data_of(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """Return the data of an answer, amounts as decimals."""
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_float=Decimal)["data"]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and text of an error envelope, which has no data."""
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["message"]


@pytest.fixture
def busy(api: Api) -> tuple[Api, list[str]]:
    """Return an account with three tasks, a minute apart: done, failed, and just begun."""
    tasks = [api.submit()["id"]]
    api.sim.advance(60)
    tasks.append(api.submit(UPSCALE_V1)["id"])
    sandbox = api.sim.sandbox
    failure = sandbox.bound("wavespeed").failures["internal_error"]
    sandbox.jobs.move(sandbox.state.jobs[tasks[1]], JobState.FAILED, failure)
    api.sim.advance(60)
    tasks.append(api.submit(target_resolution="4k")["id"])
    api.of("second").post(f"/api/v3/{UPSCALER}", json={"video": VIDEO})
    return api, tasks


def ids(api: Api, **asked: object) -> list[str]:
    """Return the listed ids."""
    return [item["id"] for item in data_of(api.post("predictions", {**PAGE, **asked}))["items"]]


def rows(api: Api, **asked: object) -> list[tuple[str, str]]:
    """Return kind and task of the billing rows."""
    items = data_of(api.post("billings/search", {**PAGE, **asked}))["items"]
    return [(item["billing_type"], item["prediction"]["uuid"]) for item in items]


# Predictions -------------------------------------------------------------------------------------


def test_predictions_are_records_newest_first(busy: tuple[Api, list[str]]) -> None:
    """The list of predictions has only the account's own tasks, newest first."""
    api, tasks = busy
    listed = data_of(api.post("predictions", PAGE))

    assert list(listed) == ["page", "total", "has_more", "items"]
    assert (listed["page"], listed["total"], listed["has_more"]) == (1, 3, False)
    assert listed["items"] == [api.result(task) for task in reversed(tasks)]


@pytest.mark.parametrize(
    ("page", "size", "expected", "has_more"),
    [(1, 2, [2, 1], True), (2, 2, [0], False), (3, 2, [], False), (1, 3, [2, 1, 0], False)],
)
def test_prediction_pages_share_one_total(
    busy: tuple[Api, list[str]], page: int, size: int, expected: list[int], *, has_more: bool
) -> None:
    """Each page shows the total of all pages, and `has_more` says whether a page follows."""
    api, tasks = busy
    listed = data_of(api.post("predictions", {"page": page, "page_size": size}))

    assert [item["id"] for item in listed["items"]] == [tasks[i] for i in expected]
    assert (listed["page"], listed["total"], listed["has_more"]) == (page, 3, has_more)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"model": UPSCALE_V1}, [1]),
        ({"model": "runwayml/upscale"}, []),
        ({"status": "completed"}, [0]),
        ({"status": "failed"}, [1]),
        ({"status": "created"}, [2]),
        ({"status": "deleted"}, []),
        ({"created_after": "2026-01-01T00:01:00Z"}, [2, 1]),
        ({"created_before": "2026-01-01T00:01:00Z"}, [0]),
        ({"created_after": "2026-01-01T01:01:00+01:00", "status": "failed"}, [1]),
        ({"created_before": "2026-01-01T00:02:00", "model": UPSCALER}, [0]),
        ({"model": None, "status": "", "created_after": None}, [2, 1, 0]),
    ],
)
def test_predictions_are_filtered(
    busy: tuple[Api, list[str]], asked: dict[str, object], expected: list[int]
) -> None:
    """Predictions can be filtered by model, by status and by time (lower bound inclusive)."""
    api, tasks = busy
    api.sim.advance(0.5)

    assert ids(api, **asked) == [tasks[i] for i in expected]


def test_deleted_predictions_are_not_listed(busy: tuple[Api, list[str]]) -> None:
    """Deleted predictions are neither listed on a page nor counted in the total."""
    api, tasks = busy
    api.post("predictions/delete", {"ids": tasks[:2]})

    assert data_of(api.post("predictions", PAGE))["total"] == 1
    assert ids(api) == tasks[2:]


@pytest.mark.parametrize("asked", [True, False])
def test_inputs_are_shown_on_request(api: Api, *, asked: bool) -> None:
    """`include_inputs` adds the submitted body to each item."""
    api.submit(copy_audio=False, extra=[1, {"a": None}])
    (item,) = data_of(api.post("predictions", {**PAGE, "include_inputs": asked}))["items"]

    expected = {"video": VIDEO, "copy_audio": False, "extra": [1, {"a": None}]} if asked else None
    assert item.get("inputs") == expected


@pytest.mark.parametrize(
    ("knob", "keys"),
    [
        ("both", ["page", "total", "has_more", "items"]),
        ("total", ["page", "total", "items"]),
        ("has_more", ["page", "has_more", "items"]),
    ],
)
@pytest.mark.parametrize("path", ["predictions", "billings/search"])
def test_the_totals_of_lists_are_a_knob(
    start: Start, path: str, knob: str, keys: list[str]
) -> None:
    """The knob `list_totals` decides whether a list shows a total."""
    assert list(data_of(start(list_totals=knob).post(path, PAGE))) == keys


@pytest.mark.parametrize("path", ["predictions", "billings/search"])
@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, 'property "page" is missing'),
        ({"page": 1}, 'property "page_size" is missing'),
        ({"page": None, "page_size": 1}, 'property "page" is missing'),
        ({"page": 0, "page_size": 1}, "page must be at least 1"),
        ({"page": 1, "page_size": 0}, "page_size must be at least 1"),
        ({"page": 1, "page_size": 101}, "page_size must be at most 100"),
        ({"page": "1", "page_size": 1}, "page must be an integer"),
        ({"page": True, "page_size": 1}, "page must be an integer"),
        ({"page": 1.5, "page_size": 1}, "page must be an integer"),
    ],
)
def test_page_fields_are_checked(api: Api, path: str, asked: dict[str, object], text: str) -> None:
    """Both page fields are required and must be whole numbers within their range."""
    assert refusal(api.post(path, asked)) == (400, text)


def test_a_page_far_away_is_empty(api: Api) -> None:
    """A very large page number is accepted and returns an empty page."""
    assert data_of(api.post("predictions", {"page": 10**30, "page_size": 1}))["items"] == []


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"model": 1}, "model must be a string"),
        (
            {"status": "succeeded"},
            f"status must be one of {STATUSES}",
        ),
        ({"created_after": "yesterday"}, "created_after must be an ISO 8601 time"),
        ({"created_before": 1}, "created_before must be an ISO 8601 time"),
        ({"include_inputs": "yes"}, "include_inputs must be a boolean"),
    ],
)
def test_prediction_filters_are_checked(api: Api, asked: dict[str, object], text: str) -> None:
    """A filter with a wrong type, an unknown status or an invalid time is refused."""
    assert refusal(api.post("predictions", {**PAGE, **asked})) == (400, text)


# Billing -----------------------------------------------------------------------------------------


def test_a_billing_row_shows_a_charge_with_its_order_and_task(api: Api) -> None:
    """A billing row has a positive amount, and its order is held until the task ends."""
    task = api.submit()["id"]
    (before,) = data_of(api.post("billings/search", PAGE))["items"]
    api.finish(task)
    (after,) = data_of(api.post("billings/search", PAGE))["items"]
    ids_of_row = [after.pop("uuid"), after["order"].pop("uuid")]

    assert (before["order"]["state"], before["prediction"]["status"]) == ("pre", "created")
    assert before["updated_at"] == before["created_at"]
    assert after == {
        "access_key_id": "1_1767225600000000000",
        "access_key_name": "wavespeed-1",
        "billing_type": "deduct",
        "price": Decimal("0.06"),
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:01:13.000Z",
        "order": {
            "state": "done",
            "price": Decimal("0.06"),
            "origin_price": Decimal("0.06"),
            "status": "",
            "ak_id": 0,
        },
        "prediction": {"uuid": task, "model_uuid": UPSCALER, "status": "completed"},
    }
    assert ids_of_row[0] != ids_of_row[1]
    assert {len(name) for name in ids_of_row} == {32}
    assert before["uuid"] == ids_of_row[0]


def test_a_refund_is_a_row_of_the_same_amount(busy: tuple[Api, list[str]]) -> None:
    """A failed task has two billing rows of the same positive amount: a deduct and a refund.

    The newest row is the first.
    """
    api, tasks = busy
    items = data_of(api.post("billings/search", PAGE))["items"]

    assert [(i["billing_type"], i["prediction"]["uuid"], i["price"]) for i in items] == [
        ("deduct", tasks[2], Decimal("0.24")),
        ("refund", tasks[1], Decimal("0.24")),
        ("deduct", tasks[1], Decimal("0.24")),
        ("deduct", tasks[0], Decimal("0.06")),
    ]
    assert len({i["uuid"] for i in items}) == 4


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"billing_type": "deduct"}, [("deduct", 2), ("deduct", 1), ("deduct", 0)]),
        ({"billing_type": "refund"}, [("refund", 1)]),
        ({"billing_type": "gift"}, []),
        ({"model_uuid": UPSCALE_V1}, [("refund", 1), ("deduct", 1)]),
        ({"sort": "created_at ASC", "model_uuid": UPSCALER}, [("deduct", 0), ("deduct", 2)]),
        ({"sort": "created_at DESC", "model_uuid": UPSCALER}, [("deduct", 2), ("deduct", 0)]),
        ({"start_time": str(START + 60_000)}, [("deduct", 2), ("refund", 1), ("deduct", 1)]),
        ({"end_time": str(START)}, [("deduct", 0)]),
        ({"access_key_uuid": "1_1767225600000000000", "billing_type": "refund"}, [("refund", 1)]),
        ({"access_key_uuid": "another"}, []),
        ({"prediction_uuids": [], "billing_type": "", "end_time": str(START)}, [("deduct", 0)]),
        ({"model_uuid": None, "end_time": "", "billing_type": "refund"}, [("refund", 1)]),
    ],
)
def test_billing_rows_are_filtered_and_sorted(
    busy: tuple[Api, list[str]], asked: dict[str, object], expected: list[tuple[str, int]]
) -> None:
    """Billing rows have filters for kind, model, key and time; the newest row comes first."""
    api, tasks = busy

    assert rows(api, **asked) == [(kind, tasks[i]) for kind, i in expected]


def test_billing_rows_are_found_by_task(busy: tuple[Api, list[str]]) -> None:
    """Billing rows can be filtered by several task ids; an unknown id matches no row."""
    api, tasks = busy

    assert rows(api, prediction_uuids=[tasks[0], "x"]) == [("deduct", tasks[0])]


def test_billing_rows_of_deleted_tasks_stay(busy: tuple[Api, list[str]]) -> None:
    """The billing rows of a task remain after the task is deleted."""
    api, tasks = busy
    api.post("predictions/delete", {"ids": tasks})

    assert len(rows(api)) == 4


def test_other_ledger_entries_are_no_billing_rows(api: Api) -> None:
    """Top-ups and the charges of forgotten tasks are not listed as billing rows."""
    api.submit()
    api.sim.sandbox.money.post(api.account, "top_up", Decimal(5))
    listed = len(rows(api))
    api.sim.advance(7 * DAY)

    assert (listed, rows(api)) == (1, [])


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"billing_type": 1}, "billing_type must be a string"),
        ({"prediction_uuids": "a"}, "prediction_uuids must be an array of strings"),
        ({"sort": "price ASC"}, "sort must be one of created_at DESC, created_at ASC"),
        ({"start_time": START}, "start_time must be a string of milliseconds since the epoch"),
        ({"end_time": "2026-01-01"}, "end_time must be a string of milliseconds since the epoch"),
        ({"end_time": "9" * 5000}, "end_time must be a string of milliseconds since the epoch"),
    ],
)
def test_billing_filters_are_checked(api: Api, asked: dict[str, object], text: str) -> None:
    """Billing filters accept times only as strings of milliseconds, and only two sort orders."""
    assert refusal(api.post("billings/search", {**PAGE, **asked})) == (400, text)


# Usage -------------------------------------------------------------------------------------------


def test_usage_adds_up_by_model_and_day(busy: tuple[Api, list[str]]) -> None:
    """Usage per model and per day is net of refunds and agrees with the ledger."""
    api, _ = busy
    api.sim.advance(DAY)
    api.submit()
    used = data_of(api.post("user/usage_stats", PERIOD))

    assert used == {
        "per_model_usage": [
            {
                "model_uuid": UPSCALER,
                "model_type": "upscaler",
                "unit_price": Decimal("0.025"),
                "total_cost": Decimal("0.36"),
                "total_count": 3,
                "last_used_date": "2026-01-02",
            },
            {
                "model_uuid": UPSCALE_V1,
                "model_type": "upscaler",
                "unit_price": Decimal("0.02"),
                "total_cost": 0,
                "total_count": 1,
                "last_used_date": "2026-01-01",
            },
        ],
        "daily_usage": [
            {
                "date": "2026-01-01",
                "amount": Decimal("0.3"),
                "count": 3,
                "models": [
                    {"model_uuid": UPSCALER, "amount": Decimal("0.3"), "count": 2},
                    {"model_uuid": UPSCALE_V1, "amount": 0, "count": 1},
                ],
            },
            {
                "date": "2026-01-02",
                "amount": Decimal("0.06"),
                "count": 1,
                "models": [{"model_uuid": UPSCALER, "amount": Decimal("0.06"), "count": 1}],
            },
        ],
        "summary": {"total_cost": Decimal("0.36"), "total_requests": 4, "success_requests": 2},
    }
    assert 100 - api.balance == used["summary"]["total_cost"]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"model_uuid": UPSCALE_V1}, 1),
        ({"model_uuid": "x"}, 0),
        ({"start_time": "2026-01-01T00:01:00Z"}, 2),
        ({"end_time": "2026-01-01T00:01:00Z"}, 2),
        ({"start_time": "2026-01-01T00:00:30Z", "end_time": "2026-01-01T00:00:30Z"}, 0),
    ],
)
def test_usage_is_filtered(
    busy: tuple[Api, list[str]], asked: dict[str, object], count: int
) -> None:
    """Usage can be filtered by model and by a period that includes both ends."""
    api, _ = busy

    assert (
        data_of(api.post("user/usage_stats", {**PERIOD, **asked}))["summary"]["total_requests"]
        == count
    )


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"start_time": None}, 'property "start_time" is missing'),
        ({"end_time": None}, 'property "end_time" is missing'),
        ({"start_time": "soon"}, "start_time must be an ISO 8601 time"),
        ({"model_uuid": 1}, "model_uuid must be a string"),
        ({"start_time": "2026-02-01"}, "start_time must not be after end_time"),
        ({"start_time": "2025-12-30T23:59:59.999Z"}, "the time range must not exceed 31 days"),
    ],
)
def test_usage_periods_are_checked(api: Api, asked: dict[str, object], text: str) -> None:
    """A usage period needs a start and an end, in this order, at most 31 days apart."""
    assert refusal(api.post("user/usage_stats", {**PERIOD, **asked})) == (400, text)


def test_exactly_31_days_of_usage_are_allowed(api: Api) -> None:
    """A usage period of exactly 31 days is accepted."""
    asked = {"start_time": "2025-12-31T00:00:00Z", "end_time": "2026-01-31T00:00:00Z"}

    assert api.post("user/usage_stats", asked).status_code == 200
