"""The networks of the synthetic images: what the package ships, and that it can be made again."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from time import process_time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from evaluator.synthetic.scene import CLASSES, World
from evaluator.synthetic.train import (
    NETWORKS,
    SIDE,
    TRAINING_SEED,
    UNSEEN_SEED,
    Examples,
    accuracy,
    examples,
    main,
    trained,
    world_of,
)

CHANCE = 1 / len(CLASSES)


def shipped(name: str) -> Path:
    return Path(str(resources.files("evaluator") / "data" / f"{name}.safetensors"))


def loaded(name: str) -> nn.Module:
    model = NETWORKS[name](len(CLASSES))
    model.load_state_dict(load_file(shipped(name)))
    return model.eval()


@cache
def unseen(world: World, *, with_object: bool = True) -> Examples:
    return examples(UNSEEN_SEED, 400, world=world, with_object=with_object)


LEAST = {"shapes": 0.97, "marks": 0.95}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shipped_network_knows_images_that_it_has_not_seen(name: str) -> None:
    assert accuracy(loaded(name), unseen(world_of(name))) >= LEAST[world_of(name)]


@pytest.mark.parametrize("name", NETWORKS)
def test_without_the_evidence_it_is_at_chance(name: str) -> None:
    """Whatever it has learned from 8 000 images, nothing of it stands outside the evidence."""
    without = unseen(world_of(name), with_object=False)
    assert accuracy(loaded(name), without) < CHANCE + 3 * (CHANCE * (1 - CHANCE) / 400) ** 0.5


def probed(name: str, *, with_object: bool) -> float:
    """Accuracy on 300 images of a linear classifier that was fitted to 500 others, on the network's
    features and on colours.
    """
    model = loaded(name)

    def described(given: Examples) -> torch.Tensor:
        with torch.no_grad():
            found = model.get_submodule("features")(given.images)
        pixels = given.images.flatten(2)
        return torch.cat(
            [
                found.amax((2, 3)),
                found.mean((2, 3)),
                pixels.mean(2),
                pixels.std(2),
                torch.ones(len(found), 1),
            ],
            1,
        )

    given, unseen = (
        examples(TRAINING_SEED, 500, with_object=with_object),
        examples(UNSEEN_SEED, 300, with_object=with_object),
    )
    one = described(given).double()
    wanted = nn.functional.one_hot(given.labels, len(CLASSES)).double()
    weights = torch.linalg.solve(one.T @ one + torch.eye(one.shape[1]), one.T @ wanted)
    return float(
        ((described(unseen).double() @ weights).argmax(1) == unseen.labels).double().mean()
    )


@pytest.mark.long
def test_a_classifier_fitted_to_backgrounds_alone_stays_at_chance() -> None:
    assert (
        probed("synthetic_cnn", with_object=False)
        < CHANCE + 3 * (CHANCE * (1 - CHANCE) / 300) ** 0.5
    )
    assert probed("synthetic_cnn", with_object=True) > 0.8


def test_the_weights_are_small_and_say_what_they_are() -> None:
    files = [shipped(name) for name in NETWORKS]
    assert sum(file.stat().st_size for file in files) < 1_500_000
    for file in files:
        with safe_open(file, "pt") as opened:
            assert json.loads(opened.metadata()["classes"]) == list(CLASSES)


def test_the_same_seed_trains_the_same_network() -> None:
    given = examples(TRAINING_SEED, 100)
    one, again, other = (trained("synthetic_gap", given, epochs=1, seed=seed) for seed in (3, 3, 4))
    for key, value in one.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    assert not torch.equal(
        one.state_dict()["classifier.weight"], other.state_dict()["classifier.weight"]
    )


def test_the_script_writes_weights_and_says_how_good_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tiny.safetensors"
    threads = torch.get_num_threads()
    main(["synthetic_gap", "-o", str(file), "--images", "64", "--unseen", "32", "--epochs", "1"])
    torch.set_num_threads(threads)
    assert load_file(file).keys() == loaded("synthetic_gap").state_dict().keys()
    assert capsys.readouterr().out.startswith("synthetic_gap: ")


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_shipped_weights_come_from_the_script(name: str, tmp_path: Path) -> None:
    """As good, within two minutes; the same bytes on the machine and torch that made them."""
    begun = process_time()
    main([name, "-o", str(tmp_path / "again.safetensors")])
    assert process_time() - begun < 120
    model = NETWORKS[name](len(CLASSES))
    model.load_state_dict(load_file(tmp_path / "again.safetensors"))
    world = world_of(name)
    assert accuracy(model.eval(), examples(UNSEEN_SEED, 1000, world=world)) >= LEAST[world]
    assert model(torch.zeros(1, 3, SIDE, SIDE)).shape == (1, len(CLASSES))
