"""Readouts: what can be measured on a virtual animal, each with its unit and definition.

A readout is a ratio of sums of slots of the model, so that it means the same for every model and every engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Course
from hepatalk.errors import unknown
from hepatalk.experiments.readout import NO_CELLS, Readout
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.damage import MANNERS
from hepatalk.model.places import at
from hepatalk.model.visitors import VISITORS

__all__ = ["Readout", "measure", "readouts_of", "tells_descent"]

Floats = npt.NDArray[np.float64]

_GROW = (
    ("process.HEP.enlarge", 1.0),
    ("process.HEP.apoptosis", -1.0),
    ("process.HEP.necrosis", -1.0),
    ("process.HEP.anoxia", -1.0),
    ("process.HEP.shear_injury", -1.0),
)
#: Readouts of the death of hepatocytes, each with its processes. A process of ``manner: necrosis`` counts as necrosis,
#: whatever it comes from; shear and want of oxygen are read apart as well.
_WAYS_TO_DIE = {
    "apoptosis": ("apoptosis",),
    "necrosis": ("necrosis", "anoxia", "shear_injury"),
    "shear_injury": ("shear_injury",),
    "anoxia": ("anoxia",),
}
_IN_WORDS = {
    "necrosis": "necrosis of every cause (overload, bile acids, shear, want of oxygen)",
    "shear_injury": "shear injury, a part of necrosis,",
    "anoxia": "want of oxygen, a part of necrosis,",
}
_CYCLE = {
    "HEP": (
        ("process.HEP.prime", 1.0),
        ("process.HEP.commit", 1.0),
        ("process.HEP.enter_s", 1.0),
        ("process.HEP.g1_exit", -1.0),
    ),
    "BEC": (("process.BEC.commit", 1.0),),
    "LSEC": (("process.LSEC.commit", 1.0),),
    "HSC": (("process.HSC.activate", 1.0), ("process.HSC.commit", 1.0)),
    "KC": (("process.KC.commit", 1.0),),
    "BIP": (("process.BIP.commit", 1.0),),
}


def readouts_of(model: CompiledModel) -> Mapping[str, Readout]:
    """Return every readout of a model by name.

    Parameters
    ----------
    model : CompiledModel

    Returns
    -------
    mapping of str to Readout
        In the order in which they are listed for users.
    """
    found = [
        *_organ(model),
        *_damage(model),
        *_hepatocytes(model),
        *_cells(model),
        *_lineages(model),
        *_signals(model),
        *_nodes(model),
        *_of_lobes(model),
    ]
    return {r.name: r for r in found}


def tells_descent(name: str) -> bool:
    """Return whether a readout follows labels set at a moment: such a one has no healthy value to come back to."""
    return name == "lsec_from_marrow" or name in {d[0] for d in _DESCENT} or name.startswith("label.")


def _slots(model: CompiledModel, *names: str) -> tuple[int, ...]:
    return tuple(model.slot_index[n] for n in names)


def _zoned(model: CompiledModel, name: str) -> tuple[int, ...]:
    found = [model.slot_index.get(f"{name}@{place}") for place in model.places]
    return tuple(i for i in found if i is not None)


def _mean(model: CompiledModel, slots: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
    """Return scale and weights of a mean over zones; where there are two lobes, each counts by its volume."""
    if len(model.lobes) == 1 or len(slots) == 1:
        return 1.0 / len(slots), ()
    names = (*model.state_names, *model.slot_names)
    return 1.0, tuple(model.slot_index[at("volume", names[i].partition("@")[2][:-1])] for i in slots)


def _organ(model: CompiledModel) -> list[Readout]:
    divided = len(model.lobes) > 1
    shear, oxygen = _zoned(model, "shear"), _zoned(model, "oxygen")
    scale, weights = _mean(model, shear)
    return [
        Readout(
            "liver_volume",
            "fraction of healthy",
            "volume of the liver over that of the healthy wild type; of cells in a dish without the medium",
            _slots(model, "tissue_volume"),
            drivers=_GROW,
            balance=True,
        ),
        Readout(
            "portal_flow",
            "x healthy",
            "portal flow per liver volume over its healthy value",
            _slots(model, "inflow" if divided else "flow"),
            _slots(model, "volume") if divided else (),
            drivers=tuple((n, -s) for n, s in _GROW),
            balance=True,
        ),
        Readout(
            "arterial_flow",
            "x healthy",
            "flow through the hepatic artery of the whole liver over its healthy value",
            _slots(model, "artery"),
        ),
        Readout(
            "shear",
            "x healthy",
            "wall shear of the sinusoids, mean over zones, over its healthy value",
            shear,
            weights=weights,
            scale=scale,
            drivers=(("process.LSEC.commit", -1.0),),
        ),
        Readout(
            "function",
            "capacity/demand",
            "functional hepatocyte mass over the demand of the body",
            _slots(model, "function"),
            drivers=_GROW,
            balance=True,
        ),
        Readout(
            "oxygen",
            "x healthy mean",
            "oxygen in the tissue, mean over zones",
            oxygen,
            weights=weights,
            scale=scale,
            drivers=(("process.LSEC.commit", 1.0), ("process.HEP.enlarge", -1.0)),
        ),
    ]


def _damage(model: CompiledModel) -> list[Readout]:
    return [
        Readout(
            "dead_cell_area",
            "fraction",
            "share of the liver's volume that is dead cells not yet cleared",
            tuple(i for manner in MANNERS for i in _zoned(model, f"dead.{manner}")),
            _slots(model, "volume"),
        ),
        Readout(
            "bile_pressure",
            "x healthy",
            "pressure in the bile ducts over its healthy value",
            _slots(model, "bile_pressure"),
        ),
    ]


def _hepatocytes(model: CompiledModel) -> list[Readout]:
    g = model.groups
    mass, count = tuple(g["HEP.mass"]), tuple(g["HEP.count"])
    found = [
        Readout(
            "hepatocyte_count",
            "fraction of healthy",
            "number of hepatocytes over the healthy number",
            count,
            drivers=(*_CYCLE["HEP"], ("process.HEP.apoptosis", -1.0)),
        ),
        Readout(
            "hepatocyte_volume",
            "x healthy",
            "mean volume of a hepatocyte over its healthy value",
            mass,
            count,
            least=NO_CELLS,
            drivers=(("process.HEP.enlarge", 1.0),),
        ),
        Readout(
            "hepatocyte_mass",
            "fraction of healthy",
            "hepatocyte mass over its healthy value",
            mass,
            drivers=(("process.HEP.enlarge", 1.0), ("process.HEP.apoptosis", -1.0)),
            balance=True,
        ),
        Readout(
            "binucleate.HEP",
            "fraction",
            "binucleate share of hepatocytes",
            tuple(g["HEP.binucleate"]),
            tuple(g["HEP"]),
            least=NO_CELLS,
            drivers=(("binucleation.HEP", 1.0), ("process.HEP.commit", -1.0)),
        ),
    ]
    for manner, processes in _WAYS_TO_DIE.items():
        scale, weights = _mean(model, _zoned(model, f"process.HEP.{manner}"))
        slots = tuple(slot for process in processes for slot in _zoned(model, f"process.HEP.{process}"))
        number = len(processes)
        found.append(
            Readout(
                f"{manner}.HEP",
                "1/h",
                f"fraction of hepatocytes lost to {_IN_WORDS.get(manner, manner)} per hour, mean over zones",
                slots,
                weights=weights * number,
                scale=scale * (number if weights else 1),
                drivers=tuple((f"process.HEP.{process}", 1.0) for process in processes),
            )
        )
    return found


def _cells(model: CompiledModel) -> list[Readout]:
    found = []
    types = [name.removesuffix(".count") for name in model.groups if name.endswith(".count")]
    for cell in types:
        here = tuple(model.groups[cell])
        found.append(
            Readout(
                f"s_phase.{cell}",
                "fraction",
                f"share of {cell} in S phase",
                tuple(model.groups[f"{cell}.s"]),
                here,
                least=NO_CELLS,
                drivers=_CYCLE.get(cell, ()),
            )
        )
    for cell in types:
        here = tuple(model.groups[cell])
        seen = dict.fromkeys(model.state_names[i].split("@")[0].split(".")[1] for i in here)
        for state in seen:
            found.append(
                Readout(
                    f"state.{cell}.{state}",
                    "fraction",
                    f"share of {cell} that is in state {state}",
                    tuple(model.groups[f"{cell}.{state}"]),
                    here,
                    least=NO_CELLS,
                    drivers=_CYCLE.get(cell, ()),
                )
            )
    for cell in types:
        if cell != "HEP":
            found.append(
                Readout(
                    f"count.{cell}",
                    "fraction of healthy",
                    f"number of {cell} over the healthy number",
                    tuple(model.groups[f"{cell}.count"]),
                    drivers=_CYCLE.get(cell, ()),
                )
            )
    for name in VISITORS:
        definition = f"number of {name} over the healthy number; a level of the body, without states"
        found.append(Readout(f"count.{name}", "fraction of healthy", definition, _slots(model, name)))
    if "LSEC.marrow" in model.groups:
        found.append(
            Readout(
                "lsec_from_marrow",
                "fraction",
                "share of LSECs from marrow progenitors recruited beyond the healthy rate",
                tuple(model.groups["LSEC.marrow"]),
                tuple(model.groups["LSEC"]),
                least=NO_CELLS,
                drivers=(("process.LSEC.recruit_marrow", 1.0),),
            )
        )
    return found


#: Shares of a cell type that come from another one: readout, cell type, tracer of its origin, in words, and the steps.
_DESCENT = (
    (
        "hepatocytes_from_bec",
        "HEP",
        "from_BEC",
        "share of hepatocytes that descend from cholangiocytes or bipotential cells of time zero",
        (("process.BEC.dedifferentiate", 1.0), ("process.BIP.commit", 1.0), ("process.BIP.to_hepatocyte", 1.0)),
    ),
    (
        "bec_from_hepatocytes",
        "BEC",
        "from_HEP",
        "share of cholangiocytes that descend from hepatocytes of time zero",
        (("process.HEP.dedifferentiate", 1.0), ("process.BIP.commit", 1.0), ("process.BIP.to_cholangiocyte", 1.0)),
    ),
)


def _lineages(model: CompiledModel) -> list[Readout]:
    """Return the shares of cell types by descent, and those that bear the user's label."""
    found = []
    for name, cell, tracer, definition, drivers in _DESCENT:
        marked = _zoned(model, f"{cell}.{tracer}")
        if marked:
            here = tuple(model.groups[f"{cell}.count"])
            found.append(Readout(name, "fraction", definition, marked, here, least=NO_CELLS, drivers=drivers))
    for cell in (name.removesuffix(".count") for name in model.groups if name.endswith(".count")):
        found.append(
            Readout(
                f"label.{cell}",
                "fraction",
                f"share of {cell} that bears the label",
                _zoned(model, f"{cell}.label"),
                tuple(model.groups[f"{cell}.count"]),
                least=NO_CELLS,
            )
        )
    return found


def _signals(model: CompiledModel) -> list[Readout]:
    names = dict.fromkeys(n.split("@")[0] for n in model.state_names if n.startswith("signal."))
    found = []
    for signal in (name.removeprefix("signal.") for name in names):
        # As in a statement, where 'by: signal.X' is what cells see: the level times what an antibody leaves of it.
        slots = _zoned(model, f"free.{signal}") or _slots(model, f"free.{signal}")
        scale, weights = _mean(model, slots)
        found.append(
            Readout(
                f"signal.{signal}",
                "x healthy",
                f"free level of {signal} (what cells see), mean over zones, over its healthy value",
                slots,
                weights=weights,
                scale=scale,
                drivers=((f"supply.{signal}", 1.0),),
            )
        )
    stores = dict.fromkeys(n.split("@")[0] for n in model.state_names if n.startswith("store."))
    for name in stores:
        slots = _zoned(model, name)
        rest = float(model.rest[list(slots)].sum())
        found.append(
            Readout(
                f"matrix_{name}",
                "fraction of healthy",
                f"amount of {name.removeprefix('store.')} bound to matrix over its healthy value",
                slots,
                scale=1.0 / rest,
            )
        )
    return found


def _nodes(model: CompiledModel) -> list[Readout]:
    names = dict.fromkeys(n.split("@")[0] for n in model.state_names if n.startswith("node."))
    found = []
    for name in names:
        slots = _zoned(model, name)
        scale, weights = _mean(model, slots)
        found.append(
            Readout(
                name,
                "activity, 0 to 1",
                f"activity of {name.split('.')[2]} in {name.split('.')[1]}, mean over zones",
                slots,
                weights=weights,
                scale=scale,
                drivers=((f"target.{name}", 1.0),),
            )
        )
    return found


def _of_lobes(model: CompiledModel) -> list[Readout]:
    """Return what is told apart by lobe; nothing where the liver is not divided. Amounts are of the whole liver."""
    found = []
    for lobe in (lobe for lobe in model.lobes if lobe):
        whole = "over that of the healthy whole liver (both lobes); in a liver of two lobes"
        shear = tuple(model.slot_index[f"shear@{place}"] for place in model.places if place.lobe == lobe)
        of_lobe = [
            ("liver_volume", "fraction of healthy", f"volume of lobe {lobe} {whole}", _slots(model, f"volume@{lobe}")),
            (
                "hepatocyte_mass",
                "fraction of healthy",
                f"hepatocyte mass of lobe {lobe} {whole}",
                _slots(model, f"capacity@{lobe}"),
            ),
            (
                "portal_flow",
                "x healthy",
                f"blood through the sinusoids of lobe {lobe} per volume of the lobe over its healthy value",
                _slots(model, f"flow@{lobe}"),
            ),
            ("load", "x healthy", f"metabolic load on each unit of hepatocyte mass of lobe {lobe}",
             _slots(model, f"load@{lobe}")),
        ]  # fmt: skip
        grow = tuple((f"{name}@{lobe}", sign) for name, sign in _GROW)
        for name, unit, meaning, slots in of_lobe:
            drivers = grow if unit == "fraction of healthy" else ()
            found.append(Readout(f"{name}.{lobe}", unit, meaning, slots, drivers=drivers, balance=bool(drivers)))
        definition = f"wall shear of the sinusoids of lobe {lobe}, mean over zones, over its healthy value"
        found.append(Readout(f"shear.{lobe}", "x healthy", definition, shear, scale=1.0 / len(shear)))
        for cell in (name.removesuffix(".count") for name in model.groups if name.endswith(".count")):
            cycling, here = tuple(model.groups[f"{cell}.s@{lobe}"]), tuple(model.groups[f"{cell}@{lobe}"])
            definition = f"share of {cell} of lobe {lobe} in S phase"
            drivers = tuple((f"{name}@{lobe}", sign) for name, sign in _CYCLE.get(cell, ()))
            found.append(
                Readout(
                    f"s_phase.{cell}.{lobe}", "fraction", definition, cycling, here, least=NO_CELLS, drivers=drivers
                )
            )
    return found


def measure(
    model: CompiledModel,
    course: Course,
    wanted: Sequence[str] | None = None,
    *,
    available: Mapping[str, Readout] | None = None,
) -> dict[str, Floats]:
    """Return readouts along a course.

    Parameters
    ----------
    model : CompiledModel
    course : Course
    wanted : sequence of str, optional
        Names; all when omitted. ``survived`` is always among all.
    available : mapping of str to Readout, optional
        What `readouts_of` returns for the model, where it is at hand: making it costs milliseconds.

    Returns
    -------
    dict of str to (n_times,) float array

    Raises
    ------
    UnknownNameError
        For a name that the model does not have.
    """
    # Here, not above: whoever only asks what there is to measure needs no compiler.
    from hepatalk.engines.population.kernels import evaluate_many

    available = readouts_of(model) if available is None else available
    names = [*available, "survived"] if wanted is None else list(wanted)
    for name in names:
        if name != "survived" and name not in available:
            raise unknown("readout", name, [*available, "survived"], "see 'hepatalk list readouts'")
    chosen = [available[n] for n in names if n != "survived"]
    slots = np.array(sorted({s for r in chosen for s in (*r.over, *r.under, *r.weights)}), dtype=np.int64)
    values = np.empty((len(course.time_h), len(slots)))
    tape = (model.law, model.input_start, model.inputs, model.argument_start, model.arguments)
    for k, params in enumerate(course.param_sets):
        rows = np.flatnonzero(course.param_set_of == k)
        if len(rows):
            states = np.ascontiguousarray(course.states[rows])
            values[rows] = evaluate_many(states, params, slots, *tape)
    column = {int(s): i for i, s in enumerate(slots)}
    out: dict[str, Floats] = {}
    for r in chosen:
        top = values[:, [column[s] for s in r.over]]
        if r.weights:
            top = top * values[:, [column[s] for s in r.weights]]
        ratio = r.scale * top.sum(axis=1)
        if r.under or r.weights:
            bottom = values[:, [column[s] for s in (r.under or r.weights)]].sum(axis=1)
            ratio = ratio / np.maximum(bottom, 1e-300)
            if r.least > 0.0:
                ratio = np.where(bottom < r.least, 0.0, ratio)
        out[r.name] = ratio
    if "survived" in names:
        died = np.inf if course.died_at_h is None else course.died_at_h
        out["survived"] = (course.time_h < died).astype(float)
    return {n: out[n] for n in names}
