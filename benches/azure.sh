#!/usr/bin/env bash
# Measures isobar on Azure compared with bare axum and the official crates, and prints the rows of the table in benches/README.md.
#
#   benches/azure.sh             build and measure
#   benches/azure.sh build       what is compared, and Azure's emulator of Cosmos DB; some 15 minutes on 2 cores
#   benches/azure.sh measure     starts, replies, calls, memory, latency, sizes; two minutes. Let nothing else run
#   benches/azure.sh devbuild    clean dev builds of both; some 10 minutes. Let nothing else run
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
peers=target/peers
limit=1800

peer_build() { # name, and cargo's further arguments
    timeout "$limit" cargo build -q --locked --manifest-path "benches/peers/$1/Cargo.toml" --target-dir "$peers/$1" "${@:2}"
}

build() {
    peer_build bare-axum --profile lambda
    peer_build azure-sdk --profile lambda
    timeout "$limit" cargo build -q --locked -p shortener --profile lambda --no-default-features --features azure
    # `benches/aws.sh` has another shortener at the same place.
    cp target/lambda/shortener target/lambda/shortener-azure
    # A build of its own: together with the shortener it would give that all of its features.
    timeout "$limit" cargo build -q --locked -p isobar-benches --profile lambda --bin functions --bin cosmos
    timeout "$limit" cargo build -q --locked --release --manifest-path tests/e2e/cosmos-emulator/Cargo.toml \
        --target-dir target/cosmos-emulator
}

row() { # what, ours, the peer's, unit, reached's two cells
    awk -v what="$1" -v ours="$2" -v peer="$3" -v unit="$4" -v reached="$5" 'BEGIN {
        printf "| %s | %s%s | %s%s, official crates | %.2f | %s |\n", what, ours, unit, peer, unit, ours / peer, reached
    }'
}

megabytes() { stat -c %s "$1" | awk '{printf "%.2f", $1 / 1e6}'; }

compressed() { gzip -9 -c "$1" | wc -c | awk '{printf "%.2f", $1 / 1e6}'; }

crates() { # cargo tree's arguments
    cargo tree -q --locked -e normal --prefix none --no-dedupe "$@" | cut -d' ' -f1,2 | sort -u | wc -l
}

at_most() { # a figure, and its goal with the unit
    awk -v figure="$1" -v goal="$2" 'BEGIN { printf "≤ %s | %s", goal, figure <= goal + 0 ? "yes" : "**no**" }'
}

measure() {
    local ours=target/lambda/shortener-azure sdk=$peers/azure-sdk/lambda/handler size
    timeout 600 target/lambda/functions
    timeout 600 target/lambda/cosmos
    size=$(megabytes $ours)
    row "stripped binary, profile \`lambda\`" "$size" "$(megabytes $sdk)" " MB" "$(at_most "$size" "4 MB")"
    row "the same, compressed" "$(compressed $ours)" "$(compressed $sdk)" " MB" " | "
    row "crates" "$(crates -p shortener --no-default-features --features azure)" \
        "$(crates --manifest-path benches/peers/azure-sdk/Cargo.toml)" "" " | "
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
    cargo fetch -q --locked --manifest-path benches/peers/azure-sdk/Cargo.toml
    ours=$(clean_build -p shortener --no-default-features --features azure)
    sdk=$(clean_build --manifest-path benches/peers/azure-sdk/Cargo.toml --bin handler)
    row "clean dev build" "$ours" "$sdk" " s" " | "
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
    ;;
*)
    sed -n 2,7p "$0" >&2
    exit 2
    ;;
esac
