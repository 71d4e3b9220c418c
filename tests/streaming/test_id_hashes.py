"""Hashes of ids are the same everywhere, whatever stands beside the id, and do not collide."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from streaming.id_hashes import hash_ids


def test_hash_of_an_id_never_changes() -> None:
    """Checkpoints hold hashes: another value in a later version would make every duplicate a new event."""
    assert hash_ids(pa.array(["a", "0f8fad5b-d9cb-469f-a165-70867728950e"])).tolist() == [
        17360999193197444373,
        12420877981066877508,
    ]


@given(st.lists(st.text(max_size=20), max_size=12))
def test_hash_of_an_id_depends_on_its_text_only(ids: list[str]) -> None:
    """Not on its neighbours, their lengths, or where a slice begins."""
    together = hash_ids(pa.array(ids, pa.string()))
    assert together.tolist() == [hash_ids(pa.array([one], pa.string()))[0] for one in ids]
    assert (hash_ids(pa.array(ids, pa.string())[1:]) == together[1:]).all()


def test_hashes_of_counted_ids_differ_and_use_all_their_bits() -> None:
    """Ids of a counter, padded or not, are as far apart as random numbers."""
    counted = [f"order-{n}" for n in range(100_000)] + [f"{n:032d}" for n in range(100_000)]
    hashes = hash_ids(pa.array(counted, pa.string()))
    assert len(np.unique(hashes)) == len(counted)
    ones = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
    assert (abs(ones - 0.5) < 0.01).all()
