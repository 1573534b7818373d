#!/usr/bin/env bash
# What do so many moves bring a running openb cluster? Repair and defragment from placements that others made. Markdown on stdout.
#
#   bash benches/openb_moves.sh [TIME_LIMIT]         default 12s; OPENB_GOALS="own place defragment", OPENB_MOVES="0 50 200 1000 all"
#
# Placements and lists from ../shared/data/openb (or $BAYPLAN_SHARED/data/openb). Of each goal: waiting pods that start, moves of running
# ones, nodes of 8 GPUs that are wholly free in the end, and the share of all GPU milli in use. The referee looks at every placement.
set -euo pipefail
cd "$(dirname "$0")/.."
bayplan="${BAYPLAN:-target/release/bayplan}"
data="${BAYPLAN_SHARED:-../shared}/data/openb"
nodes="$data/openb_node_list_gpu_node.csv"
limit="${1:-12s}"
read -ra goals <<< "${OPENB_GOALS:-own place defragment}"
read -ra budgets <<< "${OPENB_MOVES:-0 50 200 1000 all}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Placed pods, share of GPU milli placed in percent, and nodes of 8 GPUs that nobody holds a GPU of; of a placement list.
state() { # PODS PLACEMENT
  awk -F, '
    FNR == 1 { file++; for (i = 1; i <= NF; i++) column[file, $i] = i; next }
    file == 1 { total += $column[1, "gpu"] * 1000; if ($column[1, "gpu"] == 8) eight[$column[1, "sn"]] }
    file == 2 { milli[$column[2, "name"]] = $column[2, "num_gpu"] * $column[2, "gpu_milli"] }
    file == 3 && $column[3, "node"] != "" {
      placed++; used += milli[$column[3, "name"]]
      if ($column[3, "gpus"] != "") delete eight[$column[3, "node"]]
    }
    END { printf "%d %.3f %d\n", placed, 100 * used / total, length(eight) }
  ' "$nodes" "$1" "$2"
}

for start in "$data"/start/*.csv; do
  name=$(basename "$start" .csv)
  case $name in
    *_inflated_*) pods="$data/inflated/inflated_${name#*_inflated_}.csv" ;;
    *) pods="$data/openb_pod_list_${name#*_base_}"; pods="${pods%_seed*}.csv" ;;
  esac
  "$bayplan" import openb "$nodes" "$pods" --placement "$start" -o "$folder/s.json" 2> /dev/null
  read -r placed share free <<< "$(state "$pods" "$start")"
  waiting=$(($(wc -l < "$pods") - 1 - placed))
  echo "From \`$name\` ($share %, $waiting pods wait, $free nodes of 8 GPUs are free), \`--time-limit $limit\`:"
  echo
  head="| at most K moves |" rule="|---|"
  for goal in "${goals[@]}"; do
    head+=" $goal: started, moves, free nodes of 8, GPU |" rule+="---|"
  done
  printf '%s\n%s\n' "$head" "$rule"
  for budget in "${budgets[@]}"; do
    row="| $budget |"
    for goal in "${goals[@]}"; do
      options=(--solver bulk --threads 2 --time-limit "$limit" --quiet)
      [ "$goal" = own ] || options+=(--goal "$goal")
      [ "$budget" = all ] || options+=(--max-moves "$budget")
      "$bayplan" plan "$folder/s.json" "${options[@]}" -o "$folder/p.json"
      "$bayplan" export openb "$folder/s.json" "$folder/p.json" > "$folder/end.csv" 2> /dev/null
      python3 "${BAYPLAN_SHARED:-../shared}/tools/openb_check.py" "$nodes" "$pods" "$folder/end.csv" | grep -q '^OK' ||
        { echo "$name, $goal, $budget: the referee refuses the placement" >&2; exit 1; }
      read -r after share free <<< "$(state "$pods" "$folder/end.csv")"
      # Who was somewhere and is elsewhere.
      moves=$(awk -F, 'FNR == 1 { file++; for (i = 1; i <= NF; i++) column[file, $i] = i; next }
        file == 1 { was[$column[1, "name"]] = $column[1, "node"]; next }
        { from = was[$column[2, "name"]]; if (from != "" && from != $column[2, "node"]) moved++ } END { print moved + 0 }' \
        "$start" "$folder/end.csv")
      row+=" $((after - placed)), $moves, $free, $share % |"
    done
    echo "$row"
  done
  echo
done
