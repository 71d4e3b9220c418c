"""Ids for events without one."""

import uuid

from api.services.event_ids import DerivedIds, MintedIds


def test_minted_ids_are_random_uuids_of_version_4() -> None:
    ids = MintedIds(1000)
    minted = [ids.at(index) for index in range(1000)]
    assert len(set(minted) | {MintedIds(1).at(0)}) == 1001
    parsed = [uuid.UUID(one) for one in minted]
    assert [str(one) for one in parsed] == minted
    assert {(one.version, one.variant) for one in parsed} == {(4, uuid.RFC_4122)}


def test_derived_ids_are_uuids_of_version_8_and_the_same_everywhere() -> None:
    """The first is written out: another process, and another release, must make the same."""
    derived = [DerivedIds("caller", "key").at(index) for index in range(100)]
    assert derived[0] == "0cef7eba-c7b2-8dcd-a20f-99cf95185781"
    assert {uuid.UUID(one).version for one in derived} == {8}
    assert len(set(derived)) == 100


def test_derived_ids_differ_by_caller_and_key_wherever_one_ends() -> None:
    ids = {DerivedIds(caller, key).at(0) for caller, key in [("a", "bc"), ("ab", "c"), ("a", "b"), ("b", "a")]}
    assert len(ids) == 4
