"""What a change of the schedule does to state and parameters: the engine's only door for injuries and interventions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hepatalk.errors import EngineError, nearest
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

__all__ = ["apply_change", "killed", "marked", "relabelled", "seeded"]

Floats = npt.NDArray[np.float64]
#: What a change calls the liver with all its lobes.
WHOLE = "liver"


def relabelled(model: CompiledModel, y: Floats) -> Floats:
    """Return the state, (n_states,), with all labels fresh: at time zero every cell is undivided and no convert."""
    out = y.copy()
    for settled, fresh in zip(model.relabel.settled, model.relabel.fresh, strict=True):
        out[fresh] += out[settled]
        out[settled] = 0.0
    out[model.relabel.marks] = out[model.relabel.counts]
    return out


def apply_change(m: CompiledModel, params: Floats, y: Floats, change: Change) -> Floats:
    """Return the state, (n_states,), after a change; the parameters in force, (n_params,), are changed in place.

    Raises
    ------
    EngineError
        For a state or a lobe that the model does not have.
    ModelError
        For a parameter that it does not have.
    """
    match change.action:
        case "scale_extensive":
            return np.where(m.extensive & _within(m, change.target), y * change.value, y)
        case "scale_state":
            return np.where(_called(m, change.target), y * change.value, y)
        case "set_state":
            return np.where(_called(m, change.target), change.value, y)
        case "seed":
            return seeded(m, y, change)
        case "mark":
            return marked(m, y, change)
        case "kill":
            return killed(m, params, y, change)
        case "renew":
            healthy = relabelled(m, m.rest)
            body = np.array(["@" not in name for name in m.state_names])
            return np.where(body, y, np.where(m.extensive, healthy * change.value, healthy))
        case "set_parameter":
            params[m.position(change.target)] = change.value
        case "scale_parameter":
            params[m.position(change.target)] *= change.value
    return y


def _called(m: CompiledModel, target: str) -> npt.NDArray[np.bool_]:
    """Return which states, (n_states,), have a name, or one that begins with it and a dot.

    Raises
    ------
    EngineError
        If none has.
    """
    names = m.state_names
    chosen = np.array([target in (name, name.split("@")[0]) or name.startswith(target + ".") for name in names])
    if not chosen.any():
        known = [n for n in m.groups if n.count(".") <= 1]
        near = ", ".join(nearest(target, known))
        raise EngineError(f"unknown state {target!r}; nearest: {near}; correct the schedule")
    return chosen


def _within(m: CompiledModel, target: str) -> npt.NDArray[np.bool_]:
    """Return which states, (n_states,), lie in a lobe, or in the liver as a whole."""
    if target not in (WHOLE, "", *m.lobes):
        allowed = ", ".join((WHOLE, *filter(None, m.lobes)))
        raise EngineError(f"unknown part of the liver {target!r}; allowed: {allowed}; correct the schedule")
    lobe = "" if target == WHOLE else target
    return np.array([name.partition("@")[2].startswith(lobe) for name in m.state_names])


def killed(m: CompiledModel, params: Floats, y: Floats, change: Change) -> Floats:
    """Return the state, (n_states,), after a share of the cells of a type has died.

    The volume that they had (mass, or count of cells without mass, at the volume share of the type) is added to the
    dead tissue of their zone, if the change says which.

    Raises
    ------
    EngineError
        For a cell type, a zone or a kind of dead tissue that the model does not have.
    """
    cell, _, zone = change.target.partition("@")
    _refuse_unknown(m, cell)
    out = y.copy()
    for place in m.places:
        here = [i for i, n in enumerate(m.state_names) if n.startswith(f"{cell}.") and n.endswith(f"@{place}")]
        if not here or zone not in ("", str(place.zone), str(place)):
            continue
        out[here] *= change.value
        if change.into:
            amount = m.slot_index.get(f"{cell}.mass@{place}", m.slot_index[f"{cell}.count@{place}"])
            volume = params[m.position(f"{cell.lower()}_volume_share")] * (y[amount] - out[amount])
            out[m.slot_index[f"{change.into}@{place}"]] += volume
    return out


def seeded(m: CompiledModel, y: Floats, change: Change) -> Floats:
    """Return the state, (n_states,), with as many cells of a type in each place as a multiple of the healthy number.

    States, sizes and labels keep their shares. Of cells that are not there none can be made.

    Raises
    ------
    EngineError
        For a cell type that the model does not have.
    """
    _refuse_unknown(m, change.target)
    out = y.copy()
    for place in m.places:
        count = m.slot_index.get(f"{change.target}.count@{place}")
        if count is None:
            continue
        here = [i for i, n in enumerate(m.state_names) if n.startswith(f"{change.target}.") and n.endswith(f"@{place}")]
        out[here] *= change.value * m.rest[count] / y[count] if y[count] > 0.0 else 0.0
    return out


def _refuse_unknown(m: CompiledModel, cell: str) -> None:
    """Raise for a cell type that a model does not have."""
    cells = [name.removesuffix(".count") for name in m.groups if name.endswith(".count")]
    if cell not in cells:
        raise EngineError(f"unknown cell {cell!r}; allowed: {', '.join(cells)}; correct the schedule")


def marked(m: CompiledModel, y: Floats, change: Change) -> Floats:
    """Return the state, (n_states,), after a fraction of the unmarked cells of a type and zone has been marked.

    Raises
    ------
    EngineError
        If the target is no label of a cell type.
    """
    out = y.copy()
    index = {name: i for i, name in enumerate(m.state_names)}
    labels = [name for name in index if name.split("@")[0].endswith(".label")]
    label, _, zone = change.target.partition("@")
    wanted = {f"@{p}" for p in m.places if zone in ("", str(p.zone), str(p))}
    chosen = [name for name in labels if name.split("@")[0] == label and name.removeprefix(label) in wanted]
    if not chosen:
        near = ", ".join(nearest(change.target, labels))
        raise EngineError(f"unknown label {change.target!r}; nearest: {near}; correct the schedule")
    for name in chosen:
        count = out[index[name.replace(".label@", ".count@")]]
        out[index[name]] += change.value * (count - out[index[name]])
    return out
