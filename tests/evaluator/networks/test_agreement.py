"""Networks of which folding, layout or a graph make others, and networks without one answer."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from evaluator.errors import UnstableAnswer, UsageError
from evaluator.networks.agreement import plain_answer
from evaluator.networks.network import Network
from evaluator.networks.tracing import record_forward
from evaluator.references import as_reference
from evaluator.user_code import load
from tests.evaluator.execution.support import ROOT
from tests.evaluator.networks.families.support import loaded
from tests.networks import plain as unnormalised
from tests.networks import random_images

NETS = '''
import random
import warnings
import torch
import torch.nn.functional as F
import torch.nn.utils.prune
from torch import nn

FACTS = {"side": 32, "mean": 0.5, "std": 0.25}


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm, self.other = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, 1, 1)
        self.classes = nn.Linear(8, 5)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.3, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias, 0, 0.3)

    def features(self, x):
        return F.relu(self.second(F.relu(self.norm(self.first(x)))))

    def forward(self, x):
        return self.classes(self.features(x).mean((2, 3)))


class Mirrored(Base):
    def forward(self, x):
        return self.classes((self.features(x) + self.features(x.flip(-1))).mean((2, 3)))


class TwoNorms(Base):
    def forward(self, x):
        both = F.relu(self.norm(self.first(x))) + F.relu(self.other(self.first(x.flip(-1))))
        return self.classes(F.relu(self.second(both)).mean((2, 3)))


class Recurrent(Base):
    def forward(self, x):
        x = self.first(x)
        for _ in range(3):
            x = F.relu(self.norm(self.second(x)))
        return self.classes(x.mean((2, 3)))


class OldView(Base):
    def __init__(self):
        super().__init__()
        self.long = nn.Linear(8 * 16 * 16, 5)

    def forward(self, x):
        x = self.features(x)
        return self.long(x.view(x.size(0), -1))


class Weighted(Base):
    def __init__(self):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # networks of old use it
            self.first = nn.utils.weight_norm(self.first)

    def forward(self, x):
        return self.classes(F.relu(self.second(self.norm(self.first(x)))).mean((2, 3)))


class Parametrised(Weighted):
    def __init__(self):
        Base.__init__(self)
        self.first = nn.utils.parametrizations.weight_norm(self.first)


class Pruned(Base):
    def __init__(self):
        super().__init__()
        for layer in (self.first, self.second):
            nn.utils.prune.l1_unstructured(layer, "weight", 0.5)


class Spectral(Weighted):
    def __init__(self):
        Base.__init__(self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.first = nn.utils.spectral_norm(self.first)


class Volume(Base):
    """The colours as the depth of a volume."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(1, 8, 3, (1, 2, 2), (0, 1, 1))

    def features(self, x):
        return F.relu(self.second(F.relu(self.norm(self.first(x[:, None]).squeeze(2)))))


class Dynamic(Base):
    """Every image has kernels of its own, mixed from a bank."""

    def __init__(self):
        super().__init__()
        self.bank, self.route = nn.Parameter(torch.randn(4, 8, 8, 3, 3)), nn.Linear(8, 4)

    def features(self, x):
        x = F.relu(self.norm(self.first(x)))
        n, k, h, w = x.shape
        kernels = (self.route(x.mean((2, 3))).softmax(1) @ self.bank.flatten(1)).view(-1, k, 3, 3)
        mixed = F.conv2d(x.reshape(1, -1, h, w), kernels, padding=1, groups=n)
        return F.relu(mixed.view(n, k, h, w))


class Standardised(nn.Conv2d):
    """Pads as EfficientNet's do, and does more."""

    static_padding = nn.ZeroPad2d(1)

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(self.static_padding(x), weight, self.bias)


class Padded(Base):
    def __init__(self):
        super().__init__()
        self.second = Standardised(8, 8, 3)


class Reassigned(OldView):
    """Keeps what it has seen: in a buffer, a list and an attribute."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))
        self.kept = []

    def forward(self, x):
        self.last = self.features(x)
        self.kept.append(self.last)
        self.seen = self.seen * 0.9 + self.last.mean() * 0.1
        return super().forward(x)


class Numpy(Base):
    """Numpy's arrays have no bfloat16, and autograd does not follow them."""

    def forward(self, x):
        return self.classes(torch.from_numpy(self.features(x).numpy()).mean((2, 3)))


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.round()

    @staticmethod
    def backward(context, gradient):
        return gradient


class Hard(Base):
    """Steps, with the gradient of a straight line."""

    def forward(self, x):
        return self.classes(Straight.apply(4 * self.features(x)).mean((2, 3)))


class Lazy(Base):
    """A position code that is made at the first forward."""

    code = None

    def forward(self, x):
        x = self.features(x)
        if self.code is None:
            self.code = torch.randn(x.shape[1:])
        return self.classes((x + self.code).mean((2, 3)))


class Calibrated(Base):
    """Scales itself by the first images that it sees."""

    scale = None

    def forward(self, x):
        answer = super().forward(x)
        scale, self.scale = (2.0 if self.scale is None else self.scale), 1.0
        return answer * scale


class Dropout(Base):
    def forward(self, x):
        return self.classes(F.dropout(self.features(x).mean((2, 3)), 0.5, training=True))


class Noise(Base):
    def forward(self, x):
        answer = super().forward(x)
        return answer + 0.003 * torch.randn_like(answer)


class Counting(Base):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * (1 + 0.01 * self.calls)


class Chance(Base):
    def forward(self, x):
        return super().forward(x) + random.random()


class BatchStatistics(Base):
    def forward(self, x):
        return self.classes(F.batch_norm(self.features(x), None, None, training=True).mean((2, 3)))


class BatchMaximum(Base):
    def forward(self, x):
        return super().forward(x / x.abs().max())


class AlwaysTrain(Base):
    def train(self, mode=True):
        return super().train(True)


class BySize(Base):
    def forward(self, x):
        return super().forward(x) * (2.0 if x.shape[0] == 1 else 1.0)


class Probable(Base):
    def forward(self, x):
        return (3 * super().forward(x)).softmax(1)


class Sigmoid(Base):
    def forward(self, x):
        return super().forward(x).sigmoid()


class OneSigmoid(Base):
    def forward(self, x):
        return super().forward(x).sigmoid()[:, :1]


class LogProbable(Base):
    def forward(self, x):
        return super().forward(x).log_softmax(1)


class Pair(Base):
    """Features beside the logits."""

    def forward(self, x):
        x = self.features(x).mean((2, 3))
        return x, self.classes(x)


class TwoSides(Pair):
    """As Pair, and its graph cannot be traced."""

    def forward(self, x):
        return super().forward(x if x.sum() > 0 else x + 0)
'''

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("nets") / "nets.py"
    names = [
        line.split()[1].partition("(")[0] for line in NETS.splitlines() if line.startswith("class ")
    ]
    built = "".join(
        f"\n\ndef {name.lower()}():\n    return {name}(), dict(FACTS)\n"
        for name in names
        if name not in ("Straight", "Standardised")
    )
    file.write_text(NETS + built)
    return file


def network(file: Path, name: str) -> Network:
    return Network(loaded(f"{file}:{name}"), device=CPU, precision="fp32", batch_size=4)


def plain(file: Path, name: str, images: torch.Tensor) -> torch.Tensor:
    """The logits of plain PyTorch, one image at a time."""
    model, _ = load(as_reference(f"{file}:{name.partition(':')[0]}"))()
    model.eval()
    with torch.no_grad():
        return torch.cat([model(images[n : n + 1].contiguous()) for n in range(len(images))])


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("base", ""),
        ("mirrored", "folded batch normalisations"),
        ("twonorms", "folded batch normalisations"),
        ("recurrent", "folded batch normalisations"),
        ("oldview", "channels-last layout"),
        ("weighted", "folded batch normalisations"),
        ("parametrised", ""),
        ("pruned", "folded batch normalisations"),
        ("spectral", "folded batch normalisations"),
        ("volume", "channels-last layout"),
        ("dynamic", "channels-last layout"),
        ("reassigned", "channels-last layout"),
        ("padded", ""),
        ("hard:layer=second", "a cut graph"),
    ],
)
def test_what_runs_answers_as_it_was_given_and_what_is_switched_off_is_said(
    file: Path, name: str, off: str
) -> None:
    runs, images = network(file, name), random_images(6, seed=3)
    seen = runs.observe(6, lambda start, stop: images[start:stop])
    expected = plain(file, name, images)
    assert (runs.scores(seen.logits) - expected.double().softmax(1)).abs().max() < 1e-4
    said = [remark for remark in runs.backbone.facts.remarks if "runs without" in remark]
    assert bool(said) == bool(off)
    assert all(remark.startswith(f"runs without {off}: with") for remark in said)


def test_a_network_that_fails_in_bfloat16_runs_in_float32(file: Path) -> None:
    runs = Network(loaded(f"{file}:numpy"), device=CPU, precision="mixed", batch_size=4)
    images = random_images(3, seed=1)
    (found,) = runs.passes(3, lambda start, stop: images[start:stop], channel_scoring=True)
    assert torch.allclose(found.logits, plain(file, "numpy", images), atol=1e-5)
    assert [remark.partition(":")[0] for remark in runs.backbone.facts.remarks] == [
        "no gradient reaches layer second",
        "runs in float32 throughout",
    ]


def test_a_gradient_that_a_graph_would_lose_is_that_of_the_network(file: Path) -> None:
    backbone, images = loaded(f"{file}:hard:layer=second"), random_images(2, seed=3)
    answer = backbone.answer(images)
    assert answer.gradient(torch.tensor([1, 2])).abs().max() > 0, "round() has none"


@pytest.mark.parametrize("name", ["lazy", "calibrated"])
def test_what_is_merely_lazy_passes(file: Path, name: str) -> None:
    backbone, images = loaded(f"{file}:{name}"), random_images(3, seed=1)
    answers = [backbone.answer(images).logits for _ in range(2)]
    assert torch.equal(*answers)


@pytest.mark.parametrize("name", ["dropout", "noise", "counting", "chance"])
def test_an_answer_that_differs_each_time_is_refused(file: Path, name: str) -> None:
    with pytest.raises(UnstableAnswer, match="answers differently each time") as caught:
        loaded(f"{file}:{name}")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("name", ["batchstatistics", "batchmaximum", "alwaystrain", "bysize"])
def test_an_answer_that_depends_on_the_batch_is_refused(file: Path, name: str) -> None:
    with pytest.raises(UnstableAnswer, match="depends on the images beside it") as caught:
        loaded(f"{file}:{name}")
    if name == "alwaystrain":
        assert "eval() leaves BatchNorm2d in training mode" in caught.value.message


def test_the_checks_leave_random_numbers_alone(file: Path) -> None:
    torch.manual_seed(4)
    expected = torch.rand(1)
    torch.manual_seed(4)
    with pytest.raises(UnstableAnswer):
        loaded(f"{file}:dropout")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("probable", "are at least 0 and add up to 1, as probabilities do, and softmax"),
        ("sigmoid:score=sigmoid", "lie within 0 and 1, as probabilities do, and sigmoid"),
        ("logprobable", ""),
        ("base", ""),
        ("probable:score=probability", ""),
    ],
)
def test_outputs_that_are_probabilities_already_are_told(file: Path, name: str, words: str) -> None:
    remarks = loaded(f"{file}:{name}").facts.remarks
    assert (words in remarks[0] and "score=probability" in remarks[0]) if words else not remarks


def test_probabilities_are_taken_as_they_are(file: Path) -> None:
    images = random_images(3, seed=1)
    for name in ("probable", "sigmoid"):
        runs = network(file, f"{name}:score=probability")
        found = runs.scores(runs.forward(images, channel_scoring=False).logits)
        assert torch.allclose(found.float(), plain(file, name, images), atol=1e-6)
    runs = network(file, "onesigmoid:score=probability")
    found = runs.scores(runs.forward(images, channel_scoring=False).logits)
    p = plain(file, "onesigmoid", images)
    assert torch.allclose(found.float(), torch.cat([1 - p, p], 1), atol=1e-6)
    with pytest.raises(UsageError, match="the network's outputs are no probabilities"):
        loaded(f"{file}:base:score=probability")


@pytest.mark.parametrize("cut", ["graph", "hooks"])
def test_the_named_output_is_explained_whichever_way_the_network_is_cut(
    file: Path, cut: str
) -> None:
    images = random_images(3, seed=1)
    runs = network(file, f"pair:output=1,cut={cut}")
    found = runs.forward(images, channel_scoring=False)
    model, _ = load(as_reference(f"{file}:pair"))()
    with torch.no_grad():
        assert torch.allclose(found.logits, model.eval()(images)[1], atol=1e-5)
    assert runs.backbone.facts.class_count == 5
    with pytest.raises(UsageError, match=r"0 \(2 × 8\), 1 \(2 × 5\)"):
        loaded(f"{file}:pair")


def test_a_bfloat16_copy_that_answers_otherwise_is_not_used(file: Path) -> None:
    backbone = loaded(f"{file}:base")
    assert backbone.record is not None
    wrong = backbone.record._replace(logits=-backbone.record.logits)
    runs = Network(replace(backbone, record=wrong), device=CPU, precision="mixed")
    assert runs._bfloat16_copy is None
    assert "bfloat16" in runs.backbone.facts.remarks[-1]
    assert not Network(backbone, device=CPU, precision="mixed").backbone.facts.remarks


SETTINGS = """
import torch
from evaluator.backbones import BackboneSpec
from evaluator.networks import backbone_loading
compare, seen = backbone_loading.departure, []
backbone_loading.departure = lambda *given: (
    seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)),
    compare(*given),
)[1]
before = torch.backends.cudnn.allow_tf32
backbone_loading.load_backbone(BackboneSpec("synthetic_gap"))
print(before, seen)
"""


def test_the_first_network_of_a_process_is_compared_in_float32() -> None:
    """TF32, which torch allows when it starts, moves logits by more than is allowed here."""
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split("\n")[0] == "True [(False, False)]"


class _Named(NamedTuple):
    features: Tensor
    other: Tensor


class _GivesNamed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, 2, 1)

    def forward(self, images: Tensor) -> _Named:
        return _Named(self.body(images).relu(), images)


class _ReadsNamed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.classes = _GivesNamed(), nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classes(self.body(images).features.mean((2, 3)))
        return logits


def test_a_layer_may_give_a_named_tuple() -> None:
    model = _ReadsNamed().eval()
    found = record_forward(model, unnormalised(32))
    with torch.no_grad():
        expected = model(found.images[1:])
    answer = plain_answer(model, found, "body")
    assert torch.allclose(answer.logits, expected)
    assert answer.gradient is not None
