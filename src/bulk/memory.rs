//! How does the memory of devices look to the kernels? As quanta of one size, in the same word as milli (`kernel/layout.rs`).
//!
//! A quantum is the greatest common divisor of all that tasks ask for, so requests are exact and a device has as many as fit into it whole.
//! Where that makes more quanta than a word can count, it is doubled until it does not: then requests are rounded up, and a task may
//! find no room where the model has some, never the other way round. A device with less than the most that a word counts begins with the
//! difference taken, so that all have the same limit. One whose memory is not counted lacks nothing: no newcomer asks for any there.

use crate::kernel::layout::{MEMORY_MAX, device_word};
use crate::model::{Device, DeviceRequest, Problem, gcd};

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
        let divisor = requests.map(|request| request.memory).fold(0, gcd);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::layout::{beyond, holds_more};
    use crate::kernel::random::pcg3d;
    use crate::model::{DeviceRequestSpec, DevicesSpec, NodeSpec, Snapshot, TaskSpec};

    /// A device of so much memory and tasks that ask for so much of it, all with 10 milli; those of `there` are on it.
    fn problem(memory: i64, asked: &[i64], there: usize) -> Problem {
        let devices = vec![DevicesSpec { kind: "gpu".into(), model: String::new(), count: 1, memory: Some(memory) }];
        let request = |memory: &i64| DeviceRequestSpec {
            kind: "gpu".into(),
            count: 1,
            milli: 10,
            memory: (*memory > 0).then_some(*memory),
            models: Vec::new(),
        };
        let task = |(t, memory): (usize, &i64)| TaskSpec {
            name: format!("t{t}"),
            device: Some(request(memory)),
            placement: Vec::from_iter((t < there).then(|| crate::model::PieceSpec {
                node: "n".into(),
                share: None,
                devices: vec![0],
            })),
            ..TaskSpec::default()
        };
        let nodes = vec![NodeSpec { name: "n".into(), devices, ..NodeSpec::default() }];
        let tasks = asked.iter().enumerate().map(task).collect();
        Problem::new(&Snapshot { nodes, tasks, ..Snapshot::default() }).expect("a sound snapshot")
    }

    #[test]
    fn what_fits_into_words_fits_and_the_other_way_round_where_they_are_exact() {
        let (mut exact, mut rounded, mut kept_out) = (0, 0, 0);
        for seed in 0..3000u32 {
            let [a, b, c] = pcg3d(seed, 5, 8);
            let unit = [1, 1024, 999_983, 1 << 30][a as usize % 4];
            let amount =
                |word: u32| i64::from(word % 40) * unit + i64::from(seed.is_multiple_of(3) && word.is_multiple_of(5));
            let asked: Vec<i64> = (0..1 + b % 9).map(|t| amount(pcg3d(seed, t, c)[0])).collect();
            let problem = problem(amount(c).max(1) + i64::from(c % 7), &asked, 0);
            let memory = Memory::new(&problem);
            let device = &problem.nodes[0].devices[0];
            let mut taken = memory.lacking(device);
            let mut sum = 0;
            for (task, asked) in problem.tasks.iter().zip(&asked) {
                let request = task.device.as_ref().expect("each asks for one");
                let holds = holds_more(taken, memory.word(request));
                let fits = sum + asked <= device.memory;
                assert!(fits || !holds, "seed {seed}: {asked} beside {sum} of {}", device.memory);
                if memory.is_exact {
                    assert_eq!(holds, fits, "seed {seed}: {asked} beside {sum} of {}", device.memory);
                }
                kept_out += i32::from(fits && !holds);
                if holds {
                    (taken, sum) = (taken + memory.word(request), sum + asked);
                    assert_eq!(beyond(taken), [0, 0]);
                }
            }
            if memory.is_exact { exact += 1 } else { rounded += 1 }
        }
        assert!(exact > 1000 && rounded > 300 && kept_out > 0, "{exact} exact, {rounded} rounded, {kept_out} kept out");
    }

    #[test]
    fn a_device_taken_many_times_over_stays_closed() {
        for (asked, there) in [(vec![100; 60], 60), (vec![1 << 40; 9], 9), (vec![3, 1 << 40, 5, 0], 4)] {
            let problem = problem(100, &asked, there);
            let memory = Memory::new(&problem);
            assert!(!memory.is_exact);
            let word = |t: usize| memory.word(problem.tasks[t].device.as_ref().expect("each asks for one"));
            let taken = (0..there).fold(memory.lacking(&problem.nodes[0].devices[0]), |sum, t| sum + word(t));
            assert!((0..asked.len()).all(|t| !holds_more(taken, word(t))));
            assert_eq!(taken >> 15, 10 * there as u32, "milli are as they were");
        }
    }
}
