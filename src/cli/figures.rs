//! What is a state like, in numbers? Everything that `score` prints and the before/after table compares.

use bayplan::model::{
    Meter, Placement, Problem, ResourceId, SHARE_ONE, Score, Usage, Violation, headroom, meter_points, scaled_text,
    score, violations,
};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Amounts of one resource, scaled.
#[derive(Debug, Clone)]
pub struct ResourceFigures {
    /// Name.
    pub name: String,
    /// Unit, may be empty.
    pub unit: String,
    /// Σ over the tasks of the amount granted; the load of the cluster.
    pub granted: i128,
    /// Σ over the tasks of the amount required.
    pub required: i128,
    /// Σ over the nodes of the capacity.
    pub available: i128,
    /// f(load, available) = available − load.
    pub headroom: i128,
    /// Largest load of one node, in thousandths of its capacity.
    pub hottest_per_mille: i128,
    /// Largest utilisation, and its standard deviation, over the nodes that have any; `None` where none has. For reading only.
    pub evenness: Option<[f64; 2]>,
}

/// Devices of one kind, in milli.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceFigures {
    /// `gpu` …
    pub kind: String,
    /// Milli held.
    pub used_milli: u64,
    /// Milli there are.
    pub available_milli: u64,
}

/// A state in numbers.
#[derive(Debug, Clone)]
pub struct Figures {
    /// By resource, in the order of the snapshot.
    pub resources: Vec<ResourceFigures>,
    /// By kind of device that any node has.
    pub devices: Vec<DeviceFigures>,
    /// Points.
    pub score: Score,
    /// Parts of the load: what runs in burst pools and in spot pools, where there are any.
    pub pools: Vec<(&'static str, i128)>,
    /// Broken rules.
    pub violations: Vec<Violation>,
    /// Tasks that run somewhere.
    pub placed_count: usize,
    /// Nodes on which something runs.
    pub nodes_used_count: usize,
}

impl Figures {
    /// Measures a placement.
    pub fn of(problem: &Problem, placement: &Placement) -> Figures {
        let usage = Usage::of(problem, placement);
        Figures {
            resources: (0..problem.own_resources().len()).map(|r| resource(problem, &usage, r)).collect(),
            devices: devices(problem, &usage),
            score: score(problem, placement),
            pools: pools(problem, &usage),
            violations: violations(problem, placement),
            placed_count: placement.spots().iter().filter(|spot| spot.is_placed()).count(),
            nodes_used_count: problem.node_ids().filter(|node| usage.pieces(*node) > 0).count(),
        }
    }

    /// Mean over the resources that anything requires of granted / required; `None` when nothing is required.
    pub fn utilization(&self) -> Option<f64> {
        let ratios: Vec<f64> = self.resources.iter().filter_map(|r| ratio(r.granted, r.required)).collect();
        (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64)
    }
}

fn resource(problem: &Problem, usage: &Usage, r: usize) -> ResourceFigures {
    let one = i128::from(SHARE_ONE);
    let id = ResourceId::new(r);
    let spec = &problem.resources[r];
    let capacity = |node| i128::from(problem.allocatable(node)[r]) * one;
    let loads = problem.node_ids().filter(|node| capacity(*node) > 0);
    ResourceFigures {
        name: spec.name.clone(),
        unit: spec.unit.clone(),
        granted: problem.node_ids().map(|node| usage.amount(node, id)).sum(),
        required: problem.task_ids().map(|task| i128::from(problem.requirement(task)[r]) * one).sum(),
        available: problem.node_ids().map(capacity).sum(),
        headroom: headroom(problem, usage, id),
        evenness: evenness(problem, usage, r),
        hottest_per_mille: loads.map(|node| usage.amount(node, id) * 1000 / capacity(node)).max().unwrap_or(0),
    }
}

fn evenness(problem: &Problem, usage: &Usage, r: usize) -> Option<[f64; 2]> {
    let part = |node| {
        let capacity = i128::from(problem.allocatable(node)[r]) * i128::from(SHARE_ONE);
        ratio(usage.amount(node, ResourceId::new(r)), capacity)
    };
    let parts: Vec<f64> = problem.node_ids().filter_map(part).collect();
    let most = parts.iter().copied().reduce(f64::max)?;
    let count = parts.len() as f64;
    let mean = parts.iter().sum::<f64>() / count;
    let variance = parts.iter().map(|part| (part - mean) * (part - mean)).sum::<f64>() / count;
    Some([most, variance.sqrt()])
}

fn pools(problem: &Problem, usage: &Usage) -> Vec<(&'static str, i128)> {
    type IsOf = fn(Meter) -> bool;
    let kinds: [(&str, IsOf); 2] = [("burst", |meter| meter == Meter::Burst), ("spot", |meter| meter != Meter::Burst)];
    let has = |is_meant: fn(Meter) -> bool| problem.resources.iter().any(|r| r.meter.is_some_and(is_meant));
    let there = kinds.into_iter().filter(|(_, is_meant)| has(*is_meant));
    there.map(|(name, is_meant)| (name, meter_points(problem, usage, is_meant))).collect()
}

fn devices(problem: &Problem, usage: &Usage) -> Vec<DeviceFigures> {
    let empty = |kind: &String| DeviceFigures { kind: kind.clone(), used_milli: 0, available_milli: 0 };
    let mut figures: Vec<DeviceFigures> = problem.device_kinds.iter().map(empty).collect();
    for node in problem.node_ids() {
        for (kind, figures) in figures.iter_mut().enumerate() {
            let (used, all) = usage.kind_milli(problem, node, kind as u32);
            figures.used_milli += used as u64;
            figures.available_milli += all as u64;
        }
    }
    figures.retain(|kind| kind.available_milli > 0);
    figures
}

/// `part / whole`, for reading only; `None` when there is no whole.
pub fn ratio(part: i128, whole: i128) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// A ratio as text: `25.0 %`, or `-`.
pub fn percent(part: i128, whole: i128) -> String {
    ratio(part, whole).map_or("-".to_string(), |ratio| format!("{:.1} %", ratio * 100.0))
}

/// A whole figure with its thousands set apart.
pub fn whole(count: i128) -> String {
    grouped(count * i128::from(SHARE_ONE))
}

/// A scaled figure with its thousands set apart, as people read it.
pub fn grouped(value: i128) -> String {
    let text = scaled_text(value);
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut out = String::from(sign);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A scaled quantity as a JSON number: exact where it is whole.
#[derive(Debug, Clone, Copy)]
pub struct JsonFigure(pub i128);

impl Serialize for JsonFigure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let one = i128::from(SHARE_ONE);
        if self.0 % one != 0 {
            return serializer.serialize_f64(self.0 as f64 / f64::from(SHARE_ONE));
        }
        let whole = self.0 / one;
        // A tree of values holds 64 bits and refuses more; as text it takes the digits, or rounds them where it must.
        match (i64::try_from(whole), u64::try_from(whole)) {
            (Ok(whole), _) => serializer.serialize_i64(whole),
            (_, Ok(whole)) => serializer.serialize_u64(whole),
            _ => RawValue::from_string(whole.to_string()).map_err(S::Error::custom)?.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_for_reading() {
        let one = i128::from(SHARE_ONE);
        assert_eq!(grouped(-1_234_567 * one), "-1,234,567");
        assert_eq!(grouped(999 * one), "999");
        assert_eq!(grouped(1000 * one + one / 2), "1,000.500000");
    }

    #[test]
    fn whole_json_figures_are_exact() {
        let one = i128::from(SHARE_ONE);
        let json = |value| serde_json::to_string(&JsonFigure(value)).unwrap();
        assert_eq!(json(9_007_199_254_740_993 * one), "9007199254740993");
        assert_eq!(json((i128::from(u64::MAX) + 10) * one), "18446744073709551625");
        assert_eq!(json((i128::from(i64::MIN) - 10) * one), "-9223372036854775818");
        assert_eq!(json(one * 31 / 12), "2.5833333333333335");
    }

    /// Points of 2^24 tasks of weight 2^40 are no 64-bit number, and a tree of values has no other whole ones.
    #[test]
    fn no_figure_is_too_large_for_a_tree() {
        let one = i128::from(SHARE_ONE);
        let tree = |value: i128| serde_json::json!(JsonFigure(value * one));
        assert_eq!(tree(-(1 << 70)).as_f64(), Some(-(70f64.exp2())));
        assert_eq!(tree(1 << 70).as_f64(), Some(70f64.exp2()));
        assert_eq!(tree(i128::from(i64::MIN)).as_i64(), Some(i64::MIN));
        assert_eq!(tree(i128::from(u64::MAX)).as_u64(), Some(u64::MAX));
    }
}
