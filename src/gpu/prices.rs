//! How are the kinds of a bound priced against all places on the device?

use super::shader::{KERNELS, index};
use super::{Error, Gpu, bind};
use crate::kernel::layout::Params;
use crate::kernel::price::{CHEAPEST_WIDES, CHUNK, Cheapest, NOWHERE};
use std::sync::Arc;

/// Wides per answer.
const WIDES: usize = CHEAPEST_WIDES as usize;
/// Answers of a dispatch at most: 16 MiB.
const ANSWERS_MAX: usize = 1 << 20;
/// Prices times amounts of a dispatch at most: some drivers reset a device that is busy for two seconds.
const WORK_MAX: u64 = 1 << 30;

/// What never changes while prices are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Market<'a> {
    /// Number of places.
    pub places: usize,
    /// Resources and device rows.
    pub columns: usize,
    /// Shape: kinds × columns.
    pub requirement: &'a [i64],
    /// Shape: masks × words for all places.
    pub masks: &'a [u32],
    /// Row of `masks`, by kind.
    pub mask: &'a [u32],
    /// Row of `moves`, by kind; `u32::MAX` = none.
    pub from: &'a [u32],
    /// Points for moving. Shape: rows × places.
    pub moves: &'a [i64],
}

/// A market on the device.
pub struct Prices {
    gpu: Arc<Gpu>,
    params: Params,
    tile: usize,
    settings: wgpu::Buffer,
    prices: wgpu::Buffer,
    results: wgpu::Buffer,
    landing: wgpu::Buffer,
    group: wgpu::BindGroup,
}

impl Prices {
    /// Brings a market to the device, for dispatches of up to `tile_max` kinds.
    ///
    /// # Errors
    /// [`Error::Unusable`] when a buffer is beyond what the adapter binds, [`Error::Failed`] when it has no memory.
    pub fn new(gpu: Arc<Gpu>, market: &Market<'_>, tile_max: usize) -> Result<Prices, Error> {
        let kinds = market.mask.len();
        let chunks = market.places.div_ceil(CHUNK as usize).max(1);
        let work = (market.places * market.columns).max(1) as u64;
        let tile = (ANSWERS_MAX / chunks).min((WORK_MAX / work) as usize).min(tile_max).clamp(1, kinds.max(1));
        let words = [market.masks, market.mask, market.from].concat();
        let wides = [market.requirement, market.moves].concat();
        let prices_bytes = (market.places * market.columns * 8) as u64;
        let results_bytes = (tile * chunks * WIDES * 8) as u64;
        let largest = [words.len() as u64 * 4, wides.len() as u64 * 8, prices_bytes, results_bytes];
        let largest = largest.into_iter().max().unwrap_or(0);
        if largest > gpu.about.binding_bytes_max || words.len().max(wides.len()) >= 1 << 31 {
            let (needs, allows) = (largest.div_ceil(1 << 20), gpu.about.binding_bytes_max >> 20);
            return Err(Error::Unusable(format!(
                "pricing needs a buffer of {needs} MiB, the device allows {allows} MiB"
            )));
        }
        let params = Params {
            node_count: market.places as u32,
            lanes: market.columns as u32,
            tile_chunks: chunks as u32,
            mask_words: market.places.div_ceil(32) as u32,
            w_kind_mask: market.masks.len() as u32,
            w_kind_from: (market.masks.len() + kinds) as u32,
            d_kind_moves: market.requirement.len() as u32,
            task_count: kinds as u32,
            ..Params::default()
        };
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let settings = gpu.buffer("settings", gpu.params_stride, usage)?;
        let words_buffer = gpu.storage("words", words.len() as u64 * 4)?;
        let wides_buffer = gpu.storage("wides", wides.len() as u64 * 8)?;
        let prices = gpu.storage("prices", prices_bytes)?;
        let results = gpu.storage("results", results_bytes)?;
        let landing = gpu.landing("landing", results_bytes)?;
        let none = (0..4).map(|_| gpu.storage("none", 0)).collect::<Result<Vec<_>, _>>()?;
        let buffers = [&words_buffer, &wides_buffer, &none[0], &prices, &none[1], &none[2], &none[3], &results];
        let group = bind(&gpu, &settings, &buffers);
        gpu.upload(&words_buffer, 0, bytemuck::cast_slice(&words));
        gpu.upload(&wides_buffer, 0, bytemuck::cast_slice(&wides));
        gpu.troubles.check()?;
        Ok(Prices { gpu, params, tile, settings, prices, results, landing, group })
    }

    /// The cheapest place of every kind at prices in 1/denominator points. Shape of `prices`: places × columns.
    ///
    /// # Errors
    /// When the device fails or does not answer.
    pub fn cheapest(&self, prices: &[i64], denominator: i64) -> Result<Vec<Option<Cheapest>>, Error> {
        self.gpu.upload(&self.prices, 0, bytemuck::cast_slice(prices));
        let (denominator_low, denominator_high) = Params::split(denominator);
        let params = Params { denominator_low, denominator_high, ..self.params };
        let kinds = params.task_count as usize;
        let mut list = Vec::with_capacity(kinds);
        for first in (0..kinds).step_by(self.tile) {
            list.extend(self.price(params, first, self.tile.min(kinds - first))?);
        }
        Ok(list)
    }

    fn price(&self, params: Params, first: usize, count: usize) -> Result<Vec<Option<Cheapest>>, Error> {
        let params = Params { kind_first: first as u32, tile_count: count as u32, ..params };
        self.gpu.upload(&self.settings, 0, bytemuck::bytes_of(&params));
        let (kernel, chunks) = (index("price"), self.params.tile_chunks);
        let (x, y) = self.gpu.split((count as u32).div_ceil(KERNELS[kernel].workgroup) * chunks);
        let bytes = (count * chunks as usize * WIDES * 8) as u64;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.gpu.pipelines[kernel]);
            pass.set_bind_group(0, &self.group, &[0]);
            pass.dispatch_workgroups(x, y, 1);
        }
        encoder.copy_buffer_to_buffer(&self.results, 0, &self.landing, 0, bytes);
        self.gpu.queue.submit([encoder.finish()]);
        let wides: Vec<i64> = bytemuck::pod_collect_to_vec(&self.gpu.land(&self.landing, bytes)?);
        let answer = |wides: &[i64]| Cheapest { cost: wides[0], place: wides[1] as u32 };
        let best = |chunks: &[i64]| chunks.chunks_exact(WIDES).map(answer).filter(|best| best.place != NOWHERE).min();
        Ok(wides.chunks_exact(chunks as usize * WIDES).map(best).collect())
    }
}
