#!/usr/bin/env python3
"""Compares how fast two builds evaluate expressions: filters, BIND, aggregates and ORDER BY over numbers, texts, dates.

    python3 bench/expressions.py --before /old/entail --after /new/entail --runs 7 > expressions.md

Both programs serve a cluster of one node with the same facts, loaded once. For each query they are asked alternately (before,
after, after, before, ...) by the command line; the time of the command is taken, less that of `ASK {}`. A row is a query: the
medians of both, the median of the pairs' ratios, after over before, and whether the answers are the same.
"""

import argparse
import math
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PREFIXES = "PREFIX : <http://e/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> "

# What is measured, and the query.
QUERIES = [
    ("filter: integers", "SELECT ?s { ?s :number ?n FILTER(?n > 990) }"),
    ("filter: arithmetic", "SELECT ?s { ?s :number ?n FILTER(?n * 2 + 1 > 1990) }"),
    ("filter: decimals", "SELECT ?s { ?s :price ?n FILTER(?n > 99.5) }"),
    ("filter: doubles", "SELECT ?s { ?s :weight ?n FILTER(?n > 0.99e0) }"),
    ("filter: dates", 'SELECT ?s { ?s :date ?d FILTER(?d > "2024-06-01"^^xsd:date) }'),
    ("filter: times", 'SELECT ?s { ?s :time ?d FILTER(?d > "2024-06-01T00:00:00Z"^^xsd:dateTime) }'),
    ("filter: equal texts", 'SELECT ?s { ?s :name ?n FILTER(STR(?n) = "name 77") }'),
    ("filter: CONTAINS", 'SELECT ?s { ?s :text ?t FILTER(CONTAINS(?t, "quick 9")) }'),
    ("filter: LCASE", 'SELECT ?s { ?s :text ?t FILTER(LCASE(?t) = "the quick 9 fox") }'),
    ("filter: REGEX", 'SELECT ?s { ?s :text ?t FILTER(REGEX(?t, "quick [0-9]9 ")) }'),
    ("filter: REGEX, flag i", 'SELECT ?s { ?s :text ?t FILTER(REGEX(?t, "QUICK [0-9]9 ", "i")) }'),
    ("filter: LANG", 'SELECT ?s { ?s :label ?t FILTER(LANG(?t) = "de") }'),
    ("filter: OPTIONAL", "SELECT ?s { ?s :number ?n OPTIONAL { ?s :price ?p FILTER(?p > 90) } FILTER(!BOUND(?p) && ?n > 990) }"),
    ("bind: arithmetic", "SELECT (SUM(?m) AS ?t) { ?s :number ?n BIND(?n * 2 + 1 AS ?m) }"),
    ("bind: texts", 'SELECT (COUNT(?m) AS ?t) { ?s :text ?n BIND(CONCAT("[", ?n, "]") AS ?m) }'),
    ("bind: dates", "SELECT ?y (COUNT(*) AS ?n) { ?s :date ?d BIND(YEAR(?d) AS ?y) } GROUP BY ?y"),
    ("aggregate: SUM, AVG of integers", "SELECT (SUM(?n) AS ?a) (AVG(?n) AS ?b) { ?s :number ?n }"),
    ("aggregate: SUM of decimals", "SELECT (SUM(?n) AS ?a) { ?s :price ?n }"),
    ("aggregate: MIN, MAX of dates", "SELECT (MIN(?n) AS ?a) (MAX(?n) AS ?b) { ?s :date ?n }"),
    ("aggregate: groups", "SELECT ?k (COUNT(*) AS ?c) (SUM(?n) AS ?a) { ?s :kind ?k ; :number ?n } GROUP BY ?k"),
    ("aggregate: of an expression", "SELECT ?k (SUM(?n * ?p) AS ?a) { ?s :kind ?k ; :number ?n ; :price ?p } GROUP BY ?k"),
    ("aggregate: COUNT DISTINCT of texts", "SELECT (COUNT(DISTINCT LCASE(?n)) AS ?a) { ?s :name ?n }"),
    ("order: integers", "SELECT ?s ?n { ?s :number ?n } ORDER BY ?n ?s"),
    ("order: texts", "SELECT ?s ?n { ?s :name ?n } ORDER BY ?n ?s"),
    ("order: dates, first 10", "SELECT ?s ?n { ?s :date ?n } ORDER BY DESC(?n) ?s LIMIT 10"),
    ("order: an expression", "SELECT ?s ?n { ?s :text ?n } ORDER BY STRLEN(?n) ?s LIMIT 10"),
    ("OPTIONAL", "SELECT (COUNT(*) AS ?c) { ?s :kind :k3 OPTIONAL { ?s :rare ?r } }"),
    ("UNION", "SELECT (COUNT(*) AS ?c) { { ?s :kind :k3 } UNION { ?s :rare ?r } ?s :number ?n }"),
    ("MINUS", "SELECT (COUNT(*) AS ?c) { ?s :kind :k3 MINUS { ?s :rare ?r } }"),
    ("NOT EXISTS", "SELECT (COUNT(*) AS ?c) { ?s :kind :k3 FILTER NOT EXISTS { ?s :rare ?r } }"),
    ("EXISTS with a filter", "SELECT (COUNT(*) AS ?c) { ?s :number ?n FILTER EXISTS { ?s :rare ?r FILTER(?r > ?n) } }"),
    ("path: +", "SELECT (COUNT(*) AS ?c) { :i0 :next+ ?x }"),
    ("path: *, both ends open", "SELECT (COUNT(*) AS ?c) { ?x :up* ?y }"),
    ("subquery", "SELECT ?s ?n { { SELECT (MAX(?m) AS ?n) { ?x :number ?m } } ?s :number ?n }"),
    ("VALUES", "SELECT (COUNT(*) AS ?c) { VALUES ?k { :k1 :k2 } ?s :kind ?k ; :number ?n FILTER(?n < 500) }"),
]


def write_facts(path, count):
    """Writes `count` items, each with ten values."""
    draw = random.Random(7)
    typed = '"%s"^^<http://www.w3.org/2001/XMLSchema#%s>'
    with open(path, "w") as out:
        for item in range(count):
            year, month, day = draw.randint(2000, 2024), draw.randint(1, 12), draw.randint(1, 28)
            date = f"{year}-{month:02}-{day:02}"
            values = {
                "number": typed % (draw.randint(0, 999), "integer"),
                "price": typed % (f"{draw.randint(0, 9999) / 100:.2f}", "decimal"),
                "weight": typed % (f"{draw.random():.6f}E0", "double"),
                "date": typed % (date, "date"),
                "time": typed % (f"{date}T{draw.randint(0, 23):02}:00:00Z", "dateTime"),
                "name": f'"name {draw.randint(0, count // 4)}"',
                "text": f'"The Quick {draw.randint(0, 999)} fox"' if item % 2 else f'"the quick {draw.randint(0, 999)} fox"',
                "label": f'"item {item}"@{draw.choice(["de", "en", "fr"])}',
                "kind": f"<http://e/k{draw.randint(0, 19)}>",
            }
            if item % 50 == 0:
                values["rare"] = typed % (draw.randint(0, 999), "integer")
                values["up"] = f"<http://e/i{item // 4}>"
            if item < 3000:
                values["next"] = f"<http://e/i{item + 1}>"
            for name, value in values.items():
                out.write(f"<http://e/i{item}> <http://e/{name}> {value} .\n")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """A program that serves the facts."""

    def __init__(self, program, folder, facts):
        self.program, self.url = program, f"http://127.0.0.1:{free_port()}"
        listen = self.url.removeprefix("http://")
        others = [f"--{name}-listen=127.0.0.1:{free_port()}" for name in ["peer", "http"]]
        command = [program, "serve", "--data", folder, "--listen", listen, *others]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.command("query", "ASK {}").returncode == 0:
                break
            time.sleep(0.05)
        loaded = self.command("load", facts)
        if loaded.returncode != 0:
            sys.exit(f"{program} does not load: {loaded.stderr.decode()}")

    def command(self, *words):
        return subprocess.run([self.program, "--server", self.url, *words], capture_output=True)

    def ask(self, query):
        """The seconds of the command, and the sorted lines of the answer."""
        started = time.monotonic()
        done = self.command("query", PREFIXES + query, "--output", "tsv", "--timeout", "120s")
        seconds = time.monotonic() - started
        if done.returncode != 0:
            return seconds, done.stderr.decode().strip()
        return seconds, sorted(done.stdout.decode().splitlines())

    def stop(self):
        self.process.terminate()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="PROGRAM")
    parser.add_argument("--after", required=True, metavar="PROGRAM")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("only", nargs="*", help="only the queries whose names contain one of these")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="entail-expressions-")
    facts = os.path.join(folder, "facts.nt")
    write_facts(facts, arguments.items)
    sides = []
    try:
        for name in ["before", "after"]:
            sides.append(Served(getattr(arguments, name), os.path.join(folder, name), facts))
        measure(sides, arguments)
    finally:
        for side in sides:
            side.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measure(sides, arguments):
    empty = [statistics.median(side.ask("ASK {}")[0] for _ in range(15)) for side in sides]
    print(f"{arguments.items} items, {arguments.runs} runs in turns; seconds without those of an empty query.\n")
    print("| query | before | after | ratio | answers |\n|---|---:|---:|---:|---|")
    ratios = []
    for name, query in QUERIES:
        if arguments.only and not any(part in name for part in arguments.only):
            continue
        seconds, answers = [[], []], [None, None]
        for run in range(arguments.runs + 1):
            for side in [0, 1] if run % 2 == 0 else [1, 0]:
                taken, answers[side] = sides[side].ask(query)
                # The first answer plans and fills caches.
                if run > 0:
                    seconds[side].append(max(taken - empty[side], 1e-4))
        before, after = (statistics.median(side) for side in seconds)
        ratio = statistics.median(b / a for a, b in zip(*seconds))
        ratios.append(ratio)
        same = "same" if answers[0] == answers[1] else "differ"
        print(f"| {name} | {before * 1e3:.1f} ms | {after * 1e3:.1f} ms | {ratio:.2f} | {same} |", flush=True)
    print(f"\nGeometric mean of the ratios: {math.exp(statistics.fmean(map(math.log, ratios))):.3f}.")


if __name__ == "__main__":
    main()
