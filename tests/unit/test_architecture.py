"""The shape of the repository: import rules, sizes, every test file seen to run, nothing of one machine in the text."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: No function longer than this, its docstring not counted, and no module longer than that.
LONGEST_FUNCTION = 60
LONGEST_MODULE = 500

# The patterns are put together from pieces, so that this file does not hold what it looks for.
_REGISTRIES = [
    r"py" + r"pi\.(?:org|io)",
    r"python" + r"hosted\.org",
    r"npm" + r"js\.(?:org|com)",
    r"ana" + r"conda\.(?:org|com)",
    r"crates" + r"\.io",
    r"proxy\.go" + r"lang\.org",
    r"deb\.deb" + r"ian\.org",
    r"--(?:extra-)?index" + r"-url",
    r"--find" + r"-links",
]
_FOLDERS = r"(?<![\w.~])/(?:home|root|work|Users)/[\w.]|\b[A-Za-z]:\\Users\\"
OF_ONE_MACHINE = re.compile("|".join([*_REGISTRIES, _FOLDERS]))


def _run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the settings that the outer pytest put into the environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=folder, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


# --- Import rules -----------------------------------------------------------------------------------------------------


def _lint_imports(package: Path, configuration: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo", "--config", str(configuration), *options]
    return _run(command, package.parent, PYTHONPATH=str(package.parent))


@pytest.fixture
def copied_package(repository: Path, tmp_path: Path) -> Path:
    """Copy of the package's code, to plant faults in."""
    package = tmp_path / "src" / "hepatalk"
    skipped = shutil.ignore_patterns("data", "catalogue", "__pycache__")
    shutil.copytree(repository / "src" / "hepatalk", package, ignore=skipped)
    return package


def test_import_rules_hold(repository: Path) -> None:
    done = _lint_imports(repository / "src" / "hepatalk", repository / "pyproject.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("contract", "module", "fault"),
    [
        pytest.param("arrays-only", "engines/population/kernels", "import xarray", id="kernel-imports-xarray"),
        pytest.param(
            "arrays-only", "engines/population/kernels", "def late():\n    import pandas", id="kernel-imports-late"
        ),
        pytest.param("arrays-only", "model/laws", "import hepatalk.units", id="law-imports-units"),
        pytest.param("numbers-only", "engines/base", "import hepatalk.knowledge", id="engine-imports-knowledge"),
        pytest.param(
            "numbers-only", "engines/population/engine", "import hepatalk.model.compiler", id="engine-imports-compiler"
        ),
        pytest.param("numbers-only", "model/compiled", "import hepatalk.knowledge", id="engine-reaches-knowledge"),
        pytest.param("flow", "engines/population/engine", "import hepatalk.experiments", id="engine-imports-above"),
        pytest.param("flow", "results/__init__", "import hepatalk.knowledge", id="siblings-meet"),
        pytest.param("flow", "errors", "import hepatalk.units", id="lowest-layer-imports"),
        pytest.param("flow", "inference", "import hepatalk.report", id="optional-layer-imports-above"),
        pytest.param("flow", "helpers", "", id="module-without-a-place"),
        pytest.param("engines-apart", "engines/lobule", "import hepatalk.engines.population", id="engines-meet"),
    ],
)
def test_planted_import_is_caught(
    repository: Path, copied_package: Path, contract: str, module: str, fault: str
) -> None:
    configuration = repository / "pyproject.toml"
    before = _lint_imports(copied_package, configuration, "--contract", contract)
    assert "1 kept, 0 broken" in before.stdout, before.stdout + before.stderr

    folder = copied_package / module
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"\n\n{fault}\n")
    after = _lint_imports(copied_package, configuration, "--contract", contract)
    assert after.returncode == 1, after.stdout + after.stderr
    assert "0 kept, 1 broken" in after.stdout, after.stdout


# --- Sizes ------------------------------------------------------------------------------------------------------------


def _too_long(source: str, name: str) -> list[str]:
    """Return what is over the house limits in one module."""
    found = []
    if (lines := source.count("\n")) > LONGEST_MODULE:
        found.append(f"{name}: {lines} lines, at most {LONGEST_MODULE}")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0]
        docstring = ast.get_docstring(node, clean=False) is not None
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if docstring:
            lines -= (first.end_lineno or first.lineno) - first.lineno + 1
        if lines > LONGEST_FUNCTION:
            found.append(f"{name}:{node.lineno}: {node.name} has {lines} lines, at most {LONGEST_FUNCTION}")
    return found


def test_functions_and_modules_stay_short(repository: Path) -> None:
    package = repository / "src" / "hepatalk"
    sources = {str(path.relative_to(package)): path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    assert sources
    assert [line for name, source in sorted(sources.items()) for line in _too_long(source, name)] == []


def test_long_function_and_module_are_found() -> None:
    body = "    x = 1\n" * LONGEST_FUNCTION
    assert _too_long(f"def f():\n{body[: -len('    x = 1' + chr(10))]}", "m") == []
    assert _too_long(f'def f():\n    """One\n    two."""\n{body[: -len("    x = 1" + chr(10))]}', "m") == []
    assert _too_long(f"def f():\n{body}", "m") == ["m:1: f has 61 lines, at most 60"]
    assert _too_long("x = 1\n" * (LONGEST_MODULE + 1), "m") == ["m: 501 lines, at most 500"]


# --- Every test file is seen to run -----------------------------------------------------------------------------------


def _files_without_tests(root: Path) -> list[str]:
    """Return the test files below ``root/tests`` from which pytest collects nothing."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    done = _run(command, root)
    assert done.returncode in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}, done.stdout + done.stderr
    collected = {line.split("::", 1)[0] for line in done.stdout.splitlines() if "::" in line}
    written = {path.relative_to(root).as_posix() for path in (root / "tests").rglob("test_*.py")}
    assert written
    return sorted(written - collected)


def test_every_test_file_is_collected(repository: Path) -> None:
    assert _files_without_tests(repository) == []


def test_file_without_tests_is_found(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / "pyproject.toml", tmp_path)
    tests = tmp_path / "tests" / "unit"
    tests.mkdir(parents=True)
    (tests / "test_seen.py").write_text("def test_it():\n    assert True\n", encoding="utf-8")
    unseen = "class Checks:\n    def test_it(self):\n        assert True\n"
    (tests / "test_unseen.py").write_text(unseen, encoding="utf-8")
    assert _files_without_tests(tmp_path) == ["tests/unit/test_unseen.py"]


# --- Nothing of one machine -------------------------------------------------------------------------------------------


def _own_files(root: Path) -> list[Path]:
    """Return the files that git tracks or would track; without a repository, all but hidden ones and the output."""
    if (root / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = _run(command, root)
        assert done.returncode == 0, done.stderr
        return [path for name in done.stdout.split("\0") if name and (path := root / name).is_file()]
    skipped = {".venv", "results", "build", "dist"}
    top = [path for path in root.iterdir() if path.name not in skipped and not path.name.endswith("_cache")]
    return [file for path in top for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]


def _of_one_machine(text: str) -> list[str]:
    lines = enumerate(text.splitlines(), 1)
    return [f"{number}: {line[:100]}" for number, line in lines if OF_ONE_MACHINE.search(line)]


def test_no_file_names_a_registry_or_a_private_folder(repository: Path) -> None:
    files = _own_files(repository)
    assert repository / "pyproject.toml" in files
    found = []
    for file in files:
        content = file.read_bytes()
        if b"\0" not in content:
            lines = _of_one_machine(content.decode("utf-8"))
            found += [f"{file.relative_to(repository)}:{line}" for line in lines]
    assert found == []


@pytest.mark.parametrize(
    "parts",
    [
        ("https://files.python", "hosted.org/packages"),
        ("pip install --index", "-url https://example.org/simple"),
        ("see https://py", "pi.org/project/hepatalk"),
        ("open('/", "home/someone/x.csv')"),
        ("file:///", "work/a"),
        ("PATH=/", "root/bin"),
        (r"C:\Us", r"ers\someone"),
    ],
)
def test_a_machines_own_text_is_found(parts: tuple[str, str]) -> None:
    assert _of_one_machine("first line\n" + "".join(parts)) == ["2: " + "".join(parts)]


@pytest.mark.parametrize("text", ["https://example.org/home/page", "tests/root/x", "the net/work ratio", "~/work/a"])
def test_harmless_text_is_left_alone(text: str) -> None:
    assert _of_one_machine(text) == []
