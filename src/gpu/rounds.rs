//! How does a chain run on the device? Its state stays there; rounds are encoded one after another, results come back when
//! asked for.

use super::shader::{KERNELS, index};
use super::{Error, Gpu, Kind, bind};
use crate::kernel::anneal::LANES;
use crate::kernel::layout::{Image, Params, SORT_TILE};
use std::sync::Arc;

/// Rounds whose settings fit the buffer: one batch.
const BATCH_MAX: usize = 256;

/// Time spent in one kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Entry point.
    pub kernel: &'static str,
    /// Dispatches measured.
    pub dispatches: u32,
    /// Nanoseconds in all.
    pub nanoseconds: f64,
}

/// One dispatch: entry point, slot of its settings, workgroups.
#[derive(Debug, Clone, Copy)]
struct Step {
    kernel: usize,
    slot: usize,
    groups: u32,
}

/// A chain on the device.
pub struct Rounds {
    gpu: Arc<Gpu>,
    image: Image,
    /// Slots 0 …: one per pass of the sorts (nodes, then tasks); then one per round of a batch.
    settings: wgpu::Buffer,
    sorts: Vec<Params>,
    /// Batches of a block per dispatch of `anneal`.
    batch_slice: u32,
    state: wgpu::Buffer,
    control: wgpu::Buffer,
    results: wgpu::Buffer,
    round: wgpu::Buffer,
    counts: wgpu::Buffer,
    landing: wgpu::Buffer,
    group: wgpu::BindGroup,
}

/// What came back from a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landed {
    /// The `state` buffer.
    pub state: Vec<u32>,
    /// The `control` buffer.
    pub control: Vec<u32>,
    /// The `results` buffer.
    pub results: Vec<i64>,
}

impl Rounds {
    /// Brings a problem to the device.
    ///
    /// # Errors
    /// [`Error::Unusable`] when a buffer is beyond what the adapter binds, [`Error::Failed`] when it has no memory.
    pub fn new(gpu: Arc<Gpu>, image: &Image) -> Result<Rounds, Error> {
        gpu.check_room(image)?;
        let sorts = sorts(&image.params);
        let slots = (sorts.len() + BATCH_MAX) as u64;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let settings = gpu.buffer("settings", slots * gpu.params_stride, usage)?;
        let words = gpu.storage("words", image.words.len() as u64 * 4)?;
        let wides = gpu.storage("wides", image.wides.len() as u64 * 8)?;
        let state = gpu.storage("state", image.state_length * 4)?;
        let round = gpu.storage("round", image.round_length * 4)?;
        let counts = gpu.storage("counts", image.counts_length * 4)?;
        let tables = gpu.storage("tables", image.tables_length * 4)?;
        let control = gpu.storage("control", image.control_length * 4)?;
        let results = gpu.storage("results", image.results_length * 8)?;
        let landing =
            gpu.landing("landing", landing_bytes(image).max(image.round_length.max(image.counts_length) * 4))?;
        let buffers = [&words, &wides, &state, &round, &counts, &tables, &control, &results];
        let group = bind(&gpu, &settings, &buffers);
        gpu.upload(&words, 0, bytemuck::cast_slice(&image.words));
        gpu.upload(&wides, 0, bytemuck::cast_slice(&image.wides));
        for (slot, params) in sorts.iter().enumerate() {
            gpu.upload(&settings, slot as u64 * gpu.params_stride, bytemuck::bytes_of(params));
        }
        gpu.troubles.check()?;
        // The words are on the device now; only sizes are needed here.
        let image = Image { words: Vec::new(), wides: Vec::new(), ..image.clone() };
        let batch_slice = batch_slice(gpu.about.kind, &image.params);
        Ok(Rounds { gpu, image, settings, sorts, batch_slice, state, control, results, round, counts, landing, group })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Sets the chain's state.
    pub fn write(&self, landed: &Landed) {
        self.gpu.upload(&self.state, 0, bytemuck::cast_slice(&landed.state));
        self.gpu.upload(&self.control, 0, bytemuck::cast_slice(&landed.control));
        self.gpu.upload(&self.results, 0, bytemuck::cast_slice(&landed.results));
    }

    /// Runs rounds with these settings, in order, and brings back what they made of the state.
    ///
    /// # Errors
    /// When the device fails or does not answer; the state here is then what it was before.
    pub fn run(&self, batch: &[Params]) -> Result<Landed, Error> {
        for part in batch.chunks(BATCH_MAX) {
            // The last part's settings must have been used before they are overwritten.
            self.gpu.wait()?;
            let mut bytes = vec![0; part.len() * self.gpu.params_stride as usize];
            for (params, slot) in part.iter().zip(bytes.chunks_mut(self.gpu.params_stride as usize)) {
                let params = Params { batch_slice: self.batch_slice, ..*params };
                slot[..size_of::<Params>()].copy_from_slice(bytemuck::bytes_of(&params));
            }
            self.gpu.upload(&self.settings, self.sorts.len() as u64 * self.gpu.params_stride, &bytes);
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for (i, params) in part.iter().enumerate() {
                    for step in self.steps(params, self.sorts.len() + i) {
                        self.dispatch(&mut pass, step);
                    }
                }
            }
            self.gpu.queue.submit([encoder.finish()]);
            self.gpu.troubles.check()?;
        }
        self.read()
    }

    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, step: Step) {
        let (x, y) = self.gpu.split(step.groups);
        pass.set_pipeline(&self.gpu.pipelines[step.kernel]);
        pass.set_bind_group(0, &self.group, &[(step.slot as u64 * self.gpu.params_stride) as u32]);
        pass.dispatch_workgroups(x, y, 1);
    }

    /// The dispatches of a round.
    fn steps(&self, params: &Params, slot: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut add = |name: &str, slot: usize, invocations: u32| {
            let kernel = index(name);
            let groups = invocations.div_ceil(KERNELS[kernel].workgroup);
            if groups > 0 {
                steps.push(Step { kernel, slot, groups });
            }
        };
        add("clear", slot, params.node_count.max(params.counts_length).max(1));
        if params.is_by_home() {
            add("link", slot, params.movable_count);
        }
        add("node_key", slot, params.node_count);
        let sort = |add: &mut dyn FnMut(&str, usize, u32), passes: std::ops::Range<usize>| {
            for pass in passes {
                let length = self.sorts[pass].sort_length;
                let invocations = length.div_ceil(SORT_TILE) * KERNELS[index("sort_count")].workgroup;
                add("sort_count", pass, invocations);
                add("sort_scan", pass, u32::from(length > 0));
                add("sort_scatter", pass, invocations);
            }
        };
        sort(&mut add, 0..NODE_SORT_PASSES);
        add("index_nodes", slot, params.node_count);
        add("task_key", slot, params.order_count);
        sort(&mut add, NODE_SORT_PASSES..self.sorts.len());
        add("index_tasks", slot, params.order_count + 1);
        if params.row_count > 0 {
            add("keep", slot, params.order_count);
        }
        add("gather", slot, params.block_count * KERNELS[index("gather")].workgroup);
        let batches = params.candidates_max.div_ceil(LANES as u32);
        for _ in 0..batches.div_ceil(self.batch_slice) {
            add("anneal", slot, params.block_count * LANES as u32);
        }
        add("tally", slot, 1);
        add("keep_best", slot, params.task_count);
        steps
    }

    fn read(&self) -> Result<Landed, Error> {
        let image = &self.image;
        let (state, control) = (image.state_length * 4, image.control_length * 4);
        let starts = [0, state.next_multiple_of(8), (state.next_multiple_of(8) + control).next_multiple_of(8)];
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let parts = [(&self.state, state), (&self.control, control), (&self.results, image.results_length * 8)];
        for ((buffer, bytes), start) in parts.into_iter().zip(starts) {
            if bytes > 0 {
                encoder.copy_buffer_to_buffer(buffer, 0, &self.landing, start, bytes);
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
        let bytes = self.gpu.land(&self.landing, landing_bytes(image))?;
        let part = |start: u64, bytes_count: u64| &bytes[start as usize..(start + bytes_count) as usize];
        Ok(Landed {
            state: bytemuck::pod_collect_to_vec(part(starts[0], state)),
            control: bytemuck::pod_collect_to_vec(part(starts[1], control)),
            results: bytemuck::pod_collect_to_vec(part(starts[2], image.results_length * 8)),
        })
    }

    /// The working memory of the last round, for comparing kernel by kernel: the `round` and `counts` buffers.
    ///
    /// # Errors
    /// As [`Rounds::run`].
    pub fn working_memory(&self) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let read = |buffer: &wgpu::Buffer, words: u64| -> Result<Vec<u32>, Error> {
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            if words > 0 {
                encoder.copy_buffer_to_buffer(buffer, 0, &self.landing, 0, words * 4);
            }
            self.gpu.queue.submit([encoder.finish()]);
            Ok(bytemuck::pod_collect_to_vec(&self.gpu.land(&self.landing, words * 4)?))
        };
        Ok((read(&self.round, self.image.round_length)?, read(&self.counts, self.image.counts_length)?))
    }

    /// Runs one round with a pass per dispatch and says how long each kernel took; `None` without timestamps.
    ///
    /// # Errors
    /// As [`Rounds::run`].
    pub fn profile(&self, params: &Params) -> Result<Option<Vec<Timing>>, Error> {
        if !self.gpu.about.has_timestamps {
            return Ok(None);
        }
        self.gpu.wait()?;
        let slot = self.sorts.len();
        self.gpu.upload(
            &self.settings,
            slot as u64 * self.gpu.params_stride,
            bytemuck::bytes_of(&Params { batch_slice: self.batch_slice, ..*params }),
        );
        let steps = self.steps(params, slot);
        let count = steps.len() as u32 * 2;
        let queries = self.gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("timing"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let bytes = u64::from(count) * 8;
        let resolved =
            self.gpu.buffer("timing", bytes, wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC)?;
        let landing = self.gpu.landing("timing landing", bytes)?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        for (i, step) in steps.iter().enumerate() {
            let stamps = wgpu::ComputePassTimestampWrites {
                query_set: &queries,
                beginning_of_pass_write_index: Some(i as u32 * 2),
                end_of_pass_write_index: Some(i as u32 * 2 + 1),
            };
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(stamps) };
            self.dispatch(&mut encoder.begin_compute_pass(&descriptor), *step);
        }
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &landing, 0, bytes);
        self.gpu.queue.submit([encoder.finish()]);
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&self.gpu.land(&landing, bytes)?);
        let period = f64::from(self.gpu.queue.get_timestamp_period());
        let mut timings: Vec<Timing> = Vec::new();
        for (step, pair) in steps.iter().zip(stamps.chunks_exact(2)) {
            let name = KERNELS[step.kernel].name;
            let nanoseconds = pair[1].saturating_sub(pair[0]) as f64 * period;
            match timings.iter_mut().find(|timing| timing.kernel == name) {
                Some(timing) => {
                    timing.dispatches += 1;
                    timing.nanoseconds += nanoseconds;
                }
                None => timings.push(Timing { kernel: name, dispatches: 1, nanoseconds }),
            }
        }
        Ok(Some(timings))
    }
}

/// Batches of a block that one dispatch may do: few enough for drivers that reset a device when a shader runs for seconds.
/// Mesa's software adapter, before version 24, ends all loops of an invocation after 65,535 steps in all.
fn batch_slice(kind: Kind, p: &Params) -> u32 {
    const BATCHES: u32 = 1024;
    const SOFTWARE_STEPS: u32 = 50_000;
    // Two nodes before and after, for judging and for booking; devices; group rows; which lanes apply.
    let node = p.lanes + p.balance_count + p.variance_count + p.mix_count * (p.device_width + p.lanes + 1);
    let steps = 8 * node + 8 * (p.lanes + p.device_width) + 16 * p.level_count.max(1) + 600;
    if kind == Kind::Software { (SOFTWARE_STEPS / steps).clamp(1, BATCHES) } else { BATCHES }
}

/// Passes of the sort of nodes: keys have 16 bits.
const NODE_SORT_PASSES: usize = 2;

/// The settings of every pass of the sorts: there and back between two pairs of arrays.
fn sorts(params: &Params) -> Vec<Params> {
    let (spare_keys, spare_values) = (params.sort_out_keys, params.sort_out_values);
    let pass = |pass: u32, length: u32, keys: u32, values: u32| {
        let there = Params {
            sort_length: length,
            sort_shift: 8 * pass,
            sort_keys: keys,
            sort_values: values,
            sort_out_keys: spare_keys,
            sort_out_values: spare_values,
            ..*params
        };
        let back = Params {
            sort_keys: spare_keys,
            sort_values: spare_values,
            sort_out_keys: keys,
            sort_out_values: values,
            ..there
        };
        if pass.is_multiple_of(2) { there } else { back }
    };
    let nodes =
        (0..NODE_SORT_PASSES as u32).map(|i| pass(i, params.node_count, params.r_node_keys, params.r_node_values));
    let tasks =
        (0..params.task_sort_passes()).map(|i| pass(i, params.order_count, params.r_task_keys, params.r_task_values));
    nodes.chain(tasks).collect()
}

fn landing_bytes(image: &Image) -> u64 {
    let words = (image.state_length * 4).next_multiple_of(8) + (image.control_length * 4).next_multiple_of(8);
    words + image.results_length * 8
}
