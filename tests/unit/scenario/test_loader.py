"""Scenario files: found, extended, judged."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from upsim.core.media import Media, Unmeasurable
from upsim.scenario.loader import Library, ScenarioError, UnknownScenarioError, shipped_root
from upsim.scenario.model import AccountRule, Scenario
from upsim_contracts.verify.run import book_of, pricer

LIBRARY = Library()
Load = Callable[..., Scenario]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that writes files and loads the first of them."""

    def write(**files: str) -> Scenario:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
        return Library().load(str(tmp_path / f"{next(iter(files))}.yaml"))

    return write


def mistakes(load: Load, text: str) -> list[str]:
    """Return the mistakes of a scenario that extends VicSee's baseline, without the file name."""
    with pytest.raises(ScenarioError) as caught:
        load(a=f"extends: vicsee/baseline\n{text}")
    return [str(mistake).partition("a.yaml:")[2] for mistake in caught.value.mistakes]


def test_shipped_scenarios_load_and_have_a_summary() -> None:
    """Every scenario that comes with the package loads and has a summary."""
    assert [name for name in LIBRARY.names() if not LIBRARY.load(name).summary] == []


def test_a_file_is_read_once() -> None:
    """A scenario that was loaded once is cached."""
    assert LIBRARY.load("vicsee/plan-pro") is LIBRARY.load("vicsee/plan-pro")


SHIPS = "the file does not exist; the built-in scenario is called "


def test_each_provider_has_a_baseline() -> None:
    """The list of providers has exactly the providers with a baseline."""
    assert set(LIBRARY.providers()) == {
        path.parent.name for path in shipped_root().glob("*/baseline.yaml")
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vicsee/plan-por", "there is no scenario 'vicsee/plan-por'; did you mean vicsee/plan-pro"),
        (
            "venice/out-of-credits",
            "there is no scenario 'venice/out-of-credits'; did you mean venice/insufficient-funds,",
        ),
        (
            "venice/No-Money",
            "there is no scenario 'venice/No-Money'; did you mean venice/insufficient-funds?",
        ),
        (
            "venice/insufficient-fund",
            "there is no scenario 'venice/insufficient-fund'; did you mean venice/insuf",
        ),
        (
            "../pyproject",
            f"no scenario file '{Path.cwd().parent}/pyproject': the file does not exist",
        ),
        ("vicsee/../../pyproject", "there is no scenario"),
        ("nowhere.yaml", f"no scenario file '{Path.cwd()}/nowhere.yaml': the file does not exist"),
        ("/nowhere/at/all.yml", "no scenario file '/nowhere/at/all.yml': the file does not exist"),
        (str(Path.cwd()), f"no scenario file '{Path.cwd()}': this is a folder"),
        (
            "vicsee/plan-pro.yaml",
            f"no scenario file '{Path.cwd()}/vicsee/plan-pro.yaml': {SHIPS}vicsee/plan-pro",
        ),
        ("a/b", f"there is no scenario 'a/b' and no file '{Path.cwd()}/a/b'"),
        (
            "venice/outage",
            "there is no scenario 'venice/outage'; did you mean venice/outage-for-a-minute?",
        ),
        ("vicsee", "there is no scenario 'vicsee'; did you mean vicsee/baseline?"),
        ("vicsse/baseline", "there is no scenario 'vicsse/baseline'; did you mean"),
        ("a\0b.yaml", f"no scenario file '{Path.cwd()}/a\\x00b.yaml': the file does not exist"),
        ("zzz", "there is no scenario 'zzz'; `upsim scenarios list` lists all"),
        (
            __file__,
            f"{__file__!r} is not a scenario file: it must be YAML and end in .yaml or .yml",
        ),
        ("ü" * 245 + ".yaml", "no scenario file"),
        ("x" * 10_000, "there is no scenario 'x"),
    ],
)
def test_unknown_names(name: str, text: str) -> None:
    """An unknown scenario name is refused with the nearest names.

    No name can lead to a file outside the root folder.
    """
    with pytest.raises(UnknownScenarioError) as caught:
        LIBRARY.load(name)

    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("kobs: {}\n", "2:1: kobs: unknown key; did you mean knobs?"),
        (
            "errors:\n  too_long: {sttus: 4}\n",
            "3:14: errors.too_long.sttus: unknown key; did you mean status?",
        ),
        (
            "plans: {pro: {concurrency: -1}}\n",
            "2:15: plans.pro.concurrency: -1 is less than the minimum of 0",
        ),
        ("seed: x\n", "2:1: seed: a whole number is needed here, not 'x'"),
        ("clock: hourly\n", "2:1: clock: 'hourly' does not match"),
        (
            "accounts: {vicsee: {balance: much}}\n",
            "2:21: accounts.vicsee.balance: 'much' does not match",
        ),
        (
            "knobs: {funds_txt: plain}\n",
            "2:9: knobs.funds_txt: unknown knob 'funds_txt'; did you mean funds_text?",
        ),
        (
            "knobs: {funds_text: plane}\n",
            "2:9: knobs.funds_text: unknown value 'plane'; did you mean plain?",
        ),
        (
            "knobs: {funds_text: zzz}\n",
            "2:9: knobs.funds_text: unknown value 'zzz'; allowed: plain, amounts",
        ),
        (
            "knobs: {funds_text: 5}\n",
            "2:9: knobs.funds_text: 5 is not a value of this knob; allowed: plain, amounts",
        ),
        ("seed: 1\nseed: 2\n", "3:1: seed: this key is repeated; remove one of them"),
        ("seed: [\n", "3:1: not YAML: "),
    ],
)
def test_mistakes(load: Load, text: str, mistake: str) -> None:
    """A mistake is printed with line, column, path and the allowed values."""
    assert [line[: len(mistake)] for line in mistakes(load, text)] == [mistake]


def test_an_unknown_key_without_a_near_one(load: Load) -> None:
    """If no similar key exists, the error lists all allowed keys."""
    (line,) = mistakes(load, "plans: {pro: {zzz: 1}}\n")

    assert (
        line
        == "2:15: plans.pro.zzz: unknown key; allowed: access, rates, concurrency, facts, evidence"
    )


def test_all_mistakes_at_once(load: Load) -> None:
    """Every mistake is reported, in order of place."""
    found = mistakes(load, "zeed: 1\nseed: x\nkobs: {}\n")

    assert ["2:1", "3:1", "4:1"] == [line[:3] for line in found]


@pytest.mark.parametrize("text", ["", "[1]", "summary: Nothing.\n", "text"])
def test_a_file_without_extends(load: Load, text: str) -> None:
    """The error for a file that is no baseline and has no `extends` says what is missing."""
    with pytest.raises(ScenarioError, match=r"a.yaml:1:1: extends is missing; write extends: "):
        load(a=text)


def test_extending_an_unknown_base(load: Load) -> None:
    """An unknown base scenario is reported at the line of `extends`."""
    with pytest.raises(
        ScenarioError, match=r"a.yaml:2:1: extends: there is no scenario 'vicsee/no'"
    ):
        load(a="summary: x\nextends: vicsee/no\n")


@pytest.mark.parametrize(
    "files",
    [
        {"a": "extends: a.yaml\n"},
        {"a": "extends: b.yaml\n", "b": "extends: a.yaml\n"},
        {"a": "extends: b.yaml\n", "b": "extends: c.yaml\n", "c": "extends: ./b.yaml\n"},
    ],
)
def test_circles(load: Load, files: dict[str, str]) -> None:
    """Files that extend each other in a circle are refused at the `extends` that closes it."""
    last = list(files)[-1]

    with pytest.raises(
        ScenarioError,
        match=rf"{last}.yaml:1:1: extends: .* extends this file, directly or indirectly",
    ):
        load(**files)


def test_a_mistake_below(load: Load) -> None:
    """A mistake in the base is reported at its place in the base."""
    with pytest.raises(ScenarioError, match=r"b.yaml:2:1: kobs: unknown key"):
        load(a="extends: b.yaml\n", b="extends: vicsee/baseline\nkobs: {}\n")


def test_a_base_that_cannot_be_read(load: Load) -> None:
    """A syntax error in the base is reported in the base."""
    with pytest.raises(ScenarioError, match=r"b.yaml:2:1: not YAML"):
        load(a="extends: b.yaml\n", b="a: [\n")


def test_several_levels(load: Load) -> None:
    """Each level overrides its base: mappings are merged, all other values are replaced."""
    found = load(
        a="extends: b.yaml\nlimits: {max_seconds: {value: '30'}}\nknobs: {factor_type: lenient}\n",
        b="extends: c.yaml\nseed: 2\nlimits: {formats: {value: [mp4]}}\nsummary: b\n",
        c="extends: vicsee/baseline\nseed: 1\nknobs: {funds_text: amounts}\nsummary: c\n",
    )

    limits = found.baseline.limits
    assert (found.summary, found.seed) == ("b", 2)
    assert found.knobs == {"funds_text": "amounts", "factor_type": "lenient"}
    assert (limits["max_seconds"].value, limits["formats"].value) == ("30", ("mp4",))
    assert limits["body_bytes"] == LIBRARY.baseline("vicsee").baseline.limits["body_bytes"]


def test_the_last_choice_of_a_knob(load: Load) -> None:
    """A scenario can override a knob value that its base sets."""
    found = load(
        a="extends: b.yaml\nknobs: {funds_text: plain}\n",
        b="extends: vicsee/baseline\nknobs: {funds_text: amounts}\n",
    )

    assert found.knobs == {"funds_text": "plain"}


def test_a_knob_s_definition_stays(load: Load) -> None:
    """Setting a knob does not change its allowed values or the defaults of the dialects."""
    found = load(a="extends: vicsee/baseline\nknobs: {funds_text: amounts}\n")

    assert found.baseline.knobs == LIBRARY.baseline("vicsee").baseline.knobs


def test_words_that_are_no_booleans(load: Load) -> None:
    """`on` and `no` are read as texts, for example in a summary."""
    assert load(a="extends: vicsee/baseline\nsummary: no\n").summary == "no"


def test_a_changed_file_has_another_digest(load: Load) -> None:
    """A scenario file with changed rules has a different digest."""
    digests = {
        load(
            **{name: f"extends: vicsee/baseline\nlimits: {{max_seconds: {{value: {value}}}}}\n"}
        ).baseline.digest
        for name, value in (("a", 30), ("b", 30), ("c", 31))
    }

    assert len(digests) == 2


def test_settings_of_a_scenario(load: Load) -> None:
    """Accounts, media, clock, seed and dialect are read from the scenario."""
    found = load(
        a="""
extends: vicsee/baseline
accounts: {vicsee: {balance: 10, plan: pro}, venice: {balance: "5"}}
dialect: live
clock: scaled:10
seed: 7
media:
  - {url: "https://a/*", duration: 2.5, size: 64x32, fps: 29.97, audio: false, container: mov}
  - {url: "https://b/*", unreachable: true}
  - {url: "https://c/*", not_a_video: true}
  - {url: "https://d/*", file: clip.mp4}
"""
    )

    video, gone, text, file = (rule.found for rule in found.media)
    assert (found.dialect, found.clock, found.seed) == ("live", "scaled:10", 7)
    assert found.accounts["vicsee"] == AccountRule(Decimal(10), "pro")
    assert isinstance(video, Media)
    assert (video.duration, video.width, video.frames, video.audio) == (2_500_000, 64, 75, False)
    assert [f.reason for f in (gone, text) if isinstance(f, Unmeasurable)] == [
        "unreachable",
        "not_a_video",
    ]
    assert isinstance(file, Path)
    assert file.name == "clip.mp4"


def test_a_local_file_of_a_base(load: Load, tmp_path: Path) -> None:
    """A local file is found relative to the file that names it, not to an extending file."""
    folder = tmp_path / "below"
    folder.mkdir()
    rule = 'media: [{url: "y*", file: clip.mp4}, {url: "x", unreachable: true}]\n'
    (folder / "b.yaml").write_text(f"extends: vicsee/baseline\n{rule}", "utf-8")

    found = load(a="extends: below/b.yaml\n")

    assert found.media[0].found == (folder / "clip.mp4").resolve()


def test_a_provider_that_brings_its_own_folder(tmp_path: Path) -> None:
    """The scenarios of a provider from another package are found by its name."""
    (tmp_path / "twice.yaml").write_text("extends: vicsee/baseline\n", "utf-8")

    library = Library(folders=lambda: {"toy": tmp_path})

    assert "toy/twice" in library.names()
    assert library.load("toy/twice").baseline.provider == "vicsee"


def test_two_roots_share_nothing(tmp_path: Path) -> None:
    """A library with another root folder finds only the scenarios in that folder."""
    assert Library(tmp_path).names() == ()


@pytest.mark.parametrize(("old", "new"), Library().aliases.items())
def test_a_former_name_finds_its_scenario(old: str, new: str) -> None:
    """A scenario is found by its former name, but lists show only its current name."""
    library = Library()

    assert library.path_of(old) == library.path_of(new)
    assert library.load(old).baseline.digest == library.load(new).baseline.digest
    assert (old in library.names(), new in library.names()) == (False, True)


def test_common_scenario_names_exist_everywhere() -> None:
    """Each provider has `insufficient-funds`, and a scenario with a failed and refunded job."""
    library = Library()
    wanted = [
        f"{p}/{n}" for p in library.providers() for n in ("insufficient-funds", "fails-and-refunds")
    ]

    assert set(wanted) <= set(library.names())


@pytest.mark.parametrize("provider", Library().providers())
def test_default_balance_outlasts_a_load_test(provider: str) -> None:
    """The default balance pays for more than ten thousand jobs of the highest price."""
    price, calls = pricer(provider), book_of(provider).calls
    highest = max(price(name, None, {}) or 0 for name, call in calls.items() if call.paid)

    assert Library().baseline(provider).baseline.opening > 10_000 * highest


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    """Two libraries share a cached user scenario; a changed file is read again."""
    file = tmp_path / "own.yaml"
    file.write_text("extends: vicsee/baseline\nsummary: before\n", "utf-8")
    first, second = (Library().load(str(file)) for _ in range(2))
    file.write_text("extends: vicsee/baseline\nsummary: afterwards\n", "utf-8")

    assert first is second
    assert [first.summary, Library().load(str(file)).summary] == ["before", "afterwards"]
