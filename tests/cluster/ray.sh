#!/usr/bin/env bash
# A real Ray cluster of two nodes with one CPU each, on this machine's loopback: for the tests and to try the launcher.
#
#   eval "$(tests/cluster/ray.sh start)"    # prints `export RAY_ADDRESS=...`: hmlpe-train finds it
#   tests/cluster/ray.sh status
#   tests/cluster/ray.sh stop               # ends every Ray of this user on this machine (`ray stop`)
#
# RAY names the program, by default that of .venv. Logs lie in /tmp/ray. No dashboard, no usage statistics.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
RAY=${RAY:-$HERE/.venv/bin/ray}
export RAY_USAGE_STATS_ENABLED=0

fail() { echo "error: $*" >&2; exit 2; }

free_port() {
    for port in $(shuf -i 20000-30000 -n 50); do
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
    fail "no free port between 20000 and 30000"
}

node() { "$RAY" start --node-ip-address=127.0.0.1 --num-cpus=1 --disable-usage-stats "$@"; }
