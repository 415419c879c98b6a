from __future__ import annotations

import uuid

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Catalog
from airflow_provider_testerarmy.sandbox.testerarmy.scripts import SCRIPTS


def test_every_id_is_a_uuid_of_version_4():
    """Clients may check ids as strictly as RFC 4122 allows."""
    shop = Catalog()
    for identifier in [*shop.projects, *shop.tests, *shop.groups]:
        assert str(uuid.UUID(identifier)) == identifier
        assert uuid.UUID(identifier).version == 4


def test_groups_and_tests_fit_together():
    """Every group's tests exist in the group's project, every test's script exists."""
    shop = Catalog()
    for group in shop.groups.values():
        assert all(shop.tests[test_id].project_id == group.project_id for test_id in group.test_ids)
    assert {test.script for test in shop.tests.values()} <= set(SCRIPTS)


def test_every_script_is_used_by_a_test():
    """Every script is used by some test."""
    assert {test.script for test in Catalog().tests.values()} == set(SCRIPTS)


def test_big_groups_have_their_sizes():
    """The load groups have 250 and 1,000 tests."""
    groups = Catalog().groups
    assert len(groups[catalog.GROUP_250].test_ids) == 250
    assert len(set(groups[catalog.GROUP_1000].test_ids)) == 1000


def test_a_disabled_test_can_be_restored():
    """`restore` undoes `set_enabled`."""
    shop = Catalog()
    shop.set_enabled(catalog.TEST_PASSES, enabled=False)
    assert not shop.tests[catalog.TEST_PASSES].enabled
    shop.restore()
    assert shop.tests[catalog.TEST_PASSES].enabled
