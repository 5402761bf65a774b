"""Recurrent cells against torch's own and against loops, and the models that read images as sequences."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.models.conv_lstm_ae import ConvLSTMAE
from benchmark.models.lstm_ae import LSTMAE
from benchmark.models.parts.recurrent import ConvLSTMCell, LSTMCell


def test_lstm_cell_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = LSTMCell(5, 7).double(), nn.LSTM(5, 7, batch_first=True).double()
    with torch.no_grad():
        ours.weight.copy_(theirs.weight_ih_l0)
        ours.recurrent.copy_(theirs.weight_hh_l0)
        ours.bias.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
    inputs, state = torch.randn(3, 6, 5).double(), (torch.randn(3, 7).double(), torch.randn(3, 7).double())
    expected, (hidden, memory) = theirs(inputs, (state[0][None], state[1][None]))
    for t, projected in enumerate(ours.project(inputs).unbind(1)):
        state = ours(projected, state)
        torch.testing.assert_close(state[0], expected[:, t], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state[0], hidden[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state[1], memory[0], rtol=1e-12, atol=1e-12)


def test_lstm_ae_is_the_papers_reversed_copy_of_states() -> None:
    """Without a bottleneck: torch's encoder LSTM, its state in torch's decoder LSTM without inputs, rows reversed."""
    torch.manual_seed(0)
    model = LSTMAE((2, 6, 3), units=5, bottleneck=False, decoder="unconditional").double()
    encoder, decoder = nn.LSTM(6, 5, batch_first=True).double(), nn.LSTM(1, 5, batch_first=True).double()
    with torch.no_grad():
        for mine, other in ((model.reader, encoder), (model.writer, decoder)):
            other.weight_hh_l0.copy_(mine.recurrent)
            other.bias_ih_l0.copy_(mine.bias)
            other.bias_hh_l0.zero_()
        encoder.weight_ih_l0.copy_(model.reader.weight)
    images = torch.rand(4, 2, 6, 3).double()
    rows = torch.stack([torch.cat([images[:, 0, t], images[:, 1, t]], dim=1) for t in range(6)], dim=1)  # (4, 6, 6)
    _, state = encoder(rows)
    hidden, _ = decoder(torch.zeros(4, 6, 1).double(), state)
    written = model.pixels(hidden)  # the last row comes first
    expected = torch.empty_like(images)
    for t in range(6):
        expected[:, 0, t], expected[:, 1, t] = written[:, 5 - t, :3], written[:, 5 - t, 3:]
    torch.testing.assert_close(model.write(model.read(images)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", ["reversed", "forward"])
def test_lstm_ae_conditional_decoder_gets_what_it_wrote(order: str) -> None:
    torch.manual_seed(0)
    model = LSTMAE((3, 4, 4), steps="frames", units=5, latent=2, decoder="conditional", order=order).double()
    code = torch.randn(2, 2).double()
    first = model.to_state(code)
    state, frame, expected = (first[:, :5], first[:, 5:]), torch.zeros(2, 16).double(), []
    cell = nn.LSTMCell(16, 5).double()
    with torch.no_grad():
        cell.weight_ih.copy_(model.writer.weight)
        cell.weight_hh.copy_(model.writer.recurrent)
        cell.bias_ih.copy_(model.writer.bias)
        cell.bias_hh.zero_()
    for _ in range(3):
        state = cell(frame, state)
        frame = model.pixels(state[0]).sigmoid()
        expected.append(frame.view(2, 4, 4))
    expected = torch.stack(expected[::-1] if order == "reversed" else expected, dim=1)
    torch.testing.assert_close(model.decode(code), expected, rtol=1e-12, atol=1e-12)


def test_lstm_ae_sequence_and_image_are_inverses() -> None:
    images = torch.rand(2, 3, 5, 4)
    for steps, shape in (("rows", (2, 5, 12)), ("frames", (2, 3, 20))):
        model = LSTMAE((3, 5, 4), steps=steps, units=4)  # type: ignore[arg-type]
        assert model.sequence(images).shape == shape
        assert torch.equal(model.image(model.sequence(images)), images)
    assert torch.equal(LSTMAE((3, 5, 4), units=4).sequence(images)[1, 2], images[1, :, 2].flatten())


@pytest.mark.parametrize("peepholes", [False, True])
def test_conv_lstm_cell_is_a_loop_over_pixels(peepholes: bool) -> None:
    """Equation 3 of Shi et al. 2015 at every pixel by hand, with zeros outside the image."""
    torch.manual_seed(0)
    inputs, units, height, width = 2, 3, 4, 5
    cell = ConvLSTMCell(inputs, units, 3, (height, width), peepholes).double()
    if peepholes:
        nn.init.normal_(cell.peephole)
    x, h, c = (torch.randn(1, n, height, width).double() for n in (inputs, units, units))
    found_h, found_c = cell(x, (h, c))
    padded_x, padded_h = (nn.functional.pad(t, (1, 1, 1, 1))[0] for t in (x, h))
    peephole = cell.peephole if peepholes else torch.zeros(3, units, height, width).double()
    for row in range(height):
        for column in range(width):
            seen_x, seen_h = (p[:, row : row + 3, column : column + 3] for p in (padded_x, padded_h))
            gates = (cell.input.weight * seen_x).sum((1, 2, 3)) + (cell.recurrent.weight * seen_h).sum((1, 2, 3))
            i, f, g, o = (gates + cell.recurrent.bias).view(4, units)
            before = c[0, :, row, column]
            w = peephole[:, :, row, column]
            now = (f + w[1] * before).sigmoid() * before + (i + w[0] * before).sigmoid() * g.tanh()
            torch.testing.assert_close(found_c[0, :, row, column], now, rtol=1e-12, atol=1e-12)
            expected = (o + w[2] * now).sigmoid() * now.tanh()
            torch.testing.assert_close(found_h[0, :, row, column], expected, rtol=1e-12, atol=1e-12)


def test_conv_lstm_cell_at_one_pixel_is_torchs_lstm_cell() -> None:
    torch.manual_seed(0)
    ours, theirs = ConvLSTMCell(4, 6, 1, (1, 1)).double(), nn.LSTMCell(4, 6).double()
    with torch.no_grad():
        ours.input.weight.copy_(theirs.weight_ih[..., None, None])
        ours.recurrent.weight.copy_(theirs.weight_hh[..., None, None])
        ours.recurrent.bias.copy_(theirs.bias_ih + theirs.bias_hh)
    x, h, c = torch.randn(3, 4).double(), torch.randn(3, 6).double(), torch.randn(3, 6).double()
    found = ours(x[..., None, None], (h[..., None, None], c[..., None, None]))
    for ours_, expected in zip(found, theirs(x, (h, c)), strict=True):
        torch.testing.assert_close(ours_[..., 0, 0], expected, rtol=1e-12, atol=1e-12)


def conv_model(**changes: object) -> ConvLSTMAE:
    torch.manual_seed(0)
    settings = {"units": 3, "latent": 2, "fold": 1, "patch": 4} | changes
    return ConvLSTMAE(settings.pop("image_shape", (4, 6, 6)), **settings).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("target", ["reconstruction", "forecast"])
def test_conv_lstm_ae_is_a_loop_over_frames(target: str) -> None:
    """Frames read one after the other; all written last first, or the unseen half written in order."""
    model = conv_model(target=target, peepholes=True)
    images = torch.rand(2, 4, 6, 6).double()
    state = torch.zeros(2, 3, 6, 6).double(), torch.zeros(2, 3, 6, 6).double()
    for t in range(4 if target == "reconstruction" else 2):
        state = model.reader(images[:, t : t + 1], state)
    code = model.to_code(torch.cat([state[0].flatten(1), state[1].flatten(1)], 1))
    numbers = model.to_state(code)
    state = numbers[:, :108].view(2, 3, 6, 6), numbers[:, 108:].view(2, 3, 6, 6)
    expected = images.clone()
    for t in (3, 2, 1, 0) if target == "reconstruction" else (2, 3):
        state = model.writer(None, state)
        expected[:, t] = model.pixels(state[0]).sigmoid()[:, 0]
    found = model.assess(images, {})
    torch.testing.assert_close(found["reconstruction"], expected, rtol=1e-12, atol=1e-12)
    error = (images - expected).square().sum((2, 3))  # (B, T): 0 for the frames that a forecaster has seen
    torch.testing.assert_close(found["scores"]["reconstruction"].double(), error.sum(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["scores"]["worst_frame"].double(), error.amax(1), rtol=1e-5, atol=1e-6)


def test_conv_lstm_ae_forecaster_does_not_see_what_it_writes() -> None:
    model = conv_model(target="forecast", bottleneck=False)
    one, other = torch.rand(2, 2, 4, 6, 6).double()
    other[:, :2] = one[:, :2]
    written = [model.assess(images, {})["reconstruction"][:, 2:] for images in (one, other)]
    assert torch.equal(*written)
    assert model.decode(torch.zeros(1, 2)) is None


@pytest.mark.parametrize(("brightness", "low", "high"), [(0.0, 0.3, 0.7), (0.03, 0.02, 0.045)])
def test_conv_lstm_ae_starts_at_the_brightness_asked_for(brightness: float, low: float, high: float) -> None:
    model = ConvLSTMAE((4, 8, 8), units=8, bottleneck=False, brightness=brightness)
    with torch.no_grad():
        written = torch.sigmoid(model.write(model.read(torch.rand(16, 4, 8, 8))))
    assert low < float(written.mean()) < high


def test_conv_lstm_ae_reads_a_still_image_as_patches() -> None:
    model = conv_model(image_shape=(1, 8, 12))
    image = torch.arange(96.0).view(1, 1, 8, 12)
    frames = model.frames(image)
    assert frames.shape == (1, 6, 4, 4)
    assert torch.equal(frames[0, 4], image[0, 0, 4:8, 4:8])
    assert torch.equal(model.image(frames), image)
    assert torch.equal(conv_model().frames(torch.ones(2, 4, 6, 6)), torch.ones(2, 4, 6, 6))


def test_conv_lstm_ae_folds_blocks_of_pixels_into_channels() -> None:
    """A fold of 2 with the same weights is a model of 4 channels: frames come back where they were."""
    model = conv_model(fold=2)
    assert model.reader.input.in_channels == 4
    assert model.size == (3, 3)
    code = torch.randn(2, 2).double()
    state = model.to_state(code).unflatten(1, (6, 3, 3)).chunk(2, dim=1)
    hidden, _ = model.writer(None, tuple(state))
    blocks = model.pixels(hidden)  # (B, 4, 3, 3)
    last = model.write(code)[:, 3]
    for channel, (y, x) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert torch.equal(last[:, y::2, x::2], blocks[:, channel])


@pytest.mark.parametrize("changes", [{"patch": 5, "image_shape": (1, 8, 8)}, {"fold": 4}])
def test_conv_lstm_ae_says_what_divides(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="do not divide images of"):
        conv_model(**changes)
