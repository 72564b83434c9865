"""How the cells of a lobule find room: the tissue grows with its cells, and cells push each other apart.

Every few hours the lobule takes the volume that its cells need: it is scaled about its middle, cells and walls alike,
and keeps its shape. Then cells move by the mechanics of `hepatalk.engines.lobule.motion` for a while, and each belongs
to the site whose middle is nearest. A cell type stays in the zones in which the model has it.

Stiffness relative to friction (per h) is assumed: tissue evens out an overlap within an hour or two, fast beside the
cycle of a cell and slow beside a step of the solver. Sites and sinusoids are carried along by the scaling alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.division import daughters
from hepatalk.engines.lobule.motion import Bodies, Box, Mechanics, relax, scale
from hepatalk.engines.lobule.tables import Compartments
from hepatalk.model.fates import NOTHING
from hepatalk.rng import Purpose, uniform

if TYPE_CHECKING:
    from hepatalk.engines.lobule.state import State
    from hepatalk.engines.lobule.tissue import Tissue

__all__ = ["MOVE_EVERY_H", "MOVE_FOR_H", "Motion"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: How often cells are given room, and for how long they then move, in h.
MOVE_EVERY_H, MOVE_FOR_H = 6.0, 1.0
#: Stiffness over friction, per h; adhesion relative to stiffness; where attraction ends, in sums of radii.
_STIFFNESS, _ADHESION, _REACH, _WALL = 2.0, 0.1, 1.25, 4.0
#: Largest error of a cell in a step of the mechanics, um. Half of all cells then end an hour within 0.005 um of a run
#: with a hundredth of it, and 99% within 0.1 um; a site is 50 um wide.
_TOLERANCE_UM = 0.5
#: Cells slower than this are at rest, um/h.
_STILL_UM_PER_H = 0.5


class Motion:
    """The mechanics of a tissue in space.

    Parameters
    ----------
    tissue : Tissue
        In space.
    comps : Compartments
    seed : int
    """

    def __init__(self, tissue: Tissue, comps: Compartments, seed: int) -> None:
        if tissue.space is None:
            raise ValueError("cells move in space only")
        g = tissue.space.geometry
        self._tissue, self._comps, self._seed = tissue, comps, seed
        self._diameter = np.array([g.anatomy.cell_diameter[name] for name in comps.types])
        self._centre = g.boundary.centre
        self._boxes = [Box(g.boundary.normal, offset) for offset in g.boundary.offset]
        self._lobule = g.sites.lobule[tissue.space.order]
        n = len(comps.types)
        table = np.full((n, n), _STIFFNESS)
        self._law = Mechanics(table, np.full((n, n), _ADHESION), np.ones(n), _REACH, _WALL)
        self._volume = tissue.space.transport.volume
        self._lives = comps.share > 0.0
        #: Of bipotential cells on their way to another zone, um/h.
        self.walking_speed = g.anatomy.bip_speed
        self._healthy = float(self._needed(tissue.type_, np.ones(len(tissue.type_))))

    def sites(self, scale_: float) -> Floats:
        """Return the middles of the sites when the lobule is scaled, (n_sites, 3), um."""
        centre = self._centre[self._lobule]
        moved: Floats = centre + (self._tissue.position - centre) * scale_
        return moved

    def _needed(self, type_: Ints, volume: Floats) -> float:
        """Return the volume of cells, um^3."""
        return float((self._diameter[type_] ** 3 * volume).sum() * np.pi / 6.0)

    def settle(self, state: State, dead: float, active: Floats | None = None) -> None:
        """Give every cell its room.

        Parameters
        ----------
        state : State
            Changed in place: positions, sites, and the scale of the lobule.
        dead : float
            Volume of dead tissue as a fraction of the healthy lobule: it takes up room.
        active : (n_cells, 3) float array, optional
            Own forces of the cells, for a friction of 1.
        """
        cells, n = state.cells, state.n
        state.moved_at_h = state.time_h
        if n == 0:
            return
        type_ = self._comps.type_of[cells.comp[:n]]
        need = self._needed(type_, cells.volume[:n]) / self._healthy + dead
        new = float(np.cbrt(max(need, 1e-3)))
        radius = 0.5 * self._diameter[type_] * np.cbrt(cells.volume[:n])
        lobule = self._lobule[cells.site[:n]]
        position = cells.position[:n]
        for k, box in enumerate(self._boxes):
            here = np.flatnonzero(lobule == k)
            if not len(here):
                continue
            centre = self._centre[k]
            grown = scale(position[here], new / state.scale, centre)
            walls = box.scaled(new, centre)
            inside = _pulled_inside(grown, walls)
            bodies = Bodies(inside, radius[here], type_[here].astype(np.int8))
            moved = relax(
                bodies,
                self._law,
                walls,
                duration_h=MOVE_FOR_H,
                tolerance_um=_TOLERANCE_UM,
                still_um_per_h=_STILL_UM_PER_H,
                active=None if active is None else active[here],
            )
            position[here] = moved.position
        state.scale = new

    def confine(self, state: State) -> None:
        """Bring cells back inside the walls, and let each belong to the nearest site of its lobule.

        A cell keeps its site where its type does not live in the zone of the nearest one.
        """
        n = state.n
        if n == 0:
            return
        lobule = self._lobule[state.cells.site[:n]]
        for k, box in enumerate(self._boxes):
            here = np.flatnonzero(lobule == k)
            walls = box.scaled(state.scale, self._centre[k])
            state.cells.position[here] = _pulled_inside(state.cells.position[here], walls)
        type_ = self._comps.type_of[state.cells.comp[:n]]
        tree = cKDTree(self.sites(state.scale))
        nearest = tree.query(state.cells.position[:n])[1].astype(np.int64)
        old = state.cells.site[:n]
        same = self._lobule[nearest] == self._lobule[old]
        lives = self._lives[self._tissue.zone[nearest], type_]
        old[:] = np.where(same & lives, nearest, old)
        goal = state.cells.goal[:n]
        far = goal != NOTHING
        goal[far & (self._tissue.zone[old] == self._tissue.zone[goal])] = NOTHING  # it has come

    def place_daughters(self, state: State, before: int, along: Callable[[State, Ints], Floats]) -> None:
        """Part the cells that have divided from their daughters, which stand behind the first ``before`` cells.

        A division lies along the nearest sinusoid (Hoehme et al. 2010, doi 10.1073/pnas.0909374107).

        Parameters
        ----------
        state : State
        before : int
        along : callable
            Unit vectors (n, 3) of the sinusoids nearest to some cells.
        """
        cells, n = state.cells, state.n
        born = before + np.flatnonzero(cells.parent[before:n] != NOTHING)
        if not len(born):
            return
        # Identities ascend: new cells stand behind the others, and the dead leave in order.
        mother = np.minimum(np.searchsorted(cells.ident[:n], cells.parent[born]), n - 1)
        known = cells.ident[mother] == cells.parent[born]
        born, mother = born[known], mother[known]
        type_ = self._comps.type_of[cells.comp[born]]
        # The volume before division: both halves.
        radius = 0.5 * self._diameter[type_] * np.cbrt(2.0 * cells.volume[born])
        where, _ = daughters(
            cells.position[mother],
            radius,
            along(state, born),
            seed=self._seed,
            cell=cells.ident[mother],
            event=cells.events[mother],
        )
        cells.position[mother], cells.position[born] = where[:, 0], where[:, 1]

    def place_arrivals(self, state: State, before: int) -> None:
        """Put the cells that have come from the blood beside the middles of their sites."""
        cells, n = state.cells, state.n
        come = before + np.flatnonzero(cells.parent[before:n] == NOTHING)
        if not len(come):
            return
        edge = np.cbrt(self._volume[cells.site[come]]) * state.scale
        place = [
            [uniform(self._seed, int(i), axis, int(Purpose.PLACEMENT)) - 0.5 for axis in range(3)]
            for i in cells.ident[come]
        ]
        cells.position[come] = self.sites(state.scale)[cells.site[come]] + np.array(place) * edge[:, None]


def _pulled_inside(position: Floats, walls: Box) -> Floats:
    """Return the positions with cells behind a wall put on it: scaling may leave some a little outside."""
    out = position.copy()
    for _ in range(3):
        for normal, offset in zip(walls.normal, walls.offset, strict=True):
            behind = offset - out @ normal
            out += np.maximum(behind, 0.0)[:, None] * normal
    return out
