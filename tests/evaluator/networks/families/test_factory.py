"""Networks that the user's code builds: what it may give, what is refused in one sentence, and that
nothing runs unasked.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from evaluator import user_code
from evaluator.catalog import method
from evaluator.errors import (
    BackboneUnavailable,
    CodeNotAllowed,
    Mismatch,
    StateChanged,
    UsageError,
)
from evaluator.measuring.pipeline import Batch, Pipeline
from evaluator.measuring.views import BatchView
from evaluator.networks.backbone_loading import load_backbone
from evaluator.networks.network import Network
from evaluator.records import Preprocessing
from tests.evaluator.networks.families.support import NET, loaded, spec_of
from tests.networks import random_images


@pytest.fixture
def net(tmp_path: Path) -> Path:
    file = tmp_path / "with space ä" / "net.py"
    file.parent.mkdir()
    file.write_text(NET)
    return file


def test_facts_beside_the_network_are_its_own(net: Path) -> None:
    backbone = loaded(f"{net}:build")
    facts = backbone.facts
    assert facts.preprocessing == Preprocessing(32, 32, mean=(0.5,), std=(0.25,), channels=1)
    assert (facts.classes, facts.class_count, facts.gap_linear, facts.cut) == (
        tuple("abcde"),
        5,
        True,
        "graph",
    )
    assert facts.weights == "weights as net.py:build makes them"
    assert len(facts.source) == 64
    assert spec_of(f"{net}:build").name == "net.py:build"


def test_what_the_user_says_wins(net: Path) -> None:
    backbone = loaded(f"{net}:build:side=48,std=0.5,layer=features.2,score=sigmoid,cut=hooks")
    facts = backbone.facts
    assert (facts.preprocessing.side, facts.preprocessing.resize, facts.preprocessing.std) == (
        48,
        48,
        (0.5,),
    )
    assert (facts.layer, facts.height, facts.score, facts.cut) == (
        "features.2",
        24,
        "sigmoid",
        "hooks",
    )


def test_every_worker_builds_the_same_network(net: Path) -> None:
    first, again, seeded = (
        loaded(f"{net}:build{tail}").facts for tail in ("", "", ":weights=random:7")
    )
    assert first.sha256 == again.sha256 != seeded.sha256
    assert seeded.weights == "random:7"


def test_a_class_and_a_network_that_stands_there_will_do(net: Path) -> None:
    assert loaded(f"{net}:Net:channels=1,side=32").facts.channels == 16
    assert loaded(f"{net}:standing:channels=1,side=32").facts.channels == 16


def test_weights_from_a_file(net: Path, tmp_path: Path) -> None:
    state = {
        "features.0.weight": torch.randn(8, 1, 3, 3),
        "features.0.bias": torch.zeros(8),
        "features.3.weight": torch.randn(16, 8, 3, 3),
        "features.3.bias": torch.zeros(16),
        "fc.weight": torch.randn(5, 16),
        "fc.bias": torch.zeros(5),
    }
    save_file(state, tmp_path / "best.safetensors")
    backbone = loaded(f"{net}:build:weights={tmp_path}/best.safetensors")
    assert backbone.facts.weights == "best.safetensors"
    assert backbone.linear is not None
    assert torch.equal(backbone.linear.weight, state["fc.weight"])
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        BackboneUnavailable, match=r"do not fit net.py:build: 6 tensors missing, 1 unexpected"
    ):
        loaded(f"{net}:build:weights={tmp_path}/other.safetensors")


def test_class_names_from_a_file(net: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"kind {n}" for n in range(5)) + "\n")
    assert loaded(f"{net}:build:classes={names}").facts.classes[4] == "kind 4"
    names.write_text("only one\n")
    with pytest.raises(UsageError, match="1 class names, and the network has 5 classes"):
        loaded(f"{net}:build:classes={names}")


def test_one_logit_is_the_class_that_it_favours(net: Path) -> None:
    """``y = σ(s)`` for class 1 and ``1 − σ(s)`` for class 0, the gradient with that sign."""
    backbone = loaded(f"{net}:one")
    network = Network(backbone, device=torch.device("cpu"), precision="fp32", batch_size=4)
    images = random_images(6, seed=2)
    seen = network.observe(6, lambda start, stop: images[start:stop])
    assert seen.logits.shape == (6, 2)
    s = seen.logits[:, 1]
    assert torch.equal(seen.logits[:, 0], -s)
    targets = torch.tensor([1, 0, 1, 0, 1, 0])
    found = network.confidence(seen.logits, targets).tolist()
    by_hand = [
        1 / (1 + math.exp(-float(x))) if c else 1 - 1 / (1 + math.exp(-float(x)))
        for x, c in zip(s, targets, strict=True)
    ]
    assert found == pytest.approx(by_hand, rel=1e-6)
    view = BatchView(network, lambda: images, seen, targets, [b""] * 6)
    assert torch.equal(view.gradient[0], -view.gradient[1])
    rows = Pipeline(network).rows(Batch(images, [b""] * 6), [method("gradcam")])["gradcam"]
    assert rows.target == [int(x > 0) for x in s]
    assert min(rows.y) >= 0.5, "the favoured class"
    assert backbone.facts.class_count == 2


def test_several_labels_at_once(net: Path) -> None:
    """Each class has its own ``σ``: confidences need not add up to 1."""
    network = Network(
        loaded(f"{net}:several"), device=torch.device("cpu"), precision="fp32", batch_size=4
    )
    images = random_images(3, seed=2)
    seen = network.observe(3, lambda start, stop: images[start:stop])
    expected = [1 / (1 + math.exp(-float(x))) for x in seen.logits[:, 2]]
    assert network.confidence(seen.logits, torch.tensor([2, 2, 2])).tolist() == pytest.approx(
        expected, rel=1e-6
    )
    baseline = network.scores(
        network.forward(torch.zeros(1, 3, 32, 32), channel_scoring=False).logits
    )[0]
    assert torch.allclose(network.baseline_confidence(), baseline)


@pytest.mark.parametrize(
    ("tail", "message", "hint"),
    [
        (":nothing", "has no 'nothing'", "it has"),
        (":raises", "cannot build its network: net.py:", "mend"),
        (":table", "gives a dict, an nn.Module was expected", "return the network"),
        (
            ":listed",
            "gives a list beside the network, a dict of facts was expected",
            "it may say classes",
        ),
        (":wordy", "says 'sides' of its network", "did you mean 'side'?"),
        (":wrong", "says side = '32'", "docs/networks.md"),
        (":grey_and_three", "mean has 3 numbers, and the images have 1 channels", "give 1"),
        (
            ":build:mean=0.1/0.2/0.3",
            "mean has 3 numbers, and the images have 1 channel",
            "mean=0.5",
        ),
        (":colour:channels=1", "does not take images of 1 × 224 × 224", "channels=1"),
        (
            ":Dense:channels=1,side=32",
            "answers 2 images with 2 × 16 × 16 × 16",
            "one logit for each class",
        ),
        (
            ":one:score=softmax",
            "one logit, and softmax over one class is always 1",
            "score=sigmoid",
        ),
        (
            ":build:layer=fc",
            "gives no feature map: its output is 5 for each image",
            "layer=features",
        ),
        (":build:layer=featurs", "no layer 'featurs'", "did you mean 'features"),
    ],
)
def test_what_is_wrong_is_one_sentence(net: Path, tail: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(f"{net}{tail}")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        spec_of(f"{tmp_path}/nothing.py:build")


def test_nothing_runs_that_was_not_allowed(tmp_path: Path) -> None:
    file = tmp_path / "marks.py"
    file.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'mark')!r}).touch()\n{NET}")
    spec = spec_of(f"{file}:build")
    with pytest.raises(CodeNotAllowed):
        load_backbone(spec)
    user_code.allow({spec.key: "0" * 64})
    with pytest.raises(Mismatch, match=r"the source of marks.py:build has changed"):
        load_backbone(spec)
    assert not (tmp_path / "mark").exists()
    assert loaded(f"{file}:build").facts.class_count == 5
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("cut", ["graph", "hooks"])
@pytest.mark.parametrize(("head", "classes"), [("6", 6), ("1", 2)])
def test_a_network_that_squeezes_its_answer_takes_one_image(
    tmp_path: Path, cut: str, head: str, classes: int
) -> None:
    file = tmp_path / "squeezed.py"
    file.write_text(f"""
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
        self.last = nn.Conv2d(8, {head}, 1)

    def forward(self, images):
        return self.last(self.features(images)).mean((2, 3), keepdim=True).squeeze()
""")
    backbone = loaded(f"{file}:Net:side=32,score=sigmoid,layer=features,cut={cut}")
    images = random_images(2, side=32)
    seen = backbone.trunk_output(backbone.trunk(images))
    both = backbone.logits(seen.activation, seen.context)
    alone = backbone.trunk_output(backbone.trunk(images[:1]))
    assert both.shape == (2, classes)
    assert alone.logits is None or torch.allclose(alone.logits, both[:1], atol=1e-5)
    assert torch.allclose(backbone.logits(alone.activation, alone.context), both[:1], atol=1e-5)


STATEFUL = """
import torch
from torch import nn

torch.set_num_threads(7)


class Net(nn.Module):
    def __init__(self, sets_after=None):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
        self.last = nn.Linear(8, 5)
        self.sets_after, self.calls = sets_after, 0

    def forward(self, images):
        self.calls += 1
        if self.sets_after is not None and self.calls > self.sets_after:
            torch.set_default_dtype(torch.float64)
        return self.last(self.features(images).mean((2, 3)))


def careless():
    torch.set_float32_matmul_precision("medium")
    torch.set_grad_enabled(False)
    return Net()


def always():
    return Net(0)


def later():
    return Net(1000)
"""


@pytest.mark.parametrize("cut", ["graph", "hooks"])
def test_state_of_torch_set_while_a_network_is_built_is_put_back_and_told(
    tmp_path: Path, cut: str
) -> None:
    (tmp_path / "net.py").write_text(STATEFUL)
    threads = torch.get_num_threads()
    backbone = loaded(f"{tmp_path}/net.py:careless:side=32,layer=features,cut={cut}")
    (remark,) = backbone.facts.remarks
    assert remark.startswith("net.py:careless changes torch's grad mode from True to False")
    assert "torch's number of threads" in remark
    assert "float32 matmul precision from highest to medium" in remark
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert torch.get_float32_matmul_precision() == "highest"
    assert loaded(f"{tmp_path}/net.py:later:side=32,layer=features,cut=hooks").facts.remarks == ()


def test_a_network_whose_forward_sets_state_of_torch_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(STATEFUL)
    with pytest.raises(
        StateChanged, match="a pass of the network changes torch's default dtype from float32 to"
    ):
        loaded(f"{tmp_path}/net.py:always:side=32,layer=features,cut=hooks")
    assert torch.get_default_dtype() == torch.float32


def test_a_network_that_sets_it_later_fails_there(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(STATEFUL)
    backbone = loaded(f"{tmp_path}/net.py:later:side=32,layer=features,cut=hooks")
    network = Network(backbone, device=torch.device("cpu"), precision="fp32")
    images = random_images(2, side=32)
    network.forward(images, channel_scoring=False)
    backbone.trunk.model.calls = 1000  # type: ignore[union-attr]  # the user's network
    for compute in (
        lambda: network.forward(images, channel_scoring=False),
        lambda: network.head(torch.zeros(2, 8, 15, 15), (images,)),
    ):
        with pytest.raises(StateChanged, match="torch's default dtype from float32 to float64"):
            compute()
        assert torch.get_default_dtype() == torch.float32
