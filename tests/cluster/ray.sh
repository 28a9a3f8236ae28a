#!/usr/bin/env bash
# A real Ray cluster of two nodes with one CPU each, both on this machine: for the tests and to try the launcher.
#
#   eval "$(tests/cluster/ray.sh start)"    # prints `export RAY_ADDRESS=...` and the token: hmlpe-train finds the cluster
#   tests/cluster/ray.sh status
#   tests/cluster/ray.sh stop
#
# RAY names the program, by default that of .venv: what runs needs the same environment. Logs lie in HMLPE_RAY, by default
# a folder of the user's under /tmp. No dashboard, no usage statistics. Ray listens on every interface of the machine, so
# a token of this cluster's own keeps others out.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
RAY=${RAY:-$HERE/.venv/bin/ray}
FOLDER=${HMLPE_RAY:-/tmp/hmlpe-ray-$(id -un)} # short: a socket's path has 107 characters
WAIT_S=60
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$FOLDER/token

fail() { echo "error: $*" >&2; exit 2; }

free_port() {
    for port in $(shuf -i 20000-30000 -n 50); do
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
    fail "no free port between 20000 and 30000"
}

descendants() {
    local child
    for child in $(pgrep -P "$1" || true); do echo "$child"; descendants "$child"; done
}

# This cluster's processes and no other's: its name is in the environment of those that `ray start` made, and the others
# (which write over theirs) descend from them.
processes() {
    local pid
    for pid in $(pgrep -u "$(id -u)" . || true); do
        if tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -qxF "HMLPE_RAY_CLUSTER=$FOLDER"; then
            echo "$pid"
            descendants "$pid"
        fi
    done
}

alive() { ps -o stat= -p "$1" 2>/dev/null | grep -qv '^Z'; }

stop() {
    local signal pids pid
    pids=$(processes)
    for signal in TERM KILL; do
        for pid in $pids; do kill -$signal "$pid" 2>/dev/null || true; done
        for _ in $(seq 50); do
            for pid in $pids; do if alive "$pid"; then sleep 0.1 && continue 2; fi; done
            break
        done
    done
    rm -rf "$FOLDER"
}

node() { # its log's name, then what `ray start` is told
    local log=$FOLDER/$1.log
    shift
    HMLPE_RAY_CLUSTER=$FOLDER timeout "$WAIT_S" "$RAY" start --num-cpus=1 --object-store-memory=100000000 \
        --disable-usage-stats --log-color=false "$@" >"$log" 2>&1 </dev/null && return
    cp "$log" "$FOLDER.log"
    stop
    fail "ray start $1 failed: $(grep -v '^ *$' "$FOLDER.log" | tail -1); all of it: $FOLDER.log"
}

start() {
    command -v "$RAY" >/dev/null || fail "$RAY is not there: pip install -c constraints.txt -e '.[ray]'"
    [ ! -e "$FOLDER" ] || fail "$FOLDER is there already, of one that runs or was killed: $0 stop"
    mkdir -m 700 "$FOLDER"
    (umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")
    local port address
    port=$(free_port)
    node head --head --port="$port" --temp-dir="$FOLDER" --include-dashboard=false
    address=$(grep -oE "[0-9.]+:$port" "$FOLDER/head.log" | head -1)
    node second --address="$address"
    for _ in $(seq "$WAIT_S"); do
        if [ "$(RAY_ADDRESS=$address timeout 20 "$RAY" status 2>/dev/null | grep -cE '^ 1 node_')" = 2 ]; then
            echo "$address" >"$FOLDER/address"
            echo "export RAY_ADDRESS=$address RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH"
            return
        fi
        sleep 1
    done
    stop
    fail "the second node did not join after $WAIT_S s"
}

case ${1:-} in
start) start ;;
status)
    [ -f "$FOLDER/address" ] || fail "not started: $0 start"
    RAY_ADDRESS=$(<"$FOLDER/address") timeout 30 "$RAY" status
    ;;
stop) stop ;;
*) fail "usage: $0 start|status|stop" ;;
esac
