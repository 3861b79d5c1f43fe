//! Small worlds, walked through completely: every action that can happen in every state that can be reached, as long as there is some
//! of it left. In every state the promises hold, and they hold once everything comes to rest from there.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    client::Edit,
    world::{Action, Fault, Setting, World, spelled},
};

/// How much of what may go wrong, or be written, happens in a world at most.
#[derive(Clone, Copy, Debug, Default)]
struct Supply {
    /// For each client.
    edits: [u8; 2],
    removals: u8,
    /// A line breaks, and the client comes back to either node.
    cuts: u8,
    crashes: u8,
    /// The database fails, or the answer of the journal is lost.
    failures: u8,
    revocations: u8,
    ends: u8,
    freezes: u8,
    reopenings: u8,
}

#[derive(Clone, Copy, Debug)]
struct SmallWorld {
    name: &'static str,
    nodes: usize,
    one_id: bool,
    supply: Supply,
}

const NOTHING: Supply =
    Supply { edits: [0, 0], removals: 0, cuts: 0, crashes: 0, failures: 0, revocations: 0, ends: 0, freezes: 0, reopenings: 0 };
const ONE_WRITES: Supply = Supply { edits: [1, 0], ..NOTHING };
const BOTH_WRITE: Supply = Supply { edits: [1, 1], ..NOTHING };

/// Two clients everywhere. Each world is about one thing that goes wrong.
const SMALL_WORLDS: [SmallWorld; 11] = [
    SmallWorld { name: "a lost commit answer", nodes: 1, one_id: false, supply: Supply { failures: 1, cuts: 1, ..ONE_WRITES } },
    SmallWorld { name: "a crash", nodes: 1, one_id: false, supply: Supply { crashes: 1, ..ONE_WRITES } },
    SmallWorld { name: "two nodes", nodes: 2, one_id: false, supply: BOTH_WRITE },
    SmallWorld { name: "two nodes, one removes", nodes: 2, one_id: false, supply: Supply { removals: 1, ..ONE_WRITES } },
    SmallWorld { name: "two nodes, a lost commit answer", nodes: 2, one_id: false, supply: Supply { failures: 1, ..BOTH_WRITE } },
    SmallWorld { name: "two nodes, a crash", nodes: 2, one_id: false, supply: Supply { crashes: 1, ..ONE_WRITES } },
    SmallWorld { name: "two nodes, one client id", nodes: 2, one_id: true, supply: BOTH_WRITE },
    SmallWorld { name: "a revocation", nodes: 1, one_id: false, supply: Supply { revocations: 1, ..ONE_WRITES } },
    SmallWorld { name: "a session that ends", nodes: 1, one_id: false, supply: Supply { ends: 1, ..BOTH_WRITE } },
    SmallWorld { name: "a freeze", nodes: 1, one_id: false, supply: Supply { freezes: 1, reopenings: 1, ..ONE_WRITES } },
    SmallWorld {
        name: "a freeze, words under an id that nobody has seen",
        nodes: 1,
        one_id: false,
        supply: Supply { edits: [0, 1], freezes: 1, reopenings: 1, ..NOTHING },
    },
];

/// The same with more to write and a line that breaks, for the long size.
fn larger(small: &SmallWorld) -> SmallWorld {
    let edits = small.supply.edits.map(|edits| edits + 1);
    SmallWorld { supply: Supply { edits, cuts: 1, ..small.supply }, ..*small }
}

/// What has been used up by a path.
fn left(supply: Supply, path: &[Action]) -> Supply {
    let mut left = supply;
    for action in path {
        let used = match action {
            Action::Edit { edit: Edit::RemoveParagraph(_), .. } => &mut left.removals,
            Action::Edit { client, .. } => &mut left.edits[*client],
            Action::Cut { .. } => &mut left.cuts,
            Action::Crash { .. } => &mut left.crashes,
            Action::Decide { commits: false, .. } | Action::Answer { heard: false, .. } => &mut left.failures,
            Action::Revoke { .. } => &mut left.revocations,
            Action::End { .. } => &mut left.ends,
            Action::Freeze { frozen: true } => &mut left.freezes,
            Action::Freeze { frozen: false } => &mut left.reopenings,
            _ => continue,
        };
        *used -= 1;
    }
    left
}

fn candidates(world: &World, left: Supply) -> Vec<Action> {
    let mut actions = Vec::new();
    for client in 0..2 {
        if left.edits[client] > 0 {
            actions.push(Action::Edit { client, edit: Edit::Word(1) });
        }
        if left.removals > 0 {
            actions.push(Action::Edit { client, edit: Edit::RemoveParagraph(1) });
        }
        actions.push(Action::Hear { client, frames: usize::MAX });
        if left.cuts > 0 {
            actions.extend([0, usize::MAX].map(|arrive| Action::Cut { client, arrive }));
        }
        actions.extend((0..world.nodes()).map(|node| Action::Connect { client, node }));
        if left.revocations > 0 {
            actions.extend([false, true].map(|reads| Action::Revoke { client, reads }));
        }
        if left.ends > 0 {
            actions.push(Action::End { client });
        }
    }
    for node in 0..world.nodes() {
        actions.push(Action::Decide { node, commits: true });
        actions.push(Action::Answer { node, heard: true });
        if left.failures > 0 {
            actions.extend([Action::Decide { node, commits: false }, Action::Answer { node, heard: false }]);
        }
        actions.extend([Action::Read { node }, Action::Loaded { node }, Action::Watch { node }]);
        if left.crashes > 0 {
            actions.push(Action::Crash { node });
        }
    }
    actions.extend((0..world.lines()).map(|line| Action::Take { line, frames: usize::MAX }));
    actions.extend([true, false].map(|commits| Action::Orphan { commits }));
    if left.freezes > 0 {
        actions.push(Action::Freeze { frozen: true });
    }
    if left.reopenings > 0 {
        actions.push(Action::Freeze { frozen: false });
    }
    actions
}

/// Everybody is in, on nodes of their own if there are two. Where a freeze retires ids, the first client has one to retire.
fn beginning(setting: &Setting, small: &SmallWorld) -> World {
    let mut world = World::new(setting);
    for client in 0..setting.clients {
        world.act(Action::Connect { client, node: client % setting.nodes });
        for _ in 0..2 {
            world.act(Action::Take { line: client, frames: usize::MAX });
            world.act(Action::Hear { client, frames: usize::MAX });
        }
    }
    if small.supply.freezes > 0 {
        world.act(Action::Edit { client: 0, edit: Edit::Word(0) });
        world.rest();
    }
    world
}

fn replay(setting: &Setting, small: &SmallWorld, path: &[Action]) -> World {
    let mut world = beginning(setting, small);
    for action in path {
        world.act(*action);
    }
    world
}

struct Walk {
    states: usize,
    transitions: usize,
    longest: usize,
    broken: Option<(Vec<Action>, String)>,
}

/// Breadth first, so that what is found is as short as it can be.
fn walk(small: &SmallWorld, fault: Option<Fault>) -> Walk {
    let setting = Setting { clients: 2, nodes: small.nodes, one_id: small.one_id, unsaved_max: None, fault };
    let seen = Mutex::new(HashSet::from([beginning(&setting, small).fingerprint()]));
    let transitions = AtomicUsize::new(0);
    let broken: Mutex<Option<(Vec<Action>, String)>> = Mutex::new(None);
    let mut frontier: Vec<Vec<Action>> = vec![Vec::new()];
    let mut longest = 0;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    while !frontier.is_empty() && broken.lock().unwrap().is_none() {
        longest = frontier[0].len();
        let next = AtomicUsize::new(0);
        let reached = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(path) = frontier.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if broken.lock().unwrap().is_some() {
                            return;
                        }
                        let mut here = Some(replay(&setting, small, path));
                        let world = here.as_ref().unwrap();
                        let mut actions = candidates(world, left(small.supply, path));
                        actions.retain(|action| world.can(*action));
                        for (number, action) in actions.iter().copied().enumerate() {
                            // The last one may have the world that is there.
                            let spare = if number + 1 == actions.len() { here.take() } else { None };
                            let mut world = spare.unwrap_or_else(|| replay(&setting, small, path));
                            if !world.act(action) && world.broken.is_none() {
                                continue;
                            }
                            transitions.fetch_add(1, Ordering::Relaxed);
                            let mut longer = path.clone();
                            longer.push(action);
                            if world.broken.is_none() {
                                if !seen.lock().unwrap().insert(world.fingerprint()) {
                                    continue;
                                }
                                world.look_if_at_rest();
                            }
                            match world.broken {
                                Some(what) => *broken.lock().unwrap() = Some((longer, what)),
                                None => reached.lock().unwrap().push(longer),
                            }
                        }
                    }
                });
            }
        });
        frontier = reached.into_inner().unwrap();
        if std::env::var_os("SAMSPIL_PROGRESS").is_some() {
            println!("  {} actions: {} states", longest + 1, frontier.len());
        }
    }
    Walk { states: seen.into_inner().unwrap().len(), transitions: transitions.into_inner(), longest, broken: broken.into_inner().unwrap() }
}

/// What a push walks: the same, but nothing is reopened after a freeze, which alone makes hundreds of times the states. Histories reopen, and so
/// do the worlds in which the planted faults of a freeze are looked for.
fn for_a_push(small: &SmallWorld) -> SmallWorld {
    SmallWorld { supply: Supply { reopenings: 0, ..small.supply }, ..*small }
}

/// `SAMSPIL_WORLDS` is `small` for these worlds, `large` for larger ones; a push walks a little less.
fn worlds() -> Vec<SmallWorld> {
    let size = std::env::var("SAMSPIL_WORLDS").unwrap_or_default();
    SMALL_WORLDS
        .iter()
        .map(|small| match size.as_str() {
            "small" => *small,
            "large" => larger(small),
            _ => for_a_push(small),
        })
        .collect()
}

#[test]
fn model_every_planted_fault_is_found_in_a_small_world() {
    let found_in = |fault| match fault {
        Fault::AcknowledgesBeforeCommit
        | Fault::ShowsBeforeCommit
        | Fault::ForgetsDeparted
        | Fault::ForgetsUnknown
        | Fault::AppendsTwice => 0,
        Fault::NeverCatchesUp | Fault::NeverWatches => 2,
        Fault::SkipsOwners => 6,
        Fault::SkipsVersions | Fault::KeepsOldRights => 7,
        Fault::KeepsRetiredIds => 9,
        Fault::ForgetsFreezes => 10,
    };
    for fault in Fault::ALL {
        let small = &SMALL_WORLDS[found_in(fault)];
        let walk = walk(small, Some(fault));
        println!("{fault:?}, {}: {} states, {:?}", small.name, walk.states, walk.broken.as_ref().map(|(path, what)| (path.len(), what)));
        assert!(walk.broken.is_some(), "{fault:?} was planted and not found in {}", small.name);
    }
}

#[test]
fn model_g1_to_g5_hold_in_every_state_of_the_small_worlds() {
    for small in &worlds() {
        let started = std::time::Instant::now();
        let walk = walk(small, None);
        if let Some((path, what)) = walk.broken {
            panic!("{}: {what}\n{}", small.name, spelled(&path));
        }
        println!(
            "{}: {} states, {} transitions, up to {} actions, {:?}",
            small.name,
            walk.states,
            walk.transitions,
            walk.longest,
            started.elapsed()
        );
    }
}
