#!/usr/bin/env bash
# Loads Debian's package graph into a cluster of one coordinator and three nodes, all separate processes on this
# machine, applies rules, runs queries, kills a node and restarts it, and withdraws a package. At the end it always stops
# the cluster and removes its data.

set -euo pipefail

usage() {
  cat <<'TEXT'
usage: demo.sh [options]
  --input apt|status|snapshot  the machine's apt indexes, its installed packages, or the snapshot
                               (default: the first of these that the machine has)
  --section NAME               only this section of the apt indexes, with its dependencies (default: net)
  --archive                    all of the apt indexes; takes longer
  --package NAME               the package of the queries
  --gone NAME                  the package that is withdrawn
  --rows N                     number of rows to show of an answer (default: 10)
  --keep                       leaves the cluster running at the end, until Ctrl-C
The programs are target/debug/entail, or $ENTAIL, and debian-to-rdf beside it, or $DEBIAN_TO_RDF.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
entail=${ENTAIL:-$root/target/debug/entail}
converter=${DEBIAN_TO_RDF:-$(dirname "$entail")/debian-to-rdf}
input= section=net asked= gone= rows=10 keep=no
step_seconds_max=600
ready_seconds_max=60

while [ $# -gt 0 ]; do
  case $1 in
    --input) input=${2:?--input needs a value}; shift ;;
    --section) section=${2:?--section needs a value}; input=${input:-apt}; shift ;;
    --archive) section=; input=${input:-apt} ;;
    --package) asked=${2:?--package needs a value}; shift ;;
    --gone) gone=${2:?--gone needs a value}; shift ;;
    --rows) rows=${2:?--rows needs a value}; shift ;;
    --keep) keep=yes ;;
    -h | --help) usage; exit 0 ;;
    *) echo "demo: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

for program in "$entail" "$converter"; do
  if [ ! -x "$program" ]; then
    echo "demo: there is no program $program: \`make demo\` builds it; ENTAIL and DEBIAN_TO_RDF set other programs" >&2
    exit 2
  fi
done

# ---- the frame: one directory, a list of processes, and a cleanup that always runs

work=$(mktemp -d "${TMPDIR:-/tmp}/entail-demo.XXXXXX")
servers=()

finish() {
  local code=$? server
  trap - EXIT INT TERM HUP
  if [ ${#servers[@]} -gt 0 ]; then
    kill "${servers[@]}" 2>/dev/null || true
    for _ in $(seq 50); do
      kill -0 "${servers[@]}" 2>/dev/null || break
      sleep 0.1
    done
    for server in "${servers[@]}"; do
      kill -9 "$server" 2>/dev/null || true
      wait "$server" 2>/dev/null || true
    done
  fi
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

now_ms() {
  local now=${EPOCHREALTIME/[.,]/}
  echo $((now / 1000))
}

# Prints the time since the given start.
took() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%02d s' $((ms / 1000)) $((ms % 1000 / 10))
}

bold= plain=
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi
heading() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
indent() { sed 's/^/    /'; }

fail() {
  {
    printf '\ndemo: %s failed\n' "$1"
    local log
    for log in "$work/step.err" "$work"/*.log; do
      [ -s "$log" ] || continue
      printf -- '--- the end of %s\n' "$(basename "$log")"
      tail -n 15 "$log"
    done
  } >&2
  exit 1
}

# Runs one command of entail; its output goes to step.out.
step() {
  timeout --foreground "$step_seconds_max" "$entail" "$@" >"$work/step.out" 2>"$work/step.err" || fail "entail $1"
}

# ---- the input

has_indexes() { compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; }
has_packages() { [ "$(grep -c '^Status: .* installed$' /var/lib/dpkg/status 2>/dev/null)" -ge 200 ] 2>/dev/null; }

# The inputs that this machine has, best first. The snapshot always exists.
inputs() {
  if has_indexes; then echo apt; fi
  if has_packages; then echo status; fi
  echo snapshot
}

# Sets the source and its description.
describe_input() {
  case $1 in
    apt)
      source=(--packages auto)
      what="this machine's apt indexes"
      if [ -n "$section" ]; then
        source+=(--section "$section")
        what="the section $section of $what, and all that it needs"
      fi
      ;;
    status)
      source=(--status)
      what="what is installed on this machine"
      ;;
    snapshot)
      source=(--packages "$here/snapshot.packages.zst")
      what="a kept snapshot of the section net, and all that it needs"
      ;;
    *) echo "demo: unknown input $1" >&2; exit 2 ;;
  esac
}

# Converts the requested input, or else the machine's first input that can be converted.
convert() {
  local candidate
  for candidate in ${input:-$(inputs)}; do
    describe_input "$candidate"
    heading "1. The data: $what"
    echo "    debian-to-rdf ${source[*]} --output debian.nt"
    start=$(now_ms)
    if "$converter" "${source[@]}" --output "$work/debian.nt" 2>"$work/step.err"; then
      indent <"$work/step.err"
      echo "    $(took "$start")"
      return
    fi
    indent <"$work/step.err"
  done
  fail "debian-to-rdf"
}

# The first of the names that is a package in the input.
first_package() {
  local name
  for name in "$@"; do
    if grep -qF "<urn:debian:package:$name> <urn:debian:v:version> " "$work/debian.nt"; then
      echo "$name"
      return
    fi
  done
  echo "demo: the input has none of these packages: $*" >&2
  return 1
}

begin=$(now_ms)
convert
asked=$(first_package ${asked:-openssh-server curl git apt bash})
gone=$(first_package ${gone:-liblzma5 zlib1g libc6})

# ---- the cluster

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

next_port=$((20000 + $$ % 20000))
take_port() {
  while ! is_free "$next_port"; do next_port=$((next_port + 1)); done
  port=$next_port
  next_port=$((next_port + 1))
}

# Starts a process of the cluster with its own directory.
launch() {
  local name=$1
  shift
  "$entail" "$@" --data "$work/$name" >"$work/$name.log" 2>&1 &
  servers+=($!)
}

# Waits until the cluster answers, or until a process has ended.
await_cluster() {
  local deadline=$(($(now_ms) + ready_seconds_max * 1000)) server
  until timeout --foreground 5 "$entail" query 'ASK {}' >"$work/step.out" 2>"$work/step.err"; do
    for server in "${servers[@]}"; do
      kill -0 "$server" 2>/dev/null || fail "a process of the cluster"
    done
    [ "$(now_ms)" -lt "$deadline" ] || fail "starting the cluster"
    sleep 0.1
  done
}

heading "2. The cluster: one coordinator, three nodes, 16 shards"
start=$(now_ms)
take_port; client_port=$port
take_port; peer_port=$port
export ENTAIL_SERVER=http://127.0.0.1:$client_port
launch coordinator coordinator --shards 16 --min-nodes 3 \
  --listen "127.0.0.1:$client_port" --peer-listen "127.0.0.1:$peer_port"
# Port 0: each node takes a free one and tells the coordinator.
launch_node() { launch "$1" node --name "$1" --coordinator "http://127.0.0.1:$peer_port" --peer-listen 127.0.0.1:0; }
for name in node-1 node-2 node-3; do launch_node "$name"; done
await_cluster
echo "    ready after $(took "$start")"

heading "3. Loading"
start=$(now_ms)
echo "    entail load debian.nt"
step load "$work/debian.nt"
cat "$work/step.out" "$work/step.err" | indent
echo "    $(took "$start")"

# ---- rules and questions

# The rules without comments and prefixes.
show_rules() { grep -v -e '^#' -e '^PREFIX' -e '^$' "$1" | indent; }

apply() {
  local file=$here/$1.srl
  printf '\n  %s%s%s (%s.srl)\n' "$bold" "$(sed -n '1s/^# //p' "$file")" "$plain" "$1"
  show_rules "$file"
  start=$(now_ms)
  step rules apply "$file"
  # One line, without the numbers for each rule.
  cat "$work/step.out" "$work/step.err" | grep -m 1 "^$1, " | sed 's/^/    => /'
}

# Formats a table of tab-separated values: the first rows, or with `sample` rows spread over all of them.
show_table() {
  awk -F '\t' -v limit="$rows" -v how="$1" '
    function clean(value) {
      sub(/^\?/, "", value)
      if (value ~ /^"/) { sub(/^"/, "", value); sub(/"([@^][^"]*)?$/, "", value); gsub(/\\"/, "\"", value) }
      return value
    }
    { for (i = 1; i <= NF; i++) cell[NR, i] = clean($i); columns = NF > columns ? NF : columns }
    function show(row,   i, line, text) {
      line = "   "
      for (i = 1; i <= columns; i++) {
        text = cell[row, i]
        line = line " " sprintf(i == columns ? "%s" : "%-" width[i] "s ", text)
      }
      print line
    }
    END {
      total = NR - 1
      shown = total < limit ? total : limit
      step = how == "sample" && shown > 0 ? total / shown : 1
      for (n = 0; n <= shown; n++) {
        row = n == 0 ? 1 : 2 + int((n - 1) * step)
        picked[n] = row
        for (i = 1; i <= columns; i++) if (length(cell[row, i]) > width[i]) width[i] = length(cell[row, i])
      }
      for (n = 0; n <= shown; n++) show(picked[n])
      if (total > shown) printf "    ... and %d more%s\n", total - shown, how == "sample" ? " in between" : ""
    }'
}

# Writes the query of a file, with the packages of this run.
question() {
  local file=$here/$1.rq
  sed -e "s|pkg:openssh-server|<urn:debian:package:$asked>|g" -e "s|pkg:liblzma5|<urn:debian:package:$gone>|g" \
    -e "1s|openssh-server|$asked|" -e "1s|liblzma5|$gone|" "$file" >"$work/question.rq"
}

# Runs the query of a file.
ask() {
  question "$1"
  printf '\n  %s%s%s (%s.rq)\n' "$bold" "$(sed -n '1s/^# //p' "$work/question.rq")" "$plain" "$1"
  start=$(now_ms)
  step query --output tsv -f "$work/question.rq"
  local spent
  spent=$(took "$start")
  show_table "$2" <"$work/step.out"
  echo "    $(($(wc -l <"$work/step.out") - 1)) rows, $spent"
}

heading "4. The rules"
for name in needs requires conflicts trust; do
  apply "$name"
done

heading "5. The questions"
ask needs first
ask breaks first
ask never sample
ask trust sample
ask rests first

# ---- the cluster

heading "6. The cluster at work: entail status"
step status
indent <"$work/step.out"

heading "7. Where the time of a query goes: entail query --trace (the first lines)"
question needs
# With a table it is drawn for people, otherwise it is JSON.
step query --trace --output table -f "$work/question.rq"
sed -n '/^trace /,$p' "$work/step.err" | head -n 14 | indent

heading "8. A node is lost: kill -9 of node-2"
everything='SELECT (COUNT(*) AS ?facts) { ?s ?p ?o }'
# The facts that the cluster counts.
count_facts() {
  step query --output csv "$everything"
  tail -n 1 "$work/step.out" | tr -d '\r'
}
before=$(count_facts)
echo "    entail query '$everything'"
echo "    => $before"
# The coordinator is the first, node-1 the second.
kill -9 "${servers[2]}"
wait "${servers[2]}" 2>/dev/null || true
unset 'servers[2]'
echo "    kill -9 node-2"
echo "    entail query --timeout 1s '$everything'"
# The client retries until its timeout. On a busy machine the last attempt may end without the reason.
for _ in 1 2 3; do
  code=0
  "$entail" query --timeout 1s "$everything" >"$work/step.out" 2>"$work/step.err" || code=$?
  [ "$code" -ne 0 ] || fail "the refusal of a query without node-2"
  if [ "$code" -eq 3 ]; then break; fi
done
sed 's/^/    => /' <"$work/step.err"
echo "    => exit code $code: an answer is complete, or there is none"
start=$(now_ms)
launch_node node-2
step status --wait --wait-nodes 3 --timeout 30s
after=$(count_facts)
echo "    node-2 is started again over its directory"
echo "    => $after after $(took "$start")"
[ "$before" = "$after" ] || fail "the return of node-2: $after facts instead of $before; the demo"

# ---- a change

heading "9. A package is withdrawn: $gone, and everything that followed from it"
# The facts of the package itself, and those that the converter has computed from it.
grep -e "^<urn:debian:package:$gone> " -e "<urn:debian:v:\(metBy\|onlyChoice\)> <urn:debian:package:$gone> " \
  "$work/debian.nt" >"$work/withdrawn.nt"

# Writes the number of facts of each predicate to a file.
count_predicates() {
  step query --output tsv 'SELECT ?predicate (COUNT(*) AS ?facts) { ?s ?predicate ?o } GROUP BY ?predicate'
  tail -n +2 "$work/step.out" | sed -e 's/^<//' -e 's/>//' -e 's/^urn:debian:v:/deb:/' -e 's/^http.*ns#type/a/' |
    LC_ALL=C sort >"$1"
}

# The number of rows of the query of a file.
count_rows() {
  question "$1"
  step query --output tsv -f "$work/question.rq"
  echo $(($(wc -l <"$work/step.out") - 1))
}

# Loads the facts of the package, or with --delete removes them; shows the summary.
change() {
  echo "    entail load ${*:+$* }withdrawn.nt"
  start=$(now_ms)
  step load "$@" "$work/withdrawn.nt"
  spent=$(took "$start")
  cat "$work/step.out" "$work/step.err" | sed 's/^/    => /'
}

count_predicates "$work/before"
breaking=$(count_rows breaks)
change --delete
echo "    deleted, with everything that rules do not entail any more, in $spent"
count_predicates "$work/after"
printf '\n  %sWhat went with it, by predicate%s\n' "$bold" "$plain"
{
  printf 'predicate\tbefore\tafter\tgone\n'
  LC_ALL=C join -t $'\t' -a 1 -e 0 -o 0,1.2,2.2 "$work/before" "$work/after" | awk -F '\t' '
    $2 != $3 { print $0 "\t" $2 - $3; before += $2; after += $3 }
    END { print "together\t" before "\t" after "\t" before - after }'
} | rows=50 show_table first
still=$(count_rows breaks)
echo "    breaks.rq, the packages that cannot do without $gone: $breaking rows before, $still now"
ask rests first

printf '\n  %sAnd back again%s\n' "$bold" "$plain"
change
count_predicates "$work/after"
cmp -s "$work/before" "$work/after" || fail "the return of $gone: not every fact is back; the demo"
echo "    every predicate has as many facts as before, in $spent"

heading "All of it took $(took "$begin"). What to try next, from $root:"
program=${entail#"$root/"}
cat <<TEXT
    examples/debian/demo.sh --package wireshark --gone libssl3     other packages
    examples/debian/demo.sh --archive                              the whole archive
    examples/debian/demo.sh --keep                                 leaves the cluster running; then, beside it,
      $program query -f examples/debian/hidden.rq       exclusions that follow only indirectly
      $program query --explain -f examples/debian/never.rq
    less examples/debian/README.md                                 the vocabulary, to write rules and queries of your own
TEXT

if [ "$keep" = yes ]; then
  heading "The cluster stays until Ctrl-C. In another terminal:"
  echo "    export ENTAIL_SERVER=$ENTAIL_SERVER"
  wait "${servers[@]}" || true
fi
