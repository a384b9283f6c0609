"""Run the client's effects over httpx, sync or async; no other module of the client uses httpx.

* `runners`: run a flow to its end, sync and async.
* `exchanges`: one request and its response, as far as sync and async are the same.
* `patience`: how long an answer may take in all; `connections`: sockets that keep to it.
* `wire`: where requests go, and who gets the key; `caller`: calls of a simulator's admin API.

Proxy variables are ignored and redirects never followed. An httpx error never leaves: it becomes a
`Lost`, without its request.
"""
