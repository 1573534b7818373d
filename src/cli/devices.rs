//! `bayplan devices`: which GPUs are there, what does each offer and lack, and will it do?

use super::args::{DevicesArgs, ScoreForm};
use super::failure::{Exit, Failure};
use super::io::Target;
use super::screen::table;
use bayplan::gpu::{Adapter, adapters};
use serde_json::json;

/// Runs the command.
pub fn run(args: &DevicesArgs) -> Result<Exit, Failure> {
    let list = adapters();
    let text = match args.output {
        ScoreForm::Json => format!("{}\n", json!(list.iter().map(as_json).collect::<Vec<_>>())),
        ScoreForm::Table if list.is_empty() => String::new(),
        ScoreForm::Table => format!("{}\n", as_table(&list)),
    };
    Target::Stdout.write(text.as_bytes())?;
    if list.iter().any(Adapter::is_usable) {
        return Ok(Exit::Done);
    }
    Err(Failure::NoDevice(match list.len() {
        0 => "no GPU was found: install its driver (Vulkan, Metal or DirectX 12). The CPU makes the same plans.".into(),
        _ => "no GPU can be used, for the reasons above. The CPU makes the same plans.".into(),
    }))
}

fn as_table(list: &[Adapter]) -> String {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let yes = |has: bool| if has { "yes" } else { "no" }.to_string();
    let row = |name: &str, value: &dyn Fn(&Adapter) -> String| {
        std::iter::once(name.to_string()).chain(list.iter().map(value)).collect::<Vec<_>>()
    };
    let rows = [
        row("kind", &|a| a.kind.text().to_string()),
        row("driver", &|a| a.driver.clone()),
        row("interface", &|a| a.api.clone()),
        row("64-bit integers", &|a| yes(a.has_int64)),
        row("timestamps", &|a| yes(a.has_timestamps)),
        row("largest buffer", &|a| mib(a.binding_bytes_max)),
        row("workgroup memory", &|a| format!("{} KiB", a.workgroup_bytes_max >> 10)),
        row("subgroups", &|a| format!("{} to {}", a.subgroups.0, a.subgroups.1)),
        row("verdict", &verdict),
    ];
    let header: Vec<&str> = std::iter::once("").chain(list.iter().map(|a| a.name.as_str())).collect();
    table(&header, &rows, false)
}

fn verdict(adapter: &Adapter) -> String {
    if !adapter.is_usable() {
        return format!("cannot be used: {}", adapter.lacks.join("; "));
    }
    match adapter.is_software() {
        true => "for checking only: slower than the CPU; used with --backend gpu where there is no other".to_string(),
        false => "usable".to_string(),
    }
}

fn as_json(adapter: &Adapter) -> serde_json::Value {
    json!({
        "name": adapter.name,
        "kind": adapter.kind.text(),
        "driver": adapter.driver,
        "interface": adapter.api,
        "int64": adapter.has_int64,
        "timestamps": adapter.has_timestamps,
        "binding_bytes_max": adapter.binding_bytes_max,
        "workgroup_bytes_max": adapter.workgroup_bytes_max,
        "subgroup_sizes": [adapter.subgroups.0, adapter.subgroups.1],
        "usable": adapter.is_usable(),
        "lacks": adapter.lacks,
    })
}
