#!/usr/bin/env python3
"""Compares two builds over every workload of docs/benchmarks.md, alternating, and fails if the newer one is slower.

    python3 bench/gate.py --before '/old/entail bench' --after '/new/entail bench' --runs 7 > gate.md

Each of the two is a command with the arguments of `entail bench`. For each workload they run alternately (before, after,
after, before, ...), each run on a new cluster. A row is one figure (seconds, processor seconds, peak memory) of one step or
query; its ratio is the median over the pairs of runs, after over before. The gate: the geometric mean of all rows' ratios is
at most --mean-max, and no row's ratio is above --row-max. Rows below the resolution of the figure (a hundredth of a processor
second) are listed, but not judged: `--floor-*` sets the resolution. Results go to stdout as Markdown, progress to stderr, and
--keep FILE appends every measurement as a line of JSON. Exit code 1: the gate fails.
"""

import argparse
import json
import math
import shlex
import statistics
import subprocess
import sys

WORKLOADS = [
    "lubm --universities 1",
    "lubm --universities 10 --points",
    "lubm --universities 10 --nodes 4",
    "lubm --universities 50",
    "closure",
    "closure --nodes 4",
    "closure --graph grid",
    "closure --graph chain",
    "same-generation --graph grid",
    "same-generation",
    "same-generation --nodes 4",
    "debian",
    "debian --nodes 4",
]
FIGURES = ["seconds", "cpu_seconds", "peak_rss_bytes"]


def run(command, workload):
    """The measurements of one run: {step: {figure: value}}."""
    words = shlex.split(command) + shlex.split(workload) + ["--runs", "1"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"gate: {shlex.join(words)} ended with {done.returncode}")
    steps = {}
    for line in map(json.loads, done.stdout.splitlines()):
        if line["line"] == "measurement" and line["subject"] == "entail":
            clients = f", {line['clients']} clients" if line.get("clients") else ""
            steps[line["step"] + clients] = line
    return steps


def rows(workload, pairs, floors):
    """Each row's name, medians before and after, and median ratio; and whether it is large enough to be judged."""
    for step in pairs[0][0]:
        for figure in FIGURES:
            # The idle step after the rules always takes 3 s; only its memory matters.
            if step == "rest" and figure != "peak_rss_bytes":
                continue
            values = [(before[step].get(figure), after[step].get(figure)) for before, after in pairs]
            values = [(before, after) for before, after in values if before and after]
            if len(values) == len(pairs):
                before, after = (statistics.median(side) for side in zip(*values))
                ratio = statistics.median(after / before for before, after in values)
                yield (workload, step, figure, before, after, ratio, before >= floors[figure])


def shown(figure, value):
    return f"{value / 1e6:.0f} MB" if figure == "peak_rss_bytes" else f"{value:.4g} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="COMMAND")
    parser.add_argument("--after", required=True, metavar="COMMAND")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--mean-max", type=float, default=1.03)
    parser.add_argument("--row-max", type=float, default=1.08)
    parser.add_argument("--floor-seconds", type=float, default=0.0)
    parser.add_argument("--floor-cpu", type=float, default=0.1, help="processor seconds of a step [default: 0.1]")
    parser.add_argument("--keep", metavar="FILE", help="appends every measurement, as a line of JSON")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="'lubm --universities 10', ... [default: all]")
    options = parser.parse_args()
    floors = {"seconds": options.floor_seconds, "cpu_seconds": options.floor_cpu, "peak_rss_bytes": 0}
    all_rows = []
    for workload in options.workloads or WORKLOADS:
        pairs = []
        for number in range(options.runs):
            print(f"gate: {workload}, run {number + 1} of {options.runs}", file=sys.stderr, flush=True)
            sides = ["before", "after"] if number % 2 == 0 else ["after", "before"]
            taken = {side: run(getattr(options, side), workload) for side in sides}
            pairs.append((taken["before"], taken["after"]))
            if options.keep:
                with open(options.keep, "a") as kept:
                    for side, steps in taken.items():
                        for line in steps.values():
                            print(json.dumps({"side": side, "arguments": workload, "turn": number, **line}), file=kept)
        all_rows.extend(rows(workload, pairs, floors))
    print("| workload | step | figure | before | after | ratio |\n|---|---|---|---:|---:|---:|")
    for workload, step, figure, before, after, ratio, judged in all_rows:
        mark = "" if judged else " (too small to judge)"
        print(f"| {workload} | {step} | {figure} | {shown(figure, before)} | {shown(figure, after)} | {ratio:.3f}{mark} |")
    judged = [row for row in all_rows if row[6]]
    held = True
    for figure in FIGURES + [None]:
        ratios = [row[5] for row in judged if figure in (None, row[2])]
        if ratios:
            mean = math.exp(statistics.fmean(map(math.log, ratios)))
            held &= figure is not None or mean <= options.mean_max
            print(f"\n{figure or 'all'}: {len(ratios)} rows, geometric mean {mean:.3f}, largest {max(ratios):.3f}")
    slow = [row for row in judged if row[5] > options.row_max]
    for workload, step, figure, _, _, ratio, _ in slow:
        print(f"\nabove {options.row_max}: {workload}, {step}, {figure}: {ratio:.3f}")
    sys.exit(0 if held and not slow else 1)


if __name__ == "__main__":
    main()
