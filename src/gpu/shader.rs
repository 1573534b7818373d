//! Which WGSL goes to the device? The sources, joined without a preprocessor, and the table of entry points.

/// An entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Name of the entry point.
    pub name: &'static str,
    /// Its file in `shaders/`, without the ending.
    pub file: &'static str,
    /// Invocations per workgroup.
    pub workgroup: u32,
}

const fn kernel(name: &'static str, file: &'static str, workgroup: u32) -> Kernel {
    Kernel { name, file, workgroup }
}

/// All entry points, in the order in which a round uses them.
pub const KERNELS: &[Kernel] = &[
    kernel("clear", "cut", 64),
    kernel("link", "cut", 64),
    kernel("node_key", "cut", 64),
    kernel("index_nodes", "cut", 64),
    kernel("task_key", "cut", 64),
    kernel("index_tasks", "cut", 64),
    kernel("sort_count", "sort", 256),
    kernel("sort_scan", "sort", 256),
    kernel("sort_scatter", "sort", 256),
    kernel("keep", "keep", 64),
    kernel("gather", "gather", 128),
    kernel("anneal", "anneal", 32),
    kernel("tally", "tally", 256),
    kernel("keep_best", "tally", 64),
    kernel("score", "score", 64),
    kernel("price", "price", 64),
    kernel("drill", "drill", 64),
    kernel("peak", "peak", 64),
];

/// The files in `shaders/`: shared ones first.
pub const FILES: &[(&str, &str)] = &[
    ("layout", include_str!("../../shaders/layout.wgsl")),
    ("random", include_str!("../../shaders/random.wgsl")),
    ("points", include_str!("../../shaders/points.wgsl")),
    ("cut", include_str!("../../shaders/cut.wgsl")),
    ("sort", include_str!("../../shaders/sort.wgsl")),
    ("keep", include_str!("../../shaders/keep.wgsl")),
    ("block", include_str!("../../shaders/block.wgsl")),
    ("judge", include_str!("../../shaders/judge.wgsl")),
    ("gather", include_str!("../../shaders/gather.wgsl")),
    ("anneal", include_str!("../../shaders/anneal.wgsl")),
    ("tally", include_str!("../../shaders/tally.wgsl")),
    ("score", include_str!("../../shaders/score.wgsl")),
    ("price", include_str!("../../shaders/price.wgsl")),
    ("drill", include_str!("../../shaders/drill.wgsl")),
    ("peak", include_str!("../../shaders/peak.wgsl")),
];

/// Shared files that go in front of a kernel's own.
fn shared(file: &str) -> &'static [&'static str] {
    match file {
        "cut" | "keep" => &["layout", "random"],
        "gather" => &["layout", "block"],
        "anneal" => &["layout", "random", "points", "block", "judge"],
        "score" => &["layout", "points"],
        _ => &["layout"],
    }
}

/// The text that is compiled for a file's kernels.
///
/// # Panics
/// When there is no such file.
pub fn source(file: &str) -> String {
    let text = |name: &str| FILES.iter().find(|(known, _)| *known == name).expect("a file of the table").1;
    let parts = shared(file).iter().copied().chain([file]);
    parts.map(text).collect::<Vec<_>>().join("\n")
}

/// Position of an entry point in [`KERNELS`].
pub(super) fn index(name: &str) -> usize {
    KERNELS.iter().position(|kernel| kernel.name == name).expect("an entry point of the table")
}
