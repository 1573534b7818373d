//! How is a tile of tasks scored against all nodes on the device?

use super::shader::index;
use super::{Error, Gpu, bind};
use crate::kernel::layout::{Image, Params};
use crate::kernel::score::{self as kernel, CHUNK, Target};
use std::sync::Arc;

/// Wides per target.
const TARGET_WIDES: usize = kernel::TARGET_WIDES as usize;
/// No node; no set of closed nodes.
const NOWHERE: u32 = u32::MAX;

/// A task of the tile.
#[derive(Debug, Clone)]
pub struct Query {
    /// The task.
    pub task: u32,
    /// Nodes that group rules close to it, one bit per node; empty = none.
    pub closed: Vec<u64>,
}

/// A problem on the device, for scoring.
pub struct Tiles {
    gpu: Arc<Gpu>,
    params: Params,
    tile_max: usize,
    closed_words: usize,
    settings: wgpu::Buffer,
    state: wgpu::Buffer,
    tile: wgpu::Buffer,
    closed: wgpu::Buffer,
    results: wgpu::Buffer,
    landing: wgpu::Buffer,
    group: wgpu::BindGroup,
}

impl Tiles {
    /// Brings a problem to the device, for tiles of up to `tile_max` tasks.
    ///
    /// # Errors
    /// [`Error::Unusable`] when a buffer is beyond what the adapter binds, [`Error::Failed`] when it has no memory.
    pub fn new(gpu: Arc<Gpu>, image: &Image, tile_max: usize) -> Result<Tiles, Error> {
        let params = Params { tile_chunks: image.params.node_count.div_ceil(CHUNK).max(1), ..image.params };
        let closed_words = params.node_count.div_ceil(64) as usize * 2;
        let results_bytes = (tile_max * params.tile_chunks as usize * TARGET_WIDES * 8) as u64;
        let sizes = [
            image.words.len() as u64 * 4,
            image.wides.len() as u64 * 8,
            image.state_length * 4,
            (tile_max * closed_words * 4) as u64,
            results_bytes,
        ];
        let largest = sizes.into_iter().max().unwrap_or(0);
        if largest > gpu.about.binding_bytes_max || !image.is_addressable() {
            let (needs, allows) = (largest.div_ceil(1 << 20), gpu.about.binding_bytes_max >> 20);
            return Err(Error::Unusable(format!(
                "scoring needs a buffer of {needs} MiB, the device allows {allows} MiB"
            )));
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let settings = gpu.buffer("settings", gpu.params_stride, usage)?;
        let words = gpu.storage("words", sizes[0])?;
        let wides = gpu.storage("wides", sizes[1])?;
        let state = gpu.storage("state", sizes[2])?;
        let tile = gpu.storage("tile", (tile_max * 8) as u64)?;
        let counts = gpu.storage("counts", 0)?;
        let closed = gpu.storage("closed", sizes[3])?;
        let control = gpu.storage("control", 0)?;
        let results = gpu.storage("results", results_bytes)?;
        let landing = gpu.landing("landing", results_bytes)?;
        let buffers = [&words, &wides, &state, &tile, &counts, &closed, &control, &results];
        let group = bind(&gpu, &settings, &buffers);
        gpu.upload(&words, 0, bytemuck::cast_slice(&image.words));
        gpu.upload(&wides, 0, bytemuck::cast_slice(&image.wides));
        gpu.troubles.check()?;
        Ok(Tiles { gpu, params, tile_max, closed_words, settings, state, tile, closed, results, landing, group })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Sets what is on the nodes: rows used and held, tasks, devices taken, in the order of the `state` buffer.
    pub fn write_nodes(&self, nodes: &[u32]) {
        self.gpu.upload(&self.state, u64::from(self.params.s_used) * 4, bytemuck::cast_slice(nodes));
    }

    /// The best target of every task of the tile.
    ///
    /// # Errors
    /// When the device fails or does not answer.
    ///
    /// # Panics
    /// When the tile is larger than `tile_max`.
    pub fn score(&self, queries: &[Query]) -> Result<Vec<Option<Target>>, Error> {
        assert!(queries.len() <= self.tile_max, "{} tasks in a tile of {}", queries.len(), self.tile_max);
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        let mut tile = Vec::with_capacity(queries.len() * 2);
        let mut closed: Vec<u64> = Vec::new();
        for query in queries {
            let start = if query.closed.is_empty() { NOWHERE } else { closed.len() as u32 * 2 };
            tile.extend([query.task, start]);
            closed.extend_from_slice(&query.closed);
        }
        debug_assert!(closed.len() * 2 <= self.tile_max * self.closed_words);
        let params = Params { tile_count: queries.len() as u32, ..self.params };
        self.gpu.upload(&self.settings, 0, bytemuck::bytes_of(&params));
        self.gpu.upload(&self.tile, 0, bytemuck::cast_slice(&tile));
        // Bits in words of 64 read as words of 32: the low half comes first on every machine this runs on.
        self.gpu.upload(&self.closed, 0, bytemuck::cast_slice(&closed));
        let chunks = self.params.tile_chunks as usize;
        let (x, y) = self.gpu.split((queries.len() * chunks) as u32);
        let bytes = (queries.len() * chunks * TARGET_WIDES * 8) as u64;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.gpu.pipelines[index("score")]);
            pass.set_bind_group(0, &self.group, &[0]);
            pass.dispatch_workgroups(x, y, 1);
        }
        encoder.copy_buffer_to_buffer(&self.results, 0, &self.landing, 0, bytes);
        self.gpu.queue.submit([encoder.finish()]);
        let wides: Vec<i64> = bytemuck::pod_collect_to_vec(&self.gpu.land(&self.landing, bytes)?);
        let target = |wides: &[i64]| Target {
            points: wides[0],
            leftover: wides[1],
            node: wides[2] as u32,
            devices: wides[3] as u64,
        };
        let best = |chunks: &[i64]| {
            chunks.chunks_exact(TARGET_WIDES).map(target).filter(|target| target.node != NOWHERE).min()
        };
        Ok(wides.chunks_exact(chunks * TARGET_WIDES).map(best).collect())
    }
}
