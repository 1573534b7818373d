//! How fast is the device at its best? Multiply-adds per second, measured, and checked against the CPU.

use super::shader::{KERNELS, index};
use super::{Error, Gpu, bind};
use crate::kernel::layout::Params;
use crate::kernel::peak::{CHAINS, UNROLL, chains};
use std::time::{Duration, Instant};

/// Invocations: enough to fill any card, in more workgroups than one dimension of a dispatch may have.
const INVOCATIONS: u32 = (1 << 22) + 64;
/// Turns of the loop, for a card and for a program that acts as one.
const TURNS: (u32, u32) = (2048, 16);

impl Gpu {
    /// 32-bit multiply-adds per second, the best of three.
    ///
    /// # Errors
    /// When the device fails, does not answer, or computes wrongly.
    pub fn peak(&self) -> Result<f64, Error> {
        let turns = if self.about.is_software() { TURNS.1 } else { TURNS.0 };
        let params = Params { tile_count: INVOCATIONS, tile_chunks: turns, ..Params::default() };
        let bytes = u64::from(INVOCATIONS) * 4;
        let settings =
            self.buffer("settings", self.params_stride, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)?;
        let out = self.storage("round", bytes)?;
        let rest = (0..7).map(|_| self.storage("none", 0)).collect::<Result<Vec<_>, _>>()?;
        let landing = self.landing("landing", bytes)?;
        // Binding 4 is the fourth of the storage buffers.
        let mut buffers: Vec<&wgpu::Buffer> = rest.iter().collect();
        buffers.insert(3, &out);
        let group = bind(self, &settings, &buffers);
        self.upload(&settings, 0, bytemuck::bytes_of(&params));
        let mut best = Duration::MAX;
        let kernel = index("peak");
        for _ in 0..4 {
            self.wait()?;
            let started = Instant::now();
            let mut encoder = self.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&self.pipelines[kernel]);
                pass.set_bind_group(0, &group, &[0]);
                let (x, y) = self.split(INVOCATIONS.div_ceil(KERNELS[kernel].workgroup));
                pass.dispatch_workgroups(x, y, 1);
            }
            self.queue.submit([encoder.finish()]);
            self.wait()?;
            best = best.min(started.elapsed());
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&out, 0, &landing, 0, bytes);
        self.queue.submit([encoder.finish()]);
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&self.land(&landing, bytes)?);
        if (0..INVOCATIONS).step_by(4099).any(|start| words[start as usize] != chains(start, turns)) {
            return Err(Error::Failed("it multiplies wrongly".to_string()));
        }
        let steps = f64::from(INVOCATIONS) * f64::from(turns) * f64::from(UNROLL) * CHAINS as f64;
        Ok(steps / best.as_secs_f64())
    }
}
