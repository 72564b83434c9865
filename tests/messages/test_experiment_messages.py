"""What a person reads when an experiment is wrong: one line with the thing, the allowed values and the next step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepatalk.errors import ExperimentError, HepatalkError, UnknownNameError, shown
from hepatalk.experiments.experiment import (
    catalogue_names,
    experiment_from_mapping,
    load_experiment,
    overridden,
    parse_experiment,
)

_HEAD = "title: t\nreadouts: [liver_volume]\n"
_PHX = "{at: 0 h, injury: partial_hepatectomy, fraction: %s}"
_FRACTION = "allowed: 0 < fraction < 1 (part of the liver removed); write, for example, `fraction: 0.70`"
_PLAIN = "(allowed: plain mappings, lists and values)"
_ALLOWED_FIELDS = "title, species, days, every, schedule, readouts, germline, hypotheses, knockouts, set, culture"
_TIME_UNITS = "allowed units: s, min, h, d, week; write, for example, "
_GENES = "allowed: a list of GENE or GENE@CELL; write, for example, `knockouts: [Il6]`"
_SET = "allowed: parameter names with finite numbers; write, for example, `set: {body.demand: 1.0}`"
_SCHEDULE = "allowed: a list of injuries and interventions; write, for example, `schedule: []`"
_COUNT = len(catalogue_names()) + 99


def _message(name_or_path: str | Path) -> str:
    with pytest.raises(HepatalkError) as caught:
        load_experiment(name_or_path)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.isprintable()  # which a line break is not
    return message


def _file(folder: Path, content: str | bytes, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def _file_message(folder: Path, content: str | bytes) -> str:
    path = _file(folder, content)
    message = _message(path)
    assert message.startswith((f"{path}: ", f"{path} ", f"'{path}' ", "'"))
    for prefix in (f"{path}: ", f"{path} "):
        message = message.removeprefix(prefix)
    return message


# --- names


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("phx0", "for no resection use 'sham'"),
        ("phx00", "for no resection use 'sham'"),
        ("phx100", "choose a whole percentage"),
        ("phx-5", "choose a whole percentage"),
        ("phx70.5", "choose a whole percentage"),
        ("phx07", "write 'phx7'"),
        ("phx070", "write 'phx70'"),
        ("phx+7", "write 'phx7'"),
        ("phx70%", "write 'phx70'"),
    ],
)
def test_phx_out_of_range_or_not_canonical(name: str, step: str) -> None:
    assert _message(name) == f"experiment '{name}'; allowed: phx1 to phx99, no leading zero or sign; {step}"


@pytest.mark.parametrize(
    ("name", "first"),
    [("PHX70", "phx70"), ("phx70_anti_il", "phx70_anti_il6"), ("shams", "sham"), ("phx70_antivegf", "phx70_anti_vegf")],
)
def test_unknown_name_shows_the_nearest_first(name: str, first: str) -> None:
    message = _message(name)
    assert message.startswith(f"unknown experiment '{name}'; nearest: {first}, ")
    assert message.endswith(f" ({_COUNT} allowed: see hepatalk list experiments)")


@pytest.mark.parametrize("name", ["", "\n", "a\0b", "x" * 10_000, "\ud800", "phx\u0663"])
def test_odd_names(name: str) -> None:
    assert "unknown experiment" in _message(name)
    with pytest.raises(UnknownNameError):
        load_experiment(name)


# --- files that cannot be read


def test_missing_file() -> None:
    assert _message("nowhere/mine.yaml") == (
        "'nowhere/mine.yaml': no such file; "
        "allowed: an existing .yaml file, or a name that 'hepatalk list experiments' shows"
    )


def test_missing_file_that_is_a_catalogue_name() -> None:
    assert _message("sham.yaml") == "'sham.yaml': no such file; allowed: an existing file, or the name 'sham'"


def test_folder(tmp_path: Path) -> None:
    step = "is a folder; allowed: a .yaml or .yml file; give one of its files"
    assert _message(str(tmp_path)) == f"'{tmp_path}' {step}"
    (tmp_path / "folder.yaml").mkdir()
    assert _message(tmp_path / "folder.yaml") == f"'{tmp_path}/folder.yaml' {step}"


def test_folder_given_as_a_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert _message("mine") == (
        "'mine' is not an experiment; allowed: a .yaml or .yml file, or a name (hepatalk list experiments)"
    )


def test_other_ending(tmp_path: Path) -> None:
    path = _file(tmp_path, _HEAD, "mine.txt")
    assert _message(path) == f"'{path}' ends in '.txt'; allowed: .yaml, .yml; rename it"


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, _HEAD)

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert _message(path) == f"'{path}' cannot be read: Permission denied; check the path and its permissions"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    assert _message(path) == (f"'{path}' is not a regular file; allowed: a .yaml or .yml file; save the text in one")


@pytest.mark.parametrize("name", ["a\0b.yaml", "x" * 10_000 + ".yaml", "\ud800/x.yaml"])
def test_impossible_paths(name: str) -> None:
    message = _message(name)
    assert "cannot be read: " in message or "no such file" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "is a binary file; allowed: text in UTF-8; save it as a YAML text file"),
        (_HEAD.encode("utf-16"), "is a binary file; allowed: text in UTF-8; save it as a YAML text file"),
        (b"title: Gr\xf6\xdfe\n", "is not UTF-8 text (byte 9); allowed: UTF-8; save it so"),
        (b"#" * 1_000_001, "has more than 1 MB; allowed: a file up to 1 MB; split or shorten it"),
    ],
)
def test_files_that_are_not_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = _file(tmp_path, content)
    assert _message(path) == f"{shown(str(path))} {message}"


# --- files that are not one plain mapping


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n", "---\n", "null\n"])
def test_empty_file(tmp_path: Path, content: str) -> None:
    expected = "is empty; allowed: a mapping of field names to values; begin with `title: ...`"
    assert _file_message(tmp_path, content) == expected


@pytest.mark.parametrize(("content", "kind"), [("- a\n", "list"), ("text\n", "single value"), ("3\n", "single value")])
def test_not_a_mapping(tmp_path: Path, content: str, kind: str) -> None:
    expected = f"holds a {kind}; allowed: a mapping of field names; begin with `title: ...`"
    assert _file_message(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "!!python/object/apply:os.system ['ls']",
            "line 1 has the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        (_HEAD + "days: !!float 3\n", "line 3 has the tag 'tag:yaml.org,2002:float'; remove it"),
        (_HEAD + "days: !days 3\n", "line 3 has the tag '!days'; remove it"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n", "line 1 has an alias or anchor (& or *); write the value out"),
        ("title: *t\n", "line 1 has an alias or anchor (& or *); write the value out"),
        ("title: a\n---\ntitle: b\n", "line 2 has a second document (---); keep one document in each file"),
        ("[" * 50_000, "line 1 has more than 10 levels; flatten it"),
        (_HEAD + "schedule: [" + "1," * 25_000 + "]\n", "line 3 has more than 20000 entries; shorten it"),
    ],
    ids=["python tag", "float tag", "own tag", "bomb", "alias", "documents", "deep", "long"],
)
def test_more_yaml_than_an_experiment_needs(tmp_path: Path, content: str, message: str) -> None:
    said = _file_message(tmp_path, content)
    assert said.startswith(message)
    assert said.endswith(_PLAIN)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_HEAD + "title: u\n", "key 'title' appears twice, first on line 1 (line 3, column 1); correct that line"),
        (
            _HEAD + "set: {a: 1, a: 2}\n",
            "key 'a' appears twice, first on line 3 (line 3, column 13); correct that line",
        ),
        (_HEAD + "3: x\n", "a key is not plain text (line 3, column 1); correct that line"),
        ("? [a]\n: b\n", "a key is not plain text (line 1, column 3); correct that line"),
        ("a: b: c\n", "mapping values are not allowed in this context (line 1, column 5); correct that line"),
    ],
)
def test_broken_yaml_names_line_and_column(tmp_path: Path, content: str, message: str) -> None:
    assert _file_message(tmp_path, content) == f"not valid YAML: {message}"


def test_control_characters(tmp_path: Path) -> None:
    expected = "not valid YAML: control characters are not allowed; correct that line"
    assert _file_message(tmp_path, "title: \x07\n") == expected


# --- fields


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("readouts: [a]\n", "field 'title' is missing; allowed: text of 1 to 200 characters; write, for example, "),
        ("title: t\n", "field 'readouts' is missing; allowed: a list of readout names, at least one "),
        ("title: 70\nreadouts: [a]\n", "field 'title': value 70; allowed: text of 1 to 200 characters; write, for "),
        ("title: ''\nreadouts: [a]\n", "field 'title': value ''; allowed: text of 1 to 200 characters; write, for "),
        ("title: t\nreadouts: []\n", "field 'readouts': value []; allowed: a list of readout names, at least one "),
        ("title: t\nreadouts: a\n", "field 'readouts': value 'a'; allowed: a list of readout names, at least one "),
        ("title: t\nreadouts: [a b]\n", "field 'readouts[0]': value 'a b'; allowed: a list of readout names, "),
        ("title: t\nreadouts: [a, a]\n", "field 'readouts': value 'a'; allowed: every name once; remove the second a"),
    ],
)
def test_title_and_readouts(tmp_path: Path, content: str, message: str) -> None:
    assert _file_message(tmp_path, content).startswith(message)


@pytest.mark.parametrize(
    ("value", "text"),
    [("-1", "-1"), ("0", "0"), (".nan", "nan"), (".inf", "inf"), ("'3'", "'3'"), ("true", "True"), ("3651", "3651")],
)
def test_days(tmp_path: Path, value: str, text: str) -> None:
    expected = f"field 'days': value {text}; allowed: 0 < days <= 3650; write, for example, `days: 14`"
    assert _file_message(tmp_path, f"{_HEAD}days: {value}\n") == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("foo: 1", "unknown field 'foo'; nearest: "),
        ("knockout: [Il6]", "unknown field 'knockout'; nearest: knockouts, "),
        ("Days: 3", "unknown field 'Days'; nearest: days, "),
    ],
)
def test_unknown_field(tmp_path: Path, line: str, message: str) -> None:
    said = _file_message(tmp_path, f"{_HEAD}{line}\n")
    assert said.startswith(message)
    assert said.endswith(f"; allowed: {_ALLOWED_FIELDS}; correct or remove it")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "species: dog",
            "field 'species': value 'dog'; allowed: rat, mouse, human; write, for example, `species: rat`",
        ),
        ("germline: yes", "field 'germline': value 'yes'; allowed: true, false; write, for example, `germline: false`"),
        ("every: 3", f"field 'every': time 3 has no unit; {_TIME_UNITS}'3 h'"),
        ("every: 0 h", "field 'every': value '0 h'; allowed: 0.00336 h to 336 h; write, for example, `every: 1 h`"),
        ("every: 15 d", "field 'every': value '360 h'; allowed: 0.00336 h to 336 h; write, for example, `every: 1 h`"),
        ("knockouts: Il6", f"field 'knockouts': value 'Il6'; {_GENES}"),
        ("knockouts: ['@KC']", f"field 'knockouts[0]': value '@KC'; {_GENES}"),
        ("set: {a: x}", f"field 'set.a': value 'x'; {_SET}"),
        ("set: {a: .nan}", f"field 'set.a': value nan; {_SET}"),
        ("schedule: phx70", f"field 'schedule': value 'phx70'; {_SCHEDULE}"),
    ],
)
def test_other_fields(tmp_path: Path, line: str, message: str) -> None:
    assert _file_message(tmp_path, f"{_HEAD}{line}\n") == message


# --- items of the schedule


def _item_message(folder: Path, item: str) -> str:
    return _file_message(folder, f"{_HEAD}schedule:\n  - {item}\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("1", "1"),
        ("1.2", "1.2"),
        ("-0.1", "-0.1"),
        (".nan", "nan"),
        ("nan", "'nan'"),
        ("'0.7'", "'0.7'"),
        ("70%", "'70%'"),
        ("true", "True"),
        ("null", "None"),
        ("[0.7]", "[0.7]"),
    ],
)
def test_fraction(tmp_path: Path, value: str, text: str) -> None:
    assert _item_message(tmp_path, _PHX % value) == f"field 'schedule[0].fraction': value {text}; {_FRACTION}"


def test_complete_block_says_what_to_write(tmp_path: Path) -> None:
    item = "{at: 0 h, intervention: neutralise, signal: IL6, fraction: 1}"
    assert _item_message(tmp_path, item) == (
        "field 'schedule[0].fraction': value 1; "
        "allowed: 0 < fraction < 1 (for a complete block say 0.999); write, for example, `fraction: 0.9`"
    )


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("0", f"time 0 has no unit; {_TIME_UNITS}'0 h'"),
        ("'4'", f"time '4' has no unit; {_TIME_UNITS}'4 h'"),
        ("4 kg", f"time '4 kg': 'kg' is no unit of time; {_TIME_UNITS}'48 h'"),
        ("-4 h", "time '-4 h' is negative; allowed: a time from 0 h up; write, for example, '48 h'"),
        ("nan h", "time 'nan h' is not finite; allowed: a time from 0 h up; write, for example, '48 h'"),
    ],
)
def test_time_of_an_item(tmp_path: Path, time: str, message: str) -> None:
    item = f"{{at: {time}, injury: partial_hepatectomy, fraction: 0.7}}"
    assert _item_message(tmp_path, item) == f"field 'schedule[0].at': {message}"


@pytest.mark.parametrize("until", ["2 h", "4 h"])
def test_until_must_be_later_than_at(tmp_path: Path, until: str) -> None:
    item = f"{{at: 4 h, until: {until}, intervention: scale_demand, factor: 1.5}}"
    assert _item_message(tmp_path, item) == (
        f"field 'schedule[0].until': value '{until}'; allowed: later than 'at' (4 h); correct one of the two times"
    )


def test_item_that_would_never_happen(tmp_path: Path) -> None:
    assert _item_message(tmp_path, "{at: 14 d, injury: partial_hepatectomy, fraction: 0.7}") == (
        "field 'schedule[0].at': value '336 h'; "
        "allowed: before the end of the experiment (336 h); raise days or correct it"
    )


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("3", "field 'schedule[0]': value 3; allowed: a mapping; write, for example, `- {at: 0 h, injury: "),
        ("{at: 0 h}", "field 'schedule[0]' has none of 'injury' and 'intervention'; allowed: exactly one; write, for "),
        ("{injury: a, intervention: b}", "field 'schedule[0]' has both of 'injury' and 'intervention'; allowed: "),
        ("{at: 0 h, injury: phx}", "field 'schedule[0].injury': value 'phx'; allowed: partial_hepatectomy, "),
        ("{at: 0 h, injury: [x]}", "field 'schedule[0].injury': value ['x']; allowed: "),
        ("{at: 0 h, intervention: neutralize}", "field 'schedule[0].intervention': value 'neutralize'; allowed: neu"),
        (
            "{injury: partial_hepatectomy, fraction: 0.7}",
            "field 'schedule[0].at' is missing; allowed: a time with unit; ",
        ),
        (
            "{at: 0 h, injury: partial_hepatectomy, fracton: 0.7}",
            "unknown field 'schedule[0].fracton'; nearest: fraction, ",
        ),
        (
            "{at: 0 h, intervention: scale_inflow, factor: 0}",
            "field 'schedule[0].factor': value 0; allowed: 0 < factor",
        ),
        (
            "{at: 0 h, intervention: supplement, signal: HGF, factor: 1}",
            "field 'schedule[0].factor': value 1; allowed: 1 < factor <= 100; write, for example, `factor: 2`",
        ),
        (
            "{at: 0 h, intervention: neutralise, signal: 6, fraction: 0.9}",
            "field 'schedule[0].signal': value 6; allowed: the name of a signal (hepatalk list signals)",
        ),
    ],
)
def test_items(tmp_path: Path, item: str, message: str) -> None:
    assert _item_message(tmp_path, item).startswith(message)


def test_several_mistakes_are_counted(tmp_path: Path) -> None:
    said = _file_message(tmp_path, f"{_HEAD}days: -1\nspecies: dog\nfoo: 1\n")
    assert said.startswith("unknown field 'foo'")
    assert said.endswith(" (and 2 more)")


# --- overrides


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"species": "dog"}, "command line: field 'species': value 'dog'; allowed: rat, mouse, human; "),
        ({"days": -1.0}, "command line: field 'days': value -1.0; allowed: 0 < days <= 3650; "),
        ({"days": float("nan")}, "command line: field 'days': value nan; allowed: 0 < days <= 3650; "),
        ({"every_h": -1.0}, "command line: field 'every': time '-1.0 h' is negative; allowed: a time from 0 h up; "),
        ({"every_h": float("inf")}, "command line: field 'every': time 'inf h' is not finite; allowed: "),
        (
            {"knockouts": ["a b"]},
            "command line: field 'knockouts[0]': value 'a b'; allowed: a list of GENE or GENE@CELL; ",
        ),
        ({"parameters": {"k": float("inf")}}, "command line: field 'set.k': value inf; allowed: parameter names with "),
    ],
)
def test_bad_overrides(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        overridden(load_experiment("sham"), **change)
    assert str(caught.value).startswith(message)
    assert "write, for example" in str(caught.value)


# --- whatever comes in

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_NESTED = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
_ITEM_KEYS = ["at", "until", "injury", "intervention", "fraction", "factor", "signal", "parameter", "value"]
_ITEM_VALUES = ["0 h", "2 d", "partial_hepatectomy", "neutralise", "scale_inflow", "IL6", 0.5]
_ITEMS = st.dictionaries(st.sampled_from(_ITEM_KEYS), st.sampled_from(_ITEM_VALUES) | _NESTED)


def _one_line_or_fine(call: Callable[[], object]) -> None:
    try:
        call()
    except ExperimentError as error:
        assert str(error).startswith("t.yaml")
        assert str(error).isprintable()


@given(st.text() | st.text(alphabet="{}[]:,-?&*!|>'\"%@`# \nab01."))
def test_any_text_is_an_experiment_or_one_line(text: str) -> None:
    _one_line_or_fine(lambda: parse_experiment(text, "t.yaml"))


@given(st.dictionaries(st.sampled_from(_ALLOWED_FIELDS.split(", ")), _NESTED | st.lists(_ITEMS, max_size=3)))
def test_any_mapping_is_an_experiment_or_one_line(data: dict[str, object]) -> None:
    _one_line_or_fine(lambda: experiment_from_mapping({"title": "t", "readouts": ["a"], **data}, "t.yaml"))
