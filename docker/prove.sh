#!/usr/bin/env bash
# Proves what this directory promises, on a Docker daemon of its own that cannot pull from anywhere: the image builds and is small, the
# compose files come up healthy with their topics there, a second container produces and consumes, data outlives containers and kills.
#
# Needs root on Debian, Rust, and the registries of both: Docker, Compose and a base to build in come from Debian's packages. The
# daemon runs in namespaces of its own, so that it meets no port, rule or mount of the machine, and leaves none behind.
# What can be used again is kept in $OTTLA_DOCKER_CACHE (default: ~/.cache/ottla-docker); with OTTLA_DOCKER_KEEP=1 the built layers too.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${OTTLA_DOCKER_CACHE:-$HOME/.cache/ottla-docker}
image_bytes_max=20000000
stop_ms_max=3000
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 COMPOSE_INTERACTIVE_NO_CLI=1

# First, with a network: packages, a base, the sources of crates.

install_packages() {
    local missing=() package
    for package in docker.io docker-compose debootstrap iptables iproute2; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    if [[ ${#missing[@]} -gt 0 ]]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    fi
}

fetch() {
    mkdir -p "$cache"
    if [[ ! -s $cache/debian.tar ]]; then
        debootstrap --variant=minbase --include=gcc,libc6-dev,binutils,ca-certificates \
            "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/debian" >"$work/debootstrap.log"
        tar -C "$work/debian" --exclude=./var/cache --exclude=./usr/share/doc --exclude=./dev -cf "$cache/debian.tar.part" .
        mv "$cache/debian.tar.part" "$cache/debian.tar"
        rm -rf "$work/debian"
    fi
    cargo fetch --locked --quiet
}

if [[ ${1:-} != inside ]]; then
    work=$(mktemp -d)
    data=$work/data
    [[ -z ${OTTLA_DOCKER_KEEP:-} ]] || data=$cache/data
    trap 'rm -rf "$work"' EXIT
    install_packages
    fetch
    unshare --net --mount --pid --fork --kill-child --mount-proc "$0" inside "$work" "$data" &
    inside=$!
    # Whatever runs in the namespaces ends with their first process.
    trap 'kill -KILL "$inside"' INT TERM
    wait "$inside"
    exit
fi

# From here on inside, where there is no network but what the daemon makes.

work=$2
data=$3
passed=0
failed=0
export DOCKER_HOST="unix://$work/docker.sock"
one=ottla-prove
three=ottla-prove-cluster
compose() { docker-compose -p "$one" -f docker/compose.yaml "$@"; }
compose_cluster() { docker-compose -p "$three" -f docker/compose-cluster.yaml "$@"; }

check() { # check WHAT COMMAND...: one line for each promise
    local what=$1 status
    shift
    # Not behind an `if`: there the shell would go on after a command that failed.
    set +e
    (set -e; "$@") >"$work/check.log" 2>&1
    status=$?
    set -e
    if [[ $status == 0 ]]; then
        echo "ok    $what"
        passed=$((passed + 1))
    else
        echo "FAIL  $what"
        sed 's/^/      /' "$work/check.log" | tail -n 30
        failed=$((failed + 1))
    fi
}

stop_everything() {
    local daemon
    compose down -v --remove-orphans >/dev/null 2>&1 || true
    compose_cluster down -v --remove-orphans >/dev/null 2>&1 || true
    if [[ -s $work/docker.pid ]]; then
        daemon=$(cat "$work/docker.pid")
        kill "$daemon" 2>/dev/null || true
        while kill -0 "$daemon" 2>/dev/null; do sleep 0.1; done
    fi
    find /sys/fs/cgroup -depth -type d -path "*/$one*" -exec rmdir {} + 2>/dev/null || true
}

start_daemon() {
    ip link set lo up
    mount -t tmpfs tmpfs /run
    dockerd --cgroup-parent "/$one" --data-root "$data" --exec-root "$work/run" --pidfile "$work/docker.pid" --host "$DOCKER_HOST" \
        --storage-driver overlay2 >"$work/dockerd.log" 2>&1 &
    for _ in $(seq 300); do
        docker version >/dev/null 2>&1 && return
        sleep 0.1
    done
    tail -n 20 "$work/dockerd.log"
    echo "the Docker daemon does not start" >&2
    exit 1
}

# Debian with a C compiler, this machine's Rust, and the sources of the crates in Cargo.lock.
import_base() {
    if docker image inspect rust-for-ottla >/dev/null 2>&1; then
        return
    fi
    mkdir -p "$work/base"
    cat >"$work/base/Dockerfile" <<'DOCKERFILE'
FROM debian-for-ottla
ADD rust.tar /usr/local/
ADD registry.tar /usr/local/cargo/
ENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true
DOCKERFILE
    tar -C "$(rustc --print sysroot)" --exclude=./share -cf "$work/base/rust.tar" .
    tar -C "${CARGO_HOME:-$HOME/.cargo}" -cf "$work/base/registry.tar" registry/index registry/cache
    docker import "$cache/debian.tar" debian-for-ottla >/dev/null
    docker build -q -t rust-for-ottla "$work/base" >/dev/null
    rm -rf "$work/base"
}

wait_until_healthy() { # wait_until_healthy CONTAINER...
    local container
    for container in "$@"; do
        for _ in $(seq 600); do
            [[ $(docker inspect -f '{{.State.Health.Status}}' "$container") == healthy ]] && continue 2
            sleep 0.1
        done
        docker logs "$container" 2>&1 | tail -n 20
        return 1
    done
}

image_bytes() { docker image inspect -f '{{.Size}}' ottla; }
is_small() { [[ $(image_bytes) -le $image_bytes_max ]]; }
has_no_shell() {
    docker run --rm ottla --version
    if docker run --rm --entrypoint /bin/sh ottla -c true; then
        return 1
    fi
}
is_not_root() { [[ $(docker image inspect -f '{{.Config.User}}' ottla) == 65532:65532 ]]; }
environment_wins() {
    docker run --rm -e KAFKA_NUM_PARTITIONS=5 -e KAFKA_LOG_RETENTION_HOURS=7 -e OTTLA_LOG_RETENTION_HOURS=8 ottla \
        config --config /etc/ottla/config.yaml >"$work/config.txt"
    grep -Eq '^num.partitions.*5.*KAFKA_NUM_PARTITIONS' "$work/config.txt"
    grep -Eq '^log.retention.hours.*8.*OTTLA_LOG_RETENTION_HOURS' "$work/config.txt"
}
# What the documentation of Kafka's own image says for one node.
kafkas_environment() {
    docker run -d --name as-kafka -e KAFKA_NODE_ID=1 -e KAFKA_PROCESS_ROLES=broker,controller \
        -e KAFKA_LISTENERS=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093 \
        -e KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092 -e KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER \
        -e KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT \
        -e KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093 -e KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1 \
        -e KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1 -e KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1 \
        -e KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0 -e KAFKA_NUM_PARTITIONS=3 ottla
    wait_until_healthy as-kafka
    docker exec as-kafka /ottla topics create here
    docker rm -f as-kafka
}
refuses_what_it_cannot_write() {
    mkdir "$work/of-root"
    if docker run --rm -v "$work/of-root:/data" ottla >"$work/refused.txt" 2>&1; then
        return 1
    fi
    grep '/data' "$work/refused.txt"
}

# A second container, on the network of the first. Compose's own `run` may lose what a container says that is quick.
client() { docker run --rm -i --network "$network" -e OTTLA_BOOTSTRAP_SERVER="$server" ottla "$@" </dev/null; }
produce() { docker run --rm -i --network "$network" -e OTTLA_BOOTSTRAP_SERVER="$server" ottla produce "$@"; }
has_topics() {
    local listed topic
    listed=$(client topics list)
    for topic in "$@"; do
        grep -q "^$topic " <<<"$listed"
    done
}
is_compacted() { client topics describe "$1" | grep -q "^$1.*cleanup.policy=compact"; }
round_trip() {
    local said="said in a container at $RANDOM"
    printf '%s\n' "$said" | produce greetings
    client cat greetings | grep -F "$said"
}
consumes_in_a_group() {
    client groups reset readers --topic greetings --to-earliest
    client groups describe readers | grep greetings
}
host_is_served() {
    docker create --name for-the-host ottla
    docker cp for-the-host:/ottla "$work/ottla"
    docker rm for-the-host
    "$work/ottla" topics list | grep greetings
    "$work/ottla" cat greetings | grep 'said in a container'
}
tells_over_http() { # tells_over_http PATH TEXT
    local address
    address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "${one}_broker_1")
    exec 3<>"/dev/tcp/$address/9404"
    printf 'GET %s HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n' "$1" >&3
    grep -q "$2" <&3
}
records() { client cat greetings | sort; }
survives() { # survives COMMAND...: what was there before is there after it
    local before
    before=$(records)
    "$@"
    [[ -n $before && $before == "$(records)" ]]
}
kill_and_start() {
    docker kill "$1"
    docker start "$1"
    wait_until_healthy "$1"
}
down_and_up() {
    compose down
    compose up -d --no-build broker
    wait_until_healthy "${one}_broker_1"
}
# SIGTERM to process 1.
stops_at_once() { # stops_at_once CONTAINER EXIT-CODE
    local begun
    begun=$(date +%s%N)
    docker stop -t 60 "$1"
    echo "$((($(date +%s%N) - begun) / 1000000)) ms, exit $(docker inspect -f '{{.State.ExitCode}}' "$1")"
    [[ $((($(date +%s%N) - begun) / 1000000)) -le $stop_ms_max ]]
    [[ $(docker inspect -f '{{.State.ExitCode}}' "$1") == "$2" ]]
}
client_stops_at_once() {
    docker run -d --name follower --network "$network" ottla cat greetings -f -b "$server"
    sleep 1
    stops_at_once follower 143
    docker rm follower
}
goes_on_without() { # goes_on_without CONTAINER
    docker kill "$1"
    printf 'after the kill\n' | produce greetings
    client cat greetings | grep 'after the kill'
}
comes_back() { # comes_back CONTAINER
    docker start "$1"
    wait_until_healthy "$1"
    for _ in $(seq 300); do
        client topics describe greetings --json >"$work/described.json"
        # Each partition has three replicas, and all of them are in sync again.
        [[ $(tr -d ' \n' <"$work/described.json" | grep -oE '"isr":\[[0-9],[0-9],[0-9]\]' | wc -l) == 3 ]] && return
        sleep 0.1
    done
    cat "$work/described.json"
    return 1
}

trap stop_everything EXIT
start_daemon
import_base
check "the image builds from the Dockerfile" docker build -t ottla -f docker/Dockerfile --build-arg RUST_IMAGE=rust-for-ottla .
check "the image is no larger than $image_bytes_max bytes: $(image_bytes)" is_small
check "the image holds the binary and no shell" has_no_shell
check "the image's user is not root" is_not_root
check "the environment wins over the image's file, KAFKA_* and OTTLA_* alike" environment_wins
check "the environment of Kafka's own image starts it" kafkas_environment
check "a directory that it cannot write is refused by its name" refuses_what_it_cannot_write

network=${one}_default
server=broker:19092
check "one broker: up" compose up -d --no-build broker
check "one broker: healthy" wait_until_healthy "${one}_broker_1"
check "one broker: the topics of KAFKA_CREATE_TOPICS and of the YAML file are there" has_topics greetings totals orders customers
check "one broker: and have the settings that the file says" is_compacted customers
check "one broker: and the policy that the variable says" is_compacted totals
check "one broker: a second container produces and consumes" round_trip
check "one broker: the client of the compose file finds it" compose run --rm -T client topics describe greetings
check "one broker: a group is moved and described" consumes_in_a_group
check "one broker: the host is served on its port" host_is_served
check "one broker: /readyz" tells_over_http /readyz '200 OK'
check "one broker: /metrics" tells_over_http /metrics kafka_server
check "one broker: what was acknowledged is there after a kill" survives kill_and_start "${one}_broker_1"
check "one broker: and after down and up" survives down_and_up
check "a client as process 1 ends at SIGTERM" client_stops_at_once
check "one broker: stops at SIGTERM, in order, within $stop_ms_max ms" stops_at_once "${one}_broker_1" 0
check "one broker: down" compose down -v

network=${three}_default
server=node-2:19092,node-3:19092
nodes=("${three}_node-1_1" "${three}_node-2_1" "${three}_node-3_1")
check "three brokers: up" compose_cluster up -d --no-build node-1 node-2 node-3
check "three brokers: healthy" wait_until_healthy "${nodes[@]}"
check "three brokers: the topics of KAFKA_CREATE_TOPICS are there" has_topics greetings
check "three brokers: the client of the compose file finds them" compose_cluster run --rm -T client topics describe greetings
check "three brokers: a further container produces and consumes" round_trip
check "three brokers: work goes on when one is killed" goes_on_without "${nodes[0]}"
check "three brokers: it comes back, and is in sync again" comes_back "${nodes[0]}"
check "three brokers: stop at SIGTERM, in order" stops_at_once "${nodes[2]}" 0
check "three brokers: down" compose_cluster down -v

echo "$passed passed, $failed failed"
[[ $failed == 0 ]]
