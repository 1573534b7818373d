//! What was typed for `bound`, and what is a gap?

use super::args::{BackendArg, GoalArg, JobsArg, ScoreForm, duration, source};
use super::io::Source;
use clap::Args;
use std::time::Duration;

/// Options of `bound`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bayplan bound snapshot.json\n  bayplan bound snapshot.json --time-limit 60s -o json\n\n\
    JSON fields: objective (of the current state), bound (no placement that is never worse than the current state has a\n\
    higher objective), gap, and proof: prices from which bayplan verify works the bound out again."
)]
pub struct BoundArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    #[command(flatten)]
    pub jobs: JobsArg,
    /// What to plan for, instead of the snapshot's own objective
    #[arg(long, value_enum)]
    pub goal: Option<GoalArg>,
    /// Wall time for the search for prices, e.g. 500ms, 60s, 5m [default: as many steps as suit the size]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub time_limit: Option<Duration>,
    /// Threads; the bound does not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Where tasks are priced; the bound does not depend on it
    #[arg(long, value_enum, default_value_t = BackendArg::Auto)]
    pub backend: BackendArg,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = ScoreForm::Table)]
    pub output: ScoreForm,
}

/// A part of the objective, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapArg(pub i128);

impl GapArg {
    /// True when a scaled objective is proven to be no further from a scaled bound than this part of it.
    pub fn is_closed(self, objective: i128, bound: i128) -> bool {
        let open = bound.saturating_sub(objective);
        open.saturating_mul(1_000_000_000) <= self.0.saturating_mul(objective.saturating_abs())
    }
}

/// Reads `0.1%`: up to seven decimals, up to 100.
pub(super) fn gap(text: &str) -> Result<GapArg, String> {
    let wrong = || "write a percentage from 0% to 100%, such as 0.1%".to_string();
    let digits = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |text: &str| !text.is_empty() && text.len() <= 7 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) {
        return Err(wrong());
    }
    let parts: i128 = format!("{whole}{part:0<7}").parse().map_err(|_| wrong())?;
    if parts > 1_000_000_000 { Err(wrong()) } else { Ok(GapArg(parts)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_percentages() {
        assert_eq!(gap("0.1%"), Ok(GapArg(1_000_000)));
        assert_eq!(gap("100%"), Ok(GapArg(1_000_000_000)));
        for text in ["", "%", "0.1", "-1%", "101%", "1.%", "0.12345678%"] {
            assert!(gap(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_gap_is_a_part_of_the_objective() {
        let tenth = GapArg(100_000_000);
        assert!(tenth.is_closed(100, 110) && !tenth.is_closed(100, 111));
        assert!(tenth.is_closed(-100, -90) && !tenth.is_closed(-100, -89));
        assert!(GapArg(0).is_closed(0, 0) && !GapArg(0).is_closed(0, 1));
    }
}
