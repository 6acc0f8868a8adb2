"""The vector field of ET-Flow beside that of the released code: same molecules, threads, process.

    python benchmarks/conformer_step.py --reference ETFlow [--threads 1] [--batch 16]

``--reference`` is a checkout of github.com/shenoynikhil/ETFlow; without it only our figures are printed. Of
its dependencies only ``torch_cluster`` is replaced, which the network does not call. Molecules are made up,
18 atoms each, the mean of QM9, with all pairs as edges.

First one attention layer of each is given the same weights and inputs, and its outputs are compared; whole
networks differ by design, since the released one takes squared distances for distances. A training step is
the forward pass, the loss, the backward pass and AdamW; inference is the forward pass without gradients.
Times are medians of alternating repeats. CPU time counts every thread; trust its ratio on a machine that does
other work.
"""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _processor import processor
from egno_step import report
from torch import Tensor, nn

from equizoo.models.conformer_flow import ConformerFlow, ConformerFlowConfig
from equizoo.models.molecule_batch import Molecule, MoleculeBatch, pair_kinds
from equizoo.nn.vector_attention import VectorAttention
from equizoo.nn.vector_messages import VectorEdges

ATOMS, HEADS, BASIS = 18, 8, 64
Step = Callable[[], object]
NAMES = {
    "mix": "mixing_mlp", "norm": "layernorm", "query": "q_proj", "key": "k_proj", "value": "v_proj",
    "vectors": "vec_proj", "edge_key": "dk_proj", "edge_value": "dv_proj", "output": "o_proj",
}  # fmt: skip


def molecules(count: int) -> tuple[MoleculeBatch, Tensor]:
    """Return made-up molecules, chains with random positions, and the positions ``(N, 3)`` [Å]."""
    rng = np.random.default_rng(0)
    bonds = np.stack([np.arange(ATOMS - 1), np.arange(1, ATOMS)], 1)
    kinds = pair_kinds(ATOMS, bonds, np.ones(ATOMS - 1))
    one = Molecule(rng.integers(1, 10, ATOMS), rng.normal(size=(ATOMS, 10)).astype(np.float32), kinds)
    pos = torch.from_numpy(rng.normal(scale=2.0, size=(count * ATOMS, 3)).astype(np.float32))
    return MoleculeBatch.of([one] * count), pos


def released_network(folder: Path) -> Any:
    """Return the module of the released network."""
    import torch_geometric.nn  # noqa: F401  (before the replacement, which it would take for the package)

    cluster: Any = types.ModuleType("torch_cluster")
    cluster.radius_graph = None
    sys.modules.setdefault("torch_cluster", cluster)
    package = types.ModuleType("etflow")
    package.__path__ = [str(folder / "etflow")]  # its __init__ imports the whole training code
    sys.modules["etflow"] = package
    from etflow.networks.torchmd_net import model_dynamics

    return model_dynamics


def compare_layers(network: Any, width: int) -> None:
    """Print how far the outputs of one attention layer are apart.

    Raises:
        SystemExit: By more than 1e-5 of the largest.
    """
    batch, _ = molecules(2)
    generator = torch.Generator().manual_seed(0)
    theirs = network.EquivariantMultiHeadAttention(
        width, BASIS + 1, "both", HEADS, nn.SiLU, "silu", 0.0, 10.0, node_attr_dim=10, qk_norm=True
    )
    ours = VectorAttention(width, HEADS, BASIS + 1)
    order = torch.arange(3 * width).view(HEADS, 3, -1).transpose(0, 1).flatten()  # theirs: head by head
    for mine, other in NAMES.items():
        state = getattr(theirs, other).state_dict()
        by_part = mine in ("value", "edge_value")
        getattr(ours, mine).load_state_dict({k: x[order] if by_part else x for k, x in state.items()})
    edges, atoms = batch.receivers.shape[0], batch.z.shape[0]
    x, vec, node, features, direction, t = (
        torch.randn(*shape, generator=generator)
        for shape in (
            (atoms, width),
            (atoms, 3, width),
            (atoms, width),
            (edges, BASIS + 1),
            (edges, 3),
            (atoms, 1),
        )
    )
    index = torch.stack([batch.senders, batch.receivers])
    with torch.no_grad():
        expected = theirs(x, vec, index, torch.zeros(edges), features, direction, t=t, node_attr=node)
        around = VectorEdges(batch.receivers, batch.senders, direction, torch.ones(edges))
        found = ours(x, vec, torch.cat([t, node], 1), features, around)
    for name, a, b in zip(("scalars", "vectors"), found, expected, strict=True):
        difference = float((a - b).abs().max() / b.abs().max())
        print(f"  largest difference of the {name} of a layer relative to the largest: {difference:.1e}")
        if not difference < 1e-5:
            raise SystemExit("the outputs differ")


def training_step(model: nn.Module, forward: Callable[[], Tensor], target: Tensor) -> Step:
    """Return a training step."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        nn.functional.mse_loss(forward(), target).backward()
        optimiser.step()

    return step


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reference", type=Path, help="checkout of ETFlow")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=160)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    batch, pos = molecules(arguments.batch)
    target, t = torch.randn_like(pos), torch.rand(arguments.batch)
    shape = {"hidden": arguments.hidden, "layers": arguments.layers}
    models: dict[str, nn.Module] = {"equizoo": ConformerFlow(ConformerFlowConfig(**shape))}
    forwards: dict[str, Callable[[], Tensor]] = {"equizoo": lambda: models["equizoo"](pos, t, *batch)}
    print(
        f"{processor()}, torch {torch.__version__}, {arguments.threads} thread(s), batch {arguments.batch}",
        flush=True,
    )
    if arguments.reference:
        network = released_network(arguments.reference)
        compare_layers(network, arguments.hidden)
        models["released"] = network.TorchMDDynamics(
            hidden_channels=arguments.hidden, num_layers=arguments.layers, num_rbf=BASIS, trainable_rbf=True,
            node_attr_dim=10, edge_attr_dim=1, num_heads=HEADS, qk_norm=True, output_layer_norm=False,
            clip_during_norm=True,
        )  # fmt: skip
        index = torch.stack([batch.senders, batch.receivers])
        bonded = ((batch.kinds > 0) & (batch.kinds < 5)).float().unsqueeze(1)
        times = t[batch.batch].unsqueeze(1)
        forwards["released"] = lambda: models["released"](
            z=batch.z, t=times, pos=pos, edge_index=index, batch=batch.batch, edge_attr=bonded,
            node_attr=batch.attributes,
        )  # fmt: skip
    print(f"{'':28s}{'CPU [ms]':>28s}{'wall [ms]':>28s}\n{'':28s}{'   released   equizoo  ratio' * 2}")
    steps = {name: training_step(model, forwards[name], target) for name, model in models.items()}
    report("training step", steps, arguments.repeats)
    report("inference", {k: torch.no_grad()(f) for k, f in forwards.items()}, 3 * arguments.repeats)


if __name__ == "__main__":
    main()
