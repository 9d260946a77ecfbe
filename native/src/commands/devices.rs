//! `rarebit devices`: the adapters that wgpu finds, and which one `--device auto` takes.

use std::io::{self, Write};

use crate::device::adapter::{self, Adapter};
use crate::device::automatic;

/// List the GPUs that rarebit can compute on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let adapters = adapter::list();
    let mut out = io::stdout().lock();
    if args.json {
        write_json(&mut out, &adapters)
    } else {
        write_table(&mut out, &adapters)
    }
}

fn write_json(out: &mut impl Write, adapters: &[Adapter]) -> anyhow::Result<()> {
    let (taken, reason) = automatic(adapters);
    let document = serde_json::json!({
        "adapters": adapters,
        "auto": {
            "device": taken.map_or_else(|| "cpu".to_owned(), |it| format!("gpu:{}", it.index)),
            "reason": reason,
        },
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)?;
    Ok(())
}

fn write_table(out: &mut impl Write, adapters: &[Adapter]) -> anyhow::Result<()> {
    let (taken, reason) = automatic(adapters);
    for adapter in adapters {
        let auto = taken.is_some_and(|it| it.index == adapter.index);
        let mark = if auto { "  <- auto" } else { "" };
        writeln!(out, "gpu:{}  {}{mark}", adapter.index, adapter.name)?;
        for (name, value) in rows(adapter) {
            writeln!(out, "    {name:<24}{value}")?;
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mark = if taken.is_none() { "  <- auto" } else { "" };
    writeln!(out, "cpu    {cores} threads{mark}")?;
    let device = taken.map_or_else(|| "cpu".to_owned(), |it| format!("gpu:{}", it.index));
    writeln!(out, "\n--device auto takes {device}: {reason}")?;
    Ok(())
}

fn rows(adapter: &Adapter) -> [(&'static str, String); 9] {
    let cooperative_matrix = match adapter.cooperative_matrix.as_slice() {
        [] => "no".to_owned(),
        shapes => shapes.join(", "),
    };
    [
        (
            "vendor",
            format!("{} (0x{:04x})", adapter.vendor, adapter.vendor_id),
        ),
        ("API", adapter.api.clone()),
        (
            "driver",
            format!("{} {}", adapter.driver, adapter.driver_info)
                .trim()
                .to_owned(),
        ),
        ("type", adapter.kind.as_str().to_owned()),
        ("largest buffer", mebibytes(adapter.max_buffer_size)),
        (
            "largest storage binding",
            mebibytes(adapter.max_storage_buffer_binding_size),
        ),
        ("f16 in shaders", yes_no(adapter.f16)),
        ("subgroups", yes_no(adapter.subgroups)),
        ("cooperative matrix", cooperative_matrix),
    ]
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_adapters_auto_is_the_cpu() {
        let mut table = Vec::new();
        write_table(&mut table, &[]).unwrap();
        let table = String::from_utf8(table).unwrap();
        assert!(table.contains("<- auto"), "{table}");
        assert!(
            table.contains("--device auto takes cpu: wgpu finds no adapter"),
            "{table}"
        );

        let mut json = Vec::new();
        write_json(&mut json, &[]).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["adapters"], serde_json::json!([]));
        assert_eq!(json["auto"]["device"], "cpu");
    }
}
