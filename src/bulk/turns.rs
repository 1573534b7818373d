//! Who has a thread? As many as may run side by side do; where there are more of them, they take turns.

use rayon::prelude::*;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// So many run side by side, whatever the threads: a cluster of one block has two chains at a time, so that two threads have work.
pub const AT_ONCE: usize = 2;
/// A turn is about so long, so that a time limit is shared by more than there are threads.
pub const TURN: Duration = Duration::from_millis(200);

/// Gives turns to all until each is done. Nobody waits for another's turn to end: whose turn ends queues up again, and who waits longest
/// is next. A turn is as many steps as it takes to be so long, one at least; `step` says whether all is done.
pub fn take_turns<T: Send>(all: &mut [T], length: Duration, step: impl Fn(&mut T) -> bool + Sync) {
    let queue = Mutex::new(all.iter_mut().collect::<VecDeque<&mut T>>());
    let queue = || queue.lock().expect("nobody panics while queueing");
    let turn = |one: &mut T| {
        let began = Instant::now();
        loop {
            if step(one) {
                return true;
            }
            if began.elapsed() >= length {
                return false;
            }
        }
    };
    (0..AT_ONCE).into_par_iter().for_each(|_| {
        loop {
            // The queue is free again while the turn goes on.
            let Some(next) = queue().pop_front() else { break };
            if !turn(next) {
                queue().push_back(next);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::on_threads;

    #[test]
    fn all_are_done_and_take_turns_in_order() {
        for threads in [1, 2, 3] {
            let log = Mutex::new(Vec::new());
            let mut left = [3, 1, 2, 0];
            let step = |left: &mut i32| {
                log.lock().unwrap().push(*left);
                *left -= 1;
                *left < 0
            };
            on_threads(threads, || take_turns(&mut left, Duration::ZERO, step));
            assert_eq!(left, [-1; 4], "{threads} threads");
            let log = log.into_inner().unwrap();
            assert_eq!(log.len(), 10);
            if threads == 1 {
                assert_eq!(log, [3, 1, 2, 0, 2, 0, 1, 1, 0, 0], "one after the other");
            }
        }
        take_turns(&mut [(); 0], Duration::ZERO, |()| unreachable!("there is nobody"));
    }

    #[test]
    fn a_turn_is_long_enough() {
        let log = Mutex::new(Vec::new());
        let mut all = [(0, 2), (1, 2)];
        let step = |(name, left): &mut (u32, u32)| {
            log.lock().unwrap().push(*name);
            *left -= 1;
            *left == 0
        };
        on_threads(1, || take_turns(&mut all, Duration::from_secs(60), step));
        assert_eq!(log.into_inner().unwrap(), [0, 0, 1, 1], "two steps are done long before a turn is over");
    }

    #[test]
    fn nobody_waits_for_anothers_turn_to_end() {
        let (tell, told) = std::sync::mpsc::channel();
        let told = Mutex::new(told);
        // The first one's only turn ends when the other has had all of its own.
        let step = |one: &mut (bool, u32)| {
            one.1 += 1;
            match one.0 {
                true => told.lock().unwrap().recv_timeout(Duration::from_secs(60)).is_ok(),
                false if one.1 < 5 => false,
                false => tell.send(()).is_ok(),
            }
        };
        let mut all = [(true, 0), (false, 0)];
        on_threads(2, || take_turns(&mut all, Duration::ZERO, step));
        assert_eq!(all.map(|one| one.1), [1, 5]);
    }
}
