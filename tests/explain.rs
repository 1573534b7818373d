//! Is what `explain` says true? Every answer of every node is tried out and judged by the model.

mod common;

use bayplan::control::Control;
use bayplan::model::*;
use bayplan::plan::{self, Answer, Explanation, Obstacle, Room, explain, waiting};
use common::*;
use std::cell::Cell;

/// Every spot the task may have on a node: each choice of suitable devices.
fn spots(problem: &Problem, task: TaskId, node: NodeId) -> Vec<Spot> {
    let spec = &problem.tasks[task.index()];
    let parts = match spec.sharing {
        Sharing::Rigid => SHARE_ONE,
        Sharing::Elastic { min } => min.parts(),
        Sharing::Divisible => 1,
    };
    let (eligible, wanted) = match &spec.device {
        Some(request) => (request.eligible(&problem.nodes[node.index()]), request.count),
        None => (0, 0),
    };
    let sets = (0..=eligible).filter(|set| set & !eligible == 0 && set.count_ones() == wanted);
    sets.map(|devices| Spot::On(Piece { node, share: Share::from_parts(parts).unwrap(), devices })).collect()
}

/// What is told of each node, in sentences.
fn told(problem: &Problem, found: &Explanation, task: TaskId) -> Vec<String> {
    let told = |a: &Answer| a.obstacle.as_ref().map_or(String::new(), |o| o.describe(problem, task, a.node));
    found.answers.iter().map(told).collect()
}

/// Does the task fit a node, by the model, when `gone` have left? What concerns those that left aside.
fn fits(problem: &Problem, task: TaskId, node: NodeId, gone: &[TaskId]) -> bool {
    let mut without = problem.current.clone();
    without.set(task, Spot::Unplaced);
    gone.iter().for_each(|other| without.set(*other, Spot::Unplaced));
    let concerns = |v: &Violation| match v.rule {
        Rule::Pinned | Rule::Eviction | Rule::MoveBudget | Rule::Transient => false,
        // That a gang lacks members does not keep one of them out.
        Rule::Gang => matches!(v.place, Place::GroupLevel(..)),
        // What the group lacks for others that are there already is not in the task's way.
        Rule::Dependency => {
            matches!(v.place, Place::Needs(group, ..) if Some(group) == problem.tasks[task.index()].group)
        }
        _ => true,
    };
    let before: Vec<Violation> = violations(problem, &without).into_iter().filter(concerns).collect();
    spots(problem, task, node).into_iter().any(|spot| {
        let mut with = without.clone();
        with.set(task, spot);
        let after: Vec<Violation> = violations(problem, &with).into_iter().filter(concerns).collect();
        // Others of its group may lack the same thing there already; that does not make it right.
        let lacks = |v: &Violation| match v.place {
            Place::Needs(group, _, level, domain) => {
                Some(group) == problem.tasks[task.index()].group && domain == problem.domain(node, level)
            }
            _ => false,
        };
        worsened(&before, &after).is_empty() && !after.iter().any(lacks)
    })
}

#[test]
fn every_answer_is_true() {
    let counts = Cell::new([0; 4]);
    let count = |which: usize| {
        let mut all = counts.get();
        all[which] += 1;
        counts.set(all);
    };
    for_seeds("explain", 1200, |seed, rng| {
        // Where there are no rules but those of groups, they are what is in the way more often.
        let kinds = if seed % 2 == 0 { Kinds::ALL } else { Kinds { groups: true, ..Kinds::PLAIN } };
        let kinds = Kinds { broken_start: false, ..kinds };
        let problem = Problem::new(&random_snapshot(rng, Size::TINY, kinds)).unwrap();
        for task in problem.task_ids() {
            let found = explain(&problem, &problem.current, task);
            assert_eq!(found.answers.len(), problem.nodes.len());
            for answer in &found.answers {
                let name = (&problem.tasks[task.index()].name, &problem.nodes[answer.node.index()].name);
                let does_fit = fits(&problem, task, answer.node, &[]);
                assert_eq!(answer.obstacle.is_none(), does_fit, "{name:?}: {:?}", answer.obstacle);
                match (&answer.obstacle, &answer.leave) {
                    (None, leave) => assert_eq!(leave.as_deref(), Some(&[][..])),
                    (Some(_), None) => {}
                    (Some(obstacle), Some(leave)) => {
                        assert!(!obstacle.is_permanent() && fits(&problem, task, answer.node, leave), "{name:?}");
                        for one in leave {
                            let rest: Vec<TaskId> = leave.iter().copied().filter(|other| other != one).collect();
                            assert!(!fits(&problem, task, answer.node, &rest), "{name:?}: {one:?} need not leave");
                        }
                    }
                }
                if answer.obstacle.as_ref().is_some_and(Obstacle::is_permanent) {
                    let all: Vec<TaskId> = problem.task_ids().filter(|other| *other != task).collect();
                    assert!(!fits(&problem, task, answer.node, &all), "{name:?}: {:?}", answer.obstacle);
                }
                count(usize::from(does_fit));
                if matches!(answer.obstacle, Some(Obstacle::Spread { .. })) {
                    count(3);
                }
            }
            if found.room.is_some() {
                count(2);
            }
        }
    });
    assert!(
        std::env::var_os("BAYPLAN_TEST_SEED").is_some() || counts.get().iter().all(|count| *count >= 20),
        "{:?}",
        counts.get()
    );
}

/// Two nodes of 8 GPUs, each with fractions in the way: the one with fewer holders is to be cleared.
#[test]
fn whole_devices_are_counted_and_the_cheapest_node_named() {
    let gpus = |name: &str| NodeSpec {
        devices: vec![DevicesSpec { kind: "gpu".into(), model: String::new(), count: 8, memory: None }],
        ..node(name, &[("cpu", 96)])
    };
    let share = |name: &str, at: &str, device: u32| TaskSpec {
        device: Some(fixtures::gpus(1, 400)),
        placement: vec![PieceSpec { node: at.into(), share: None, devices: vec![device] }],
        ..task(name, 1, &[("cpu", 2)])
    };
    let big = TaskSpec { device: Some(fixtures::gpus(8, 1000)), ..task("big", 1, &[("cpu", 64)]) };
    let tasks = vec![share("a", "n1", 0), share("b", "n1", 0), share("c", "n1", 5), share("d", "n2", 3), big];
    let mut snapshot = cluster(vec![gpus("n1"), gpus("n2"), node("n3", &[("cpu", 96)])], tasks);
    snapshot.resources = resources(&["cpu"]);
    let problem = Problem::new(&snapshot).unwrap();
    let found = explain(&problem, &problem.current, TaskId(4));
    let text = told(&problem, &found, TaskId(4));
    let expected = [
        "needs 8 whole gpu, 6 of 8 that suit are free",
        "needs 8 whole gpu, 7 of 8 that suit are free",
        "needs 8 whole gpu, 0 of the node suit",
    ];
    assert_eq!(text, expected);
    let room = found.room.unwrap();
    assert_eq!((room.node, room.leave), (NodeId(1), vec![(TaskId(3), Some(NodeId(0)))]));
    assert_eq!(found.answers[0].leave.as_ref().map(Vec::len), Some(3));
}

/// A group that is to cover two racks: where one of it runs already, the next may not start, however much room there is, and the plan and
/// its verifier say so of whoever waits.
#[test]
fn a_group_to_be_spread_is_kept_out_of_its_own_rack() {
    let nodes = [("n1", "r1", 9), ("n2", "r1", 9), ("n3", "r2", 2)];
    let nodes = nodes.map(|(name, rack, cpu)| in_rack(node(name, &[("cpu", cpu)]), rack)).to_vec();
    let member = |name: &str| in_group(task(name, 5, &[("cpu", 3)]), "g");
    let mut snapshot = cluster(nodes, vec![at(member("a"), "n1"), member("b")]);
    snapshot.levels = vec!["rack".to_string()];
    snapshot.groups = vec![GroupSpec { spread: vec![SpreadSpec { level: "rack".to_string(), min: 2 }], ..group("g") }];
    let problem = Problem::new(&snapshot).unwrap();
    let found = explain(&problem, &problem.current, TaskId(1));
    let spread = "with it, its group must cover 2 of level rack, and covers 1, this one among them";
    assert_eq!(told(&problem, &found, TaskId(1)), [spread, spread, "needs 3 cpu, the node has 2"]);
    // With the other one away, this one fits; but nothing else takes the other one then.
    assert_eq!(found.room, Some(Room { node: NodeId(0), leave: vec![(TaskId(0), None)] }));
    let reason = "room exists only by moving others: spread on 2 nodes, capacity cpu on 1 node";
    assert_eq!(waiting(&problem), [(TaskId(1), reason.to_string())]);
    let mut plan = plan::build(&problem, &problem.current, meta(), &Control::unlimited());
    assert_eq!(plan.unplaced, [(TaskId(1), reason.to_string())]);
    assert_eq!(plan::verify(&problem, &plan).violations, []);
    plan.unplaced[0].1 = "fits 2 nodes now, but was not started: not worth it, or not found by the search".to_string();
    assert_eq!(plan::verify(&problem, &plan).violations.len(), 1);
}

/// Two cards of 24 with 16 and 10 taken: milli would do, memory does not, until who holds more of it is gone.
#[test]
fn too_little_memory_is_told_with_its_figures() {
    let part = |name: &str, memory| with_memory(with_devices(task(name, 1, &[]), 1, 300), memory);
    let tasks = vec![at_devices(part("a", 16), "n", &[0]), at_devices(part("b", 10), "n", &[1]), part("c", 20)];
    let problem = Problem::new(&cluster(vec![roomy_gpu_node("n", 2, 24), gpu_node("bare", 1)], tasks)).unwrap();
    let found = explain(&problem, &problem.current, TaskId(2));
    let text = told(&problem, &found, TaskId(2));
    let expected = [
        "needs 300 milli of one gpu with 20 of memory, 0 of 2 that suit are there with 300 milli free and 20 of memory free",
        "needs 300 milli of one gpu with 20 of memory, 0 of the node suit",
    ];
    assert_eq!(text, expected);
    assert_eq!(found.answers[0].obstacle.map(|o| o.name(&problem)).as_deref(), Some("device_memory"));
    assert_eq!(found.answers[0].leave.as_deref(), Some(&[TaskId(0)][..]));
}
