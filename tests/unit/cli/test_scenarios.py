"""`upsim validate` and `upsim scenarios`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from upsim.cli import main
from upsim.scenario.loader import Library

LIBRARY = Library()


def run(*arguments: str) -> Result:
    """Return what a command line gave."""
    return CliRunner().invoke(main, list(arguments), prog_name="upsim")


def test_valid_files() -> None:
    """Shipped files are valid, by name and by path."""
    path = str(LIBRARY.path_of("venice/older-guide"))
    result = run("validate", "vicsee/plan-pro", path)

    assert (0, "", "2 files, no mistakes\n") == (result.exit_code, result.stdout, result.stderr)


def test_all_mistakes_of_all_files(tmp_path: Path) -> None:
    """Each mistake of each file is one line, and the exit code reports that mistakes exist."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("extends: vicsee/baseline\nseed: x\nkobs: {}\n", "utf-8")
    second.write_text("extends: vicsee/baseline\nchecks: {credits: [has_ky]}\n", "utf-8")
    result = run("validate", str(second), str(first))

    assert [
        f"{first}:2:1: seed: a whole number is needed here, not 'x'",
        f"{first}:3:1: kobs: unknown key; did you mean knobs?",
        f"{second}:2:20: checks.credits[0]: unknown check 'has_ky'; did you mean has_key?",
    ] == result.stdout.splitlines()
    assert (1, "2 files, 3 mistakes\n") == (result.exit_code, result.stderr)


def test_a_mistake_that_two_files_share(tmp_path: Path) -> None:
    """A mistake in a base file that two files extend is reported once."""
    for name, text in (("base", "seed: x"), ("a", ""), ("b", "")):
        base = "vicsee/baseline" if name == "base" else "base.yaml"
        (tmp_path / f"{name}.yaml").write_text(f"extends: {base}\n{text}\n", "utf-8")
    result = run("validate", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))

    assert 1 == len(result.stdout.splitlines())


def test_missing_file_hides_no_mistake_of_another(tmp_path: Path) -> None:
    """If a file is missing, the existing files are still checked, and the exit code is 2.

    Each missing file is named.
    """
    first = tmp_path / "a.yaml"
    first.write_text("extends: vicsee/baseline\nkobs: {}\n", "utf-8")
    result = run("validate", "nowhere.yaml", str(first), "vicsee/plan-por", "vicsee/plan-pro")

    assert f"{first}:2:1: kobs: unknown key; did you mean knobs?\n" == result.stdout
    *errors, summary = result.stderr.splitlines()
    assert "nowhere.yaml': the file does not exist" in errors[0]
    assert "did you mean vicsee/plan-pro" in errors[1]
    assert (2, "2 files, 1 mistake, 2 files not found") == (result.exit_code, summary)


def test_mistakes_of_a_file_beyond_100_are_counted(tmp_path: Path) -> None:
    """After 100 mistakes of a file, only their number is printed; `--json` lists all.

    The mistakes of the next file are printed normally.
    """
    many, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    keys = "".join(f"  zz{number}: 1\n" for number in range(103))
    many.write_text(f"extends: vicsee/baseline\nknobs:\n{keys}", "utf-8")
    other.write_text("extends: vicsee/baseline\nkobs: {}\n", "utf-8")
    lines = run("validate", str(many), str(other)).stdout.splitlines()

    assert f"{many}: … and 3 more mistakes" == lines[100]
    assert 102 == len(lines)
    assert 104 == len(json.loads(run("validate", "--json", str(many), str(other)).stdout))


@pytest.mark.parametrize("arguments", [("validate",), ("validate", "nowhere.yaml")])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    """The check of scenarios without a file, or with a missing file, is a usage error."""
    assert 2 == run(*arguments).exit_code


@pytest.mark.parametrize("command", ["show", "explain"])
def test_an_unknown_name(command: str) -> None:
    """An unknown scenario name is a usage error that suggests the nearest names."""
    result = run("scenarios", command, "vicsee/plan-por")

    assert 2 == result.exit_code
    assert "did you mean vicsee/plan-pro" in result.stderr


def test_the_list() -> None:
    """The list shows the scenarios of each provider, each with its whole summary."""
    text = run("scenarios", "list").stdout
    heads = [line for line in text.splitlines() if line and line[0] not in " *"]
    items = [re.match("(. )([a-z0-9][^ ]*)  ", line) for line in text.splitlines()]
    shown = [(item[2], item[1] == "* ") for item in items if item]
    named = [(name.partition("/")[2], LIBRARY.template_of(name)) for name in LIBRARY.names()]

    assert list(LIBRARY.providers()) == [head.split()[0] for head in heads]
    assert [(short, template is not None) for short, template in named] == shown
    assert LIBRARY.load("vicsee/plan-pro").summary in " ".join(text.split())


def test_a_search() -> None:
    """A search finds scenarios with all words in name or summary, in upper or lower case."""
    found = json.loads(run("scenarios", "list", "WEBHOOK", "twice", "--json").stdout)

    assert ["piapi/webhook-duplicate", "wavespeed/webhook-duplicate"] == [
        item["name"] for item in found if "duplicate" in item["name"]
    ]
    assert [
        item for item in found if "webhook" not in f"{item['name']} {item['summary']}".lower()
    ] == []


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("rate", "limit"), "vicsee/two-a-minute"),
        (("rate limits",), "venice/plan-limited"),
        (("throttle",), "wavespeed/two-a-minute"),
        (("Throttled",), "venice/overloaded-429"),
        (("too", "many", "requests"), "venice/overloaded-429"),
        (("nsfw",), "piapi/moderation-late"),
        (("unauthorized",), "wavespeed/key-inactive"),
        (("invalid", "key"), "vicsee/key-revoked-in-mid-run"),
        (("disconnect",), "venice/answer-lost-after-acceptance"),
        (("partial",), "vicsee/output-truncated"),
        (("latency",), "wavespeed/slow-first-byte"),
        (("server", "error"), "piapi/internal-error-500"),
        (("server-error", "venice"), "venice/bad-gateway-502"),
        (("audio",), "vicsee/sixty-second-clip"),
        (("late", "moderation"), "venice/moderation-late"),
        (("slots",), "vicsee/one-at-a-time"),
        (("slots",), "wavespeed/plan-gold"),
        (("full", "queue"), "piapi/staged"),
        (("retried", "webhook"), "wavespeed/webhook-receiver-down-then-up"),
        (("webhooks", "retrying"), "piapi/webhook-tried-four-times"),
        (("polling",), "piapi/done-after-three-polls"),
        (("gzip",), "vicsee/wrong-content-type"),
        (("compressed",), "piapi/malformed-json"),
        (("signed",), "piapi/webhook-bad-signature"),
        (("time-out",), "piapi/gateway-timeout-504"),
        (("timeouts",), "piapi/gateway-timeout-504"),
        (("refunded",), "vicsee/fails-and-refunds"),
        (("concurrency",), "piapi/plan-free"),
        (("requests", "too", "many"), "venice/overloaded-429"),
    ],
)
def test_a_search_by_synonyms(words: tuple[str, ...], name: str) -> None:
    """A search for a common synonym finds the scenarios that use a different word."""
    result = run("scenarios", "list", *words, "--json")

    assert 0 == result.exit_code
    assert name in [item["name"] for item in json.loads(result.stdout)]


@pytest.mark.parametrize("words", ["rate limit", "throttle", "server error", "invalid key"])
def test_synonyms_do_not_find_everything(words: str) -> None:
    """A search by synonyms leaves out most scenarios."""
    found = json.loads(run("scenarios", "list", words, "--json").stdout)

    assert 0 < len(found) < len(LIBRARY.names()) / 5


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("concurrency", "vicsee/fails-and-refunds"),
        ("slots", "piapi/slow-first-byte"),
        ("retry", "venice/output-expired"),
    ],
)
def test_synonyms_do_not_match_other_meanings(words: str, name: str) -> None:
    """A word that only looks like a search term does not match.

    Examples: `at once` in the sense of soon is no concurrency, and `every retrieve` is no retry.
    """
    found = json.loads(run("scenarios", "list", words, "--json").stdout)

    assert name not in [item["name"] for item in found]


def test_a_search_with_partial_matches() -> None:
    """If no scenario has all words, those with the most words are listed and marked as partial."""
    result = run("scenarios", "list", "webhook", "signature", "zebra")
    programs = run("scenarios", "list", "webhook", "zebra", "--json")

    assert result.stdout.startswith(
        "no scenario matches 'webhook' and 'signature' and 'zebra'\n"
        "these match 2 of the 3:\n\npiapi"
    )
    assert "webhook-bad-signature" in result.stdout
    assert "webhook-lost" not in result.stdout
    assert (1, 1, "[]\n") == (result.exit_code, programs.exit_code, programs.stdout)


def test_a_search_that_finds_nothing() -> None:
    """A search without results suggests words with a similar spelling, and its exit code is 1."""
    result = run("scenarios", "list", "moderation-lat")
    other = run("scenarios", "list", "moderatoin-late")

    assert (0, 4) == (result.exit_code, result.stdout.count("moderation-late"))
    assert (1, "no scenario matches 'moderatoin-late'; did you mean moderation-late?\n") == (
        other.exit_code,
        other.stdout,
    )


def test_search_matches_whole_numbers_and_suggests_words() -> None:
    """The search term 402 does not match 1402, and `no` alone is ignored.

    A misspelt provider or word gets a suggestion.
    """
    for words in (["402"], ["no", "audio"]):
        listed = run("scenarios", "list", "--json", *words)
        assert (0, True) == (listed.exit_code, 0 < len(json.loads(listed.stdout)) < 12), words
        assert "1402" not in listed.stdout

    for words in (["418"], ["venice", "418"]):  # no neighbour of a number, no half of all
        said, typed = run("scenarios", "list", *words).stdout, " and ".join(map(repr, words))
        assert said == (
            f"no scenario matches {typed}; `upsim scenarios list` without words shows all\n"
        )
    part = run("scenarios", "list", "venice", "webhook", "zebra").stdout
    assert "webhook-lost" in part
    assert "moderation-late" not in part

    for word, near in {"venise": "venice", "webhok": "webhook-lost"}.items():
        said = run("scenarios", "list", word).stdout
        assert f"no scenario matches '{word}'; did you mean {near}" in said


def test_the_list_as_json() -> None:
    """With `--json`, the list of scenarios is an array of objects."""
    found = json.loads(run("scenarios", "list", "--json").stdout)

    assert {"name", "provider", "summary", "template"} == set(found[0])


def test_the_file() -> None:
    """`show` prints the file as it is."""
    expected = LIBRARY.path_of("vicsee/plan-pro").read_text("utf-8")

    assert expected == run("scenarios", "show", "vicsee/plan-pro").stdout


def test_the_explanation() -> None:
    """`explain` prints values with their origin."""
    shown = run("scenarios", "explain", "vicsee/plan-pro").stdout

    assert "# vicsee/plan-pro: vicsee/plan-pro.yaml <- vicsee/baseline.yaml" == shown.split("\n")[0]


def test_the_explanation_as_json() -> None:
    """With `--json`, `explain` prints an object."""
    found = json.loads(run("scenarios", "explain", "--json", "vicsee/plan-pro").stdout)

    assert "vicsee/plan-pro" == found["name"]


def test_a_broken_file(tmp_path: Path) -> None:
    """`explain` lists the mistakes of an invalid file, with the exit code for findings."""
    path = tmp_path / "a.yaml"
    path.write_text("extends: vicsee/baseline\nseed: x\n", "utf-8")
    result = run("scenarios", "explain", str(path))

    assert (1, f"{path}:2:1: seed: a whole number is needed here, not 'x'\n") == (
        result.exit_code,
        result.stderr,
    )


def test_the_schema() -> None:
    """`schema` prints the JSON Schema for editors."""
    assert "upsim-scenario" == json.loads(run("scenarios", "schema").stdout)["$id"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("vicsee",), {"names-vicsee"}), (("--no-names",), set()), (("vicsee", "--no-names"), set())],
)
def test_the_schema_of_one_provider(arguments: tuple[str, ...], named: set[str]) -> None:
    """The schema of one provider offers only the names of that provider and common names."""
    found = json.loads(run("scenarios", "schema", *arguments).stdout)

    assert named == {name for name in found["$defs"] if name.startswith("names-")}


def test_the_schema_of_an_unknown_provider() -> None:
    """The schema of an unknown provider is a usage error that suggests the nearest provider."""
    result = run("scenarios", "schema", "vicse")

    assert (2, True) == (result.exit_code, "did you mean vicsee?" in result.stderr)
