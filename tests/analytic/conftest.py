"""What the analytic tests share: the compiled rat, and models of a few operations whose solutions are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hepatalk.knowledge.load import Knowledge, load
from hepatalk.model.compiled import CompiledModel, Relabel
from hepatalk.model.compiler import compile_model
from hepatalk.model.tape import Tape

MakeModel = Callable[[Tape, list[float]], CompiledModel]


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="session")
def rat(knowledge: Knowledge) -> CompiledModel:
    return compile_model(knowledge)


@pytest.fixture(scope="session")
def make_model(rat: CompiledModel) -> MakeModel:
    """Return a function that freezes a tape written by hand, with the state at which it starts."""

    def make(tape: Tape, start: list[float]) -> CompiledModel:
        n = len(tape.state_names)
        input_start, inputs = tape.flat(tape.inputs, slots=True)
        argument_start, arguments = tape.flat(tape.arguments, slots=False)
        by_state = [[(slot, c) for state, slot, c in tape.fluxes if state == i] for i in range(n)]
        flux_start = np.cumsum([0, *(len(fluxes) for fluxes in by_state)])
        return replace(
            rat,
            state_names=tuple(tape.state_names),
            state_units=tuple(tape.state_units),
            slot_names=tuple(tape.op_names),
            param_names=tuple(tape.param_names),
            extensive=np.array(tape.extensive),
            rest=np.array(start),
            params=np.array(tape.params),
            law=np.array([int(law) for law in tape.law], dtype=np.int64),
            input_start=input_start,
            inputs=inputs,
            argument_start=argument_start,
            arguments=arguments,
            flux_start=flux_start.astype(np.int64),
            flux=np.array([tape.settle(slot) for fluxes in by_state for slot, _ in fluxes], dtype=np.int64),
            coefficient=np.array([c for fluxes in by_state for _, c in fluxes]),
            rows=tuple(() for _ in tape.law),
            activities=(),
            relabel=Relabel(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)),
            groups={},
        )

    return make
