"""Run the client's effects over httpx, sync or async.

No other module of the client sends requests with httpx.

* `runners`: run a flow to its end, sync and async.
* `exchanges`: the parts of a request and its response that sync and async code share.
* `total_timeout`: the total time limit of a response; `connections`: sockets that respect
  this limit.
* `wire`: the targets of requests, and which requests carry the key; `json_calls`:
  requests to a simulator's admin API.

Proxy variables are ignored and redirects never followed. An httpx error is converted to a
`LostResponse`, which does not contain the request.
"""
