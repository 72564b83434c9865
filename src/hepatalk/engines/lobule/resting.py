"""The healthy arrangement of cells: that in which the mechanics leaves them.

Cells are built without regard to each other's size, and take up to three days to find their room. What a healthy cell
has beside it would change all that time: BECs, built as a tight duct, come to touch twice as many hepatocytes and half
as many BECs, and some hepatocytes leave the portal tracts. So a tissue rests before anything is measured on it, and
before a run begins: contacts, numbers of each type at each site and healthy uptake are those of the cells at rest.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hepatalk.engines.lobule.endothelium import Endothelium
from hepatalk.engines.lobule.mechanics import Motion
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.tables import Compartments
from hepatalk.engines.lobule.tissue import Tissue, expected_at_sites

__all__ = ["MOST_ROUNDS", "at_rest"]

#: Cells rest when an hour of the mechanics moves those of every type by less than this in the mean, um; a site is 50 um
#: wide. The wall of the sinusoids, to which cells are brought back after each round, keeps them from ever standing
#: quite still; BECs, which part from tight ducts, are the last to rest.
_REST_UM = 0.3
#: Cells of a type from which their mean counts.
_ENOUGH = 10
#: Rounds after which the arrangement is taken as it is.
MOST_ROUNDS = 40


def at_rest(tissue: Tissue, comps: Compartments, seed: int) -> Tissue:
    """Return the tissue with its cells at rest, and the numbers of cells that its sites then hold.

    Parameters
    ----------
    tissue : Tissue
        In space.
    comps : Compartments
    seed : int

    Returns
    -------
    Tissue
        With other positions, sites of cells and numbers to be expected; vessels and sites stay.
    """
    motion, endothelium = Motion(tissue, comps, seed), Endothelium(tissue, comps)
    state = _bare(tissue, comps, seed)
    every = np.arange(state.n)
    of_type = [np.flatnonzero(tissue.type_ == k) for k in np.unique(tissue.type_)]
    # A few cells say nothing about rest: one that lies between two others may go to and fro.
    of_type = [own for own in of_type if len(own) >= _ENOUGH] or [every]
    for _ in range(MOST_ROUNDS):
        before = state.cells.position[: state.n].copy()
        motion.settle(state, 0.0)
        endothelium.hold(state, every)
        motion.confine(state)
        moved = np.linalg.norm(state.cells.position[: state.n] - before, axis=1)
        if max(float(moved[own].mean()) for own in of_type) < _REST_UM:
            break
    site = state.cells.site[: state.n].copy()
    position = state.cells.position[: state.n].copy()
    rested = replace(tissue, cell_site=site, cell_position=position)
    return replace(rested, expected=expected_at_sites(rested, comps))


def _bare(tissue: Tissue, comps: Compartments, seed: int) -> State:
    """Return a state of cells and vessels alone, all that the mechanics needs."""
    cells, n, ident = first_cells(comps, tissue, seed)
    none, nothing = np.zeros(0), np.zeros((0, tissue.n_sites))
    return State(
        time_h=0.0,
        lobules=1.0,
        params=none,
        body=none,
        level=[],
        cells=cells,
        n=n,
        ident=ident,
        waiting=[],
        drawn=[],
        tally=np.zeros(0, dtype=np.int64),
        step_h=0.0,
        flow_at_sites=np.ones(tissue.n_sites),
        carried=nothing,
        touch_at=np.zeros((0, 3), dtype=np.int64),
        touch_chance=none,
        touch_bare=nothing.astype(np.bool_),
        network=None if tissue.space is None else tissue.space.network,
    )
