"""Tables that tie cells to the model: compartments of all types in one list, their states, and their fates by zone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.local import ZoneProgram
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import NOTHING, FateKind, Fates

__all__ = ["Compartments", "FateTable", "Source", "compartments_of", "fates_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Compartments:
    """The compartments of all cell types, one behind another.

    Attributes
    ----------
    types : tuple of str
        Cell types, in the order of the model.
    names : tuple (n_comps,) of str
        ``HEP.g1.0.mononucleate.generation0``.
    type_of : (n_comps,) int array
        Position of the type of each compartment.
    state : (n_zones, n_comps) int array
        State of the model, `NOTHING` where the type does not live.
    count, mass : (n_zones, n_types) int array
        States of the number of cells and of the mass of each type; `NOTHING` where there is none.
    share : (n_zones, n_types) float array
        Healthy share of the zone in each type; 0 where it does not live.
    rest : (n_zones, n_comps) float array
        Healthy share of each compartment among the cells of its type in the zone.
    fresh : (n_comps,) int array
        The compartment that the cells of each one have when all labels are made fresh.
    bits : tuple of str
        Labels: bit k of the marks of a cell stands for ``bits[k]`` (``from_HEP``, ``label``).
    tracer : (n_bits, n_zones, n_types) int array
        State that counts the cells with a label; `NOTHING` where there is none.
    marked_at_start : (n_bits, n_types) bool array
        Whether the cells of a type bear a label when labels are made fresh.
    has_mass : (n_comps,) uint8 array
    """

    types: tuple[str, ...]
    names: tuple[str, ...]
    type_of: Ints
    state: Ints
    count: Ints
    mass: Ints
    share: Floats
    rest: Floats
    fresh: Ints
    bits: tuple[str, ...]
    tracer: Ints
    marked_at_start: npt.NDArray[np.bool_]
    has_mass: npt.NDArray[np.uint8]

    @property
    def n(self) -> int:
        """Number of compartments."""
        return len(self.names)


def compartments_of(m: CompiledModel) -> Compartments:
    """Return the compartments of a model whose liver is not divided."""
    zones = range(1, m.zones + 1)
    index = {name: i for i, name in enumerate(m.state_names)}
    names: list[str] = []
    for cell in m.fates.cells:
        names += list(dict.fromkeys(m.state_names[i].partition("@")[0] for i in m.groups[cell]))
    types = m.fates.cells
    type_of = np.array([types.index(n.partition(".")[0]) for n in names], dtype=np.int64)
    state = np.array([[index.get(f"{n}@{z}", NOTHING) for n in names] for z in zones], dtype=np.int64)

    def by_type(word: str) -> Ints:
        return np.array([[index.get(f"{t}.{word}@{z}", NOTHING) for t in types] for z in zones], dtype=np.int64)

    count, mass = by_type("count"), by_type("mass")
    share = np.where(count != NOTHING, m.rest[count], 0.0)
    resting = np.where(state != NOTHING, m.rest[state], 0.0)
    rest = np.divide(resting, share[:, type_of], out=np.zeros_like(resting), where=share[:, type_of] > 0.0)
    bits = tuple(
        dict.fromkeys(m.state_names[i].partition("@")[0].partition(".")[2] for i in m.relabel.tracers.tolist())
    )
    tracer = np.stack([by_type(bit) for bit in bits]) if bits else np.zeros((0, m.zones, len(types)), dtype=np.int64)
    start = set(m.relabel.marks.tolist())
    marked = np.array(
        [[any(int(s) in start for s in tracer[b, :, t]) for t in range(len(types))] for b in range(len(bits))]
    )
    return Compartments(
        types=types,
        names=tuple(names),
        type_of=type_of,
        state=state,
        count=count,
        mass=mass,
        share=share,
        rest=rest,
        fresh=_fresh(m, state),
        bits=bits,
        tracer=tracer,
        marked_at_start=marked.reshape(len(bits), len(types)),
        has_mass=(mass[:, type_of] != NOTHING).any(axis=0).astype(np.uint8),
    )


def _fresh(m: CompiledModel, state: Ints) -> Ints:
    """Return the compartment in which the cells of each compartment are when all labels are fresh."""
    of_state = {int(s): c for row in state for c, s in enumerate(row) if s != NOTHING}
    fresh = np.arange(state.shape[1], dtype=np.int64)
    for settled, new in zip(m.relabel.settled.tolist(), m.relabel.fresh.tolist(), strict=True):
        fresh[of_state[settled]] = of_state[new]
    return fresh


@dataclass(frozen=True)
class Source:
    """Cells that come from the blood to the sites of one zone.

    Attributes
    ----------
    zone : int
        From 0.
    type_ : int
        Position of the cell type.
    rate, chance : int
        Columns of the rows of the zone; chance `NOTHING` where there is one compartment only.
    target, other : int
        Compartments.
    """

    zone: int
    type_: int
    rate: int
    chance: int
    target: int
    other: int


@dataclass(frozen=True)
class FateTable:
    """What can happen to cells, by zone and compartment.

    Attributes
    ----------
    start : (n_zones * n_comps + 1,) int array
        The fates of compartment c in zone z (from 0) are those from ``start[z * n_comps + c]`` on.
    rate, kind, target, other, chance, zone : (n_fates,) int array
        Column of `rate_column`, `hepatalk.model.fates.FateKind`, compartments, column of `chance_column`, and the zone
        (from 0) in which the cell is afterwards.
    size : (n_fates,) float array
    process : tuple (n_fates,) of str
    rate_column, chance_column : tuple (n_zones,) of (n,) int array
        Columns of the rows of each zone.
    constant : tuple (n_zones,) of (n,) int array
        Where a rate is a parameter, its position, else `NOTHING`.
    sources : tuple of Source
    """

    start: Ints
    rate: Ints
    kind: Ints
    target: Ints
    other: Ints
    chance: Ints
    zone: Ints
    size: Floats
    process: tuple[str, ...]
    rate_column: tuple[Ints, ...]
    chance_column: tuple[Ints, ...]
    constant: tuple[Ints, ...]
    sources: tuple[Source, ...]


def fates_of(m: CompiledModel, comps: Compartments, programs: tuple[ZoneProgram, ...]) -> FateTable:
    """Return the fates of all compartments, with the columns of their rates in the rows of the zones."""
    f = m.fates
    where = {int(s): (z, c) for z, row in enumerate(comps.state) for c, s in enumerate(row) if s != NOTHING}
    n_zones = len(programs)
    lists: list[list[int]] = [[] for _ in range(n_zones * comps.n)]
    sources = []
    for j in range(len(f.kind)):
        zone = int(f.place[j]) - 1
        if f.kind[j] == FateKind.ARRIVAL:
            sources.append(_source(f, j, where, comps, programs))
        else:
            lists[zone * comps.n + where[int(f.origin[j])][1]].append(j)
    rates, chances = _Columns(programs), _Columns(programs)
    order = [j for x in lists for j in x]
    table: dict[str, list[int]] = {k: [] for k in ("rate", "chance", "target", "other", "zone")}
    for j in order:
        zone = int(f.place[j]) - 1
        table["rate"].append(rates.of(zone, int(f.rate[j]), int(f.constant[j])))
        table["chance"].append(NOTHING if f.chance[j] == NOTHING else chances.of(zone, int(f.chance[j]), NOTHING))
        target = where.get(int(f.target[j]), (zone, NOTHING))
        table["target"].append(target[1])
        table["other"].append(where.get(int(f.other[j]), (zone, NOTHING))[1])
        table["zone"].append(target[0])
    arrays = {k: np.array(v, dtype=np.int64) for k, v in table.items()}
    return FateTable(
        start=np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64),
        kind=f.kind[order],
        size=f.size[order],
        process=tuple(f.process[j] for j in order),
        rate_column=rates.columns(),
        constant=rates.constants(),
        chance_column=chances.columns(),
        sources=tuple(sources),
        **arrays,
    )


def _source(
    f: Fates, j: int, where: dict[int, tuple[int, int]], comps: Compartments, programs: tuple[ZoneProgram, ...]
) -> Source:
    """Return the arrival number ``j`` of the fates."""
    zone = int(f.place[j]) - 1
    program = programs[zone]
    target = where[int(f.target[j])][1]
    other = where[int(f.other[j])][1] if f.other[j] != NOTHING else NOTHING
    chance = program.column[int(f.chance[j])] if f.chance[j] != NOTHING else NOTHING
    return Source(zone, int(comps.type_of[target]), program.column[int(f.rate[j])], chance, target, other)


class _Columns:
    """Numbers each different rate of a zone once."""

    def __init__(self, programs: tuple[ZoneProgram, ...]) -> None:
        self._programs = programs
        self._known: list[dict[tuple[int, int], int]] = [{} for _ in programs]

    def of(self, zone: int, slot: int, constant: int) -> int:
        return self._known[zone].setdefault((slot, constant), len(self._known[zone]))

    def columns(self) -> tuple[Ints, ...]:
        return tuple(
            np.array([p.column[s] if s != NOTHING else 0 for s, _ in known], dtype=np.int64)
            for p, known in zip(self._programs, self._known, strict=True)
        )

    def constants(self) -> tuple[Ints, ...]:
        return tuple(np.array([c for _, c in known], dtype=np.int64) for known in self._known)
