"""``hepatalk run``: one virtual experiment."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hepatalk.cli.asking import assignments, dish, items, pairs
from hepatalk.cli.console import background, note, print_json, say, table, warn
from hepatalk.cli.keeping import checked_every, finished_cells, going_on, prepared, put_back, tables_for
from hepatalk.cli.replicating import refuse_replicates, run_replicates
from hepatalk.errors import ExperimentError, shown, unknown

if TYPE_CHECKING:
    from hepatalk.engines.lobule.engine import LobuleSettings
    from hepatalk.experiments.run import Run
    from hepatalk.knowledge.load import Knowledge
    from hepatalk.knowledge.records import Species
    from hepatalk.plots.aside import Artist
    from hepatalk.results.cell_tables import CellTables

__all__ = ["register"]

_SPECIES = ("rat", "mouse", "human")
_ENGINES = ("population", "lobule")


_Texts = list[str] | None
_Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME|FILE", help="sham, phx1 to phx99, a name of 'hepatalk list experiments', or a YAML file."
    ),
]
_Animal = Annotated[
    str | None, typer.Option(metavar="|".join(_SPECIES), help="The animal.  [default: the experiment's, which is rat]")
]
_Engine = Annotated[
    str, typer.Option(metavar="population|lobule", help="The mean over the liver, or a lobule, cell by cell.")
]
_Days = Annotated[
    float | None, typer.Option(metavar="D", help="Length in days.  [default: the experiment's, which is 14]")
]
_Every = Annotated[
    float | None, typer.Option(metavar="H", help="Output step in hours.  [default: hourly to 28 d, then daily]")
]
_Seed = Annotated[
    int, typer.Option(metavar="N", help="Of a lobule's shape and cells; the other engine draws no random numbers.")
]
_Knockout = Annotated[
    _Texts, typer.Option(metavar="GENE[@CELL]", help="Gene to knock out a week before time zero; repeatable.")
]
_Set = Annotated[_Texts, typer.Option("--set", metavar="PARAM=VALUE", help="Parameter to change; repeatable.")]
_Hypothesis = Annotated[_Texts, typer.Option(metavar="ID", help="Alternative to switch on; repeatable.")]
_Injury = Annotated[
    _Texts,
    typer.Option(metavar="'NAME KEY=VALUE ...'", help="Injury to add, such as 'duct_injury fraction=0.7'; repeatable."),
]
_Intervene = Annotated[
    _Texts,
    typer.Option(
        metavar="'NAME KEY=VALUE ...'",
        help="Intervention to add, such as 'deplete cell=KC fraction=0.9 at=48h'; repeatable.",
    ),
]
_Hepatocytes = Annotated[
    int | None, typer.Option(metavar="N", help="Of one lobule, other cells beside them.  [default: 3000]")
]
_Lobules = Annotated[int | None, typer.Option(metavar="N", help="Lobules side by side.  [default: 1]")]
_Replicates = Annotated[
    int, typer.Option(metavar="N", help="Run N lobules, with this seed and those after it, for mean and spread.")
]
_Checkpoint = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Keep a run of the lobule here on the way, and go on from it if it is there."),
]
_Chemotaxis = Annotated[
    _Texts,
    typer.Option(
        metavar="CELL:SIGNAL", help="Cells of a lobule that climb a signal, beside the records': 'LSEC:VEGFA'."
    ),
]
_CheckpointEvery = Annotated[float, typer.Option(metavar="S", help="Seconds between two writings of the checkpoint.")]
_CellsEvery = Annotated[
    float | None,
    typer.Option(metavar="H", help="Keep the cells of a lobule every H hours.  [default: some hours, and the end]"),
]
_Film = Annotated[bool, typer.Option("--film", help="Also a film of the lobule, figures/film.gif.")]
_Culture = Annotated[
    str | None,
    typer.Option(metavar="CELL[:N],...", help="Put these cells into a dish, N x those of a liver: 'HEP,KC:0.5'."),
]
_Medium = Annotated[
    str | None,
    typer.Option(metavar="SIGNAL:LEVEL,...", help="Levels held in the medium of the dish: 'HGF:5,EGF:3'."),
]
_Bisect = Annotated[
    bool, typer.Option("--bisect", help="With the name phx: find the smallest remnant that is survived.")
]
_Tolerance = Annotated[float, typer.Option(metavar="F", help="With --bisect: how near, as a fraction of the liver.")]
_Members = Annotated[
    int, typer.Option(metavar="N", help="Also run N virtual animals, for bands in figures, result and --json.")
]
_Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for result, report, figures and table.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", short_help="Run an experiment: hepatalk run phx70 --out results/phx70")(run)


def run(  # noqa: PLR0913, PLR0917 - one argument for each option of the command
    name: _Name,
    species: _Animal = None,
    engine: _Engine = "population",
    days: _Days = None,
    every: _Every = None,
    seed: _Seed = 0,
    knockout: _Knockout = None,
    set_: _Set = None,
    hypothesis: _Hypothesis = None,
    injury: _Injury = None,
    intervene: _Intervene = None,
    culture: _Culture = None,
    medium: _Medium = None,
    hepatocytes: _Hepatocytes = None,
    lobules: _Lobules = None,
    replicates: _Replicates = 1,
    chemotaxis: _Chemotaxis = None,
    checkpoint: _Checkpoint = None,
    checkpoint_every: _CheckpointEvery = 60.0,
    cells_every: _CellsEvery = None,
    film: _Film = False,
    bisect: _Bisect = False,
    tolerance: _Tolerance = 0.01,
    members: _Members = 1,
    out: _Out = None,
    json: _Json = False,
) -> None:
    """Run a virtual experiment, print a short table, and with --out leave a report.

    \b
    hepatalk run phx70
    hepatalk run phx70 --members 30 --out results/phx70
    hepatalk run phx70 --knockout Il6 --out results/il6
    hepatalk run phx70 --set hgf_half_life=0.1 --json
    hepatalk run phx70 --intervene 'deplete cell=KC fraction=0.9 at=-48h'
    hepatalk run hep_culture --culture HEP,KC --medium HGF:5
    hepatalk run phx70 --engine lobule --out results/lobule
    hepatalk run phx70 --engine lobule --replicates 10 --out results/ten
    hepatalk run phx --bisect
    """  # noqa: D301 - \b keeps the lines of the example apart
    asked = _Asked(
        species,
        engine,
        days,
        every,
        seed,
        tuple(knockout or ()),
        tuple(hypothesis or ()),
        assignments(set_ or []),
        items(injury or (), intervene or ()),
        members,
        dish(culture, medium),
        hepatocytes,
        lobules,
        tuple(chemotaxis or ()),
        checkpoint,
        checkpoint_every,
        cells_every,
        film,
        replicates,
    )
    checked_every(cells_every, film, engine, out)
    if bisect:
        _refuse_to_bisect(name, out, members, bool(asked.culture), replicates)
        _refuse_early("phx50", asked)
        _bisect(asked, tolerance, json)
        return
    if replicates != 1:
        _replicate(name, asked, out, json)
        return
    with _artist(out) as artist:  # it gets ready while the experiment is checked and run
        _run(name, asked, out, json, artist, _refuse_early(name, asked))


@contextmanager
def _artist(out: Path | None) -> Iterator[Artist | None]:
    """Yield who draws the figures, None where there are none to be drawn."""
    if out is None:
        yield None
        return
    from hepatalk.plots.aside import drawing_aside

    with drawing_aside() as artist:
        yield artist


@dataclass(frozen=True)
class _Asked:
    """The options of a run."""

    species: str | None
    engine: str
    days: float | None
    every: float | None
    seed: int
    knockouts: tuple[str, ...]
    hypotheses: tuple[str, ...]
    values: dict[str, float]
    items: tuple[dict[str, object], ...] = ()
    members: int = 1
    culture: dict[str, object] = field(default_factory=dict)
    hepatocytes: int | None = None
    lobules: int | None = None
    chemotaxis: tuple[str, ...] = ()
    checkpoint: Path | None = None
    checkpoint_every: float = 60.0
    cells_every: float | None = None
    film: bool = False
    replicates: int = 1


def _run(name: str, asked: _Asked, out: Path | None, json: bool, artist: Artist | None, end_h: float) -> None:
    """Run, write, and print."""
    if out is not None:
        from hepatalk.cli.folder import check_writable

        check_writable(out)
    note(
        f"running {name} ..."
        if _kernels_are_compiled()
        else f"running {name}; the first run compiles, for a minute ..."
    )
    with going_on(asked.checkpoint, asked.engine), prepared(out, asked.engine) as stage:
        _run_and_write(name, asked, out, json, artist, stage, end_h)


def _run_and_write(
    name: str, asked: _Asked, out: Path | None, json: bool, artist: Artist | None, stage: Path | None, end_h: float
) -> None:
    tables = tables_for(stage, end_h, asked.cells_every, asked.film, asked.checkpoint)
    finished, knowledge = background(lambda: _perform(name, asked, tables))
    for text in _advice(finished, knowledge):
        warn(text)
    if asked.members != 1:
        finished = _with_bands(finished, asked.members, knowledge)
    if out is not None:
        from hepatalk.cli.folder import write_run

        note("writing the report ...")
        cells = None
        settings = _lobule_settings(asked, tables)
        if stage is not None and tables is not None and settings is not None:
            cells = finished_cells(tables, stage, finished.result, settings.hepatocytes, settings.lobules)
        with put_back(tables, stage):
            write_run(finished, out, knowledge, artist, stage=stage, cells=cells, film=asked.film)
    if json:
        print_json(finished.result.to_json())
        return
    from hepatalk.cli.summary import print_summary

    print_summary(finished)
    if out is not None:
        say()
        say(f"report: {out / 'report.html'}")


def _with_bands(finished: Run, number: int, knowledge: Knowledge) -> Run:
    """Add the bands of the first members of the ensemble to a run."""
    from hepatalk.cli.members import chosen_members, told
    from hepatalk.experiments.banded import with_bands

    members = chosen_members(number, knowledge) or ()
    banded, not_run = background(lambda: with_bands(finished, members, knowledge, progress=told("virtual animals")))
    if not_run:
        warn(f"{len(not_run)} of {number} virtual animals cannot be run and are in no band; the first: {not_run[0]}")
    return banded


def _advice(finished: Run, knowledge: Knowledge) -> list[str]:
    """Return what a user should know beside the numbers, one line each, for the error stream."""
    from hepatalk.experiments.statements import switched_on

    said = []
    species = finished.experiment.species
    if species != "rat":
        said.append(_whose_numbers(knowledge, species))
    for name in finished.result.provenance.hypotheses:
        record = knowledge.hypothesis[name]
        runs = switched_on(knowledge, record)
        many = len(record.alternatives)
        if runs.startswith("nothing changes"):
            said.append(f"hypothesis {name}: {runs}")
        elif many > 1:
            said.append(f"hypothesis {name}: of its {many} alternatives this one runs: {runs}")
    return said


def _whose_numbers(knowledge: Knowledge, species: Species) -> str:
    """Say which numbers are calibrated on a species, which it has otherwise, and that all others are the rat's."""
    # Anatomy is of the species itself, and the lobule's alone.
    own = {p.id: p.of_species(species) for p in knowledge.parameters if not p.id.startswith("lobule_")}
    fitted = sorted(name for name, n in own.items() if n and any(s.startswith("fitted:") for s in n.sources))
    stated = sorted(name for name, n in own.items() if n and name not in fitted)
    parts = [f"{len(fitted)} numbers are calibrated on it ({', '.join(fitted)})"] if fitted else []
    parts += [f"{len(stated)} set otherwise ({', '.join(stated)})"] if stated else []
    rest = len(own) - len(fitted) - len(stated)
    which = f"{', '.join(parts)}; the other {rest}" if parts else f"nothing is calibrated on it; all {rest}"
    return f"species {species}: {which} are the rat's (hepatalk list parameters --differs shows what differs)"


def _kernels_are_compiled() -> bool:
    return any(Path(os.environ.get("NUMBA_CACHE_DIR", "")).rglob("*.nbc"))


def _refuse_for_engine(asked: _Asked) -> None:
    """Refuse what one of the engines has and the other has not."""
    others = {"--members": asked.members != 1, "--checkpoint": asked.checkpoint is not None}
    others |= {"--cells-every": asked.cells_every is not None, "--film": asked.film}
    refuse_replicates(asked.replicates, asked.engine, others)
    if asked.engine == "lobule" and asked.members != 1:
        raise ExperimentError("--members with the lobule engine; allowed: one animal at a time; leave --members out")
    own: dict[str, object] = {
        "--hepatocytes": asked.hepatocytes,
        "--lobules": asked.lobules,
        "--checkpoint": asked.checkpoint,
    }
    own |= {"--chemotaxis": " ".join(asked.chemotaxis) if pairs("--chemotaxis", asked.chemotaxis) else None}
    for option, given in own.items():
        if given is not None and asked.engine != "lobule":
            raise ExperimentError(f"{option} {given}: only a lobule has it; allowed: with --engine lobule; add that")
    if not (math.isfinite(asked.checkpoint_every) and asked.checkpoint_every >= 0.0):
        raise ExperimentError(
            f"--checkpoint-every {asked.checkpoint_every:g} s; allowed: 0 or more; correct the number"
        )
    if asked.checkpoint is not None and not asked.checkpoint.parent.is_dir():
        raise ExperimentError(
            f"checkpoint {asked.checkpoint}: there is no folder {asked.checkpoint.parent}; allowed: a file in a folder "
            "that is there; make the folder"
        )


def _refuse_early(name: str, asked: _Asked) -> float:
    """Find what is wrong with the experiment itself before the model and its solver are loaded, which takes seconds.

    Returns the length of the run in h.
    """
    from hepatalk.cli.members import refuse_members
    from hepatalk.experiments.experiment import load_experiment, overridden, with_items

    refuse_members(asked.members)
    if asked.species is not None and asked.species not in _SPECIES:
        raise unknown("species", asked.species, _SPECIES, "'hepatalk run --help'")
    if asked.engine not in _ENGINES:
        raise unknown("engine", asked.engine, _ENGINES, "'hepatalk run --help'")
    _refuse_for_engine(asked)
    posed = overridden(
        load_experiment(name),
        species=asked.species,
        days=asked.days,
        every_h=asked.every,
        knockouts=asked.knockouts,
        hypotheses=asked.hypotheses,
        parameters=asked.values,
        culture=asked.culture,
    )
    return with_items(posed, asked.items, "command line").end_h


def _replicate(name: str, asked: _Asked, out: Path | None, json: bool) -> None:
    """Run lobules that differ in seed, and print what they have in common."""
    from hepatalk.experiments.replicates import Asked

    _refuse_early(name, asked)
    settings = _lobule_settings(asked, None)
    assert settings is not None  # noqa: S101 - without a lobule replicates are refused
    run_replicates(
        Asked(name, _options(asked)), asked.replicates, asked.seed, settings, out, json, _kernels_are_compiled()
    )


def _options(asked: _Asked) -> dict[str, object]:
    """Return what was asked of the experiment itself, as `hepatalk.experiments.run.perform` takes it."""
    return {
        "species": asked.species,
        "days": asked.days,
        "every": asked.every,
        "knockouts": asked.knockouts,
        "set": asked.values,
        "hypotheses": asked.hypotheses,
        "items": asked.items,
        "culture": asked.culture,
    }


def _perform(name: str, asked: _Asked, tables: CellTables | None = None) -> tuple[Run, Knowledge]:
    from hepatalk.cli.members import told
    from hepatalk.experiments.run import perform
    from hepatalk.knowledge.load import load

    knowledge = load()
    finished = perform(
        name,
        species=cast("Species | None", asked.species),
        engine=asked.engine,
        days=asked.days,
        every=asked.every,
        seed=asked.seed,
        knockouts=asked.knockouts,
        set=asked.values,
        hypotheses=asked.hypotheses,
        items=asked.items,
        culture=asked.culture,
        knowledge=knowledge,
        progress=told("lobule", "") if asked.engine == "lobule" else None,
        lobule=_lobule_settings(asked, tables),
    )
    return finished, knowledge


def _lobule_settings(asked: _Asked, tables: CellTables | None) -> LobuleSettings | None:
    """Return what was asked of the lobule, None for the other engine."""
    if asked.engine != "lobule":
        return None
    from hepatalk.engines.lobule.anatomy import DEFAULT_HEPATOCYTES
    from hepatalk.engines.lobule.engine import LobuleSettings

    return LobuleSettings(
        hepatocytes=DEFAULT_HEPATOCYTES if asked.hepatocytes is None else asked.hepatocytes,
        lobules=1 if asked.lobules is None else asked.lobules,
        checkpoint=asked.checkpoint,
        checkpoint_every_s=asked.checkpoint_every,
        checkpoint_stays=True,
        chemotaxis=pairs("--chemotaxis", asked.chemotaxis),
        cells_at_h=() if tables is None else tables.wanted_h,
        keep=tables,
    )


def _refuse_to_bisect(name: str, out: Path | None, members: int, in_dish: bool, replicates: int) -> None:
    refused = {f"the experiment {shown(name)}": name != "phx", "--members": members != 1, "--out": out is not None}
    refused["a culture"] = in_dish
    refused["--replicates"] = replicates != 1
    what = " and ".join(word for word, given in refused.items() if given)
    if what:
        raise ExperimentError(
            f"--bisect with {what}; allowed: 'hepatalk run phx --bisect', with --json if wanted; leave it out"
        )


def _bisect(asked: _Asked, tolerance: float, json: bool) -> None:
    """Find the smallest remnant that is survived, and print it with the trials made."""
    from hepatalk.experiments.bisection import smallest_remnant
    from hepatalk.knowledge.load import load

    note("looking for the smallest remnant that is survived ...")
    found = background(
        lambda: smallest_remnant(
            tolerance=tolerance,
            species=cast("Species | None", asked.species),
            days=asked.days,
            knockouts=asked.knockouts,
            set=asked.values,
            hypotheses=asked.hypotheses,
            items=asked.items,
            knowledge=load(),
            progress=lambda done: note(f"{done:.0%}"),
        )
    )
    if json:
        print_json(found.to_json())
        return
    rows = [(f"{t.fraction:.0%}", "-" if t.died_at_h is None else f"{t.died_at_h:.1f}") for t in found.trials]
    table(("removed", "dies at [h]"), rows, right=("dies at [h]",))
    say()
    if found.survived is None:
        say(f"no remnant is survived: removing {found.lethal:.0%} kills within {found.days:g} d")
    elif found.lethal is None:
        say(f"every remnant is survived for {found.days:g} d, down to {1.0 - found.survived:.0%} of the liver")
    else:
        say(
            f"smallest survivable remnant: {1.0 - found.survived:.0%} of the liver "
            f"(removing {found.survived:.0%} is survived for {found.days:g} d, {found.lethal:.0%} is not)"
        )
