"""How fast RecBole trains SASRec.

Run by benchmarks/training.py with the interpreter that has RecBole. Its own data set, loaders,
model and trainer, with the sizes of the comparison; nothing is replaced. Waits for a line on
standard input between warming up and timing, then prints one line of JSON.
"""

import contextlib
import itertools
import json
import os
import sys
import time

import torch

FIELDS = {
    "USER_ID_FIELD": "user",
    "ITEM_ID_FIELD": "item",
    "TIME_FIELD": "time",
    "load_col": {"inter": ["user", "item", "time"]},
}
SPLIT = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}


def main():
    """Print the seconds of groups of steps as JSON, for the arguments of the command line."""
    folder, threads, batch, dropout, groups, steps, length, d, layers = (
        float(x) if "." in x else x for x in sys.argv[1:]
    )
    threads, batch, groups, steps, length, d, layers = map(
        int, (threads, batch, groups, steps, length, d, layers)
    )
    os.chdir(folder)  # RecBole writes where it runs
    output = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation
        from recbole.utils import get_model, get_trainer, init_seed

        sizes = {
            "n_layers": layers,
            "n_heads": 1,
            "hidden_size": d,
            "inner_size": d,
            "hidden_act": "relu",
        }
        sizes |= {
            "hidden_dropout_prob": dropout,
            "attn_dropout_prob": dropout,
            "MAX_ITEM_LIST_LENGTH": length,
        }
        training = {
            "loss_type": "BPR",
            "train_batch_size": batch,
            "use_gpu": False,
            "show_progress": False,
        }
        values = (
            {"data_path": folder, "eval_args": SPLIT, "checkpoint_dir": folder}
            | FIELDS
            | sizes
            | training
        )
        sys.argv[1:] = []  # which RecBole would read as its own
        config = Config("SASRec", "log", config_dict=values)
        init_seed(config["seed"], config["reproducibility"])
        train, _, _ = data_preparation(config, create_dataset(config))
        torch.set_num_threads(threads)
        model = get_model("SASRec")(config, train.dataset)
        trainer = get_trainer(config["MODEL_TYPE"], "SASRec")(config, model)
        batches = iter(train)
        trainer._train_epoch(itertools.islice(batches, 2), 0)
    print("ready", file=output, flush=True)
    sys.stdin.readline()
    rates = []
    with contextlib.redirect_stdout(sys.stderr):
        for _ in range(groups):
            start = time.perf_counter()
            trainer._train_epoch(itertools.islice(batches, steps), 0)
            rates.append(steps * batch / (time.perf_counter() - start))
    print(json.dumps(sorted(rates)[groups // 2]), file=output)


if __name__ == "__main__":
    main()
