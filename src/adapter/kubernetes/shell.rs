//! How does a plan look as a script that a person reviews? One command per line, waves marked, a dry run unless told otherwise.

use super::export::{migration, migration_name};
use super::steps::{Deed, Step};
use crate::model::Snapshot;
use crate::plan::Plan;
use serde_json::json;
use std::fmt::Write;

/// What every script begins with, after its first comments. Names hold nothing that means something to a shell or to JSON.
const HEAD: &str = r#"set -euo pipefail

case "$#:${1-}" in
  0:) apply='' query='?dryRun=All' ;;
  2:--apply) apply=$2 query='' ;;
  *) echo "usage: bash $0 [--apply WAVE], such as --apply 1 for the first one" >&2; exit 64 ;;
esac
if [ "$#" -eq 2 ]; then
  case "$apply" in
    '' | *[!0-9]*) echo "$0: a wave is a number, and '$apply' is none" >&2; exit 64 ;;
  esac
  # What has more digits than the last wave is beyond it; bash cannot compare the largest.
  if [ "${#apply}" -gt "${#waves}" ] || [ "$apply" -lt 1 ] || [ "$apply" -gt "$waves" ]; then
    echo "$0: there are $waves waves, and no wave $apply" >&2; exit 64
  fi
fi
due=''
wave() {
  due=''
  if [ -z "$apply" ] || [ "$apply" -eq "$1" ]; then due=yes; echo "== wave $1 of $waves${query:+, dry run}" >&2; fi
}
post() { if [ -n "$due" ]; then kubectl create --raw "$1$query" -f - <<<"$2"; echo; fi; }
evict() {
  post "/api/v1/namespaces/$1/pods/$2/eviction" \
    '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"'"$2"'","namespace":"'"$1"'"},'\
'"deleteOptions":{"preconditions":{"uid":"'"$3"'"}}}'
}
bind() {
  post "/api/v1/namespaces/$1/pods/$2/binding" \
    '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"'"$2"'","namespace":"'"$1"'","uid":"'"$3"'"},'\
'"target":{"apiVersion":"v1","kind":"Node","name":"'"$4"'"}}'
}
anew() {
  if [ -n "$due" ]; then
    echo "pods move a second time, under names that nobody knows yet: import the cluster again, and plan anew" >&2
    if [ -n "$apply" ]; then exit 1; fi
  fi
}
migrate() { post "/apis/kubevirt.io/v1/namespaces/$1/virtualmachineinstancemigrations" "$2"; }
"#;

/// The script.
pub fn script(snapshot: &Snapshot, plan: &Plan, steps: &[Step<'_>], unknown: Option<usize>) -> String {
    // As for objects of one wave: a plan with nothing to do has a first wave, and a wave that Kubernetes has no words for is one.
    let waves = plan.waves.len().max(1);
    let mut text = format!(
        "#!/usr/bin/env bash\n\
         # Made by Bayplan for the snapshot {}: {} commands in {waves} waves.\n\
         #\n\
         # bash FILE            dry run: the API server checks every command, uids and budgets included, and changes nothing\n\
         # bash FILE --apply N  carry out wave N; go on with the next when all pods of this one are ready\n\
         #\n\
         # An eviction or binding of a pod with another uid is refused by the API server.\n{}\
         waves={waves}\n{HEAD}",
        plan.fingerprint,
        steps.len(),
        unknown.map_or_else(String::new, |unknown| format!(
            "# From wave {} on, pods move a second time, under names that nobody knows yet: import the cluster again after wave\n\
             # {unknown}, and plan anew.\n",
            unknown + 1
        )),
    );
    let mut rest = steps.iter().peekable();
    for wave in 0..waves {
        let _ = write!(text, "\nwave {}\n", wave + 1);
        if unknown.is_some_and(|unknown| wave >= unknown) {
            text.push_str("anew\n");
        }
        while let Some(step) = rest.next_if(|step| step.wave == wave) {
            text.push_str(&command(snapshot, step));
        }
    }
    text
}

fn command(snapshot: &Snapshot, step: &Step<'_>) -> String {
    let node = |index: Option<usize>| index.map_or("nowhere", |index| snapshot.nodes[index].name.as_str());
    let (namespace, pod, uid) = (step.origin("namespace"), step.origin("name"), step.origin("uid"));
    let (from, to, reason) = (node(step.from), node(step.to), step.reason.word());
    match step.deed {
        Deed::Start => format!("bind {namespace} {pod} {uid} {to}  # bound, {reason}\n"),
        Deed::Move => {
            format!("evict {namespace} {pod} {uid}  # {from} -> {to} (hint: the scheduler decides), {reason}\n")
        }
        Deed::Stop => format!("evict {namespace} {pod} {uid}  # {from} -> nowhere, {reason}\n"),
        Deed::Migrate => {
            let object = migration(snapshot, step, json!({"name": migration_name(step), "namespace": namespace}));
            format!("migrate {namespace} '{object}'  # {from} -> {to} (bound), {reason}\n")
        }
    }
}
