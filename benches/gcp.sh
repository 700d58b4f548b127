#!/usr/bin/env bash
# Measures isobar on Google Cloud compared with bare hyper, the firestore crate and Google's client for Node, and prints the
# rows of the table in benches/README.md. Google's emulator of Firestore (gcloud, java) and npm must be there.
#
#   benches/gcp.sh             build and measure
#   benches/gcp.sh build       what is compared; some 15 minutes on 2 cores
#   benches/gcp.sh measure     starts, requests, memory, latency, counters, sizes; five minutes. Let nothing else run
#   benches/gcp.sh devbuild    clean dev builds of both; some 10 minutes. Let nothing else run
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
peers=target/peers
limit=1800

peer_build() { # name, and cargo's further arguments
    timeout "$limit" cargo build -q --locked --manifest-path "benches/peers/$1/Cargo.toml" --target-dir "$peers/$1" "${@:2}"
}

app_build() { # name, profile
    timeout "$limit" cargo build -q --locked -p "$1" --profile "$2" --no-default-features --features gcp
    # The scripts of the other clouds have another app at the same place.
    cp "target/$2/$1" "target/$2/$1-gcp"
}

build() {
    peer_build bare-hyper --profile lambda
    peer_build bare-hyper --release --bin routed
    peer_build firestore --profile lambda
    mkdir -p "$peers/google-node"
    cp benches/peers/google-node/package{,-lock}.json "$peers/google-node/"
    timeout 300 npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$peers/google-node"
    app_build hello lambda
    app_build hello release
    app_build shortener lambda
    # A build of its own: together with the apps it would give those all of its features.
    timeout "$limit" cargo build -q --locked -p isobar-benches --profile lambda --bin service --bin firestore
}

row() { # what, ours, the peer's, unit, reached's two cells
    awk -v what="$1" -v ours="$2" -v peer="$3" -v unit="$4" -v reached="$5" 'BEGIN {
        printf "| %s | %s%s | %s%s, firestore crate | %.2f | %s |\n", what, ours, unit, peer, unit, ours / peer, reached
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
    local ours=target/lambda/shortener-gcp by_hand=$peers/firestore/lambda/handler size
    timeout 600 target/lambda/service
    timeout 900 target/lambda/firestore
    size=$(megabytes $ours)
    row "stripped binary, profile \`lambda\`" "$size" "$(megabytes $by_hand)" " MB" "$(at_most "$size" "4 MB")"
    row "the same, compressed" "$(compressed $ours)" "$(compressed $by_hand)" " MB" " | "
    row "crates" "$(crates -p shortener --no-default-features --features gcp)" \
        "$(crates --manifest-path benches/peers/firestore/Cargo.toml)" "" " | "
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
    local ours by_hand
    # Downloading is not building.
    cargo fetch -q --locked
    cargo fetch -q --locked --manifest-path benches/peers/firestore/Cargo.toml
    ours=$(clean_build -p shortener --no-default-features --features gcp)
    by_hand=$(clean_build --manifest-path benches/peers/firestore/Cargo.toml --bin handler)
    row "clean dev build" "$ours" "$by_hand" " s" " | "
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
    sed -n 2,8p "$0" >&2
    exit 2
    ;;
esac
