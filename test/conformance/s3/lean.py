"""pytest plugin for run.ts: the suite makes about a dozen boto3 clients around every test to clean up; two, made once, do.

What is cleaned stays the same (every bucket with this run's random prefix, of the main and the alt account), and a clean-up
that fails is still an error of the test. The sweep before each test goes: the prefix is new, so there is nothing to sweep.
"""


def pytest_collection_modifyitems(items):
    import s3tests.functional as suite
    clients = []

    def sweep():
        if not clients:
            clients.extend([suite.get_client(), suite.get_alt_client()])
        failure = None
        for client in clients:
            try:
                suite.nuke_prefixed_buckets(prefix=suite.prefix, client=client)
            except Exception as e:  # the other account is swept all the same
                failure = e
        if failure:
            raise failure

    suite.setup = lambda: None
    suite.teardown = sweep
