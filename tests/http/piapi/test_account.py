"""The account's views: funds, active tasks, history. All numbers come from the ledger."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.http.piapi.conftest import Api, Start

IDLE = {"staged_count": 0, "pending_count": 0, "processing_count": 0, "active_tasks": []}
OTHERS = ["flux", "kling", "luma", "midjourney", "music-s", "music-u"]


def test_account_info_shows_points_and_dollars(start: Start) -> None:
    """After one 60-frame task, account info shows 4.982 of 5 dollars, and the points."""
    api = start(accounts={"piapi": {"balance": "50000000"}})
    api.create()

    data = api.data("/account/info")

    number, opened = data["id"], data["created_at"]
    assert data == {
        "id": number,
        "name": data["name"],
        "plan": "creator",
        "type": "user",
        "is_enable": True,
        "is_verified": True,
        "equivalent_in_usd": 4.982,
        "credit_pack_info": {
            "available_credits": 49820000,
            "used_credits": 180000,
            "total_credits": 50000000,
            "frozen_credits": 0,
            "credit_packs_count": 1,
            "credit_packs": [
                {
                    "id": number,
                    "active": True,
                    "capacity": 50000000,
                    "expired_at": data["credit_pack_info"]["credit_packs"][0]["expired_at"],
                }
            ],
        },
        "wallet": {
            "id": number,
            "point_remain": 49820000,
            "point_frozen": 0,
            "point_used": 180000,
            "auto_recharge_enabled": False,
        },
        "created_at": opened,
        "updated_at": data["updated_at"],
    }


def test_account_info_shows_exact_dollars(start: Start) -> None:
    """A balance of one point is exactly 0.0000001 dollars in the account info."""
    api = start(accounts={"piapi": {"balance": "1"}})

    text = api.http.get("/account/info").text

    assert '"equivalent_in_usd":' in text
    written = text.partition('"equivalent_in_usd":')[2].partition(",")[0]
    assert Decimal(written) == Decimal("0.0000001")


def test_account_info_updated_at_is_the_time_of_the_last_charge(api: Api) -> None:
    """`updated_at` is the opening time of the account until a task is charged."""
    before = api.data("/account/info")
    api.advance(100)
    api.create()

    after = api.data("/account/info")

    assert before["created_at"] == before["updated_at"] == after["created_at"]
    assert after["updated_at"] > before["updated_at"]


@pytest.mark.parametrize(
    ("plan", "shown", "cap"),
    [("creator", "creator", None), ("free", "free", None), ("pro-capped", "pro", 30)],
)
def test_account_info_shows_a_concurrency_limit_only_if_one_exists(
    start: Start, plan: str, shown: str, cap: int | None
) -> None:
    """For a plan without a concurrency limit, `max_concurrent_task_count` is absent."""
    data = start(accounts={"piapi": {"plan": plan}}).data("/account/info")

    assert (shown, cap) == (data["plan"], data.get("max_concurrent_task_count"))


def test_active_tasks_are_counted_by_model_family(api: Api) -> None:
    """Active tasks are counted by model family; `video_toolkit` has its count too.

    Finished tasks do not count.
    """
    api.create()
    api.advance(60)
    working = api.create()["task_id"]
    api.advance(3)
    waiting = api.create()["task_id"]

    data = api.data("/account/active_tasks")

    assert dict.fromkeys(OTHERS, IDLE) == {n: data[n] for n in data if n != "video_toolkit"}
    assert data["video_toolkit"] == {
        "staged_count": 0,
        "pending_count": 1,
        "processing_count": 1,
        "active_tasks": [
            {"task_id": working, "status": "processing"},
            {"task_id": waiting, "status": "pending"},
        ],
    }


def test_staged_tasks_have_their_own_count(start: Start) -> None:
    """A staged task counts as `staged`, and not as `pending`."""
    api = start(accounts={"piapi": {"plan": "free-capped"}}, knobs={"over_cap": "stage"})
    api.create()
    api.create()

    toolkit = api.data("/account/active_tasks")["video_toolkit"]

    assert tuple(toolkit[f"{name}_count"] for name in ("staged", "pending", "processing")) == (
        1,
        1,
        0,
    )


def test_a_row_of_the_task_history_shows_the_cost(api: Api) -> None:
    """A row of the task history shows the task's cost, status and times."""
    task = api.create(service_mode="public")

    data = api.data("/api/open/tasks/histories")

    (row,) = data.pop("data")
    assert data == {"page": 1, "size": 10, "total": 1}
    assert row == {
        "id": row["id"],
        "account_id": row["account_id"],
        "api_key_id": row["account_id"],
        "task_id": task["task_id"],
        "task_model": "video_toolkit",
        "action": "upscale",
        "status": "pending",
        "service_mode": "public",
        "usage": 180000,
        "usage_type": "llm",
        "detail": {},
        "fixed": False,
        "created_at": task["meta"]["created_at"],
        "updated_at": task["meta"]["created_at"],
        "deleted_at": None,
    }


def test_a_cancelled_task_stays_in_the_history_without_a_cost(api: Api) -> None:
    """A cancelled task stays in the history with usage 0, its error, and the time of the cancel."""
    task_id = api.create()["task_id"]
    api.advance(1)
    api.http.delete(f"/api/v1/task/{task_id}")

    (row,) = api.data("/api/open/tasks/histories")["data"]

    assert (
        row["usage"],
        row["status"],
        row["detail"]["message"],
    ) == (0, "failed", "task cancelled")
    assert row["updated_at"] > row["created_at"]


def test_the_history_is_paged_with_the_newest_task_first(api: Api) -> None:
    """The history has ten rows a page by default, newest first; a page beyond the end is empty."""
    tasks = [api.create()["task_id"] for _ in range(12)][::-1]

    pages = [
        api.data(f"/api/open/tasks/histories?{query}")
        for query in ("", "page=2", "page=3", "page=2&page_size=5")
    ]

    shown = [[row["task_id"] for row in page["data"]] for page in pages]
    assert [tasks[:10], tasks[10:], [], tasks[5:10]] == shown
    assert {12} == {page["total"] for page in pages}


@pytest.mark.parametrize(
    ("query", "page", "size"),
    [
        ("page_size=100", 1, 100),
        ("page_size=101", 1, 100),
        ("page_size=0", 1, 1),
        ("page=0", 1, 10),
        ("page=&page_size=", 1, 10),
    ],
)
def test_page_numbers_out_of_range_are_clamped(api: Api, query: str, page: int, size: int) -> None:
    """A page size is limited to 1 to 100, and a page number to at least 1."""
    data = api.data(f"/api/open/tasks/histories?{query}")

    assert (page, size) == (data["page"], data["size"])


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("model=video_toolkit", 2),
        ("model=Qubico/video-toolkit", 2),
        ("model=kling", 0),
        ("start_time={second}", 1),
        ("end_time={second}", 2),
        ("end_time={first}", 1),
        ("start_time={first}&end_time={first}", 1),
    ],
)
def test_the_history_is_filtered_by_model_and_time(api: Api, query: str, total: int) -> None:
    """The history can be filtered by family or model id, and by Unix times that are inclusive."""
    moments = {}
    for name in ("first", "second"):
        moments[name] = api.second
        api.create()
        api.advance(10)

    data = api.data(f"/api/open/tasks/histories?{query.format(**moments)}")

    assert total == data["total"]


@pytest.mark.parametrize("field", ["page", "page_size", "start_time", "end_time"])
def test_a_query_parameter_that_is_no_number_is_refused(api: Api, field: str) -> None:
    """If a numeric query parameter of the history is not a number, a 400 names the parameter."""
    answer = api.http.get(f"/api/open/tasks/histories?{field}=x")

    assert (400, f"invalid request: query parameter {field}") == (
        answer.status_code,
        answer.json()["message"],
    )
