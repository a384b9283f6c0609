"""The parts of a call that Venice's checks and operations depend on."""

from upsim.core.check_inputs import (
    ACCOUNT,
    COMMON_USES,
    INPUTS,
    JOB,
    MEDIA,
    MODEL,
    OPTIONS,
    PRICED,
    REFUSAL,
    SOURCE,
    CheckUses,
    Use,
)

BASIS, DURATION, PAGE = "basis", "duration", "page"
_FIELDS = Use(needs=(INPUTS,))

USES = CheckUses(
    checks={
        **COMMON_USES,
        "authenticated_for_quote": Use(gives=(ACCOUNT,)),
        "within_failure_budget": Use(needs=(ACCOUNT,)),
        "supported_fields": _FIELDS,
        "closed_body": _FIELDS,
        "known_model": Use(needs=(INPUTS,), gives=(MODEL,)),
        "no_resolution": _FIELDS,
        "no_prompt": _FIELDS,
        "known_factor": Use(needs=(INPUTS,), gives=(OPTIONS,)),
        "has_video": Use(needs=(INPUTS,), gives=(SOURCE,)),
        "public_video": Use(needs=(SOURCE,)),
        "supported_format": Use(needs=(MEDIA,)),
        "long_enough": Use(needs=(MEDIA,)),
        "short_enough": Use(needs=(MEDIA,)),
        "acceptable_duration": _FIELDS,
        "within_key_cap": Use(needs=(ACCOUNT, *PRICED)),
        "no_resolution_on_quote": _FIELDS,
        "quotable": Use(needs=(INPUTS,), gives=(BASIS,)),
        "quoted_duration": Use(needs=(BASIS,), gives=(DURATION,)),
        "quoted_height": Use(needs=(BASIS,)),
        "quoted_video": Use(needs=(BASIS, MODEL, OPTIONS), gives=(MEDIA,)),
        "polled_model": _FIELDS,
        "known_flag": _FIELDS,
        "own_request": Use(needs=(ACCOUNT, INPUTS), gives=(JOB,)),
        "media_there": Use(needs=(JOB,)),
        "completable": Use(needs=(JOB,)),
        "well_formed_page": Use(gives=(PAGE,)),
        "not_retired": Use(gives=(REFUSAL,)),
    },
    operations={
        "video/queue": (ACCOUNT, *PRICED),
        "video/retrieve": (ACCOUNT, JOB),
        "video/complete": (ACCOUNT, JOB),
        "video/quote": (*PRICED, DURATION),
        "billing/balance": (ACCOUNT,),
        "billing/usage-history": (ACCOUNT, PAGE),
        "billing/usage": (REFUSAL,),
        "api_keys/rate_limits": (ACCOUNT,),
    },
)
