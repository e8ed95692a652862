"""Training on an augmented part: it is what the batches hold, and the split stays as it was."""

import pytest
from training_helpers import SMALL

from perflaw.errors import InputError
from perflaw.models import make_config, train
from perflaw.models.sweeps import grids, results, verification
from perflaw.models.training import loop, preparation, run_records


def test_batches_hold_the_augmented_part(split):
    def count_positions(name):
        config = make_config(**SMALL, augmentation=name)
        return loop._Loop(
            preparation.prepare([config], split), False, None, None, loop.checkpoints.Keeper()
        ).batches.tokens

    lengths = (split.train.lengths - 1).clip(0, SMALL["max_seq_len"])
    assert count_positions("none") == lengths.sum()
    assert count_positions("copy") == 2 * lengths.sum()


@pytest.mark.integration
def test_a_record_says_it_and_can_be_repeated(split, tmp_path):
    config = make_config(**SMALL, augmentation="crop")
    record = train(config, split, tmp_path, progress=False)
    assert record["configuration"]["augmentation"] == "crop"
    assert record["split"]["hash"] == split.hash
    assert run_records.read_record(tmp_path / f"{record['key']}.json") == record
    _, row = next(results.load_runs(tmp_path).iterrows())
    assert verification.point_of(row) == grids.grid_point(SMALL | {"augmentation": "crop"})


def test_runs_without_the_setting_have_its_default(split, tmp_path):
    train(make_config(**SMALL), split, tmp_path, progress=False)
    runs = results.load_runs(tmp_path)
    assert runs["augmentation"].isna().all()
    assert len(results.filter_runs(runs, {"augmentation": "none"})) == 1
    assert len(results.filter_runs(runs, {"augmentation": "crop"})) == 0


def test_added_histories_have_no_times(split):
    config = make_config(**SMALL, backbone="hstu", time_bias=True, augmentation="crop")
    with pytest.raises(InputError, match="an augmented history has no times"):
        preparation.prepare([config], split)
