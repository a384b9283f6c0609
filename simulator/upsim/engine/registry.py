"""All sandboxes of a server, their keys, and the parts that they share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from functools import partial

from msgspec.structs import replace

from upsim.core.baseline import Auth, BaselineError
from upsim.core.events import UploadsForgotten
from upsim.core.nearest_names import closest
from upsim.core.provider import Provider
from upsim.engine.body_memory import Room
from upsim.engine.bound_provider import BoundProvider
from upsim.engine.clock import Clock, monotonic
from upsim.engine.command_log import CommandLog
from upsim.engine.exceptions import SandboxRefusedError, SandboxTakenError, UnknownSandboxError
from upsim.engine.issued_keys import KeyHolder, Keyring
from upsim.engine.media_lookup import MediaLookup
from upsim.engine.planned_changes import planned_changes
from upsim.engine.recovery import at_present, damage_named, follow_files, snapshot_of
from upsim.engine.rule_versions import RulesId, RuleVersions
from upsim.engine.sandbox import Ports, Sandbox
from upsim.engine.sandbox_api import BoundSandbox
from upsim.engine.sandbox_lookup import Resolver
from upsim.engine.sandbox_request import MAIN, Recorded, SandboxRequest
from upsim.engine.scenario_lookup import ScenarioLookup
from upsim.engine.seeds import Seeds, derived_seed
from upsim.engine.settings import SandboxSettings, ServerSettings
from upsim.engine.snapshot_store import SnapshotStore
from upsim.engine.snapshots import Snapshot
from upsim.engine.store import KeptKey, KeptSandbox, MemoryStore, SandboxRecord, Store
from upsim.engine.timeline import Start, Timeline
from upsim.scenario.loader import BASELINE, Library
from upsim.scenario.model import Scenario

DEFAULT = "default"
MAX_SENT = 64 * 2**20
"""Bytes of the scenarios that were sent for all sandboxes together."""


class Registry:
    """The sandboxes of a server, and access to all its other parts."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        library: Library,
        providers: Mapping[str, Provider],
        store: Store | None = None,
    ) -> None:
        """Start a server with the sandboxes that its store kept, or with `default` alone.

        Raises StoreError, and ScenarioError or BaselineError for rules that cannot be used.
        """
        self.store = store or MemoryStore(settings.seed)
        self.settings = replace(settings, seed=self.store.seed)
        self.library = library
        self.providers = providers
        self.blobs = self.store.blobs(settings.store_bytes)
        self.room = Room()
        self.media_lookup = MediaLookup(set(settings.hosts), settings.loopback, settings.fetch)
        self.sandboxes: dict[str, Sandbox] = {}
        self.snapshots = SnapshotStore(self.blobs, self.store)
        self.crashes = 0
        self._log = self.store.log
        self._keys = Keyring(self.store.secret)
        self._resolver = Resolver(self, self._keys)
        self.resolve = self._resolver.resolve
        self._webhook_listeners: tuple[Callable[[Sandbox], None], ...] = ()
        self._orders: dict[str, SandboxRequest] = {}
        self._made = self.store.made
        self._check_dialect(settings.dialect)
        chosen = settings.scenario
        self._chosen = self.load_inline(chosen) if isinstance(chosen, Mapping) else chosen
        with damage_named(self.store.name):
            self.continued = self._continue_all()
        kept = self.sandboxes.get(DEFAULT)
        self.default = self._add(DEFAULT, SandboxRequest()) if kept is None else kept

    def _continue_all(self) -> Mapping[str, str]:
        """Continue the sandboxes of earlier servers; return the scenarios that they had then."""
        continued: dict[str, str] = {}
        for kept in self.store.kept():
            order = kept.record.request
            name = order.scenario or self._chosen
            if isinstance(name, str) and not self.library.has(name):
                order = replace(order, scenario=kept.record.scenario)  # its file is gone
            main = self._main(order.scenario or self._chosen)
            choices = self._choices(order, main)
            snapshot = snapshot_of(kept, self.library, main, self.providers, choices)
            sandbox = self._add(kept.record.name, order, snapshot=at_present(snapshot))
            before = kept.record.scenario
            continued[sandbox.id] = before.name if before else BASELINE
            if kept.report:
                sandbox.report_card.continue_with(kept.report)
            if follow_files(sandbox, kept, self.library, main):
                self.keep(sandbox)
        for one in self.store.kept_snapshots():
            self.snapshots.continue_with(one.sandbox, one.name, self.snapshot_in(one.kept))
        for key in self.store.issued_keys():
            auth = self._auth_of(key.holder) if key.holder else None
            self._keys.restore(key.fingerprint, key.holder, key.sandbox, auth)
        return continued

    def snapshot_in(self, kept: KeptSandbox) -> Snapshot:
        """Return a kept sandbox as a snapshot with its own rules. Raises BaselineError."""
        main = kept.record.scenario
        choices = self._choices(kept.record.request, main)
        return snapshot_of(kept, self.library, main, self.providers, choices)

    def _auth_of(self, holder: KeyHolder) -> Auth:
        if holder.provider not in self.providers:
            raise LookupError(f"a key is for {holder.provider[:80]!r}, which is no provider here")
        return self.sandboxes[holder.sandbox].scenario_for(holder.provider).baseline.auth

    # -- sandboxes

    def keep(self, sandbox: Sandbox) -> None:
        """Keep how a sandbox was made, and the scenario that is now in force in it."""
        self.store.keep(self.record_of(sandbox))

    def record_of(self, sandbox: Sandbox) -> SandboxRecord:
        """Return how a sandbox was made, and the scenario that is now in force in it."""
        return SandboxRecord(
            name=sandbox.id,
            request=self._orders[sandbox.id],
            seed=sandbox.seeds.seed,
            began=sandbox.began,
            scenario=self.main_of(sandbox),
        )

    def add_hosts(self, hosts: Iterable[str]) -> None:
        """Treat these `host:port` forms as this server, too."""
        self.settings = replace(self.settings, hosts=(*self.settings.hosts, *hosts))
        self.media_lookup.hosts = self.media_lookup.hosts.union(hosts)

    def fork(
        self, source: Sandbox, snapshot: Snapshot, order: SandboxRequest
    ) -> tuple[Sandbox, dict[str, str]]:
        """Return a new sandbox that continues from a snapshot of another one, and its keys.

        Of `order`, the id, the keys and the time to live count; the rest is that of the source.
        A provider's key is for the first account of the provider. Raises SandboxRefusedError.
        """
        owners: dict[str, str] = {}
        for provider, owner in snapshot.state.owners:
            owners.setdefault(provider, owner)
        made = replace(
            self._orders[source.id],
            owners=owners,
            id=order.id,
            keys=order.keys,
            ttl=order.ttl,
            seed=source.seeds.seed,
            scenario=self.chosen_for(source),
        )
        return self.create(made, snapshot)

    def restore(self, name: str, snapshot: Snapshot) -> Sandbox:
        """Continue a sandbox from one of its snapshots; its keys stay valid."""
        self._empty(self.get(name))
        fresh = self._add(name, self._orders[name], snapshot=snapshot)
        if snapshot.report:
            fresh.report_card.continue_with(snapshot.report)
        if name == DEFAULT:
            self.default = fresh
        return fresh

    def create(
        self, order: SandboxRequest, snapshot: Snapshot | None = None
    ) -> tuple[Sandbox, dict[str, str]]:
        """Create a sandbox and its keys, one for each provider. Raises SandboxRefusedError."""
        self.remove_idle()
        for provider in (*order.dialects, *order.knobs, *order.balances, *order.keys):
            self._known_provider(provider)
        name = order.id or self._free_name()
        if name in self.sandboxes:
            msg = f"there is already a sandbox {name!r}"
            raise SandboxTakenError(msg)
        if len(self.sandboxes) > self.settings.sandboxes_max:
            msg = f"there are already {self.settings.sandboxes_max} sandboxes; delete some"
            raise SandboxRefusedError(msg)
        self._check_room(order.sent)
        sandbox = self._add(name, order, snapshot=snapshot)
        try:
            keys = {p: self._first_key(sandbox, p, order.keys.get(p)) for p in self.providers}
        except SandboxRefusedError:
            self.delete(name)
            raise
        return sandbox, keys

    def _check_room(self, size: int) -> None:
        """Raise SandboxRefusedError if the inline scenarios of all sandboxes would be too large."""
        held = sum(order.sent for order in self._orders.values()) if size else 0
        if held + size > MAX_SENT:
            msg = f"a scenario of {size} bytes, where those of other sandboxes have {held}"
            raise SandboxRefusedError(f"{msg}; at most {MAX_SENT} in all: delete some sandboxes")

    def _free_name(self) -> str:
        while True:
            self._made += 1
            if (name := f"sb{self._made}") not in self.sandboxes:
                return name

    def get(self, name: str) -> Sandbox:
        """Return a sandbox by id. Raises UnknownSandboxError."""
        sandbox = self.sandboxes.get(name)
        if sandbox is None:
            msg = f"there is no sandbox {name!r}"
            raise UnknownSandboxError(msg)
        sandbox.last_used = monotonic()
        return sandbox

    def delete(self, name: str) -> None:
        """Remove a sandbox with its keys; `default` is emptied instead."""
        sandbox = self.get(name)
        if sandbox is self.default:
            self.reset(name)
            return
        self._empty(sandbox)
        del self.sandboxes[name], self._orders[name]
        self._keys.forget(name)
        self.store.retire_keys(name)
        self.snapshots.forget(name)
        self._resolver.forget()

    def reset(self, name: str) -> Sandbox:
        """Reset a sandbox to its initial state; its keys stay valid."""
        self._empty(self.get(name))
        fresh = self._add(name, self._orders[name])
        if name == DEFAULT:
            self.default = fresh
        return fresh

    def replay(self, name: str, order: SandboxRequest, recorded: Recorded) -> Sandbox:
        """Create a sandbox that repeats a recording; it replaces a sandbox of the same name."""
        if name in self.sandboxes:
            self._empty(self.sandboxes[name])
        fresh = self._add(name, order, recorded)
        if name == DEFAULT:
            self.default = fresh
        return fresh

    def remove_idle(self) -> None:
        """Remove sandboxes that were not used for longer than their time to live."""
        now = monotonic()
        for sandbox in list(self.sandboxes.values()):
            ttl = self.settings.ttl if sandbox.choices.ttl is None else sandbox.choices.ttl
            if sandbox is not self.default and now - sandbox.last_used > ttl:
                self.delete(sandbox.id)

    def _add(
        self,
        name: str,
        order: SandboxRequest,
        recorded: Recorded | None = None,
        snapshot: Snapshot | None = None,
    ) -> Sandbox:
        main = self._main(order.scenario or self._chosen)
        choices = snapshot.choices if snapshot else self._choices(order, main)
        own = snapshot.seed if snapshot else order.seed
        seeds = (own, main.seed if main else None, self._seed_of(name))
        seed = next(seed for seed in seeds if seed is not None)
        rules = RuleVersions(self._scenarios(main), self.providers, choices)
        if snapshot is None:
            clock = recorded.clock if recorded else self._clock(order, main)
            start = Start(clock, Seeds(seed))
        else:
            start = Start(snapshot.clock(), Seeds(seed), snapshot.past)
        sandbox = Sandbox(
            name,
            scenario=main.name if main else BASELINE,
            rules=snapshot.rules.versions.copy() if snapshot else rules,
            start=start,
            log=self._log,
            choices=choices,
            ports=Ports(
                view=self._view,
                commands=recorded.commands if recorded else partial(_command_log, choices),
                on_webhook_due=self._on_webhook_due,
                on_rules_changed=self._on_rules_changed,
                on_blob_released=self.blobs.release,
            ),
        )
        if snapshot is None:
            self._begin(sandbox, order, main)
        else:
            self._continue(sandbox, snapshot)
        sandbox.last_used = monotonic()
        self.sandboxes[name] = sandbox
        self._orders[name] = order
        self.keep(sandbox)
        self.store.follow(name, sandbox.records)
        return sandbox

    def _begin(self, sandbox: Sandbox, order: SandboxRequest, main: Scenario | None) -> None:
        """Arm the faults and plan the changes of a new sandbox's scenario."""
        own = () if main is None else (main.baseline.provider,)
        with ExitStack() as undo:
            undo.callback(self._log.drop, sandbox.id)
            for provider in (*order.dialects, *order.knobs, *own):
                sandbox.bound(provider)  # refuses now, not at a call, rules that code cannot follow
            if main is not None and main.faults:
                sandbox.planned_faults.start(main.faults)
            sandbox.rule_changes.plan(planned_changes(sandbox, self.library, main))
            undo.pop_all()

    def _continue(self, sandbox: Sandbox, snapshot: Snapshot) -> None:
        """Give a sandbox the parts of a snapshot that are not in its events."""
        sandbox.rule_changes.continue_with(snapshot.rules)
        sandbox.records.continue_with(snapshot.records, snapshot.record_count)
        sandbox.commands.fill("the sandbox continues from a snapshot")
        uploads = sandbox.state.uploads.items()
        files = [(name, found.stored.digest) for name, found in uploads if found.stored]
        gone = tuple(name for name, digest in files if not self.blobs.hold(digest))
        if gone:
            sandbox.commit(UploadsForgotten(sandbox.now, gone))
        sandbox.webhooks.resume()

    # -- other rules

    def load_inline(self, document: Mapping[str, object]) -> Scenario:
        """Return the scenario of an inline document. Raises ScenarioError with all mistakes."""
        from upsim.scenario.inline import load_inline

        return load_inline(self.library.renewed(), document, self.providers)

    async def prepare(self, name: str) -> None:
        """Load a scenario outside of the event loop, so that creating a sandbox in it is fast.

        Raises UnknownScenarioError or ScenarioError.
        """
        while name not in self.library.loaded:  # another library may be in force by then
            await asyncio.to_thread(self.library.load, name)

    def chosen_for(self, sandbox: Sandbox) -> str | Scenario | None:
        """Return the scenario of a sandbox as requested: a name, a path, or an inline scenario."""
        return self._orders[sandbox.id].scenario or self._chosen

    def main_of(self, sandbox: Sandbox) -> Scenario | None:
        """Return the current version of the scenario with which a sandbox was created."""
        return self._main(self.chosen_for(sandbox))

    def _main(self, chosen: str | Scenario | None) -> Scenario | None:
        return self.library.load(chosen) if isinstance(chosen, str) else chosen

    def use_library(self, library: Library) -> None:
        """Use another library from now on; existing sandboxes keep their scenarios."""
        self.library = library
        self._resolver.forget()

    # -- what sandboxes need of a server

    def subscribe(self, on_webhook_due: Callable[[Sandbox], None]) -> None:
        """Call a listener with each sandbox that may have a webhook to deliver, now or later."""
        self._webhook_listeners = (*self._webhook_listeners, on_webhook_due)

    def unsubscribe(self, on_webhook_due: Callable[[Sandbox], None]) -> None:
        """Remove a listener."""
        self._webhook_listeners = tuple(
            one for one in self._webhook_listeners if one != on_webhook_due
        )

    def _on_webhook_due(self, sandbox: Sandbox) -> None:
        for listener in self._webhook_listeners:
            listener(sandbox)

    def _on_rules_changed(self, sandbox: Sandbox) -> None:
        """Look up requests' sandboxes again, because keys may now be sent in other headers."""
        for rules, scenario in sandbox.rules.known().items():
            self.store.keep_rules(rules, scenario)
        for provider in self.providers:
            self._keys.know(provider, sandbox.scenario_for(provider).baseline.auth, sandbox.id)
        self._resolver.forget()

    def _view(self, sandbox: Sandbox, bound: BoundProvider) -> BoundSandbox:
        rules = RulesId(bound.provider.name, bound.rules.baseline.digest)
        self.store.keep_rules(rules, bound.scenario)
        return BoundSandbox(sandbox, bound, sources=self.media_lookup, blobs=self.blobs)

    def _seed_of(self, name: str) -> int:
        """Return the seed of a sandbox without its own: the server's seed for `default`.

        Any other sandbox gets a seed that is derived from the server's seed and its name. Two
        sandboxes then share no id, secret or signature, and the server's seed reproduces all of
        them.
        """
        server = self.settings.seed
        return server if name == DEFAULT else derived_seed(server, f"sandbox/{name}")

    def _clock(self, order: SandboxRequest, main: Scenario | None) -> Clock:
        settings = self.settings
        return Clock(
            order.clock or (main.clock if main else None) or settings.clock,
            start=settings.start if order.start is None else order.start,
            pace=settings.pace if order.pace is None else order.pace,
        )

    def _choices(self, order: SandboxRequest, main: Scenario | None) -> SandboxSettings:
        settings = self.settings
        strict = settings.strict_keys if order.strict_keys is None else order.strict_keys
        return SandboxSettings(
            dialects=order.dialects,
            knobs=order.knobs,
            balances=order.balances,
            strict_keys=strict,
            default_dialect=settings.dialect,
            render=order.render or settings.render,
            jobs_max=settings.jobs_max,
            journal_max=settings.journal_max,
            ttl=order.ttl,
            webhook_timestamp=order.webhook_timestamp
            or (main.webhook_timestamp if main else None)
            or settings.webhook_timestamp,
            commands_max=settings.commands_max,
            commands_bytes=settings.commands_bytes,
        )

    def models_of(self, provider: str) -> Collection[str]:
        """Return the names of a provider's models."""
        return self.library.baseline(provider).baseline.models

    def _check_dialect(self, dialect: str | None) -> None:
        """Raise BaselineError for a dialect that no provider has."""
        if not dialect:
            return
        boxes = (self.library.baseline(provider).baseline for provider in self.providers)
        known = {name: None for baseline in boxes for name in baseline.dialects}
        if dialect not in known:
            near = closest(dialect, known)
            hint = f"did you mean {near}?" if near else f"allowed: {', '.join(known)}"
            msg = f"no provider has a dialect {dialect!r}; {hint}"
            raise BaselineError(msg)

    def _scenarios(self, main: Scenario | None) -> ScenarioLookup:
        return ScenarioLookup(self.library, main)

    def _known_provider(self, provider: str) -> str:
        if provider not in self.providers:
            known = ", ".join(self.providers)
            near = closest(provider, self.providers)
            hint = f"did you mean {near}?" if near else f"allowed: {known}"
            msg = f"there is no provider {provider[:80]!r}; {hint}"
            raise SandboxRefusedError(msg)
        return provider

    def _empty(self, sandbox: Sandbox) -> None:
        self._resolver.forget()
        for upload in sandbox.state.uploads.values():
            if upload.stored is not None:
                self.blobs.release(upload.stored.digest)
        self._log.drop(sandbox.id)
        sandbox.abandon()

    # -- keys and accounts

    def issue_key(
        self, sandbox: Sandbox, provider: str, *, owner: str, key: str | None = None
    ) -> str:
        """Issue a key for an owner's account: `key`, or a random key in the provider's form.

        Raises SandboxRefusedError for a key that cannot be issued.
        """
        if self.sandboxes.get(sandbox.id) is not sandbox:
            msg = f"sandbox {sandbox.id!r} was reset or deleted in the meantime"
            raise SandboxRefusedError(msg)
        auth = sandbox.scenario_for(self._known_provider(provider)).baseline.auth
        holder = KeyHolder(sandbox.id, provider, owner)
        issued = self._keys.issue(holder, auth, key)
        self.store.keep_key(KeptKey(self._keys.fingerprints.of(provider, issued), holder))
        self._resolver.forget()
        return issued

    def first_owner(self, sandbox: Sandbox, provider: str) -> str:
        """Return the owner of a sandbox's first key of a provider."""
        return self._orders[sandbox.id].owners.get(provider, MAIN)

    def retire(self, provider: str, key: str) -> None:
        """Refuse a key from now on, like a key of a deleted sandbox."""
        self._keys.retire(provider, key)
        self.store.keep_key(KeptKey(self._keys.fingerprints.of(provider, key), None))
        self._resolver.forget()

    def close(self) -> None:
        """Release the files and the store of all sandboxes."""
        self.blobs.close()
        self.store.close({name: box.report_card.encoded for name, box in self.sandboxes.items()})

    def _first_key(self, sandbox: Sandbox, provider: str, brought: str | None) -> str:
        owner = self.first_owner(sandbox, provider)
        return self.issue_key(sandbox, provider, owner=owner, key=brought)


def _command_log(choices: SandboxSettings, timeline: Timeline) -> CommandLog:
    return CommandLog(timeline, most=choices.commands_max, most_bytes=choices.commands_bytes)
