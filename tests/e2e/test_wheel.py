"""What is installed is the whole product: the wheel, alone in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from upsim.scenario.loader import Library
from upsim.scenario.schema_files import schema_files

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name[:6] != "UPSIM_" and name not in ("PYTHONPATH", "VIRTUAL_ENV")
}
PACKAGES = {"simulator/upsim": "upsim", "contracts/upsim_contracts": "upsim_contracts"}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


def pip_wheel(source: Path, folder: Path) -> Path:
    """Build a wheel of a folder or a source archive, with the build tools that are here."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, source],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def names_in(wheel: Path) -> set[str]:
    """Return the names of all files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this checkout."""
    return pip_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source archive of this checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    build = "import sys; from hatchling import build; print(build.build_sdist(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Return the programs of an environment that holds the pinned dependencies and the wheel."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    made = subprocess.run(
        [ROOT / "scripts" / "venv", folder, "runtime"],
        cwd=ROOT,
        env={**ENVIRONMENT, "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        reason = re.sub(r"\s+", " ", made.stderr)[-300:]
        pytest.skip(f"This test needs the dependencies, which could not be installed: {reason}")
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", *options, wheel],
        env=ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    return folder / "bin"


Upsim = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def upsim(installed: Path, tmp_path: Path) -> Upsim:
    """Return a function that runs the installed command in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed / "upsim", *arguments],
            env=ENVIRONMENT,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """Return a folder with packages and files that are called as ours are."""
    for name in ("simulator", "contracts", "scenarios", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError(__file__)\n", "utf-8")
    (tmp_path / "scenarios" / "vicsee").mkdir()
    (tmp_path / "scenarios" / "vicsee" / "baseline.yaml").write_text("nonsense: [", "utf-8")
    return tmp_path


# -- what is inside


@pytest.mark.parametrize(("folder", "package"), PACKAGES.items())
def test_every_module_is_inside(wheel: Path, folder: str, package: str) -> None:
    """Both packages are in the wheel with all of their files."""
    here = ROOT / folder
    files = {path for path in here.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    expected = {f"{package}/{path.relative_to(here).as_posix()}" for path in files}

    assert not expected - names_in(wheel)


@pytest.mark.parametrize("package", PACKAGES.values())
def test_packages_are_typed(wheel: Path, package: str) -> None:
    """Each package says that its types may be relied on."""
    assert f"{package}/py.typed" in names_in(wheel)


def test_every_scenario_is_inside(wheel: Path) -> None:
    """The scenarios are in the wheel, below the package."""
    here = ROOT / "scenarios"
    files = {path.relative_to(here).as_posix() for path in here.rglob("*.yaml")}

    assert not {f"upsim/_scenarios/{name}" for name in files} - names_in(wheel)


def test_schemas_are_built_into_the_wheel(wheel: Path, sdist: Path) -> None:
    """The build writes the schemas of the scenarios; the source archive holds none of them."""
    library = Library()
    written = schema_files(library, library.providers())
    with zipfile.ZipFile(wheel) as archive:
        built = {name: archive.read(f"upsim/_scenarios/{name}").decode() for name in written}
    with tarfile.open(sdist) as source:
        packed = [name for name in source.getnames() if name.endswith("schema.json")]

    assert written == built
    assert ["simulator/upsim/scenario/schema.json"] == [n.partition("/")[2] for n in packed]


def test_nothing_else_is_inside(wheel: Path) -> None:
    """The wheel holds the two packages and what describes them, no tests and no left-overs."""
    tops = {name.partition("/")[0] for name in names_in(wheel)}

    assert {re.sub(r"-.*\.dist-info$", ".dist-info", top) for top in tops} == {
        "upsim",
        "upsim_contracts",
        "upsim.dist-info",
    }


def test_licence_is_inside(wheel: Path) -> None:
    """The licence travels with the wheel."""
    assert [name for name in names_in(wheel) if name.endswith("licenses/LICENSE")]


# -- the source archive


def test_source_archive_gives_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    """A wheel built from the source archive holds the same files as one of the checkout."""
    assert names_in(pip_wheel(sdist, tmp_path)) == names_in(wheel)


def test_source_archive_holds_what_is_needed(sdist: Path) -> None:
    """The source archive holds sources, scenarios and documents, and nothing of a desk."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    tops = {name.partition("/")[0] for name in names}

    documents = {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "PKG-INFO"}
    assert tops - {".gitignore"} == {"simulator", "contracts", "scenarios", "scripts", *documents}
    assert ["scripts/build_schemas.py"] == [n for n in names if n.startswith("scripts/")]


# -- installed


def test_doctor_finds_all_well(upsim: Upsim) -> None:
    """In an environment with the pinned dependencies and the wheel, nothing is missing."""
    done = upsim("doctor")

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Everything is installed.")


def test_version_is_that_of_the_wheel(upsim: Upsim, wheel: Path) -> None:
    """The installed command tells the version of the wheel."""
    assert upsim("--version").stdout.split()[1] == wheel.name.split("-")[1]


def test_demo_works_from_any_folder(upsim: Upsim) -> None:
    """The whole product runs from the wheel alone: five outputs of the promised size."""
    done = upsim("demo", "--pace", "500")

    assert (done.returncode, done.stderr) == (0, "")
    assert "5 of 5 models gave an output of the promised size." in done.stdout


def test_demo_leaves_its_outputs_there(upsim: Upsim, tmp_path: Path) -> None:
    """The outputs are below the folder in which the command was called."""
    upsim("demo", "--pace", "500")

    assert len(list((tmp_path / "demo-outputs").glob("*.mp4"))) == 6


def test_checkout_is_not_used(installed: Path, tmp_path: Path) -> None:
    """The installed package and its scenarios are those of the environment."""
    code = "import upsim.scenario.loader as loader; print(loader.shipped_root())"
    done = subprocess.run(
        [installed / "python", "-c", code],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert Path(done.stdout.strip()).is_relative_to(installed.parent)


# -- in a folder that has simulator, contracts and scenarios of its own


@pytest.mark.usefixtures("crowded")
def test_quote_works_in_a_crowded_folder(upsim: Upsim) -> None:
    """Folders of the caller's that are called like ours are not read: prices are right."""
    done = upsim("quote", "--duration", "4", "--size", "640x360", "--json")
    found = {row["model"]: row["price"]["amount"] for row in json.loads(done.stdout)["models"]}

    assert (0, "64") == (done.returncode, found["vicsee/topaz-video-upscale"])


@pytest.mark.usefixtures("crowded")
def test_upscale_works_in_a_crowded_folder(upsim: Upsim, tmp_path: Path) -> None:
    """A whole upscale runs there, of the demo's clip."""
    assert 0 == upsim("demo", "--pace", "500").returncode
    done = upsim("upscale", "demo-outputs/input.mp4", "--model", "vicsee", "--to", "large.mp4")

    assert (0, "") == (done.returncode, done.stderr)
    assert (tmp_path / "large.mp4").stat().st_size > 0


@pytest.mark.usefixtures("crowded")
def test_verify_works_in_a_crowded_folder(upsim: Upsim) -> None:
    """Documents, facts and examples come with the wheel: every fact of a provider holds."""
    done = upsim("verify", "--provider", "vicsee", "--json", "verdicts.json")

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.usefixtures("crowded")
def test_completion_works_in_a_crowded_folder(installed: Path, tmp_path: Path) -> None:
    """The installed command completes the names of the scenarios that it brings."""
    words = {"COMP_WORDS": "upsim scenarios show vicsee/plan-p", "COMP_CWORD": "3"}
    done = subprocess.run(
        [installed / "upsim"],
        env={**ENVIRONMENT, **words, "_UPSIM_COMPLETE": "bash_complete"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "plain,vicsee/plan-pro" in done.stdout.split()


@pytest.fixture(scope="session")
def with_pytest(installed: Path) -> Path:
    """Return the programs of the environment with pytest beside the wheel."""
    wanted = f"pytest=={version('pytest')}"
    made = subprocess.run(
        [installed / "python", "-m", "pip", "install", "--quiet", wanted],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("This test needs pytest in the environment, which could not be installed.")
    return installed


@pytest.mark.usefixtures("crowded")
def test_plug_in_works_in_a_crowded_folder(with_pytest: Path, tmp_path: Path) -> None:
    """Where pytest is installed beside the wheel, the fixtures are there without any setting."""
    test = """
    def test_upscale(upsim, upsim_client, tmp_path):
        done = upsim_client("venice").upscale(upsim.clip("320x240", "30", "2"), tmp_path / "a.mp4")

        assert done.price.amount == upsim.ledger.spent("venice") > 0
    """
    (tmp_path / "test_mine.py").write_text(textwrap.dedent(test), "utf-8")
    done = subprocess.run(
        [with_pytest / "pytest", "-q", "-W", "error", "test_mine.py"],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (0, True) == (done.returncode, "1 passed" in done.stdout), done.stdout + done.stderr
