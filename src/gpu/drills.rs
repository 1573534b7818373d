//! How are failures drilled on the device? A batch of scenarios, each with a room of its own, some tasks per dispatch.

use super::shader::index;
use super::{Error, Gpu, bind};
use crate::kernel::drill::{ANSWER_WORDS, Room, SCENARIO_WORDS};
use crate::kernel::layout::{Image, Params};
use std::sync::Arc;

/// Scenarios of a batch at most: several workgroups for every place that a large card has for one.
const BATCH_MAX: usize = 1024;
/// Bytes of all rooms of a batch at most.
const ROOM_BYTES_MAX: u64 = 1 << 28;
/// Nodes looked at by a workgroup in one dispatch: a few milliseconds of a card.
const LOOKS_MAX: usize = 1 << 22;

/// One scenario.
#[derive(Debug, Clone, Default)]
pub struct Failed {
    /// Tasks that look for a place, in the order in which they choose.
    pub tasks: Vec<u32>,
    /// Nodes that are gone.
    pub nodes: Vec<u32>,
}

/// A node and the devices there; `None` = nowhere.
pub type Answer = Option<(u32, u64)>;

/// A state on the device, for drilling.
pub struct Drills {
    gpu: Arc<Gpu>,
    params: Params,
    scale: Vec<u32>,
    settings: wgpu::Buffer,
    words: wgpu::Buffer,
    wides: wgpu::Buffer,
    state: wgpu::Buffer,
    rooms: wgpu::Buffer,
    batch: usize,
}

impl Drills {
    /// Brings a state to the device: a problem's buffers, what is free, and what that is multiplied by.
    ///
    /// # Errors
    /// [`Error::Unusable`] when not even one scenario fits what the adapter binds, [`Error::Failed`] when it has no memory.
    pub fn new(gpu: Arc<Gpu>, image: &Image, room: &Room, scale: &[u32]) -> Result<Drills, Error> {
        gpu.check_room(image)?;
        let base: Vec<u32> = (room.free.iter().map(|free| *free as u32))
            .chain(room.devices.iter().copied())
            .chain(room.spare.iter().copied())
            .collect();
        let stride = base.len() as u64;
        let most = gpu.about.binding_bytes_max.min(ROOM_BYTES_MAX) / (stride * 4).max(1);
        let batch = (most as usize).min(BATCH_MAX);
        if batch == 0 {
            return Err(Error::Unusable(format!("a scenario needs {} MiB", (stride * 4) >> 20)));
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let drills = Drills {
            params: image.params,
            scale: scale.to_vec(),
            settings: gpu.buffer("settings", gpu.params_stride, usage)?,
            words: gpu.storage("words", image.words.len() as u64 * 4)?,
            wides: gpu.storage("wides", image.wides.len() as u64 * 8)?,
            state: gpu.storage("state", stride * 4)?,
            rooms: gpu.storage("rooms", stride * 4 * batch as u64)?,
            batch,
            gpu,
        };
        drills.gpu.upload(&drills.words, 0, bytemuck::cast_slice(&image.words));
        drills.gpu.upload(&drills.wides, 0, bytemuck::cast_slice(&image.wides));
        drills.gpu.upload(&drills.state, 0, bytemuck::cast_slice(&base));
        drills.gpu.troubles.check()?;
        Ok(drills)
    }

    /// Scenarios of a batch at most.
    pub fn batch_max(&self) -> usize {
        self.batch
    }

    /// Where each task of each scenario goes.
    ///
    /// # Errors
    /// When the device fails or does not answer.
    ///
    /// # Panics
    /// When there are more scenarios than [`Drills::batch_max`].
    pub fn run(&self, scenarios: &[Failed]) -> Result<Vec<Vec<Answer>>, Error> {
        assert!(scenarios.len() <= self.batch, "{} scenarios in a batch of {}", scenarios.len(), self.batch);
        let task_count: usize = scenarios.iter().map(|scenario| scenario.tasks.len()).sum();
        if task_count == 0 {
            return Ok(scenarios.iter().map(|_| Vec::new()).collect());
        }
        let (list, lost) = self.lay(scenarios);
        let bytes = (task_count * ANSWER_WORDS as usize * 4) as u64;
        let most = self.gpu.about.binding_bytes_max;
        if bytes.max(list.len() as u64 * 4) > most {
            return Err(Error::Unusable(format!("a batch of {task_count} tasks needs more than {} MiB", most >> 20)));
        }
        let drills = self.gpu.storage("drills", list.len() as u64 * 4)?;
        let answers = self.gpu.storage("answers", bytes)?;
        let landing = self.gpu.landing("landing", bytes)?;
        let (counts, control) = (self.gpu.storage("counts", 0)?, self.gpu.storage("control", 0)?);
        let buffers = [&self.words, &self.wides, &self.state, &drills, &counts, &self.rooms, &control, &answers];
        let group = bind(&self.gpu, &self.settings, &buffers);
        self.gpu.upload(&drills, 0, bytemuck::cast_slice(&list));
        let longest = scenarios.iter().map(|scenario| scenario.tasks.len()).max().unwrap_or(0);
        let step = (LOOKS_MAX / (self.params.node_count as usize).max(1)).clamp(1, longest);
        for from in (0..longest).step_by(step) {
            let params = Params {
                drill_count: scenarios.len() as u32,
                drill_from: from as u32,
                drill_tasks: step.min(longest - from) as u32,
                drill_lost: lost as u32,
                ..self.params
            };
            self.gpu.upload(&self.settings, 0, bytemuck::bytes_of(&params));
            self.dispatch(&group, scenarios.len() as u32);
        }
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&answers, 0, &landing, 0, bytes);
        self.gpu.queue.submit([encoder.finish()]);
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&self.gpu.land(&landing, bytes)?);
        let mut answers = words.chunks_exact(ANSWER_WORDS as usize).map(|answer| {
            let devices = u64::from(answer[1]) | u64::from(answer[2]) << 32;
            (answer[0] != u32::MAX).then_some((answer[0], devices))
        });
        Ok(scenarios.iter().map(|scenario| answers.by_ref().take(scenario.tasks.len()).collect()).collect())
    }

    /// Scales, records, lost tasks, failed nodes; and where the lost tasks begin.
    fn lay(&self, scenarios: &[Failed]) -> (Vec<u32>, usize) {
        let lost = self.scale.len() + scenarios.len() * SCENARIO_WORDS as usize;
        let tasks: usize = scenarios.iter().map(|scenario| scenario.tasks.len()).sum();
        let (mut task, mut node) = (lost, lost + tasks);
        let mut list = self.scale.clone();
        for scenario in scenarios {
            let counts = [scenario.tasks.len(), scenario.nodes.len()];
            list.extend([task, counts[0], node, counts[1]].map(|word| word as u32));
            (task, node) = (task + counts[0], node + counts[1]);
        }
        list.extend(scenarios.iter().flat_map(|scenario| scenario.tasks.iter().copied()));
        list.extend(scenarios.iter().flat_map(|scenario| scenario.nodes.iter().copied()));
        (list, lost)
    }

    fn dispatch(&self, group: &wgpu::BindGroup, scenarios: u32) {
        let (x, y) = self.gpu.split(scenarios);
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.gpu.pipelines[index("drill")]);
            pass.set_bind_group(0, group, &[0]);
            pass.dispatch_workgroups(x, y, 1);
        }
        self.gpu.queue.submit([encoder.finish()]);
    }
}
