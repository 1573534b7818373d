//! How does the memory of devices look to the kernels? As quanta of one size, in the same word as milli (`kernel/layout.rs`).
//!
//! A quantum is the greatest common divisor of all that tasks ask for, so requests are exact and a device has as many as fit into it whole.
//! Where that makes more quanta than a word can count, it is doubled until it does not: then requests are rounded up, and a task may
//! find no room where the model has some, never the other way round. A device with less than the most that a word counts begins with the
//! difference taken, so that all have the same limit. One whose memory is not counted lacks nothing: no newcomer asks for any there.

use crate::kernel::layout::{MEMORY_MAX, device_word};
use crate::model::{Device, DeviceRequest, Problem};

/// Most that may be taken of a device at the start, what it lacks among it: beside one request more, the word still does not run over.
const TAKEN_MAX: u64 = 2 * MEMORY_MAX as u64;

/// The size of a quantum.
pub struct Memory {
    /// 0 where nobody asks for memory.
    unit: i64,
    /// Every request is a whole number of quanta, and no device begins with more taken than it has.
    pub is_exact: bool,
}

impl Memory {
    /// The smallest quantum that serves.
    pub fn new(problem: &Problem) -> Memory {
        let mix = problem.objective.mix.iter().map(|item| &item.device);
        let requests = problem.tasks.iter().filter_map(|task| task.device.as_ref()).chain(mix);
        let divisor = requests.map(|request| request.memory).fold(0, greatest_common_divisor);
        let mut memory = Memory { unit: divisor, is_exact: true };
        if divisor == 0 {
            return memory;
        }
        let devices = || problem.nodes.iter().flat_map(|node| &node.devices);
        let largest = devices().map(|device| device.memory).max().unwrap_or(0);
        loop {
            let taken = memory.most_taken(problem);
            memory.is_exact = memory.unit == divisor && taken <= u64::from(MEMORY_MAX);
            // Doubling ends: amounts are below 2^41, and then each is one quantum.
            if largest / memory.unit <= i64::from(MEMORY_MAX) && taken <= TAKEN_MAX || memory.unit >> 41 > 0 {
                return memory;
            }
            memory.unit *= 2;
        }
    }

    /// Most quanta taken of a device at the start.
    fn most_taken(&self, problem: &Problem) -> u64 {
        let mut taken: Vec<Vec<u64>> = (problem.nodes.iter())
            .map(|node| node.devices.iter().map(|device| u64::from(self.lacking(device))).collect())
            .collect();
        for (task, spot) in problem.tasks.iter().zip(problem.current.spots()) {
            let Some(request) = task.device.as_ref().filter(|request| request.memory > 0) else { continue };
            for piece in spot.pieces() {
                let row = taken[piece.node.index()].iter_mut().enumerate();
                row.filter(|(d, _)| piece.devices >> d & 1 == 1)
                    .for_each(|(_, sum)| *sum += u64::from(self.quanta(request)));
            }
        }
        taken.into_iter().flatten().max().unwrap_or(0)
    }

    /// Rounded up; of what no device has, one quantum more than the largest could have.
    fn quanta(&self, request: &DeviceRequest) -> u32 {
        let quanta = if self.unit == 0 { 0 } else { (request.memory + self.unit - 1) / self.unit };
        quanta.min(i64::from(MEMORY_MAX) + 1) as u32
    }

    /// What a request takes of each device.
    pub fn word(&self, request: &DeviceRequest) -> u32 {
        device_word(request.milli, self.quanta(request))
    }

    /// Quanta that a device has less than the most that a word counts.
    pub fn lacking(&self, device: &Device) -> u32 {
        if self.unit == 0 || device.memory == 0 {
            return 0;
        }
        MEMORY_MAX - (device.memory / self.unit).min(i64::from(MEMORY_MAX)) as u32
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
