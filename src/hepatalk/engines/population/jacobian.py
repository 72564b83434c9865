"""Where the nonzero entries of the Jacobian are: made once per model structure, used at every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hepatalk.model.compiled import CompiledModel

__all__ = ["Sparsity", "sparsity_of"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sparsity:
    """Tables for `hepatalk.engines.population.kernels.jacobian`.

    Attributes
    ----------
    pattern : (n_states, n_states) csc matrix of 1
        Compressed by column, the order of the entries; the diagonal is always there.
    gradient_start : (n_ops + 1,) int array
    n_gradient : int
        Length of all gradients together.
    scatter_start : (n_inputs + 1,) int array
    scatter : (n_scatter,) int array
    entry_start : (n_fluxes + 1,) int array
    entry : (n_entry,) int array
        See `hepatalk.engines.population.kernels.GradientTables`.
    """

    pattern: sparse.csc_matrix
    gradient_start: Ints
    n_gradient: int
    scatter_start: Ints
    scatter: Ints
    entry_start: Ints
    entry: Ints


def sparsity_of(model: CompiledModel) -> Sparsity:
    """Trace which states each operation, and so each derivative, depends on.

    Parameters
    ----------
    model : CompiledModel

    Returns
    -------
    Sparsity
    """
    n = model.n_states
    columns: list[Ints] = []
    scatter_start = np.zeros(len(model.inputs) + 1, dtype=np.int64)
    scatter: list[Ints] = []
    gradient_start = np.zeros(model.n_ops + 1, dtype=np.int64)
    # Plain int lists: indexing arrays element by element would dominate the compile time.
    inputs, starts = model.inputs.tolist(), model.input_start.tolist()
    for k in range(model.n_ops):
        parts = [np.array([i], dtype=np.int64) if i < n else columns[i - n] for i in inputs[starts[k] : starts[k + 1]]]
        own = _union(parts)
        columns.append(own)
        gradient_start[k + 1] = gradient_start[k] + len(own)
        for offset, part in enumerate(parts):
            j = starts[k] + offset
            scatter_start[j + 1] = scatter_start[j] + len(part)
            scatter.append(np.searchsorted(own, part) + gradient_start[k])
    rows, cols, sizes = [], [], []
    flux, flux_start = model.flux.tolist(), model.flux_start.tolist()
    for i in range(n):
        for f in range(flux_start[i], flux_start[i + 1]):
            slot = flux[f]
            dependence = np.array([slot], dtype=np.int64) if slot < n else columns[slot - n]
            rows.append(np.full(len(dependence), i, dtype=np.int64))
            cols.append(dependence)
            sizes.append(len(dependence))
    row, col = np.concatenate(rows), np.concatenate(cols)
    diagonal = np.arange(n, dtype=np.int64)
    keys = np.unique(np.concatenate([col * n + row, diagonal * n + diagonal]))
    pattern = sparse.csc_matrix((np.ones(len(keys)), (keys % n, keys // n)), shape=(n, n))
    entry = np.searchsorted(keys, col * n + row)
    entry_start = np.zeros(len(sizes) + 1, dtype=np.int64)
    entry_start[1:] = np.cumsum(sizes)
    flat = np.concatenate(scatter) if scatter else np.zeros(0, dtype=np.int64)
    return Sparsity(
        pattern,
        gradient_start,
        int(gradient_start[-1]),
        scatter_start,
        flat.astype(np.int64),
        entry_start,
        entry.astype(np.int64),
    )


def _union(parts: list[Ints]) -> Ints:
    if not parts:
        return np.zeros(0, dtype=np.int64)
    if len(parts) == 1:
        return parts[0]
    return np.unique(np.concatenate(parts))
