"""Prints how the conformance suite does: `python -m planted_bugs`, in the folder above this one."""

from __future__ import annotations

import sys
import warnings

from planted_bugs import CORRECT, PLANTED, failures, reason_of_failure


def main() -> int:
    """Judge all components, and print what was missed and who was accused; 1 if any."""
    warnings.simplefilter("ignore", RuntimeWarning)
    missed = [planted for planted in PLANTED if reason_of_failure(planted) is None]
    for planted in missed:
        print(f"missed by {planted.check}: {planted.component.kind} {planted.component.__name__}")
    accused = {component: failed for component in CORRECT if (failed := failures(component))}
    for component, failed in accused.items():
        print(f"accused by {', '.join(failed)}: {component.kind} {component.__name__}")
    print(f"{len(PLANTED) - len(missed)} of {len(PLANTED)} planted bugs are caught by the check that should")
    print(f"{len(accused)} of {len(CORRECT)} right components are accused")
    return 1 if missed or accused else 0


if __name__ == "__main__":
    sys.exit(main())
