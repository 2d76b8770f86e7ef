"""Suites of tests, one for each protocol, that every implementation joins; yours can, too.

Put `tests/` on the path, subclass a suite in a test module of your own and give it a fixture with
what is to be tested:

    from contracts.space import SpaceContract

    class TestMySpace(SpaceContract):
        @pytest.fixture
        def space(self):
            return MySpace(batch=2)

With `pytest.register_assert_rewrite("contracts")` in your conftest.py, failures show values.
"""
