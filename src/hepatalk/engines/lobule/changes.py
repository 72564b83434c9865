"""What a change of the schedule does to a tissue: the engine's only door for injuries and interventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.errors import EngineError, nearest
from hepatalk.model.schedule import Change
from hepatalk.rng import Purpose, uniform

if TYPE_CHECKING:
    from hepatalk.engines.lobule.system import LobuleSystem

__all__ = ["apply_change"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def apply_change(system: LobuleSystem, state: State, change: Change) -> None:
    """Change the state in place.

    Raises
    ------
    EngineError
        For a state, a cell type, a zone or a lobe that the tissue does not have, or more cells than there are.
    ModelError
        For a parameter that the model does not have.
    """
    match change.action:
        case "scale_extensive":
            _take_lobules(system, state, change)
        case "scale_state":
            _scale(system, state, change)
        case "set_state" | "seed":
            raise EngineError(
                f"{change.label}: a lobule's state cannot be set; allowed: what happens in an animal; use --engine "
                "population"
            )
        case "kill":
            _kill(system, state, change)
        case "mark":
            _mark(system, state, change)
        case "renew":
            _renew(system, state, change.value)
        case "set_parameter":
            state.params[system.model.position(change.target)] = change.value
        case "scale_parameter":
            state.params[system.model.position(change.target)] *= change.value
    state.flow_seen_at_h = -np.inf  # blood finds its way at once
    system.see_contacts(state)


def _take_lobules(system: LobuleSystem, state: State, change: Change) -> None:
    """Take lobules away; every lobule that stays keeps its cells."""
    if change.target not in ("", "liver"):
        raise EngineError(
            f"unknown part of the liver {change.target!r}; allowed: liver; use --engine population for two lobes"
        )
    state.lobules *= change.value
    extensive = system.model.extensive
    for p, level in zip(system.programs, state.level, strict=True):
        level[:, extensive[p.states[p.moving]]] *= change.value


def _scale(system: LobuleSystem, state: State, change: Change) -> None:
    """Scale every state of a name, or those whose names begin with it: levels as they are, cells one by one."""
    m, found = system.model, False

    def named(name: str) -> bool:
        return change.target in (name, name.partition("@")[0]) or name.startswith(change.target + ".")

    for k, i in enumerate(system.body.states):
        if named(m.state_names[i]):
            state.body[k] *= change.value
            found = True
    for p, level in zip(system.programs, state.level, strict=True):
        chosen = [k for k, i in enumerate(p.states[p.moving]) if named(m.state_names[i])]
        level[:, chosen] *= change.value
        found = found or bool(chosen)
    zone = system.tissue.zone[state.cells.site[: state.n]]
    states = system.comps.state[zone, state.cells.comp[: state.n]]
    wanted = np.array([named(name) for name in m.state_names])
    if wanted[system.comps.state[system.comps.state >= 0]].any():
        if change.value > 1.0:
            raise EngineError(
                f"state {change.target!r} times {change.value:g}: cells do not come from nowhere in a lobule; allowed: "
                "0 to 1; use --engine population"
            )
        _remove(system, state, wanted[states], change)
        state.bury()
        found = True
    if not found:
        near = ", ".join(nearest(change.target, [n for n in m.groups if n.count(".") <= 1]))
        raise EngineError(f"unknown state {change.target!r}; nearest: {near}; correct the schedule")


def _remove(system: LobuleSystem, state: State, chosen: Bools, change: Change) -> Ints:
    """Remove each of the chosen cells with the probability 1 - value; return which were removed."""
    gone = np.flatnonzero(chosen)
    gone = gone[_draws(system, state, gone, Purpose.NECROSIS) >= change.value]
    state.cells.dead[gone] = 1
    return gone


def _draws(system: LobuleSystem, state: State, which: Ints, purpose: Purpose) -> Floats:
    """Return the numbers of some cells for what is done to them now.

    They are no events of the cells, so that whoever is not chosen goes on as if nobody had asked.
    """
    state.touched += 1
    return np.array([uniform(system.seed, int(i), state.touched, int(purpose)) for i in state.cells.ident[which]])


def _kill(system: LobuleSystem, state: State, change: Change) -> None:
    """Kill a share of the cells of a type; what they were of the volume stays as dead tissue."""
    cell, _, zone = change.target.partition("@")
    c, m = system.comps, system.model
    if cell not in c.types:
        raise EngineError(f"unknown cell {cell!r}; allowed: {', '.join(c.types)}; correct the schedule")
    zones = system.tissue.zone[state.cells.site[: state.n]]
    chosen = c.type_of[state.cells.comp[: state.n]] == c.types.index(cell)
    if zone:
        chosen &= zones + 1 == int(zone)
    gone = _remove(system, state, chosen, change)
    if change.into:
        share = state.params[m.position(f"{cell.lower()}_volume_share")]
        t = c.types.index(cell)
        for z, (p, sites) in enumerate(zip(system.programs, system.sites, strict=True)):
            here = gone[zones[gone] == z]
            if not len(here):
                continue
            lost = np.zeros(system.tissue.n_sites)
            np.add.at(lost, state.cells.site[here], state.cells.volume[here])
            scale = state.lobules * c.share[z, t] / system.healthy_zone[z, t] / system.tissue.weight[sites]
            at = p.states[p.moving].tolist().index(m.slot_index[f"{change.into}@{z + 1}"])
            state.level[z][:, at] += share * lost[sites] * scale
    state.bury()


def _mark(system: LobuleSystem, state: State, change: Change) -> None:
    """Give a label to a fraction of the cells of a type that do not bear it."""
    label, _, zone = change.target.partition("@")
    cell, _, bit = label.partition(".")
    c = system.comps
    if cell not in c.types or bit not in c.bits:
        near = ", ".join(nearest(change.target, [f"{t}.label" for t in c.types]))
        raise EngineError(f"unknown label {change.target!r}; nearest: {near}; correct the schedule")
    mask = 1 << c.bits.index(bit)
    chosen = c.type_of[state.cells.comp[: state.n]] == c.types.index(cell)
    if zone:
        chosen &= system.tissue.zone[state.cells.site[: state.n]] + 1 == int(zone)
    bare = np.flatnonzero(chosen & (state.cells.marks[: state.n] & mask == 0))
    state.cells.marks[bare[_draws(system, state, bare, Purpose.LABEL) < change.value]] |= mask


def _renew(system: LobuleSystem, state: State, size: float) -> None:
    """Put a healthy liver of a size in place of this one; blood and body stay as they are."""
    m = system.model
    state.cells, state.n, state.ident = first_cells(system.comps, system.tissue, system.seed, shift=state.ident)
    system.make_fresh(state)
    state.lobules = size
    for p, level in zip(system.programs, state.level, strict=True):
        own = p.states[p.moving]
        level[:] = np.where(m.extensive[own], m.rest[own] * size, m.rest[own])
