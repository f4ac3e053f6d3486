"""The results of a check: failures, and parts that were skipped because a tool is not available.

A skipped part is reported, and fails the check where ENTAIL_TOOLS_REQUIRED is set.
"""

import os
import sys


class Report:
    def __init__(self):
        self.failures, self.skipped, self.passed = [], [], 0

    def check(self, is_fine, what):
        """Counts one expectation; `what` is the message if it does not hold."""
        if is_fine:
            self.passed += 1
        else:
            self.failures.append(what)
        return is_fine

    def skip(self, what):
        self.skipped.append(what)

    def end(self, name):
        for what in self.skipped:
            print(f"{name}: SKIPPED {what}")
        for what in self.failures:
            print(f"{name}: FAILED {what}", file=sys.stderr)
        print(f"{name}: {self.passed} expectations held, {len(self.failures)} failed, {len(self.skipped)} parts skipped")
        is_required = bool(os.environ.get("ENTAIL_TOOLS_REQUIRED"))
        sys.exit(1 if self.failures or (is_required and self.skipped) else 0)
