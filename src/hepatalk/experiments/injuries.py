"""From what is done to an animal to what changes in the model.

The model knows a few kinds of change, and this module writes every injury and intervention in them. A change says
what happens to state, inflow or parameters at one moment; it leaves no trace of which injury it came from.

===========================  =====================================================================
item of the schedule         changes
===========================  =====================================================================
portal_ligation L, f         ``lobe.L.portal`` = 1 - f at `at`, = 1 at `until`
portal_embolisation L, f     the same
transection f                ``portal_collaterals`` = 0; a share f of the hepatocytes dies and stays as dead tissue
lobectomy L                  every amount that belongs to the tissue of lobe L x 0
partial_hepatectomy f        every amount that belongs to liver tissue x (1 - f)
graft f, i                   a healthy liver of size f in place of the old; a share i of its HEP and LSEC dies
bile_duct_ligation           ``body.bile_flow`` = 0 at `at`, = 1 at `until` or at release_ligature
duct_injury f                a share f of the BECs dies and stays as dead tissue
hepatocyte_ablation f        a share f of the hepatocytes of every zone dies and stays as dead tissue
zonal_necrosis f1, f2, f3    the same with a share for each zone
ischaemia f                  ``body.inflow`` and ``body.arterial_inflow`` = 1 - f, = what they were before at `until`
block_division C, e          the rate at which C enters the cycle (HEP: S phase) x (1 - e)
neutralise S, q              ``free.S`` x (1 - q) at `at`, x 1 / (1 - q) at `until`
supplement S, k              ``free.S`` x k at `at`, x 1 / k at `until`
transfer_exosomes k          the same for the exosomes of hepatocytes, ``free.EXO_SPHK2``
serum_transfer S: k, ...     the same for each of the signals
recombinant S, d             ``supply.S`` = d healthy supplies
knock_down G, q              ``activity.*`` of what G makes x (1 - share of G x q)
overexpress G, k             ``activity.*`` of what G makes x (1 + share of G x (k - 1))
deplete C, f                 cells C x (1 - f); nothing is left of them
label C, z, f                a share f of the unlabelled cells C (of zone z) bears the label from now on
deplete_matrix f             ``signal.ECM`` and what is bound to matrix x (1 - f)
scale_demand k               ``body.demand`` x k at `at`, x 1 / k at `until`
scale_inflow k               ``body.inflow`` x k at `at`, x 1 / k at `until`
shunt f                      ``body.inflow`` x (1 - f); what the blood carries comes back by the artery
splanchnic_vasoconstriction  ``body.inflow`` x k
hold_portal_flow k           ``body.inflow`` = k at `at`, = what it was before at `until`;
                             ``body.inflow_answers`` = 0 between: no response to lost function is added
drain_bile                   ``body.bile_return`` = 0 (1 if given back), ``body.bile_flow`` = 1
body                         demand, inflow, ``free.LPS`` (endotoxin), ``free.NE`` (noradrenaline) x factors
set_parameter P, v           P = v at `at`
medium, conditioned_medium   `hepatalk.experiments.culture`
===========================  =====================================================================
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from hepatalk.errors import ExperimentError, shown, unknown
from hepatalk.experiments.culture import refuse_in_culture
from hepatalk.experiments.experiment import Experiment
from hepatalk.experiments.items import (
    BileDuctLigation,
    BlockDivision,
    Body,
    Deplete,
    DepleteMatrix,
    DrainBile,
    DuctInjury,
    Graft,
    HepatocyteAblation,
    HoldPortalFlow,
    Ischaemia,
    Item,
    KnockDown,
    Label,
    Neutralise,
    Overexpress,
    PartialHepatectomy,
    Recombinant,
    ReleaseLigature,
    ScaleDemand,
    ScaleInflow,
    SerumTransfer,
    SetParameter,
    Shunt,
    SplanchnicVasoconstriction,
    Supplement,
    TransferExosomes,
    ZonalNecrosis,
)
from hepatalk.experiments.lobes import lobe_changes, parameter_changes, refuse_impossible
from hepatalk.model.schedule import Change
from hepatalk.model.visitors import VISITORS
from hepatalk.units import hours_text

__all__ = ["DIVISION_RATES", "MOST_REPEATS", "GeneShares", "changes_of"]

#: Which parameters a gene moves, and the share of it in what each of them scales.
GeneShares = Callable[[str], Mapping[str, float]]

#: How often an injury may be repeated.
MOST_REPEATS = 1000
_LIVER = "liver"
_DEMAND = "body.demand"
_INFLOW = "body.inflow"
_ARTERY = "body.arterial_inflow"
_ANSWERS = "body.inflow_answers"
_BILE_FLOW = "body.bile_flow"
_BILE_RETURN = "body.bile_return"
_EXOSOMES = "EXO_SPHK2"
_NECROTIC, _APOPTOTIC = "dead.necrotic", "dead.apoptotic"
_BODY = MappingProxyType({"demand": _DEMAND, "inflow": _INFLOW, "endotoxin": "free.LPS", "noradrenaline": "free.NE"})
#: What a body sends is relative to the healthy one; nothing is supplied from outside.
_HEALTHY, _NOTHING = 1.0, 0.0
#: The rate of the step on which a block of division acts, by cell type.
DIVISION_RATES = MappingProxyType(
    {
        "HEP": "hep_enter_s_rate",
        "LSEC": "lsec_commit_rate",
        "HSC": "hsc_commit_rate",
        "KC": "kc_commit_rate",
        "BEC": "bec_commit_rate",
        "BIP": "bip_commit_rate",
    }
)


@dataclass(frozen=True)
class _Action:
    """What an item does to one parameter, before its end is written out.

    `value` multiplies the target, or replaces it where `sets`; `until` is None where it lasts.
    """

    index: int
    at: float
    until: float | None
    target: str
    value: float
    sets: bool
    label: str


@dataclass(frozen=True)
class _Event:
    """What an item does to the state at one moment."""

    index: int
    change: Change


def changes_of(experiment: Experiment, shares: GeneShares | None = None) -> tuple[Change, ...]:
    """Return what an experiment changes in the model, in order of time.

    Parameters
    ----------
    experiment : Experiment
        Its schedule may be in any order.
    shares : callable, optional
        Resolves the genes of knock_down and overexpress; needed where there are any.

    Returns
    -------
    tuple of Change
        Sorted by time in hours; negative times are before time zero. At one time, ends come before beginnings, and
        either keep the order of the schedule. Changes at or after the end of the experiment are left out.

    Raises
    ------
    ExperimentError
        If two items contradict each other: they act on one parameter, at least one of them sets its value, and both
        begin at one time or one begins before the other has ended; or both change the state at one time and the
        result would depend on which is first. If a ligature is to be opened that was never tied.
    UnknownNameError
        For a cell type whose division cannot be blocked.
    """
    refuse_impossible(experiment.schedule)
    refuse_in_culture(experiment.culture, experiment.schedule, experiment.set)
    actions: list[_Action] = []
    events: list[_Event] = []
    for index, item in enumerate(experiment.schedule):
        events += _events(index, item, experiment.end_h)
        actions += _actions(index, item, experiment.schedule, shares)
    _refuse_contradictions(actions)
    _refuse_order(events)
    timed = [(e.change.at_h, 1, e.index, e.change) for e in events]
    timed += [entry for action in actions for entry in _written_out(action, actions, experiment)]
    timed.sort(key=lambda entry: entry[:3])
    return tuple(change for at_h, _, _, change in timed if at_h < experiment.end_h)


# --- what happens to the state -------------------------------------------------------------------------------------


def _events(index: int, item: Item, end_h: float) -> list[_Event]:
    """Return what an item does to the state, at each of the times at which it does so."""
    at = item.at
    match item:
        case Graft(fraction=fraction, cold_ischaemia=killed):
            found = [Change(at, "renew", _LIVER, fraction, f"a graft of {fraction:.4g} of the healthy liver")]
            for cell in ("HEP", "LSEC") if killed else ():
                label = f"{killed:.4g} of the {cell} of the graft killed by cold"
                found.append(Change(at, "kill", cell, 1.0 - killed, label, _NECROTIC))
            return [_Event(index, change) for change in found]
        case Deplete(cell=cell, fraction=fraction) if cell in VISITORS:
            return [
                _Event(index, Change(at, "scale_state", cell, 1.0 - fraction, f"{fraction:.4g} of the {cell} removed"))
            ]
        case Deplete(cell=cell, fraction=fraction):
            return [_Event(index, Change(at, "kill", cell, 1.0 - fraction, f"{fraction:.4g} of the {cell} removed"))]
        case Label(cell=cell, zone=zone, fraction=fraction):
            where, words = (f"@{zone}", f" of zone {zone}") if zone else ("", "")
            return [
                _Event(
                    index,
                    Change(
                        at, "mark", f"{cell}.label{where}", fraction, f"{fraction:.4g} of the {cell}{words} labelled"
                    ),
                )
            ]
        case DepleteMatrix(fraction=fraction):
            label = f"{fraction:.4g} of the matrix digested"
            return [_Event(index, Change(at, "scale_state", t, 1.0 - fraction, label)) for t in ("signal.ECM", "store")]
        case PartialHepatectomy() | DuctInjury() | HepatocyteAblation() | ZonalNecrosis():
            return [_Event(index, c) for time in _times(item, end_h) for c in _blows(item, time)]
    return [_Event(index, change) for change in lobe_changes(item)]


def _times(item: PartialHepatectomy | DuctInjury | HepatocyteAblation | ZonalNecrosis, end_h: float) -> list[float]:
    """Return when an injury happens: once, or again and again before its end and that of the experiment."""
    if item.every is None:
        return [item.at]
    last = end_h if item.until is None else min(item.until, end_h)
    count = math.ceil((last - item.at) / item.every)
    if count > MOST_REPEATS:
        raise ExperimentError(
            f"an injury repeated every '{hours_text(item.every)}' happens {count} times; "
            f"allowed: at most {MOST_REPEATS} times; repeat it less often, or end it with 'until'"
        )
    return [time for k in range(count) if (time := item.at + k * item.every) < last]


def _blows(item: PartialHepatectomy | DuctInjury | HepatocyteAblation | ZonalNecrosis, at: float) -> list[Change]:
    """Return what an injury does to the state at one time."""
    match item:
        case PartialHepatectomy(fraction=fraction):
            label = f"{fraction:.4g} of the liver removed"
            return [Change(at, "scale_extensive", _LIVER, 1.0 - fraction, label)]
        case DuctInjury(fraction=fraction):
            return [Change(at, "kill", "BEC", 1.0 - fraction, f"{fraction:.4g} of the BECs killed", _NECROTIC)]
        case HepatocyteAblation(fraction=fraction, manner=manner):
            into = _NECROTIC if manner == "necrosis" else _APOPTOTIC
            label = f"{fraction:.4g} of the hepatocytes killed ({manner})"
            return [Change(at, "kill", "HEP", 1.0 - fraction, label, into)]
        case ZonalNecrosis(zone1=one, zone2=two, zone3=three):
            return [
                Change(at, "kill", f"HEP@{z}", 1.0 - f, f"{f:.4g} of the hepatocytes of zone {z} killed", _NECROTIC)
                for z, f in ((1, one), (2, two), (3, three))
                if f > 0.0
            ]


def _refuse_order(events: Sequence[_Event]) -> None:
    """Raise if what two items leave at one time would depend on which of them is listed first.

    Removals and deaths of one kind commute. A new liver does not commute with anything done to the old one, nor does
    a death of cells with their removal or with a death of another kind.
    """
    for first, second in itertools.combinations(events, 2):
        a, b = first.change, second.change
        if a.at_h != b.at_h or first.index == second.index:
            continue
        same_cell = a.target.partition("@")[0] == b.target.partition("@")[0]
        two_deaths = a.action == b.action == "kill" and same_cell and a.into != b.into
        if "renew" in (a.action, b.action) or two_deaths:
            low, high = sorted((first.index, second.index))
            raise ExperimentError(
                f"schedule[{low}] and schedule[{high}] contradict each other: the result of both at "
                f"'{hours_text(a.at_h)}' depends on which comes first; allowed: one at a time; move one of them"
            )


# --- what happens to parameters ------------------------------------------------------------------------------------


#: What an item does to one parameter: target, value, whether it is set rather than multiplied, and words for it.
_Written = tuple[str, float, bool, str]


def _actions(index: int, item: Item, schedule: Sequence[Item], shares: GeneShares | None) -> list[_Action]:
    """Say in words of the model what an item does to parameters."""
    until = getattr(item, "until", None)
    if isinstance(item, ReleaseLigature):
        _tied_before(index, item, schedule)
    if isinstance(item, BileDuctLigation):
        until = _opened(item, schedule)
    written = (
        _on_signals(item) or _on_body(item) or _on_flow(item) or _on_cells(item, shares) or parameter_changes(item)
    )
    return [_Action(index, item.at, until, *one) for one in written]


def _on_signals(item: Item) -> list[_Written]:
    """Return what an item gives or takes of signals."""
    match item:
        case Neutralise(signal=signal, fraction=fraction):
            return [(f"free.{signal}", 1.0 - fraction, False, f"{fraction:.4g} of {signal} neutralised")]
        case Supplement(signal=signal, factor=factor):
            return [(f"free.{signal}", factor, False, f"{signal} supplemented to x {factor:.4g}")]
        case Recombinant(signal=signal, dose=dose):
            return [(f"supply.{signal}", dose, True, f"{signal} infused at {dose:.4g} healthy supplies")]
        case SerumTransfer(signals=signals):
            return [(f"free.{s}", k, False, f"serum given: {s} x {k:.4g}") for s, k in signals.items()]
        case TransferExosomes(factor=factor):
            return [(f"free.{_EXOSOMES}", factor, False, f"exosomes of hepatocytes given, x {factor:.4g}")]
    return []


def _on_body(item: Item) -> list[_Written]:
    """Return what an item does to the demand and the conditions of the body, bile among them."""
    match item:
        case Body():
            return [(_BODY[name], k, False, f"{name} of the body x {k:.4g}") for name, k in item.factors.items()]
        case ScaleDemand(factor=factor):
            return [(_DEMAND, factor, False, f"demand of the body x {factor:.4g}")]
        case SetParameter(parameter=parameter, value=value):
            return [(parameter, value, True, f"{parameter} set to {value:.6g}")]
        case BileDuctLigation():
            return [(_BILE_FLOW, 0.0, True, "bile duct closed")]
        case DrainBile(bile_return=back):
            label = "bile led outside and given back" if back else "bile led outside"
            return [(_BILE_FLOW, _HEALTHY, True, label), (_BILE_RETURN, _HEALTHY if back else _NOTHING, True, label)]
    return []


def _on_flow(item: Item) -> list[_Written]:
    """Return what an item does to the blood that the liver receives."""
    match item:
        case Ischaemia(fraction=fraction):
            label = f"{fraction:.4g} of the inflow by vein and artery clamped"
            return [(target, 1.0 - fraction, True, label) for target in (_INFLOW, _ARTERY)]
        case HoldPortalFlow(factor=factor):
            silent = (_ANSWERS, 0.0, True, "inflow does not answer to lost function")
            return [(_INFLOW, factor, True, f"inflow held at {factor:.4g}"), silent]
        case ScaleInflow(factor=factor):
            return [(_INFLOW, factor, False, f"all inflow x {factor:.4g}")]
        case Shunt(fraction=fraction):
            return [(_INFLOW, 1.0 - fraction, False, f"{fraction:.4g} of the inflow led round the liver")]
        case SplanchnicVasoconstriction(factor=factor):
            return [(_INFLOW, factor, False, f"inflow lowered to x {factor:.4g}")]
    return []


def _on_cells(item: Item, shares: GeneShares | None) -> list[_Written]:
    """Return what an item does to the division of cells and to the products of their genes."""
    match item:
        case BlockDivision(cell=cell, efficacy=efficacy):
            if cell not in DIVISION_RATES:
                raise unknown("cell", cell, DIVISION_RATES, "block_division names one of these")
            words = f"{efficacy:.4g} of the divisions of {cell} blocked"
            return [(DIVISION_RATES[cell], 1.0 - efficacy, False, words)]
        case KnockDown(gene=gene, fraction=fraction):
            words = f"{fraction:.4g} of {gene} knocked down"
            return [(t, 1.0 - share * fraction, False, words) for t, share in _of_gene(gene, shares).items()]
        case Overexpress(gene=gene, factor=factor):
            words = f"{gene} overexpressed x {factor:.4g}"
            return [(t, 1.0 + share * (factor - 1.0), False, words) for t, share in _of_gene(gene, shares).items()]
    return []


def _of_gene(gene: str, shares: GeneShares | None) -> Mapping[str, float]:
    if shares is None:
        raise TypeError(f"genes such as {gene!r} need the model that they belong to; pass 'shares'")
    return shares(gene)


def _opened(ligation: BileDuctLigation, schedule: Sequence[Item]) -> float | None:
    """Return when a ligature is opened: at its own end, or by the first release after it."""
    times = [item.at for item in schedule if isinstance(item, ReleaseLigature) and item.at > ligation.at]
    if ligation.until is not None:
        times.append(ligation.until)
    return min(times, default=None)


def _tied_before(index: int, release: ReleaseLigature, schedule: Sequence[Item]) -> None:
    """Raise if nothing is tied that a release could open."""
    tied = [item for item in schedule if isinstance(item, BileDuctLigation) and item.at < release.at]
    if not any(item.until is None or item.until > release.at for item in tied):
        raise ExperimentError(
            f"schedule[{index}]: release_ligature at '{hours_text(release.at)}' opens nothing; allowed: after a "
            "bile_duct_ligation that still lasts; add one before it, or remove the release"
        )


def _written_out(
    action: _Action, actions: Iterable[_Action], experiment: Experiment
) -> list[tuple[float, int, int, Change]]:
    """Return the beginning of an action and, if it ends, its end, each with its sort key."""
    kind: Literal["set_parameter", "scale_parameter"] = "set_parameter" if action.sets else "scale_parameter"
    begin = Change(action.at, kind, action.target, action.value, action.label)
    entries = [(action.at, 1, action.index, begin)]
    same_target = [other for other in actions if other.target == action.target and other is not action]
    taken_over = action.sets and any(other.sets and other.at == action.until for other in same_target)
    if action.until is not None and not taken_over:
        back = _value_before(action, same_target, experiment) if action.sets else 1.0 / action.value
        end = Change(action.until, kind, action.target, back, f"end of: {action.label}")
        entries.append((action.until, 0, action.index, end))
    return entries


def _value_before(action: _Action, same_target: Iterable[_Action], experiment: Experiment) -> float:
    """Return the value an action replaces: only earlier actions that last have left something of theirs."""
    value = experiment.set.get(action.target, _NOTHING if action.target.startswith("supply.") else _HEALTHY)
    for other in sorted(same_target, key=lambda other: (other.at, other.index)):
        if other.at < action.at and other.until is None:
            value = other.value if other.sets else value * other.value
    return value


def _refuse_contradictions(actions: Iterable[_Action]) -> None:
    """Raise if the value of a parameter would depend on which of two items is listed first, or outlive a set value."""
    ordered = sorted(actions, key=lambda action: (action.at, action.index))
    for first, second in itertools.combinations(ordered, 2):
        overlap = first.at == second.at or (first.until is not None and second.at < first.until)
        if overlap and first.target == second.target and (first.sets or second.sets):
            low, high = sorted((first.index, second.index))
            raise ExperimentError(
                f"schedule[{low}] and schedule[{high}] contradict each other: both change {shown(first.target)} at "
                f"'{hours_text(second.at)}'; allowed: one at a time where one of them sets the value; "
                "remove one or let it begin when the other has ended"
            )
