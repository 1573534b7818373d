//! Is the policy kept in a state? What is called enough is judged here, where its plan leads: the same question that whoever followed the
//! plan would ask next.

use super::policy::Policy;
use super::pools::{Pool, Reserve, pools, rooms};
use super::scenario::Scenarios;
use super::scene::Scene;
use super::search::{Search, eased, is_whole};
use crate::control::Control;
use crate::model::{NodeId, Placement, Problem};

/// Does everything run in a state that leaves these nodes empty, and is the policy kept without them? Tasks that a policy keeps room for
/// have a place in the state like the others.
pub(super) fn keeps(
    scene: &Scene,
    state: &Placement,
    gone: &[NodeId],
    policy: &Policy,
    search: &Search,
    control: &Control,
) -> bool {
    // Where a policy keeps room, shares give way when it is asked for.
    is_whole(&scene.whole, &eased(&scene.whole, state))
        && match policy {
            Policy::Free | Policy::Tasks(..) => true,
            Policy::Utilization(_) => is_within(&scene.whole.afterwards(state), state, gone, policy),
            Policy::Survive(_) => {
                let there = scene.at(state);
                Scenarios::of(&there.whole, policy).all_hold(&there, gone, search, control)
            }
        }
}

/// Is no pool loaded above the target of the policy, these nodes being gone?
pub(super) fn is_within(problem: &Problem, placement: &Placement, gone: &[NodeId], policy: &Policy) -> bool {
    let reserve = Reserve { policy: &Policy::Free, shape: None, level: None };
    let mut is_gone = vec![false; problem.nodes.len()];
    gone.iter().for_each(|node| is_gone[node.index()] = true);
    let is_kept = |pool: Pool| {
        let left: Vec<NodeId> = pool.nodes.into_iter().filter(|node| !is_gone[node.index()]).collect();
        let rooms = rooms(problem, placement, &left, &reserve);
        rooms.iter().all(|room| policy.headroom(room.load, room.available, 0) >= 0)
    };
    pools(problem).into_iter().all(is_kept)
}
