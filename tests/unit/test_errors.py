"""Errors are one line, carry an exit code, and suggest the nearest allowed names."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from hepatalk import errors
from hepatalk.errors import EngineError, HepatalkError, OutputError, UnknownNameError, nearest, shown, unknown


def _subclasses() -> list[type[HepatalkError]]:
    classes = [getattr(errors, name) for name in errors.__all__]
    return [cls for cls in classes if isinstance(cls, type)]


def test_every_public_class_is_a_hepatalk_error() -> None:
    assert len(_subclasses()) == 10
    assert all(issubclass(cls, HepatalkError) for cls in _subclasses())


@pytest.mark.parametrize("cls", _subclasses())
def test_exit_code_tells_a_failed_run_from_bad_input(cls: type[HepatalkError]) -> None:
    assert cls.exit_code == (1 if cls in (EngineError, OutputError) else 2)


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\u2028b", "a \t  b", "\na\x0bb\n"])
def test_message_is_one_line_whatever_it_repeats(text: str) -> None:
    assert str(HepatalkError(text)) == "a b"


def test_unprintable_characters_are_escaped() -> None:
    message = str(HepatalkError("bell \x07, half a pair \ud800, reversed \u202e"))
    assert message == r"bell \x07, half a pair \ud800, reversed \u202e"
    assert message.encode("utf-8").decode("utf-8") == message


def test_errors_survive_pickling() -> None:
    copy = pickle.loads(pickle.dumps(EngineError("no convergence")))
    assert type(copy) is EngineError
    assert str(copy) == "no convergence"


def test_shown_quotes_text_and_shortens_it() -> None:
    assert shown("IL6") == "'IL6'"
    assert shown(0.7) == "0.7"
    assert shown("0.7") == "'0.7'"
    assert len(shown("x" * 10_000)) <= 82


def test_nearest_prefers_the_same_letters_in_another_case() -> None:
    assert nearest("il6", ["IL6", "IL1", "TNF", "HGF"])[0] == "IL6"
    assert nearest("Hgf", ["HGF", "Hgf", "hgf"])[0] == "Hgf"


def test_nearest_is_bounded_repeatable_and_never_empty() -> None:
    names = [f"phx{percent}" for percent in range(1, 100)]
    assert nearest("phx700", names) == nearest("phx700", reversed(names))
    assert len(nearest("phx700", names)) == 5
    assert len(nearest("phx700", names, 2)) == 2
    assert nearest("zzz", ["TNF"]) == ["TNF"]
    assert nearest("zzz", []) == []


def test_unknown_names_thing_allowed_and_next_step() -> None:
    error = unknown("signal", "il6\n", ["IL6", "TNF"], "hepatalk list signals")
    assert isinstance(error, UnknownNameError)
    assert str(error) == "unknown signal 'il6'; nearest: IL6, TNF (2 allowed: see hepatalk list signals)"
    assert str(unknown("signal", 3, [], "x")) == "unknown signal 3; none exists (0 allowed: see x)"


def test_import_of_errors_is_cheap() -> None:
    heavy = "{'numba', 'numpy', 'pint', 'pydantic', 'yaml'}"
    code = f"import sys, hepatalk.errors; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
