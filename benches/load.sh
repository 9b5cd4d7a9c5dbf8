#!/usr/bin/env bash
# Copal under load beside other caches: what stands in docs/performance.md is measured with this.
#
# usage: benches/load.sh [--quick] [--only NAME] [--memory [OBJECTS]]
#   --quick       two seconds a run instead of eight
#   --only NAME   one workload of those listed below, or `idle`
#   --memory      instead of load: what a stored 100-byte response costs, over OBJECTS (100,000) of
#                 them, in bytes of resident memory beyond its body and its fields' names and values
#   COPAL=PATH    the binary; target/dist/copal if not given
#   ROUNDS=N      how often each run is repeated (2)
#
# Needs nginx, wrk, oha, curl and python3; varnishd and haproxy take part where installed. All runs
# on loopback, with the load generator on the same machine, so requests/s are no server's capacity:
# the figure to compare is the processor time of the server (all its processes, user and system)
# per request served. `constant` is nginx answering `return 200` without any cache.
#
# The servers take turns within each round. Of the rounds the best figures are shown, and by how
# much the worst processor time was above the best: differences below that are noise. Times are of
# whole responses; `origin` is how many requests reached it where a cache can spare it them. At 1,000
# requests the kernel's 10 ms tick makes processor times of a herd good to 10 µs.
set -euo pipefail
cd "$(dirname "$0")"

# name  connections  path, where @ is another name in every run  generator
WORKLOADS="
hit-1KiB        64    /1k       wrk
hit-1MiB        32    /1m       wrk
hit-1KiB-c512   512   /1k       wrk
pass-1KiB       64    /pass/1k  wrk
miss-1KiB       64    /miss/    wrk-unique
herd-200        200   /slow/@   oha
herd-1000       1000  /slow/@   oha
"
IDLE_CONNECTIONS=2000

SECONDS_EACH=8 ONLY='' OBJECTS=''
while (($#)); do
    case $1 in
        --quick) SECONDS_EACH=2 ;;
        --only) ONLY=${2:?--only wants a name} && shift ;;
        --memory)
            OBJECTS=100000
            if [[ ${2:-} =~ ^[0-9]+$ ]]; then
                OBJECTS=$2 && shift
            fi
            ;;
        *) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' load.sh >&2 && exit 2 ;;
    esac
    shift
done
COPAL=$(realpath "${COPAL:-${CARGO_TARGET_DIR:-../target}/dist/copal}")
ROUNDS=${ROUNDS:-2}

if [[ -n $ONLY && $ONLY != idle ]] && ! grep -q "^$ONLY " <<<"$WORKLOADS"; then
    echo "no such workload: $ONLY" >&2 && exit 2
fi
for tool in nginx wrk oha curl python3 "$COPAL"; do
    command -v "$tool" >/dev/null || { echo "not found: $tool" >&2 && exit 1; }
done
ulimit -n "$(ulimit -Hn)"

# shellcheck source-path=SCRIPTDIR source=load/servers.sh
source load/servers.sh
trap stop_all EXIT
RESULTS=$FOLDER/results

url() { echo "http://127.0.0.1:${PORT[$1]}$2"; }

# Each generator prints "requests seconds p50_us p99_us errors".

run_wrk() {
    local connections=$1 target=$2
    shift 2
    wrk -t1 -c"$connections" -d"${SECONDS_EACH}s" --timeout 10s -s load/report.lua "$target" \
        -- "$@" | sed -n 's/^report //p'
}

run_oha() {
    local connections=$1 target=$2
    oha --no-tui --output-format json -n "$connections" -c "$connections" "$target" | python3 -c '
import json, sys
it = json.load(sys.stdin)
good = it["statusCodeDistribution"].get("200", 0)
bad = sum(it["statusCodeDistribution"].values()) - good + sum(it["errorDistribution"].values())
p50, p99 = (int((it["latencyPercentiles"][name] or 0) * 1e6) for name in ("p50", "p99"))
print(good, it["summary"]["total"], p50, p99, bad)'
}

# How many requests a cache has not spared the origin so far.
asked() { wc -l <"$FOLDER/asked.log"; }

# measure NAME CONNECTIONS PATH GENERATOR SERVER ROUND: one run, one line of results.
measure() {
    local name=$1 connections=$2 path=$3 generator=$4 server=$5 round=$6
    local target cpu report asked
    asked=$(asked)
    target=$(url "$server" "${path/@/$name-$server-$round}")
    cpu=$(cpu_us "$server")
    case $generator in
        wrk) report=$(run_wrk "$connections" "$target") ;;
        wrk-unique) report=$(run_wrk "$connections" "$target" unique "$server-$round") ;;
        oha) report=$(run_oha "$connections" "$target") ;;
    esac
    cpu=$(($(cpu_us "$server") - cpu))
    case $path in
        /pass/* | /miss/*) asked='-' ;;
        *) asked=$(($(asked) - asked)) ;;
    esac
    echo "$name $server $cpu $asked $report" >>"$RESULTS"
}

# The best of the rounds, in the order of the first.
table() {
    awk '
    BEGIN {
        row = "%-14s %-9s %10s %9s %9s %8s %7s %7s %7s\n"
        printf row, "workload", "server", "requests/s", "p50 ms", "p99 ms", "cpu µs", "+worst", \
            "errors", "origin"
    }
    function least(old, new) { return old == "" || new < old ? new : old }
    function most(old, new) { return old == "" || new > old ? new : old }
    {
        id = sprintf("%-14s %-9s", $1, $2)
        if (!(id in rate)) order[++count] = id
        served = $5 ? $5 : 1
        rate[id] = most(rate[id], $5 / $6)
        p50[id] = least(p50[id], $7 / 1000)
        p99[id] = least(p99[id], $8 / 1000)
        cpu[id] = least(cpu[id], $3 / served)
        worst[id] = most(worst[id], $3 / served)
        errors[id] += $9
        asked[id] = $4 == "-" ? "-" : most(asked[id], $4)
    }
    END {
        for (i = 1; i <= count; i++) {
            id = order[i]
            spread = cpu[id] ? (worst[id] / cpu[id] - 1) * 100 : 0
            printf "%s %10.0f %9.2f %9.2f %7.1f %5.0f %% %7d %7s\n", id, rate[id], p50[id], \
                p99[id], cpu[id], spread, errors[id], asked[id]
        }
    }' "$RESULTS"
}

# Every server has what will be hit, and has seen some connections.
warm() {
    local server path
    for server in "${SERVERS[@]}"; do
        for path in /1k /1m; do
            curl -fsS -o /dev/null "$(url "$server" "$path")"
        done
        wrk -t1 -c16 -d1s "$(url "$server" /1k)" >/dev/null
    done
}

load() {
    local name connections path generator round server servers
    for ((round = 1; round <= ROUNDS; round++)); do
        while read -r name connections path generator; do
            [[ -n $name && (-z $ONLY || $ONLY == "$name") ]] || continue
            servers=("${SERVERS[@]}")
            if [[ $path == /1k ]]; then
                servers+=(constant)
            fi
            for server in "${servers[@]}"; do
                measure "$name" "$connections" "$path" "$generator" "$server" "$round" </dev/null
            done
        done <<<"$WORKLOADS"
    done
}

# idle SERVER: what each of many connections adds that has had one response and says nothing more.
idle() {
    local server=$1 before after held
    before=$(memory_kib "$server")
    coproc HOLDER { python3 load/idle.py "${PORT[$server]}" /1k "$IDLE_CONNECTIONS"; }
    # Copied, for bash forgets it once the process has ended.
    local holder=$HOLDER_PID to=${HOLDER[1]}
    read -r held <&"${HOLDER[0]}"
    after=$(memory_kib "$server")
    exec {to}>&-
    wait "$holder"
    awk -v server="$server" -v kib=$((after - before)) -v held="$held" 'BEGIN {
        printf "%-9s %6d connections  %7d KiB  %7.2f KiB each\n", server, held, kib, kib / held }'
}

# How many bytes the names and values of a stored response's fields have.
field_bytes() {
    curl -fsS -o /dev/null -D - "$(url origin /tiny/a)" |
        awk '/: / && !/^Connection:/ { sum += length($0) - length(": \r") } END { print sum }'
}

# memory SERVER: fills it with small responses under random names.
memory() {
    local server=$1 before after
    before=$(memory_kib "$server")
    oha --no-tui --output-format quiet -n "$OBJECTS" -c 32 \
        --rand-regex-url "$(url "$server" '/tiny/[a-z0-9]{12}')"
    sleep 3
    after=$(memory_kib "$server")
    awk -v server="$server" -v kib=$((after - before)) -v objects="$OBJECTS" -v fields="$FIELDS" \
        'BEGIN {
            each = kib * 1024 / objects
            printf "%-9s %8d objects  %8d KiB  %6.0f bytes each  %6.0f beyond body and fields\n",
                server, objects, kib, each, each - 100 - fields
        }'
}

start_servers
warm
if [[ -n $OBJECTS ]]; then
    FIELDS=$(field_bytes)
    for server in "${SERVERS[@]}"; do
        # HAProxy takes the memory of its whole cache when it starts, so nothing can be seen to grow.
        [[ $server == haproxy ]] || memory "$server"
    done
    exit
fi
# Before any load: memory that it leaves behind would be taken by the connections unseen.
if [[ -z $ONLY || $ONLY == idle ]]; then
    for server in "${SERVERS[@]}"; do
        idle "$server"
    done
    echo
fi
if [[ $ONLY != idle ]]; then
    start_constant
    load
    table
fi
