#!/usr/bin/env bash
# Everything to be known about a GPU, in one run: build, devices, equality tests, speed. Markdown on stdout.
#
#   bash benches/gpu.sh [SNAPSHOT …]
#
# Without snapshots: openb and ROADEF from ../shared/data (or $BAYPLAN_SHARED/data), small to large, so that the smallest
# problem from which the GPU wins can be read off.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked >&2
bayplan=target/release/bayplan

echo "## GPU, $(date -u +%F), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
echo
"$bayplan" devices
echo
echo '```'
BAYPLAN_REQUIRE_GPU=1 cargo test --release --locked --test layout --test gpu --test gpu_drills 2>&1 | grep '^test '
echo '```'

snapshots=("$@")
if [ ${#snapshots[@]} -eq 0 ]; then
  data="${BAYPLAN_SHARED:-../shared}/data"
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  for name in a1_2 b_1 b_3 b_5 b_9; do
    "$bayplan" import roadef "$data/roadef/model_$name.txt" "$data/roadef/assignment_$name.txt" -o "$folder/$name.json"
    snapshots+=("$folder/$name.json")
  done
  "$bayplan" import openb "$data/openb/openb_node_list_gpu_node.csv" "$data/openb/openb_pod_list_default.csv" \
    -o "$folder/openb.json"
  snapshots+=("$folder/openb.json")
fi
for snapshot in "${snapshots[@]}"; do
  echo
  echo "### $(basename "$snapshot" .json), effort 200, seed 1"
  echo
  "$bayplan" bench "$snapshot" --effort 200 --seed 1
done
echo
echo "### Drills"
echo
cargo bench --locked --bench drill 2>/dev/null
