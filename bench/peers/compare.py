#!/usr/bin/env python3
"""Runs a workload alternately on Entail and on DuckDB or Oxigraph, and checks that their results are equal.

    python3 -m venv venv && venv/bin/pip install duckdb pyoxigraph
    venv/bin/python bench/peers/compare.py --runs 5 duckdb closure --graph grid > grid.jsonl
    venv/bin/python bench/peers/compare.py --runs 5 pyoxigraph lubm --universities 10 > lubm.jsonl

The arguments after the peer are those of `entail bench`. DuckDB solves `closure` and `same-generation` by
one recursive query, in memory and with all processors; its tables hold integers, not terms. Oxigraph, which has no
rules, loads LUBM's input (`load`) and then the input with all facts that Entail derived (`load_all`), both on disk, and
answers the queries over the latter. Each line of the output is a JSON object, as in `entail bench` (docs/benchmarks.md);
the last ones are ratios, Entail over the peer. Every run of the peer is a separate process.
"""

import argparse
import importlib.util
import json
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parent.parent
# As in `entail bench`: at least this many executions, then until the total time or the largest number is reached.
QUERY_REPEATS_MIN, QUERY_REPEATS_MAX, QUERY_REPEATS_SECONDS = 3, 1_001, 0.25
SERVE_MAX_SECONDS = 60

# The number of a vertex follows the last `v` of its IRI.
READ = """
CREATE TABLE edge AS
SELECT CAST(regexp_extract(s, 'v(\\d+)>$', 1) AS INTEGER) AS x, CAST(regexp_extract(o, 'v(\\d+)>$', 1) AS INTEGER) AS y
FROM read_csv(?, delim = ' ', header = false, columns = {'s': 'VARCHAR', 'p': 'VARCHAR', 'o': 'VARCHAR', 'e': 'VARCHAR'})
"""
FIXPOINTS = {
    "closure": """
CREATE TABLE derived AS WITH RECURSIVE path(x, y) AS (
    SELECT x, y FROM edge UNION SELECT path.x, edge.y FROM path JOIN edge ON path.y = edge.x
) SELECT * FROM path
""",
    "same-generation": """
CREATE TABLE derived AS WITH RECURSIVE same(x, y) AS (
    SELECT a.y, b.y FROM edge a JOIN edge b ON a.x = b.x WHERE a.y <> b.y
    UNION SELECT a.y, b.y FROM same JOIN edge a ON a.x = same.x JOIN edge b ON b.x = same.y
) SELECT * FROM same
""",
}


class Steps:
    """The lines of one run of a peer."""

    def __init__(self, workload, subject):
        self.base = {"line": "measurement", "workload": workload, "subject": subject}

    def tell(self, step, seconds, **fields):
        print(json.dumps({**self.base, "step": step, **fields, "seconds": seconds}), flush=True)


def usage():
    """The resources that this process has used since its start."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    status = pathlib.Path("/proc/self/status").read_text()
    rss = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))
    peak = used.ru_maxrss << 10
    return {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_rss_bytes": peak, "rss_bytes": rss}


def timed(work):
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def solve_with_duckdb(workload, kind, source):
    """Reads edges and computes the fixpoint; libraries are loaded before the measurement."""
    import duckdb

    steps, database = Steps(workload, "duckdb"), duckdb.connect()
    before = usage()
    _, read = timed(lambda: database.execute(READ, [source]))
    _, fixpoint = timed(lambda: database.execute(FIXPOINTS[kind]))
    used = usage()
    used["cpu_seconds"] -= before["cpu_seconds"]
    asserted, derived = (database.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("edge", "derived"))
    steps.tell("read", read, facts=asserted)
    steps.tell("fixpoint", fixpoint, facts=derived)
    steps.tell("total", read + fixpoint, facts=asserted + derived, **used)


def solve_with_pyoxigraph(workload, source, everything):
    """Loads two stores and queries the second."""
    import pyoxigraph

    steps = Steps(workload, "pyoxigraph")
    with tempfile.TemporaryDirectory(prefix="entail-bench-") as directory:
        for step, file in (("load", source), ("load_all", everything)):
            path, before = pathlib.Path(directory, step), usage()
            store = pyoxigraph.Store(str(path))
            load = lambda: store.bulk_load(path=file, format=pyoxigraph.RdfFormat.N_TRIPLES)
            _, seconds = timed(lambda: (load(), store.flush()))
            used = usage()
            used["cpu_seconds"] -= before["cpu_seconds"]
            disk = sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
            steps.tell(step, seconds, facts=len(store), disk_bytes=disk, **used)
        for query in sorted(BENCH.glob("queries/lubm/*.rq")):
            text, format = query.read_text(), pyoxigraph.QueryResultsFormat.TSV
            answers, first = [], time.perf_counter()
            while len(answers) < QUERY_REPEATS_MIN or (
                len(answers) < QUERY_REPEATS_MAX and time.perf_counter() - first < QUERY_REPEATS_SECONDS
            ):
                answers.append(timed(lambda: store.query(text).serialize(format=format)))
            rows, times = answers[-1][0].count(b"\n") - 1, [seconds for _, seconds in answers]
            steps.tell(query.stem, statistics.median(times), rows=rows, first_seconds=times[0])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def materialise(entail, source, target):
    """Writes all facts that Entail derives from LUBM's input."""
    with tempfile.TemporaryDirectory(prefix="entail-bench-") as data:
        listen, peer = (f"127.0.0.1:{free_port()}" for _ in range(2))
        command = [entail, "serve", "--data", data, "--listen", listen, "--peer-listen", peer]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            at = ["--server", f"http://{listen}"]
            wait_for(server, [entail, "status", "--wait-nodes", "1", *at])
            subprocess.run([entail, "load", source, *at], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            apply = [entail, "rules", "apply", str(BENCH / "rules/lubm.srl"), *at]
            subprocess.run(apply, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with open(target, "wb") as out:
                subprocess.run([entail, "dump", "--content", "all", *at], check=True, stdout=out, stderr=subprocess.DEVNULL)
        finally:
            server.terminate()
            server.wait()


def wait_for(server, question):
    started = time.monotonic()
    while subprocess.run(question, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        if server.poll() is not None or time.monotonic() - started > SERVE_MAX_SECONDS:
            sys.exit("entail serve does not serve")
        time.sleep(0.1)


def lines_of(command, run):
    """The output lines of a program, as the lines of a run."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        try:
            output = program.communicate()[0]
        except KeyboardInterrupt:
            # It received the signal too, and cleans up.
            program.wait()
            raise
    if program.returncode != 0:
        sys.exit(f"{pathlib.Path(command[0]).name} failed")
    lines = [json.loads(line) for line in output.splitlines()]
    return [{**line, "run": run} if line["line"] == "measurement" else line for line in lines]


def by_step(lines):
    return {line["step"]: line for line in lines if line["line"] == "measurement" and "clients" not in line}


def agree(ours, theirs):
    """Ends the program unless both have the same facts and rows."""
    pairs = [(("load", "facts"), (step, "facts")) for step in ("read", "load") if step in theirs]
    pairs += [(("rules", "facts"), ("fixpoint", "facts"))] if "fixpoint" in theirs else []
    pairs += [(("total", "facts"), ("load_all", "facts"))] if "load_all" in theirs else []
    pairs += [((step, "rows"), (step, "rows")) for step in theirs if "rows" in theirs[step]]
    for (our_step, field), (step, _) in pairs:
        entail, other = ours[our_step][field], theirs[step][field]
        if entail != other:
            sys.exit(f"{step}, {field}: entail has {entail}, the other has {other}")


def ratios(workload, peer, runs):
    """The ratios of Entail over the peer: minimum, median and maximum of the runs."""
    wanted = {"seconds": ("total", "total", "seconds"), "rules_seconds": ("rules", "fixpoint", "seconds")}
    wanted |= {of: ("total", "total", of) for of in ("cpu_seconds", "peak_rss_bytes")}
    if peer == "pyoxigraph":
        wanted = {"load_seconds": ("load", "load", "seconds"), "load_disk_bytes": ("load", "load", "disk_bytes")}
        wanted |= {step: (step, step, "seconds") for step, line in runs[0][1].items() if "rows" in line}
    for of, (step, other, field) in wanted.items():
        all = sorted(ours[step][field] / theirs[other][field] for ours, theirs in runs)
        values = {"min": all[0], "median": statistics.median(all), "max": all[-1]}
        print(json.dumps({"line": "ratio", "workload": workload, "against": peer, "of": of, "runs": len(all), **values}))


def compare(options):
    kinds = {"duckdb": list(FIXPOINTS), "pyoxigraph": ["lubm"]}[options.peer]
    if not options.workload or options.workload[0] not in kinds:
        sys.exit(f"{options.peer} solves {' and '.join(kinds)}")
    if options.runs < 1:
        sys.exit("--runs: one at least")
    if importlib.util.find_spec(options.peer) is None:
        sys.exit(f"{options.peer} is not installed: venv/bin/pip install {options.peer}")
    if not pathlib.Path(options.entail).is_file():
        sys.exit(f"{options.entail} is not there: make install, or --entail PROGRAM (entail-bench lies beside it)")
    kind = options.workload[0]
    bench = [options.entail, "bench", *options.workload]
    with tempfile.TemporaryDirectory(prefix="entail-bench-") as directory:
        source, everything = f"{directory}/input.nt", f"{directory}/everything.nt"
        shape = [word for word in options.workload if word != "--points"]
        subprocess.run([options.entail, "bench", *shape, "--write", source], check=True)
        if options.peer == "pyoxigraph":
            materialise(options.entail, source, everything)
        runs, workload = [], None
        for run in range(1, options.runs + 1):
            both = {}
            for subject in ("entail", "peer") if run % 2 else ("peer", "entail"):
                if subject == "peer":
                    own = ["solve", options.peer, kind, source, everything, "--name", workload or kind]
                    both[subject] = lines_of([sys.executable, __file__, *own], run)
                else:
                    both[subject] = lines_of(bench, run)
            workload = next(line["workload"] for line in both["entail"] if line["line"] == "measurement")
            for line in both["entail"] + both["peer"]:
                # Machine and cluster are printed once, and ratios after all runs.
                if line["line"] == "measurement" or (run == 1 and line["line"] in ("machine", "cluster")):
                    print(json.dumps({**line, "workload": workload} if "workload" in line else line), flush=True)
            runs.append((by_step(both["entail"]), by_step(both["peer"])))
            agree(*runs[-1])
    ratios(workload, options.peer, runs)


def solve(options):
    if options.peer == "duckdb":
        solve_with_duckdb(options.name, options.kind, options.source)
    else:
        solve_with_pyoxigraph(options.name, options.source, options.everything)


def main():
    peers = ("duckdb", "pyoxigraph")
    if sys.argv[1:2] == ["solve"]:
        parser = argparse.ArgumentParser()
        parser.add_argument("peer", choices=peers)
        for name in ("kind", "source", "everything", "--name"):
            parser.add_argument(name)
        return solve(parser.parse_args(sys.argv[2:]))
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("peer", choices=peers, help="whom to compare with")
    parser.add_argument("--runs", type=int, default=1, help="how often everything is done [1]")
    parser.add_argument("--entail", default="target/debug/entail", help="the program [target/debug/entail]")
    parser.add_argument("workload", nargs=argparse.REMAINDER, help="the workload of `entail bench`, with its options")
    compare(parser.parse_args())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
