r"""Two lobes a second time: each lobe as a liver of its own, which is sent its part of the blood and of the demand.

`reference.py` writes the equations of one liver. Here a lobe of healthy size w is such a liver, in its own units
(amounts / w), with an inflow and a demand that follow from the endothelium of both lobes and from the openness of their
portal branches. What the body has one of (systemic signals, bile acids, the response of inflow, the account of lost
function) is written once more for both lobes together. Nothing is shared with the compiled model but the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

ZONES = (1, 2, 3)
LOBES = ("A", "B")


class TwoLobes:
    """The model of a liver of two lobes, made of a reference and of what its module holds.

    Parameters
    ----------
    module : module
        `reference.py`.
    reference : Reference
        One liver.
    """

    def __init__(self, module: Any, reference: Any) -> None:
        self.module, self.one = module, reference
        small = reference.number("lobe_b_share")
        self.size = {"A": 1.0 - small, "B": small}

    def name(self, state: str, lobe: str) -> str:
        """Return the name of a state of one liver in a lobe; what belongs to the body keeps its own."""
        bare, at, zone = state.partition("@")
        return f"{bare}@{lobe}{zone}" if at else bare

    def unit(self, state: str, lobe: str) -> float:
        """Return how much of a state of one liver is 1 of it in a lobe: amounts are those of the lobe."""
        return self.size[lobe] if state in self.one.tissue else 1.0

    @property
    def rest(self) -> dict[str, float]:
        """The healthy state."""
        return {self.name(s, x): v * self.unit(s, x) for x in LOBES for s, v in self.one.rest.items()}

    def lobe_state(self, state: Mapping[str, float], lobe: str) -> dict[str, float]:
        """Return the state of a lobe as that of a whole liver."""
        return {s: state[self.name(s, lobe)] / self.unit(s, lobe) for s in self.one.state_names}

    def settings(self, state: Mapping[str, float], runtime: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """Return what each lobe, a liver of its own, is sent and asked: inflow and demand x its own healthy ones."""
        common = {k: v for k, v in runtime.items() if not k.startswith("lobe.") and k != "portal_collaterals"}
        now = self.module.Moment(self.one, self.lobe_state(state, "A"), common).now
        k = runtime.get("portal_collaterals", self.one.number("portal_collaterals"))
        opened = {x: runtime.get(f"lobe.{x}.portal", 1.0) for x in LOBES}
        other = {"A": "B", "B": "A"}
        bed = {x: sum(state[f"LSEC.count@{x}{z}"] for z in ZONES) for x in LOBES}
        conductance = {x: bed[x] * (opened[x] + (1 - opened[x]) * k * opened[other[x]]) for x in LOBES}
        function = self.capacity(state) / now("body.demand")
        answer = state["inflow_response"] + now("inflow_fast") * (1 - function)
        self.demand = now("body.demand")
        self.inflow = now("body.inflow") * (1 + now("body.inflow_answers", 1.0) * answer)
        self.function = function
        whole = self.module.Moment(self.one, {**self.lobe_state(state, "A"), "inflow_response": 0.0}, {
            **common, "body.inflow": self.inflow, "body.inflow_answers": 0.0
        }).physics  # fmt: skip
        self.blood = whole["blood"]
        arterial = self.one.number("arterial_share")
        found = {}
        for x in LOBES:
            by_artery = arterial * whole["artery"] * bed[x] / sum(bed.values())
            by_vein = (1 - arterial) * self.inflow * conductance[x] / sum(conductance.values())
            blood = by_artery + by_vein
            found[x] = {
                **common,
                "lobe.blood": blood / self.size[x],
                "lobe.inflow": self.inflow * blood / whole["blood"] / self.size[x],
                "lobe.oxygen_supply": whole["oxygen_supply"],
                "lobe.demand": now("body.demand") * blood / whole["blood"] / self.size[x],
            }
        return found

    def capacity(self, state: Mapping[str, float]) -> float:
        """Return the hepatocyte mass of both lobes."""
        return sum(state[f"HEP.mass@{x}{z}"] for x in LOBES for z in ZONES)

    def rhs(self, state: Mapping[str, float], runtime: Mapping[str, float]) -> dict[str, float]:
        """Return the time derivative of every state, per h."""
        settings = self.settings(state, runtime)
        lobes = {x: self.module.Moment(self.one, self.lobe_state(state, x), settings[x]) for x in LOBES}
        volume = {x: self.size[x] * lobes[x].physics["volume"] for x in LOBES}
        d: dict[str, float] = {}
        for x in LOBES:
            alone = dict(zip(self.one.state_names, self.one.rhs(lobes[x].state, settings[x]), strict=True))
            d |= {self.name(s, x): v * self.unit(s, x) for s, v in alone.items() if "@" in s}
        for signal in self.one.knowledge.signals:
            if signal.kind == "systemic":
                d[f"signal.{signal.id}"] = self._systemic(signal, state, lobes, volume)
            elif signal.mixing == "blood_mixing":
                pace = lobes["A"].now(signal.mixing)
                kept = {
                    x: {z: lobes[x].physics[f"volume@{z}"] / self.one.healthy_volume(z) for z in ZONES} for x in LOBES
                }
                mean = {
                    x: sum(kept[x][z] * state[f"signal.{signal.id}@{x}{z}"] for z in ZONES) / sum(kept[x].values())
                    for x in LOBES
                }
                whole = sum(volume[x] * mean[x] for x in LOBES) / sum(volume.values())
                for x in LOBES:
                    for z in ZONES:
                        d[f"signal.{signal.id}@{x}{z}"] += pace * (whole - mean[x])
        d |= self._body(state, lobes["A"], runtime)
        return d

    def _systemic(
        self, signal: Any, state: Mapping[str, float], lobes: Mapping[str, Any], volume: Mapping[str, float]
    ) -> float:
        """Released as demand has it, out by what both lobes have to clear it; influences by their volume."""
        one, now = self.one, lobes["A"].now

        def gates(target: str) -> float:
            felt = {x: one._gates(lobes[x], 2, target) for x in LOBES}
            return sum(volume[x] * felt[x] for x in LOBES) / sum(volume.values())

        def both(quantity: str) -> float:
            return sum(self.size[x] * lobes[x].physics[quantity] for x in LOBES)

        removers = {"volume": "volume", "HEP": "capacity", "bile": "bile_clearance", "KC": "KC.total"}
        remover = removers.get(signal.cleared_by)
        supply = self.demand * now("body.release", 1.0) * gates(f"secretion.{signal.id}")
        supply *= now(f"activity.signal.{signal.id}@blood", 1.0)
        if signal.cleared_by == "bile":
            made = one.number("bile_synthesis_share")
            supply *= made + (1 - made) * state["bile_return"]
        removal = state[f"signal.{signal.id}"] * gates(f"clearance.{signal.id}") * (both(remover) if remover else 1.0)
        k = now(f"clearance.{signal.id}", one._clearance(signal))
        return float(k * (supply + now(f"supply.{signal.id}", 0.0) - removal))

    def _body(self, state: Mapping[str, float], moment: Any, runtime: Mapping[str, float]) -> dict[str, float]:
        """The response of inflow, bile acids on their way back, and the account of lost function."""
        one, now = self.one, moment.now
        demand, shared = now("body.demand"), now("body.demand_shared")
        load = shared * demand / self.capacity(state) + (1 - shared) * demand
        shortfall = self.module.hill(load, 1 / one.number("critical_function"), 3.0)
        back = now("body.bile_flow") * now("body.bile_return")
        return {
            "inflow_response": (now("inflow_slow") * (1 - self.function) - state["inflow_response"])
            / one.number("inflow_time"),
            "NK": (self.blood - state["NK"]) / one.number("nk_return_time"),
            "T": (self.blood - state["T"]) / one.number("t_cell_return_time"),
            "bile_return": (back - state["bile_return"]) / one.number("bile_transit"),
            "deficit": shortfall - now("deficit_recovery") * state["deficit"],
        }


def as_array(by_name: Mapping[str, float], names: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Return values in the order of names."""
    return np.array([by_name[name] for name in names])
