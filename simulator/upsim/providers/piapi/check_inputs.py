"""The parts of a call that PiAPI's checks and operations depend on."""

from upsim.core.check_inputs import (
    ACCOUNT,
    COMMON_USES,
    INPUTS,
    JOB,
    MEDIA,
    MODEL,
    OPTIONS,
    SOURCE,
    CheckUses,
    Use,
)

TYPE, CONFIG, QUERY, PENDING, UPLOAD, FILE = "type", "config", "query", "pending", "upload", "file"

USES = CheckUses(
    checks={
        **COMMON_USES,
        "known_model": Use(needs=(INPUTS,), gives=(MODEL, OPTIONS)),
        "known_task_type": Use(needs=(INPUTS,)),
        "has_video": Use(needs=(INPUTS,), gives=(SOURCE,)),
        "valid_config": Use(needs=(INPUTS,), gives=(CONFIG,)),
        "below_task_cap": Use(needs=(ACCOUNT,)),
        "supported_format": Use(needs=(MEDIA,)),
        "within_resolution": Use(needs=(MEDIA,)),
        "within_frames": Use(needs=(MEDIA,)),
        "own_task": Use(needs=(ACCOUNT,), gives=(JOB,)),
        "still_pending": Use(needs=(JOB,), gives=(PENDING,)),
        "bulk_selection": Use(gives=(QUERY,)),
        "history_selection": Use(gives=(QUERY,)),
        "plan_has_uploads": Use(needs=(ACCOUNT,)),
        "upload_object": Use(gives=(UPLOAD,)),
        "uploadable": Use(needs=(UPLOAD,), gives=(FILE,)),
    },
    operations={
        "task/create": (ACCOUNT, MODEL, CONFIG, MEDIA),
        "task/get": (ACCOUNT, JOB),
        "task/cancel": (ACCOUNT, JOB, PENDING),
        "task/cancel-by-post": (ACCOUNT, JOB, PENDING),
        "tasks/cancel": (ACCOUNT, QUERY),
        "account/info": (ACCOUNT,),
        "account/active_tasks": (ACCOUNT,),
        "tasks/histories": (ACCOUNT, QUERY),
        "ephemeral_resource": (ACCOUNT, FILE),
    },
)
