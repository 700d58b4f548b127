#!/usr/bin/env bash
# Measures isobar on AWS compared with the official SDKs, and prints the rows of the table in benches/README.md.
#
#   benches/aws.sh             all stages
#   benches/aws.sh build       what is compared, and dynalite; some 10 minutes on 2 cores
#   benches/aws.sh measure     starts, replies, memory, latency, sizes; a minute. Let nothing else run
#   benches/aws.sh devbuild    clean dev builds of both; some 10 minutes. Let nothing else run
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
peers=target/peers
limit=1800

peer_build() { # name, and cargo's further arguments
    timeout "$limit" cargo build -q --locked --manifest-path "benches/peers/$1/Cargo.toml" --target-dir "$peers/$1" "${@:2}"
}

build() {
    peer_build bare-lambda --profile lambda
    peer_build aws-sdk --profile lambda
    timeout "$limit" cargo build -q --locked -p shortener --profile lambda --no-default-features --features aws
    # A build of its own: together with the shortener it would give that all of its features.
    timeout "$limit" cargo build -q --locked -p isobar-benches --profile lambda --bin lambda --bin dynamodb
    if command -v npm >/dev/null; then
        timeout 300 npm install --silent --no-audit --no-fund --no-save --prefix target/emulators dynalite@4.0.0
    else
        echo "npm is not installed: only our own double of DynamoDB will answer" >&2
    fi
}

row() { # what, ours, the peer's, unit, goal
    awk -v what="$1" -v ours="$2" -v peer="$3" -v unit="$4" -v goal="$5" 'BEGIN {
        ratio = ours / peer
        reached = goal == "" ? "" : ratio <= goal ? "yes" : "**no**"
        printf "| %s | %s%s | %s%s, official SDKs | %.2f | %s | %s |\n", what, ours, unit, peer, unit, ratio, goal == "" ? "" : "≤ " goal, reached
    }'
}

megabytes() { stat -c %s "$1" | awk '{printf "%.2f", $1 / 1e6}'; }

compressed() { gzip -9 -c "$1" | wc -c | awk '{printf "%.2f", $1 / 1e6}'; }

crates() { # cargo tree's arguments
    cargo tree -q --locked -e normal --prefix none --no-dedupe "$@" | cut -d' ' -f1,2 | sort -u | wc -l
}

measure() {
    local ours=target/lambda/shortener sdk=$peers/aws-sdk/lambda/bootstrap
    timeout 600 target/lambda/lambda
    timeout 600 target/lambda/dynamodb
    row "stripped binary, profile \`lambda\`" "$(megabytes $ours)" "$(megabytes $sdk)" " MB" 0.6
    row "the same, compressed" "$(compressed $ours)" "$(compressed $sdk)" " MB" ""
    row "crates" "$(crates -p shortener --no-default-features --features aws)" \
        "$(crates --manifest-path benches/peers/aws-sdk/Cargo.toml)" "" ""
}

clean_build() { # cargo's arguments; prints seconds
    local folder begin
    folder=$(mktemp -d -p target)
    begin=$(date +%s.%N)
    timeout "$limit" cargo build -q --locked --target-dir "$folder" "$@" >&2
    date +%s.%N | awk -v begin="$begin" '{printf "%.0f", $1 - begin}'
    rm -rf "$folder"
}

devbuild() {
    local ours sdk
    # Downloading is not building.
    cargo fetch -q --locked
    cargo fetch -q --locked --manifest-path benches/peers/aws-sdk/Cargo.toml
    ours=$(clean_build -p shortener --no-default-features --features aws)
    sdk=$(clean_build --manifest-path benches/peers/aws-sdk/Cargo.toml --bin bootstrap)
    row "clean dev build" "$ours" "$sdk" " s" 0.4
}

head_of_table() {
    echo "| what | isobar | compared with | ratio | goal | reached |"
    echo "|---|---|---|---|---|---|"
}

case "${1:-all}" in
build) build ;;
measure)
    head_of_table
    measure
    ;;
devbuild)
    head_of_table
    devbuild
    ;;
all)
    build
    head_of_table
    measure
    devbuild
    ;;
*)
    sed -n 2,7p "$0" >&2
    exit 2
    ;;
esac
