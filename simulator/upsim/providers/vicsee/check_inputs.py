"""The parts of a call that VicSee's checks and operations depend on."""

from upsim.core.check_inputs import (
    ACCOUNT,
    COMMON_USES,
    INPUTS,
    JOB,
    MEDIA,
    MODEL,
    OPTIONS,
    PRICED,
    SOURCE,
    CheckUses,
    Use,
)

KEY, TOKEN, FORM, ADDRESS, UPLOAD, RESULT = "key", "token", "form", "address", "upload", "result"

USES = CheckUses(
    checks={
        **COMMON_USES,
        "has_key": Use(gives=(KEY,)),
        "has_bearer_token": Use(gives=(TOKEN,)),
        "well_formed_key": Use(gives=(FORM,)),
        "issued_key": Use(needs=(KEY, TOKEN, FORM), gives=(ACCOUNT,)),
        "known_tool": Use(gives=(MODEL,)),
        "known_model": Use(needs=(INPUTS,), gives=(MODEL,)),
        "has_video": Use(needs=(INPUTS,), gives=(SOURCE,)),
        "known_factor": Use(needs=(INPUTS,), gives=(OPTIONS,)),
        "fetchable": Use(needs=(SOURCE,)),
        "supported_format": Use(needs=(MEDIA,)),
        "own_task": Use(needs=(ACCOUNT,), gives=(JOB,)),
        "has_result": Use(needs=(JOB,), gives=(RESULT,)),
        "uploadable": Use(needs=(INPUTS,), gives=(UPLOAD,)),
    },
    operations={
        "tools/upscale-video": (ACCOUNT, *PRICED),
        "generate": (ACCOUNT, *PRICED),
        "tasks/get": (ACCOUNT, JOB),
        "tasks/download": (ACCOUNT, JOB, RESULT),
        "credits": (ACCOUNT,),
        "upload": (ACCOUNT, UPLOAD),
    },
)
