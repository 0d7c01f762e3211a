"""Networks as plain layers and as a page of code."""

from __future__ import annotations

import ast
import itertools
from typing import Any

import pytest
import torch
from torch import nn

from supernet_cli.config.catalog import entries
from supernet_cli.config.space import Space
from supernet_cli.errors import UsageError
from supernet_cli.networks.deployable import Deployable
from supernet_cli.networks.loaded import LoadedNetwork
from supernet_cli.networks.source import source
from supernet_cli.networks.supernet import Supernet
from supernet_cli.space import SearchSpace
from supernet_cli.store.network import Normalisation

SHAPE = (3, 13, 13)
NORMALISATION = Normalisation(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))


def network_of(space: Space, choices: list[int], classes: tuple[str, ...] = ("a", "b")) -> LoadedNetwork:
    """Return the network of a path with weights and statistics that are all different from their initial ones."""
    search_space = SearchSpace.from_config(space)
    whole = Supernet(search_space, SHAPE, len(classes))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in whole.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.3)
        for name, tensor in whole.state_dict().items():
            if name.endswith("running_var"):
                tensor.abs_().add_(0.1)
    path = search_space.architecture(choices)
    subnet = whole.to(memory_format=torch.channels_last).extract(path)  # type: ignore[call-overload]
    return LoadedNetwork(subnet, str(path), classes, NORMALISATION).eval()


def written(loaded: LoadedNetwork) -> tuple[str, dict[str, Any], Deployable]:
    """Return the code of a network, what it defines, and what it was written from."""
    model = Deployable.of(loaded, SHAPE, NORMALISATION, "Exported by a test.", raw=False)
    code = source(model)
    defined: dict[str, Any] = {"__file__": "model.py"}
    exec(code, defined)
    return code, defined, model


def agree(loaded: LoadedNetwork) -> bool:
    """Whether the code of a network computes the same from pixels, with the names of the exported state dict."""
    _, defined, model = written(loaded)
    network = defined["Model"]().to(memory_format=torch.channels_last)
    network.load_state_dict(model.network.state_dict())
    network.eval()
    pixels = torch.randint(0, 256, (5, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = loaded(loaded.preprocess(pixels).to(memory_format=torch.channels_last))
        return torch.equal(network(defined["preprocess"](pixels)), ours)


@pytest.mark.parametrize("operation", sorted(entries("operation")))
def test_every_operation_with_every_normalisation_is_written_and_computes_the_same(operation: str) -> None:
    required = dict.fromkeys(entries("operation")[operation].required, 3)
    for norm, residual, repeat, stride in itertools.product(("none", "batch", "group"), (False, True), (1, 2), (1, 2)):
        candidate = {"op": operation, "repeat": repeat, **required}
        first = {"channels": 6, "pool": 1, "residual": residual, "stride": stride, "candidates": [candidate]}
        second = {"channels": 6, "pool": 2, "residual": residual, "candidates": [candidate]}
        table = {"hidden": 5, "norm": norm, "pooling": "global", "stem": {"channels": 3}, "blocks": [first, second]}
        assert agree(network_of(Space.model_validate(table), [0, 0])), (norm, residual, repeat, stride)


def test_a_stem_with_stride_and_a_head_without_pooling_are_written() -> None:
    table = {
        "hidden": 5,
        "stem": {"channels": 4, "kernel": 5, "stride": 2, "pool": 2, "norm": "batch"},
        "blocks": [{"channels": 4, "pool": 1, "candidates": ["dil5x5", "avgpool5x5"]}],
    }
    for choice in (0, 1):
        assert agree(network_of(Space.model_validate(table), [choice]))


SMALL = Space.model_validate({"hidden": 4, "blocks": [{"channels": 2, "pool": 2, "candidates": ["conv3x3"]}]})


def test_the_code_imports_torch_and_the_standard_library_only() -> None:
    code, _, _ = written(network_of(SMALL, [0]))
    names = [
        name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    assert sorted(set(names)) == ["json", "pathlib", "torch"]
    assert max(map(len, code.splitlines())) <= 120


CLASSES = ("plain", 'with "quotes"', "it's", "back\\slash", "two\nlines", '"""', "é × 猫", "{braces}")


def test_names_of_classes_are_written_as_they_are_whatever_they_contain() -> None:
    _, defined, _ = written(network_of(SMALL, [0], CLASSES))
    assert tuple(defined["CLASSES"]) == CLASSES


def test_the_name_of_a_run_cannot_become_code() -> None:
    loaded = network_of(SMALL, [0])
    origin = 'Exported from run """\nraise SystemExit\n\\ by supernet.'
    code = source(Deployable.of(loaded, SHAPE, NORMALISATION, origin, raw=False))
    exec(code, {"__file__": "model.py"})


def test_pixels_of_another_kind_are_refused_and_a_single_image_becomes_a_batch() -> None:
    _, defined, _ = written(network_of(SMALL, [0]))
    assert defined["preprocess"](torch.zeros(SHAPE, dtype=torch.uint8)).shape == (1, *SHAPE)
    with pytest.raises(ValueError, match=r"torch\.uint8, not as torch\.float32"):
        defined["preprocess"](torch.zeros(1, *SHAPE))


def test_a_layer_that_is_not_of_torch_is_refused_with_the_formats_that_can_have_it() -> None:
    class Own(nn.Module):
        pass

    loaded = network_of(SMALL, [0])
    assert isinstance(loaded.network, nn.Sequential)
    loaded.network.get_submodule("block0").append(Own())  # type: ignore[operator]
    with pytest.raises(UsageError, match="Own, which cannot be written into a model.py") as raised:
        source(Deployable.of(loaded, SHAPE, NORMALISATION, "", raw=False))
    assert "--format pt2,onnx" in raised.value.hint
