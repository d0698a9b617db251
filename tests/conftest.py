"""Settings shared by all tests."""

import hypothesis

hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=40, print_blob=True)
hypothesis.settings.load_profile("default")
