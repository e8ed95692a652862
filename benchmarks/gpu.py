"""How fast a GPU trains: `python benchmarks/gpu.py`, some ten minutes.

`--device cpu --quick` only rehearses. Stacks against single runs, captured steps against eager
ones for a deep and narrow model, and whether a stack in bfloat16 learns what single runs learn. On
MovieLens-1M where the folder PERFLAW_DATA has ml-1m-sasrec, else on the synthetic log. The share of
the peak is that of a measured product of large bfloat16 matrices.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from training import head, row  # the benchmark beside this one

from perflaw import model_size
from perflaw.logs import datasets
from perflaw.logs.splits import leave_one_out
from perflaw.models import configuration
from perflaw.models.training import batching, loop, preparation, run_records, run_state, stacking

MEMBERS = 8


def synchronise(device):
    """Wait until the device has done all that it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def rate(configs, split, device, steps, captured=True):
    """Measure how fast a stack of configurations trains.

    Parameters
    ----------
    configs : list of Configuration
        The runs of the stack.
    split : Split
        The data.
    device : str
        Where to train.
    steps : int
        How many steps to time.
    captured : bool, optional
        Whether a step is captured once and replayed, on a GPU.

    Returns
    -------
    float
        Positions a second, padding not counted.
    """
    batches = batching.EpochBatches(split, configs[0].max_seq_len, configs[0].batch_size, device)
    members = [run_state.RunState(config, split, batches) for config in configs]
    step = stacking.step_batched if device != "cpu" else stacking.step_in_turn
    dealt = [
        [who for epoch in range(steps) for who in batches.shuffle(config.seed, epoch)][
            : steps + stacking.CAPTURE_WARMUP_STEPS
        ]
        for config in configs
    ]
    dealt = list(zip(*dealt))
    for whose in dealt[: stacking.CAPTURE_WARMUP_STEPS]:
        step(members, batches, whose)
    if captured and device != "cpu":
        step = stacking.capture_step(members, batches, step)
        step(members, batches, dealt[0])
    synchronise(device)
    start = time.perf_counter()
    for whose in dealt[stacking.CAPTURE_WARMUP_STEPS :]:
        step(members, batches, whose)
    synchronise(device)
    seconds = time.perf_counter() - start
    return len(configs) * steps * batches.tokens / batches.batches / seconds


def peak(device):
    """Measure the FLOPs a second of a product of large bfloat16 matrices."""
    n = 8192 if device != "cpu" else 1024
    x = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    for repeats in (2, 10):
        synchronise(device)
        start = time.perf_counter()
        for _ in range(repeats):
            x @ x
        synchronise(device)
    return 2 * n**3 * repeats / (time.perf_counter() - start)


def compare_stacks(split, device, steps, sizes):
    """Print how much faster a stack is than a single run, by embedding size."""
    best = peak(device)
    head(
        "Positions a second, bfloat16, 2 layers, full cross-entropy; "
        f"peak {best / 1e12:.1f} TFLOP/s",
        "d",
        "1 run",
        f"stack of {MEMBERS}",
        "times",
        "share of peak",
    )
    for d in sizes:
        config = configuration.make_config(d_emb=d, loss="softmax", precision="bf16")
        one = rate([config], split, device, steps)
        many = rate([replace(config, seed=seed) for seed in range(MEMBERS)], split, device, steps)
        flops = float(model_size.flops_per_token(2, d, 100, split.log.n_items, "sasrec"))
        row(d, f"{one:,.0f}", f"{many:,.0f}", f"{many / one:.1f}", f"{many * flops / best:.1%}")


def compare_captured(split, device, steps):
    """Print how much faster captured steps of a deep and narrow model are than eager ones."""
    head(
        "Deep and narrow: 32 layers, d = 25, LLaMA-style, bfloat16, positions a second",
        "runs",
        "eager",
        "captured",
        "times",
    )
    config = configuration.make_config(backbone="llama", n_layers=32, d_emb=25, precision="bf16")
    for members in (1, MEMBERS):
        configs = [replace(config, seed=seed) for seed in range(members)]
        eager, captured = (rate(configs, split, device, steps, how) for how in (False, True))
        row(members, f"{eager:,.0f}", f"{captured:,.0f}", f"{captured / eager:.1f}")


def compare_learning(split, device, epochs):
    """Print what a stack in bfloat16 learns beside single runs in fp32."""
    base = configuration.make_config(
        d_emb=32,
        loss="softmax",
        learning_rate=3e-3,
        epochs=epochs,
        patience=None,
        validate_every=epochs,
        max_seq_len=100,
    )
    configs = [replace(base, seed=seed) for seed in range(MEMBERS)]
    single = np.array(
        [
            loop.fit_model(config, split, device, progress=False).curve[-1]["NDCG@10"]
            for config in configs
        ]
    )
    stack = loop.fit_stack(
        [replace(config, precision="bf16") for config in configs], split, device, progress=False
    )
    stack = np.array([fitted.curve[-1]["NDCG@10"] for fitted in stack])
    head(
        f"{MEMBERS} seeds, {epochs} epochs: validation NDCG@10",
        "",
        "mean",
        "standard deviation of seeds",
    )
    row("single runs, fp32", f"{single.mean():.4f}", f"{single.std(ddof=1):.4f}")
    row("stack, bfloat16", f"{stack.mean():.4f}", f"{stack.std(ddof=1):.4f}")
    difference = abs(stack.mean() - single.mean()) / single.std(ddof=1)
    print(f"\nThe means differ by {difference:.2f} standard deviations.")


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="few steps and sizes: does it run?")
    options = parser.parse_args()
    split = leave_one_out(
        datasets.load_log(
            "ml-1m-sasrec" if "ml-1m-sasrec" in datasets.local_logs() else "synthetic"
        )
    )
    preparation.prepare([configuration.make_config()], split, options.device)
    device_name = run_records.environment(options.device)["device"]
    print(f"torch {torch.__version__}, {device_name}, {split.log.name}")
    steps = 2 if options.quick else 40
    compare_stacks(split, options.device, steps, (16,) if options.quick else (16, 32, 64, 128))
    compare_captured(split, options.device, steps)
    compare_learning(split, options.device, 1 if options.quick else 20)


if __name__ == "__main__":
    main()
