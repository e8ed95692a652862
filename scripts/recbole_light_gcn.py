"""Train RecBole's LightGCN on the parts of a split, and keep its final embeddings.

Run by scripts/light_gcn_check.py with the interpreter that has RecBole. Data set, loaders, sampler,
model, trainer and validation are RecBole's own.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

DATA = {
    "USER_ID_FIELD": "user",
    "ITEM_ID_FIELD": "item",
    "load_col": {"inter": ["user", "item"]},
    "benchmark_filename": ["train", "validation", "test"],
    "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1},
    "eval_args": {"group_by": "user", "order": "RO", "split": {"RS": [8, 1, 1]}, "mode": "full"},
    "metrics": ["NDCG", "Hit"],
    "topk": [10],
    "valid_metric": "NDCG@10",
    "eval_batch_size": 1 << 22,  # pairs; a batch of 4,096 would be two users
    "use_gpu": False,
    "show_progress": False,
}


def main():
    """Write embeddings.npz into the folder of the first argument; the second is settings as JSON.

    users and items are final embeddings in the order of the numbers in the files.
    """
    if len(sys.argv) != 3:
        sys.exit("recbole_light_gcn.py needs a folder and settings; light_gcn_check.py runs it")
    folder, settings = sys.argv[1:]
    sys.argv[1:] = []  # which RecBole would read as its own
    os.chdir(folder)  # RecBole writes where it runs
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(sys.stderr):
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation
        from recbole.utils import get_model, get_trainer, init_seed

        values = DATA | json.loads(settings) | {"data_path": folder, "checkpoint_dir": folder}
        config = Config("LightGCN", "log", config_dict=values)
        init_seed(config["seed"], config["reproducibility"])
        dataset = create_dataset(config)
        train, validation, _ = data_preparation(config, dataset)
        init_seed(config["seed"], config["reproducibility"])
        model = get_model("LightGCN")(config, train.dataset)
        trainer = get_trainer(config["MODEL_TYPE"], "LightGCN")(config, model)
        best, _ = trainer.fit(train, validation)
        saved = torch.load(trainer.saved_model_file, weights_only=False)
        model.load_state_dict(saved["state_dict"])
        users, items = (part.detach().numpy() for part in model.forward())
    of_users = dataset.token2id("user", [str(u) for u in range(len(users) - 1)])
    of_items = dataset.token2id("item", [str(i) for i in range(len(items) - 1)])
    np.savez(
        Path(folder) / "embeddings.npz",
        users=users[of_users],
        items=items[of_items],
        best=best,
        done=len(trainer.train_loss_dict),
        best_epoch=1 + saved["epoch"],
    )


if __name__ == "__main__":
    main()
