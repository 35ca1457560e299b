"""Whether two outputs agree: prints {"agree": bool, "difference": number or null}.

    python3 compare.py OURS.npy THEIRS.npy --rule absolute|of-maximum|each --limit 1e-3

absolute: the largest |a - b|. of-maximum: that over the largest |b|. each: the largest |a - b| / |b|. The difference is
null where it is not a number or the shapes differ.
"""

import argparse
import json

import numpy as np


def difference(ours, theirs, rule):
    """The difference by the rule, or None where there is none."""
    if ours.shape != theirs.shape:
        return None
    gap = np.abs(ours.astype(np.float64) - theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = {
            "absolute": lambda: gap.max(),
            "of-maximum": lambda: gap.max() / np.abs(theirs).max(),
            "each": lambda: (gap / np.abs(theirs)).max(),
        }[rule]()
    return float(value) if np.isfinite(value) else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("theirs")
    parser.add_argument("--rule", required=True, choices=("absolute", "of-maximum", "each"))
    parser.add_argument("--limit", required=True, type=float)
    arguments = parser.parse_args()
    value = difference(np.load(arguments.ours), np.load(arguments.theirs), arguments.rule)
    print(json.dumps({"agree": value is not None and value <= arguments.limit, "difference": value}))


if __name__ == "__main__":
    main()
