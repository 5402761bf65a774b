"""Recurrent cells written from basic operations, because ``nn.LSTM`` has no batching rule for ``torch.func.vmap``.

Letters: T steps of time, I inputs and U units of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # hidden state h and memory c, of the same shape


class LSTMCell(nn.Module):
    """Long short-term memory without peepholes, the equations of ``torch.nn.LSTM`` with its two biases added up.

    i, f, o = sigmoid(W x + R h + b), g = tanh(W x + R h + b), c' = f c + i g, h' = o tanh(c'). A cell with
    ``inputs`` = 0 has no W: it runs on its own state.

    References
    ----------
    Hochreiter & Schmidhuber 1997, Long Short-Term Memory, Neural Computation 9. Gers et al. 2000, Learning to Forget,
    Neural Computation 12.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        bound = units**-0.5
        self.units = units
        if inputs > 0:
            self.weight = nn.Parameter(torch.empty(4 * units, inputs).uniform_(-bound, bound))  # W, rows i, f, g, o
        self.recurrent = nn.Parameter(torch.empty(4 * units, units).uniform_(-bound, bound))  # R
        self.bias = nn.Parameter(torch.empty(4 * units).uniform_(-bound, bound))
        remember(self.bias)

    def project(self, inputs: Tensor) -> Tensor:
        """W x + b of inputs (*, I), for all steps at once where they are known: (*, 4 U)."""
        return nn.functional.linear(inputs, self.weight, self.bias)

    def forward(self, projected: Tensor, state: State) -> State:
        """One step from ``projected`` (B, 4 U), which is W x + b, or b alone (4 U,) for a cell without inputs."""
        hidden, memory = state  # (B, U) twice
        gates = projected + nn.functional.linear(hidden, self.recurrent)
        return _step(gates, memory, dim=1)


class ConvLSTMCell(nn.Module):
    """LSTM whose products are convolutions: states are images, and a unit sees a neighbourhood of the step before.

    Equation 3 of the paper: i = sigmoid(W_xi * x + W_hi * h + w_ci o c + b_i), f likewise, c' = f o c + i o
    tanh(W_xc * x + W_hc * h + b_c), o = sigmoid(W_xo * x + W_ho * h + w_co o c' + b_o), h' = o o tanh(c'), where * is a
    convolution that keeps the size and o the product by elements. Without ``peepholes`` the three w_c are left out.
    A cell with ``inputs`` = 0 runs on its own state.

    References
    ----------
    Shi et al. 2015, Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting,
    arXiv:1506.04214 (section 3.1).
    """

    def __init__(self, inputs: int, units: int, kernel: int, size: Sequence[int], peepholes: bool = False) -> None:
        super().__init__()
        self.units = units
        if inputs > 0:
            self.input = nn.Conv2d(inputs, 4 * units, kernel, padding=kernel // 2, bias=False)
        self.recurrent = nn.Conv2d(units, 4 * units, kernel, padding=kernel // 2)
        remember(self.recurrent.bias)
        if peepholes:
            self.peephole = nn.Parameter(torch.zeros(3, units, *size))  # w_ci, w_cf, w_co; the paper's are 0 at first

    def forward(self, inputs: Tensor | None, state: State) -> State:
        """One step: inputs (B, I, H, W), or None for a cell without, and a state of (B, U, H, W) twice."""
        hidden, memory = state
        gates = self.recurrent(hidden)  # (B, 4 U, H, W)
        if inputs is not None:
            gates = gates + self.input(inputs)
        if not hasattr(self, "peephole"):
            return _step(gates, memory, dim=1)
        write, forget, candidate, show = gates.chunk(4, dim=1)
        write = torch.sigmoid(write + self.peephole[0] * memory)
        forget = torch.sigmoid(forget + self.peephole[1] * memory)
        memory = forget * memory + write * torch.tanh(candidate)
        return torch.sigmoid(show + self.peephole[2] * memory) * torch.tanh(memory), memory


def remember(bias: nn.Parameter) -> None:
    """Set the forget gates' part of a cell's bias (4 U,) to 1, so that memory lasts from the first step of training.

    Jozefowicz et al. 2015, An Empirical Exploration of Recurrent Network Architectures, ICML, section 2.1.
    """
    units = len(bias) // 4
    with torch.no_grad():
        bias[units : 2 * units] = 1


def _step(gates: Tensor, memory: Tensor, dim: int) -> State:
    write, forget, candidate, show = gates.chunk(4, dim=dim)
    memory = torch.sigmoid(forget) * memory + torch.sigmoid(write) * torch.tanh(candidate)
    return torch.sigmoid(show) * torch.tanh(memory), memory
