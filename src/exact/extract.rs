//! Which placement do the values of a relaxation stand for? Rounding to whole tasks and to the grid of shares.
//!
//! Nothing here is trusted: the caller judges the placement with `model::violations` and `model::score`, and drops it when
//! it is worse than the start in any rule. Whole parts of the values are taken as they are. The rest goes, largest fraction
//! first, where there is room; what finds none stays where it was, or unplaced. Shares are rounded to the nearest part and
//! cut back where a node would overflow by that.

use super::form::{Form, ONE};
use crate::model::{
    DEVICE_MILLI, DeviceRequest, NodeId, Piece, Placement, Problem, ResourceId, SHARE_ONE, Share, Sharing, Spot,
    TaskId, Usage,
};

/// A value this far below a whole number is that number.
const WHOLE: f64 = 1e-6;

/// The placement near `values`.
pub(super) fn placement(form: &Form, values: &[f64]) -> Placement {
    let mut draft = Draft::new(form.problem);
    let mut rest: Vec<(f64, usize, NodeId)> = Vec::new();
    let mut waiting: Vec<Vec<TaskId>> = vec![Vec::new(); form.classes.len()];
    for class in 0..form.classes.len() {
        let first = form.classes[class].first();
        let spec = &form.problem.tasks[first.index()];
        if spec.pinned {
            draft.put(first, form.problem.current.spot(first).clone());
        } else if spec.sharing == Sharing::Divisible {
            deal_parts(form, class, values, &mut draft);
        } else {
            waiting[class] = place_whole(form, class, values, &mut draft, &mut rest);
        }
    }
    rest.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (fraction, class, node) in rest {
        let Some(task) = waiting[class].last().copied() else { continue };
        let piece = draft.fresh(task, node, least_share(form.problem, task));
        if let Some(piece) = piece.filter(|piece| fraction > WHOLE && draft.fits(task, piece)) {
            draft.put(task, Spot::On(piece));
            waiting[class].pop();
        }
    }
    for task in waiting.into_iter().flatten() {
        if !form.problem.tasks[task.index()].evictable {
            draft.put(task, form.problem.current.spot(task).clone());
        }
    }
    draft.cut_back();
    draft.placement
}

/// The same placement with every granted share raised as far as its node has room, heaviest tasks first.
pub(super) fn filled(problem: &Problem, placement: &Placement) -> Placement {
    let mut draft = Draft { problem, placement: placement.clone(), usage: Usage::of(problem, placement) };
    let growing = |task: &TaskId| {
        let spec = &problem.tasks[task.index()];
        spec.sharing != Sharing::Rigid && !spec.pinned && spec.weight > 0
    };
    let mut tasks: Vec<TaskId> = problem.task_ids().filter(growing).collect();
    tasks.sort_by_key(|task| (-problem.tasks[task.index()].weight, *task));
    for task in tasks {
        for k in 0..draft.placement.spot(task).pieces().len() {
            let mut pieces = draft.placement.spot(task).pieces().to_vec();
            let total: i128 = pieces.iter().map(|piece| i128::from(piece.share.parts())).sum();
            let grown = draft.room(task, pieces[k].node).min(ONE - total);
            if grown > 0 {
                pieces[k].share = share(i128::from(pieces[k].share.parts()) + grown);
                draft.put(task, Spot::from_pieces(pieces));
            }
        }
    }
    draft.placement
}

/// Members beyond the whole parts of the class's values; their fractions go to `rest`.
fn place_whole(
    form: &Form,
    class: usize,
    values: &[f64],
    draft: &mut Draft,
    rest: &mut Vec<(f64, usize, NodeId)>,
) -> Vec<TaskId> {
    let mut members = form.classes[class].members.clone();
    members.reverse();
    for node in &form.classes[class].nodes {
        let value = values[form.on[&(class, *node)]];
        let whole = (value + WHOLE).floor().max(0.0);
        rest.push((value - whole, class, *node));
        let taken: Vec<TaskId> = (0..whole as usize).filter_map(|_| members.pop()).collect();
        let mut sets = device_sets(form, class, *node, values, taken.len());
        let granted = form.parts.get(&(class, *node)).map_or(0, |column| values[*column].round() as i128);
        for (k, task) in taken.iter().enumerate() {
            let least = i128::from(least_share(form.problem, *task).parts());
            // As even as whole parts allow.
            let own = (granted + k as i128) / taken.len() as i128;
            let granted = if form.parts.is_empty() || least == ONE { ONE } else { own.clamp(least, ONE) };
            let piece = match sets.as_mut().and_then(Vec::pop) {
                Some(devices) => Some(Piece { node: *node, share: share(granted), devices }),
                None => draft.fresh(*task, *node, share(granted)),
            };
            // Without a set of free devices the piece is wrong, and the judge will say so.
            draft.put(*task, piece.map_or(Spot::Unplaced, Spot::On));
        }
    }
    members
}

/// Parts of a divisible class, dealt to its members one after the other, or evenly where each must have some.
fn deal_parts(form: &Form, class: usize, values: &[f64], draft: &mut Draft) {
    let members = &form.classes[class].members;
    let mut pieces: Vec<Vec<Piece>> = vec![Vec::new(); members.len()];
    let mut left: Vec<i128> = vec![ONE; members.len()];
    let spec = &form.problem.tasks[members[0].index()];
    let each = !spec.evictable && form.problem.current.spot(members[0]).is_placed();
    for node in &form.classes[class].nodes {
        let on = form.on.get(&(class, *node)).is_none_or(|column| values[*column] > 0.5);
        let mut parts = if on { values[form.parts[&(class, *node)]].round() as i128 } else { 0 };
        let count = members.len() as i128;
        for k in 0..members.len() {
            let most = if each { (parts + count - 1 - k as i128) / (count - k as i128) } else { parts };
            let own = most.min(left[k]).max(0);
            left[k] -= own;
            parts -= own;
            pieces[k].push(Piece { node: *node, share: share(own), devices: 0 });
        }
    }
    for (task, pieces) in members.iter().zip(pieces) {
        draft.put(*task, Spot::from_pieces(pieces));
    }
}

/// Device sets for the tasks of a class on a node as the values have them; `None` when they are not whole.
///
/// Copies of one device lie next to each other when dealt in turn, so no task gets the same device twice.
fn device_sets(form: &Form, class: usize, node: NodeId, values: &[f64], count: usize) -> Option<Vec<u64>> {
    let task = form.classes[class].first();
    let request = form.problem.tasks[task.index()].device.as_ref()?;
    let copies = |column: &usize| values[*column].round().max(0.0) as usize;
    let kept = form.kept.get(&(class, node)).map_or(0, copies).min(count);
    let own = form.problem.current.spot(task).pieces().iter().find(|piece| piece.node == node);
    let mut sets = vec![own.map_or(0, |piece| piece.devices); kept];
    let mut fresh = vec![0u64; count - kept];
    let columns = (0..64u32).filter_map(|device| Some((device, form.held.get(&(class, node, device))?)));
    let dealt: Vec<u32> = columns.flat_map(|(device, column)| std::iter::repeat_n(device, copies(column))).collect();
    // A task on its own may miss some devices, where it does at the start.
    if count > 1 && dealt.len() != fresh.len() * request.count as usize {
        return None;
    }
    for (k, device) in dealt.iter().enumerate().take(if fresh.is_empty() { 0 } else { usize::MAX }) {
        let turn = k % fresh.len();
        fresh[turn] |= 1 << device;
    }
    sets.extend(fresh);
    Some(sets)
}

fn least_share(problem: &Problem, task: TaskId) -> Share {
    match problem.tasks[task.index()].sharing {
        Sharing::Elastic { min } => min,
        Sharing::Rigid | Sharing::Divisible => Share::ONE,
    }
}

fn share(parts: i128) -> Share {
    let parts = parts.clamp(0, ONE) as u32;
    Share::from_parts(parts.min(SHARE_ONE)).expect("clamped to the range of a share")
}

/// A placement in the making, with what it uses.
struct Draft<'a> {
    problem: &'a Problem,
    placement: Placement,
    usage: Usage,
}

impl<'a> Draft<'a> {
    fn new(problem: &'a Problem) -> Draft<'a> {
        let placement = Placement::empty(problem.tasks.len());
        Draft { problem, usage: Usage::of(problem, &placement), placement }
    }

    fn put(&mut self, task: TaskId, spot: Spot) {
        self.usage.remove(self.problem, task, self.placement.spot(task));
        self.usage.add(self.problem, task, &spot);
        self.placement.set(task, spot);
    }

    /// A piece on the node with free devices, fullest first; `None` when too few are free.
    fn fresh(&self, task: TaskId, node: NodeId, share: Share) -> Option<Piece> {
        let devices = match &self.problem.tasks[task.index()].device {
            Some(request) => self.free_devices(node, request)?,
            None => 0,
        };
        Some(Piece { node, share, devices })
    }

    fn free_devices(&self, node: NodeId, request: &DeviceRequest) -> Option<u64> {
        let (used, open) = (self.usage.devices(node), self.usage.room_for(self.problem, node, request));
        let mut free: Vec<usize> = (0..used.len()).filter(|d| open >> d & 1 == 1).collect();
        free.sort_by_key(|d| (DEVICE_MILLI - used[*d], *d));
        let chosen = free.get(..request.count as usize)?;
        Some(chosen.iter().fold(0, |set, d| set | 1 << d))
    }

    fn fits(&self, task: TaskId, piece: &Piece) -> bool {
        self.room(task, piece.node) >= i128::from(piece.share.parts())
    }

    /// Parts of a task that a node has room for.
    fn room(&self, task: TaskId, node: NodeId) -> i128 {
        let used = self.usage.amounts(node).iter().zip(self.problem.allocatable(node));
        let room = used.zip(self.problem.requirement(task)).filter(|(_, own)| **own > 0);
        let room = room.map(|((used, most), own)| (i128::from(*most) * ONE - used).div_euclid(i128::from(*own)));
        room.min().unwrap_or(ONE).clamp(0, ONE)
    }

    /// Lowers shares where rounding made a node overflow.
    fn cut_back(&mut self) {
        for task in self.problem.task_ids() {
            let spec = &self.problem.tasks[task.index()];
            if spec.sharing == Sharing::Rigid || spec.pinned {
                continue;
            }
            let least = if spec.sharing == Sharing::Divisible { 0 } else { least_share(self.problem, task).parts() };
            for k in (0..self.placement.spot(task).pieces().len()).rev() {
                let mut pieces = self.placement.spot(task).pieces().to_vec();
                let own = i128::from(pieces[k].share.parts());
                let over = self.over(task, pieces[k].node);
                let most = (own - over).max(least.into());
                if most < own {
                    pieces[k].share = share(most);
                    self.put(task, Spot::from_pieces(pieces));
                }
            }
        }
    }

    /// Parts by which a task would have to shrink for its node to hold what is on it.
    fn over(&self, task: TaskId, node: NodeId) -> i128 {
        let used = (0..self.problem.resources.len()).map(|r| self.usage.amount(node, ResourceId::new(r)));
        let over = used.zip(self.problem.allocatable(node)).map(|(used, most)| used - i128::from(*most) * ONE);
        let parts = over.zip(self.problem.requirement(task)).filter(|(over, own)| *over > 0 && **own > 0);
        parts.map(|(over, own)| (over + i128::from(*own) - 1) / i128::from(*own)).max().unwrap_or(0)
    }
}
