#!/usr/bin/env bash
# A real SLURM of one node with two CPUs on loopback, for the tests and to try the launcher. Debian's slurm-wlm and munge.
#
#   tests/cluster/slurm.sh install            # apt-get, as root
#   eval "$(tests/cluster/slurm.sh start)"    # prints `export SLURM_CONF=...`: squeue, sbatch and hmlpe-train find it
#   tests/cluster/slurm.sh status
#   tests/cluster/slurm.sh stop
#
# Key, sockets, logs and state lie in HMLPE_SLURM (by default a folder of the user's under /tmp), the system's own
# configuration is not touched, and only the user who starts it can submit. No accounting: sacct is silent.
set -euo pipefail

FOLDER=${HMLPE_SLURM:-${TMPDIR:-/tmp}/hmlpe-slurm-$(id -un)}
WAIT_S=60
export SLURM_CONF=$FOLDER/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

fail() { echo "error: $*" >&2; exit 2; }

free_port() {
    for port in $(shuf -i 20000-30000 -n 50); do
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
    done
    fail "no free port between 20000 and 30000"
}

# SIGTERM, and SIGKILL to what is still there after ten seconds.
end() {
    local file=$FOLDER/$1.pid pid
    [ -s "$file" ] || return 0
    pid=$(<"$file")
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]; then # the number may be another process's by now
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
    fi
    rm -f "$file"
}

stop() {
    [ -d "$FOLDER" ] || return 0
    if [ -s "$FOLDER/slurmctld.pid" ]; then timeout 10 scancel --full --user "$(id -un)" 2>/dev/null || true; fi
    for daemon in slurmd slurmctld munged; do end "$daemon"; done
    rm -rf "$FOLDER"
}

# What went wrong, in one line, with the end of the daemon's log; nothing is left running.
give_up() {
    local last
    last=$(grep -hE 'error|fatal|Error' "$FOLDER/$1.log" 2>/dev/null | tail -1 || true)
    cp "$FOLDER/$1.log" "$FOLDER.$1.log" 2>/dev/null || true
    stop
    fail "$2${last:+; $1 says: $last}; its whole log: $FOLDER.$1.log"
}

start() {
    for program in munged slurmctld slurmd sbatch; do
        command -v "$program" >/dev/null || fail "$program is not installed: $0 install"
    done
    [ ! -e "$FOLDER" ] || fail "$FOLDER is there already, of one that runs or was killed: $0 stop"
    mkdir -m 755 "$FOLDER"
    mkdir "$FOLDER/state" "$FOLDER/spool"
    local host user memory_mb
    host=$(hostname -s)
    user=$(id -un)
    memory_mb=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    cat >"$SLURM_CONF" <<END
ClusterName=hmlpe
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
# cred_expire: a requeued job waits that long, two minutes by default
AuthInfo=socket=$FOLDER/munge.socket,cred_expire=5
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
# No cgroups, so that it runs in a container
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
# Two CPUs, whatever the machine has
SlurmdParameters=config_overrides
NodeName=one NodeHostname=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=$memory_mb
PartitionName=all Nodes=one Default=YES MaxTime=INFINITE State=UP
END
    (umask 077 && head -c 1024 /dev/urandom >"$FOLDER/munge.key")
    munged --force --key-file="$FOLDER/munge.key" --socket="$FOLDER/munge.socket" --pid-file="$FOLDER/munged.pid" \
        --log-file="$FOLDER/munged.log" --seed-file="$FOLDER/munged.seed" >/dev/null 2>&1 </dev/null ||
        give_up munged "munged does not start"
    slurmctld >/dev/null 2>&1 </dev/null || give_up slurmctld "slurmctld does not start"
    slurmd -N one >/dev/null 2>&1 </dev/null || give_up slurmd "slurmd does not start"
    for _ in $(seq $WAIT_S); do
        if [ "$(timeout 5 sinfo --noheader --format %T 2>/dev/null)" = idle ]; then
            echo "export SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 1
    done
    give_up slurmd "the node is not idle after $WAIT_S s"
}

case ${1:-} in
install)
    [ "$(id -u)" = 0 ] || fail "install needs root"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends slurm-wlm munge >/dev/null
    ;;
start) start ;;
status)
    [ -f "$SLURM_CONF" ] || fail "not started: $0 start"
    timeout 10 sinfo && timeout 10 squeue
    ;;
stop) stop ;;
*) fail "usage: $0 install|start|status|stop" ;;
esac
