"""How fast training is: `python benchmarks/training.py [--quick]`.

About a quarter of an hour on two quiet cores. SASRec on MovieLens-1M against a plain
implementation, in the style of the small public ones, and against RecBole; losses over all items
against sampled ones; and how the time of a token grows. With the environment variable PERFLAW_DATA
naming a folder that holds ml-1m-sasrec.parquet, that log is used; otherwise one of its shape is
drawn. RecBole needs old libraries, hence an environment of its own:

    python3.11 -m venv recbole
    recbole/bin/pip install torch=={torch's version here}
    recbole/bin/pip install recbole==1.2.1 "numpy<2" "pandas<2.2" "scipy<1.12" "setuptools<81"

and `--recbole recbole/bin/python`, or the environment variable RECBOLE_PYTHON. Every code runs in
fresh processes, in the two ways that a machine can be filled: one process with as many threads as
there are cores, and as many processes of one thread, side by side, whose rates are added up. The
better of the two stands for each code. A rate is the median of several groups of steps after a
warm-up, and counts positions trained on, no padding.
"""

import argparse
import contextlib
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from perflaw import model_size
from perflaw.logs import datasets
from perflaw.logs.interaction_log import InteractionLog
from perflaw.logs.splits import Split, leave_one_out
from perflaw.models import backbones, configuration
from perflaw.models.training import batching, loop, run_state, stacking

CORES = os.cpu_count()
COSTS = Path(__file__).parents[1] / "data" / "training_cost.csv"  # of the last run, for the book
WAYS = {f"1 process, {CORES} threads": (1, CORES), f"{CORES} processes, 1 thread each": (CORES, 1)}
SIZES = {"n_layers": 2, "d_emb": 64, "max_seq_len": 200, "dropout": 0.2}
ROWS = 128  # histories in a batch
# RecBole is given one user in so many: it writes each prefix out at full length, and a step costs
# the same with fewer users.
RECBOLE_USERS = 10
RECBOLE_STEPS = {128: 4, 512: 1}  # of a group, by batch size; a process takes 3 GB at 512


def row(*cells):
    """Print a row of a Markdown table."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(title, *columns):
    """Print the title and the head of a Markdown table."""
    print(f"\n### {title}\n")
    row(*columns)
    row("---", *["---:"] * (len(columns) - 1))


@functools.cache
def movielens():
    """Return the log to train on: MovieLens-1M, or one with histories as long."""
    if "ml-1m-sasrec" in datasets.local_logs():
        return datasets.load_log("ml-1m-sasrec")
    from entropy import drawn_log  # the benchmark beside this one

    drawn = drawn_log()
    users, items = np.arange(len(drawn.offsets) - 1), np.arange(drawn.n_items)
    return InteractionLog(drawn.items, drawn.offsets, None, users, items, "a drawn log")


# ---------------------------------------------------------------- ours


class Ours:
    """A step of `training.fit`, as a function that returns how many positions it trained on.

    Parameters
    ----------
    split : Split
        The data.
    batch_size : int, optional
        Histories in a batch.
    loss_of : callable, optional
        The loss of a batch.
    **values
        Settings of the configuration other than `SIZES`.
    """

    def __init__(self, split, batch_size=ROWS, loss_of=stacking.batch_loss, **values):
        self.config = configuration.make_config(batch_size=batch_size, **SIZES | values)
        self.batches = batching.EpochBatches(split, self.config.max_seq_len, batch_size)
        self.member, self.loss_of = run_state.RunState(self.config, split, self.batches), loss_of
        self.dealt = self.deal()

    def deal(self):
        """Yield batches of users, epoch after epoch."""
        epoch = 0
        while True:
            epoch += 1
            yield from self.batches.shuffle(self.config.seed, epoch)

    def __call__(self):
        """Take a step; return how many positions it trained on."""
        who = next(self.dealt)
        member = self.member
        self.loss_of(member.weights, self.config, self.batches, who, member.random).backward()
        member.update()
        member.count_step()
        return int(self.batches.lengths[who].sum())


def all_scores(weights, config, batches, who, chance):
    """Compute cross-entropy as it is usually written: all scores of all positions at once."""
    _at, ids, targets, real = batches.gather(who)
    hidden = backbones.forward(weights, ids, batches.layout, config, chance.drop)
    return functional.cross_entropy((hidden @ weights["items"].T)[real], targets[real])


# ---------------------------------------------------------------- a plain implementation


class FeedForward(nn.Module):
    """The position-wise network of a plain SASRec block, with its residual."""

    def __init__(self, d, dropout):
        super().__init__()
        self.first, self.second = nn.Conv1d(d, d, 1), nn.Conv1d(d, d, 1)
        self.drop_1, self.drop_2 = nn.Dropout(dropout), nn.Dropout(dropout)

    def forward(self, x):
        """Return the outputs (rows, length, d) for inputs of that shape."""
        y = self.drop_2(self.second(functional.relu(self.drop_1(self.first(x.transpose(1, 2))))))
        return x + y.transpose(1, 2)


class PlainSASRec(nn.Module):
    """SASRec as in small public repositories.

    Histories are padded on the left, layers are torch's modules, everything has full length.
    """

    def __init__(self, n_items, n_layers, d_emb, max_seq_len, dropout):
        super().__init__()
        self.items = nn.Embedding(n_items + 1, d_emb, padding_idx=0)
        self.positions = nn.Embedding(max_seq_len + 1, d_emb, padding_idx=0)
        self.drop = nn.Dropout(dropout)
        for name in ("norm_1", "norm_2"):
            setattr(
                self, name, nn.ModuleList(nn.LayerNorm(d_emb, eps=1e-8) for _ in range(n_layers))
            )
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(d_emb, 1, dropout) for _ in range(n_layers)
        )
        self.feed_forward = nn.ModuleList(FeedForward(d_emb, dropout) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_emb, eps=1e-8)

    def forward(self, histories):
        """Return the hidden states (rows, length, d) of histories (rows, length)."""
        length = histories.shape[1]
        x = self.items(histories) * self.items.embedding_dim**0.5
        x = self.drop(x + self.positions(torch.arange(1, length + 1) * (histories != 0)))
        ahead = ~torch.tril(torch.ones(length, length, dtype=torch.bool))
        for norm_1, attention, norm_2, feed_forward in zip(
            self.norm_1, self.attention, self.norm_2, self.feed_forward
        ):
            x = x.transpose(0, 1)
            query = norm_1(x)
            mixed, _ = attention(query, x, x, attn_mask=ahead)
            x = feed_forward(norm_2((query + mixed).transpose(0, 1)))
        return self.norm(x)


class Plain:
    """A step of the plain implementation, samples drawn and padded one by one in Python."""

    def __init__(self, split, loss):
        self.histories = [(split.train.history(u) + 1).tolist() for u in range(split.train.n_users)]
        self.n_items, self.length, self.loss = split.train.n_items, SIZES["max_seq_len"], loss
        self.model = PlainSASRec(self.n_items, **SIZES)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3, betas=(0.9, 0.98))
        self.draw = np.random.randint  # as the public implementations draw

    def sample(self):
        """Return the items, targets and negatives of a random user, each (length,)."""
        user = self.draw(len(self.histories))
        while len(self.histories[user]) < 2:
            user = self.draw(len(self.histories))
        history = self.histories[user]
        had, after, at = set(history), history[-1], self.length - 1
        seen, targets, negatives = (np.zeros(self.length, np.int64) for _ in range(3))
        for item in reversed(history[:-1]):
            seen[at], targets[at] = item, after
            if self.loss == "bce":
                negatives[at] = self.negative(had)
            after, at = item, at - 1
            if at < 0:
                break
        return seen, targets, negatives

    def negative(self, had):
        """Return a random item that is not in `had`."""
        item = self.draw(1, self.n_items + 1)
        while item in had:
            item = self.draw(1, self.n_items + 1)
        return item

    def __call__(self):
        """Take a step; return how many positions it trained on."""
        seen, targets, negatives = (
            torch.from_numpy(np.stack(part)) for part in zip(*(self.sample() for _ in range(ROWS)))
        )
        hidden, real = self.model(seen), targets != 0
        bce = functional.binary_cross_entropy_with_logits
        if self.loss == "bce":
            own, other = (
                (hidden * self.model.items(items)).sum(-1)[real] for items in (targets, negatives)
            )
            loss = bce(own, torch.ones_like(own))
            loss = loss + bce(other, torch.zeros_like(other))
        else:
            loss = functional.cross_entropy(hidden[real] @ self.model.items.weight.T, targets[real])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return int(real.sum())


# ---------------------------------------------------------------- races

LOSSES = {
    "perflaw's model and batches, F.cross_entropy": lambda split: Ours(
        split, loss="softmax", loss_of=all_scores
    ),
    "plain implementation, F.cross_entropy": lambda split: Plain(split, "softmax"),
    "perflaw, softmax": lambda split: Ours(split, loss="softmax"),
    "perflaw, sampled softmax, 512 shared negatives": lambda split: Ours(
        split, loss="sampled_softmax", negatives=512
    ),
}
CODES = {"perflaw": Ours, "plain implementation": lambda split: Plain(split, "bce")} | LOSSES


def take_part(code, threads, groups, steps):
    """Get ready, say so, wait for the word, and print the median rate; in its own process."""
    torch.set_num_threads(threads)
    step = CODES[code](leave_one_out(movielens()))
    for _ in range(3):
        step()
    print("ready", flush=True)
    sys.stdin.readline()
    rates = []
    for _ in range(groups):
        start = time.perf_counter()
        tokens = sum(step() for _ in range(steps))
        rates.append(tokens / (time.perf_counter() - start))
    print(json.dumps(float(np.median(rates))))


def race(command):
    """Measure positions a second of the whole machine, in each of the two ways.

    Parameters
    ----------
    command : callable
        Returns the command line for a number of threads.

    Returns
    -------
    dict
        Way → positions a second, added up over its processes.
    """
    rates = {}
    for way, (processes, threads) in WAYS.items():
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
        }
        with contextlib.ExitStack() as stack:
            runs = []
            for _ in range(processes):
                errors = stack.enter_context(tempfile.TemporaryFile("w+"))
                pipes = {
                    "stdin": subprocess.PIPE,
                    "stdout": subprocess.PIPE,
                    "stderr": errors,
                    "text": True,
                    "env": environment,
                }
                runs.append(
                    (stack.enter_context(subprocess.Popen(command(threads), **pipes)), errors)
                )
            for run, errors in runs:
                if run.stdout.readline() != "ready\n":
                    errors.seek(0)
                    raise RuntimeError(errors.read().strip().splitlines()[-1])
            for run, _ in runs:
                run.stdin.write("go\n")
                run.stdin.flush()
            rates[way] = sum(json.loads(run.stdout.readline()) for run, _ in runs)
    return rates


def race_ours(code, groups, steps):
    """Measure one of `CODES` as `race` does."""
    return race(
        lambda threads: [
            sys.executable,
            __file__,
            "--part",
            json.dumps([code, threads, groups, steps]),
        ]
    )


def race_recbole(python, groups):
    """Measure RecBole's targets a second in each way; return the better batch size's, and it."""
    log, script = movielens(), Path(__file__).with_name("recbole_speed.py")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "log").mkdir()
        with open(Path(folder, "log", "log.inter"), "w") as file:
            print("user:token\titem:token\ttime:float", file=file)
            for user in range(0, log.n_users, RECBOLE_USERS):
                file.writelines(
                    f"{user}\t{item}\t{at}\n" for at, item in enumerate(log.history(user))
                )
        sizes = [SIZES[name] for name in ("max_seq_len", "d_emb", "n_layers")]

        def command(batch, threads):
            return [
                python,
                str(script),
                *map(
                    str,
                    (
                        folder,
                        threads,
                        batch,
                        SIZES["dropout"],
                        groups,
                        RECBOLE_STEPS[batch],
                        *sizes,
                    ),
                ),
            ]

        rates = {batch: race(functools.partial(command, batch)) for batch in RECBOLE_STEPS}
    batch = max(rates, key=lambda batch: max(rates[batch].values()))
    return rates[batch], batch


def rate_cells(rates):
    """Return the cells of a code: each way, and the better one."""
    return *(f"{rate:,.0f}" for rate in rates.values()), f"**{max(rates.values()):,.0f}**"


def compare_codes(python, groups, steps):
    """Print the rates of the codes; return how much faster ours is, in words."""
    split = leave_one_out(movielens())
    title = (
        f"SASRec d 64, 2 blocks, length 200, BCE-1, batches of {ROWS} histories: "
        f"{split.log.name}, {split.train.tokens:,} tokens"
    )
    head(title, "code", *WAYS, "the better", "ours is faster by")
    ours = race_ours("perflaw", groups, steps)
    best = max(ours.values())
    row("perflaw", *rate_cells(ours), "")
    plain = race_ours("plain implementation", groups, max(1, steps // 4))
    row("plain implementation", *rate_cells(plain), f"{best / max(plain.values()):.1f}")
    ratios = [f"{best / max(plain.values()):.1f} times the plain implementation"]
    if not python:
        row("RecBole", *["not installed"] * (len(WAYS) + 1), "")
        ratios.append("RecBole is not installed")
    else:
        recbole, batch = race_recbole(python, groups)
        padded = {way: rate * SIZES["max_seq_len"] for way, rate in recbole.items()}
        which = f"RecBole, BPR with one uniform negative, batches of {batch} samples"
        row(f"{which}: targets", *rate_cells(recbole), f"{best / max(recbole.values()):,.0f}")
        row(
            f"{which}: positions, padding too",
            *rate_cells(padded),
            f"{best / max(padded.values()):.1f}",
        )
        ratios.append(f"{best / max(recbole.values()):,.0f} times RecBole")
    print(
        "\nNon-padding positions trained on a second, on the whole machine. RecBole makes each\n"
        "prefix of a history a sample of its own, padded to "
        f"{SIZES['max_seq_len']}, and trains on its last\n"
        "position only: the first of its rows counts those targets, the second all positions that\n"
        f"it computes. It is given one user in {RECBOLE_USERS}, and has no BCE: BPR is the nearest."
    )
    return ratios


def compare_losses(groups, steps):
    """Print the rates of cross-entropy over all items, and sampled."""
    head(
        f"Cross-entropy over all {movielens().n_items:,} items, and sampled",
        "code",
        *WAYS,
        "the better",
        "times the first row",
    )
    first = None
    for name in LOSSES:
        rates = race_ours(name, groups, max(1, steps // 4))
        first = first or max(rates.values())
        row(name, *rate_cells(rates), f"{max(rates.values()) / first:.2f}")


def fit_in_turn(configs, split):
    """Fit models one after another."""
    return [loop.fit_model(config, split, progress=False) for config in configs]


def compare_stacks(epochs):
    """Time eight seeds one after another, as a stack, and as a stack computed at once."""
    split = leave_one_out(datasets.load_log("synthetic"))
    sizes = {"max_seq_len": 50, "epochs": epochs, "patience": None, "validate_every": epochs}
    head(
        f"A stack of 8 seeds, synthetic log, {epochs} epochs, {CORES} threads",
        "d",
        "one after another, s",
        "stack, s",
        "computed at once, s",
        "one after another / stack",
    )
    for d in (16, 64):
        configs = [configuration.make_config(d_emb=d, seed=seed, **sizes) for seed in range(8)]
        stack = functools.partial(loop.fit_stack, configs, split, progress=False)
        ways = (
            functools.partial(fit_in_turn, configs, split),
            stack,
            functools.partial(stack, batched=True),
        )
        taken = [seconds(way, 3) for way in ways]
        row(d, *(f"{s:.2f}" for s in taken), f"{taken[0] / taken[1]:.2f}")


# ---------------------------------------------------------------- growth

PRODUCTS = (
    "mm",
    "bmm",
    "addmm",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention_for_cpu_backward",
)
# Operations that read no more of a table than they return.
LOOK_UPS = ("embedding", "index", "index_select", "searchsorted")
POSITIONS = 12_800  # in a batch
REFERENCE = {"n_layers": 2, "d_emb": 64, "max_seq_len": 100, "n_items": 3_000}
AXES = {
    "n_layers": (1, 4, 8, 16),
    "d_emb": (16, 32, 128, 256),
    "max_seq_len": (25, 50, 200, 400),
    "n_items": (1_000, 10_000, 30_000, 100_000),
}


class Count(TorchDispatchMode):
    """Operations, and the bytes that they read and write.

    Matrix products are left out: the law counts them. Bytes of the tables of items, their gradients
    and moments are counted apart from the activations'.
    """

    def __init__(self, table):
        super().__init__()
        self.calls, self.activations, self.tables, self.table = 0, 0, 0, table

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result, schema = operation(*args, **kwargs or {}), operation._schema
        if any(one.alias_info and not one.alias_info.is_write for one in schema.returns):
            return result  # a view
        self.calls += 1
        if schema.name.removeprefix("aten::") not in PRODUCTS:
            written = result
            if not schema.returns:
                written = [value for one, value in zip(schema.arguments, args) if one.alias_info]
            read = args if schema.name.removeprefix("aten::") not in LOOK_UPS else written
            for leaf in tree_leaves((read, written)):
                if isinstance(leaf, torch.Tensor):
                    where = "tables" if leaf.shape == self.table else "activations"
                    setattr(self, where, getattr(self, where) + leaf.nbytes)
        return result


def seconds(task, repeats):
    """Return the median seconds of several runs of a task, after a warm-up of two."""
    taken = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        task()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[2:]))


def full_histories(n_items, length, rows, batches=3):
    """Draw a split for training alone, without padding.

    Parameters
    ----------
    n_items : int
        How many items.
    length : int
        Every history has one item more.
    rows : int
        Users in a batch.
    batches : int, optional
        How many batches the users fill.

    Returns
    -------
    Split
        Nobody is validated or tested.
    """
    users = rows * batches
    items = np.random.default_rng(0).integers(n_items, size=users * (length + 1), dtype=np.int32)
    offsets = np.arange(users + 1) * (length + 1)
    log = InteractionLog(items, offsets, None, np.arange(users), np.arange(n_items), "drawn")
    nobody = np.full(users, -1)
    return Split(log, log, nobody, nobody, "drawn")


def measure_cell(backbone, repeats, positions=POSITIONS, n_items=0, **sizes):
    """Measure a step: its positions, seconds, operations and bytes, and FLOPs."""
    rows = positions // sizes["max_seq_len"]
    step = Ours(
        full_histories(n_items, sizes["max_seq_len"], rows), rows, backbone=backbone, **sizes
    )
    taken = seconds(step, repeats)
    with Count(step.member.weights["items"].shape) as count:
        tokens = step()
    flops = model_size.flops_per_token(*sizes.values(), n_scored=2, backbone=backbone)
    return tokens, taken, count, tokens * float(flops)


def measure_machine(axes):
    """Measure FLOPs a second of products by d, and bytes a second of additions by items."""
    products, bandwidths = {}, {}
    for d in sorted({REFERENCE["d_emb"], *axes["d_emb"]}):
        x, w = torch.randn(POSITIONS, d), torch.randn(d, d)
        product = functools.partial(torch.matmul, x, w)
        products[d] = 2 * POSITIONS * d**2 / seconds(product, 31)
    for n_items in sorted({REFERENCE["n_items"], *axes["n_items"]}):
        x, y = torch.randn(2, n_items, REFERENCE["d_emb"])
        addition = functools.partial(torch.add, x, y, out=x)
        bandwidths[n_items] = 3 * x.nbytes / seconds(addition, 31)
    return products, bandwidths


def time_cells(backbone, repeats, axes, products, bandwidths):
    """Print how the time of a token of one backbone grows; return the rows of the table.

    Parameters
    ----------
    backbone : str
        Its name.
    repeats : int
        How often a step is timed.
    axes : dict
        Axis → the values that it takes beside the reference's.
    products, bandwidths : dict
        What `measure_machine` returned.

    Returns
    -------
    list of dict
        A row for each cell, the reference first.
    """
    smallest = REFERENCE | {"max_seq_len": 2}
    _, least, count, _ = measure_cell(backbone, 3 * repeats, **smallest, positions=4)
    call = least / count.calls
    sizes = ("N", "d", "length", "items", "ns a token")
    parts_of_time = ("products", "activations", "tables", "calls")
    head(
        f"Time of a token: {backbone}, BCE-1, 1 thread, batches of {POSITIONS:,} positions, "
        "drawn histories without padding",
        *sizes,
        *parts_of_time,
        *("measured / sum", "measured / FLOPs", "what binds"),
    )
    rows = []
    price = first = None
    cells = [("", None), *((name, value) for name in axes for value in axes[name])]
    for axis, value in cells:
        cell = REFERENCE | ({axis: value} if axis else {})
        tokens, taken, count, flops = measure_cell(backbone, repeats, **cell)
        parts = {
            "products": flops / products[cell["d_emb"]],
            "tables": count.tables / bandwidths[cell["n_items"]],
            "calls": count.calls * call,
        }
        if first is None:
            price, first = (taken - sum(parts.values())) / count.activations, taken / flops
        parts["activations"] = price * count.activations
        ns = [1e9 * part / tokens for part in (taken, *(parts[name] for name in parts_of_time))]
        ratios = taken / sum(parts.values()), taken / flops / first
        binds = max(parts, key=parts.get)
        row(
            *(f"{size:,}" for size in cell.values()),
            *(f"{part:,.0f}" for part in ns),
            *(f"{ratio:.2f}" for ratio in ratios),
            binds,
        )
        parts = {name: 1e9 * part / tokens for name, part in parts.items()}
        record = {"backbone": backbone, "grows": axis, **cell, "ns": ns[0], **parts}
        rows.append(record | {"by_sum": ratios[0], "by_flops": ratios[1], "binds": binds})
    print(
        "\nThe first row is the reference: it sets 1, and the price of a byte of activations "
        f"(1 / {1e-9 / price:.1f} GB/s)."
    )
    print(f"A call costs {1e6 * call:.1f} µs, that of a step of 4 positions.")
    return rows


def compare_growth(repeats, axes):
    """Print how the time of a token grows with each axis; return the table."""
    torch.set_num_threads(1)
    products, bandwidths = measure_machine(axes)
    rows = [
        cell
        for backbone in ("sasrec", "llama")
        for cell in time_cells(backbone, repeats, axes, products, bandwidths)
    ]
    rates = ", ".join(f"{rate / 1e9:.0f} at d {d}" for d, rate in products.items())
    speeds = ", ".join(
        f"{rate / 1e9:.0f} at {n_items:,} items" for n_items, rate in bandwidths.items()
    )
    print(
        "\nproducts: FLOPs of `laws.flops_per_token` at the measured rate of (positions, d) by\n"
        f"(d, d), GFLOP/s: {rates}.\n"
        "activations: bytes that all other operations read and write. tables: the same of the\n"
        "items' embeddings, gradients and moments, at the measured rate of adding two tables,\n"
        f"GB/s: {speeds}. measured / sum: against the sum of the four; measured / FLOPs: against\n"
        "the reference scaled by FLOPs alone. What binds is the largest of the four."
    )
    return pd.DataFrame(rows)


def main():
    """Print all tables, and record the growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps and cells: does it run?")
    parser.add_argument(
        "--recbole",
        default=os.environ.get("RECBOLE_PYTHON"),
        help="the interpreter that has RecBole",
    )
    parser.add_argument("--part", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        take_part(*options.part)
        return
    groups, steps, repeats = (3, 4, 3) if options.quick else (7, 24, 7)
    axes = {axis: values[-1:] for axis, values in AXES.items()} if options.quick else AXES
    print(
        f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}, "
        f"{CORES} cores"
    )
    ratios = compare_codes(options.recbole, groups, steps)
    compare_losses(groups, steps)
    compare_stacks(1 if options.quick else 3)
    growth = compare_growth(repeats, axes)
    if not options.quick:
        growth.to_csv(COSTS, index=False, float_format="%.4g", lineterminator="\n")
    print(
        f"\nSASRec d 64, 2 blocks, length 200, BCE-1: {', '.join(ratios)} "
        "(non-padding tokens per second, CPU, one run)"
    )


if __name__ == "__main__":
    main()
