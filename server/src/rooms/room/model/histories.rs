//! F3: random histories from seeds. A seed that fails is replayed by the command it prints, and is first made as short as it can be.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    client::Edit,
    world::{Action, Fault, Setting, World, spelled},
};

/// Histories on each push.
const SEEDS: u64 = 20_000;
/// A planted fault must show itself in so many.
const SEEDS_TO_FIND_A_FAULT: u64 = 20_000;

fn setting(random: &mut StdRng, fault: Option<Fault>) -> Setting {
    Setting {
        clients: random.random_range(2..=4),
        nodes: random.random_range(1..=2),
        one_id: random.random_ratio(1, 10),
        unsaved_max: random.random_ratio(1, 6).then(|| random.random_range(1..4)),
        fault,
    }
}

fn edit(random: &mut StdRng) -> Edit {
    let at = random.random();
    match random.random_range(0..10) {
        0..6 => Edit::Word(at),
        6 | 7 => Edit::Erase(at),
        8 => Edit::Paragraph(at),
        _ => Edit::RemoveParagraph(at),
    }
}

fn action(random: &mut StdRng, world: &World, freezes: bool) -> Action {
    let client = random.random_range(0..world.clients.len());
    let node = random.random_range(0..world.nodes());
    let frames = if random.random() { usize::MAX } else { random.random_range(1..3) };
    // The newest lines are the ones on which something happens.
    let line = world.lines().saturating_sub(1 + random.random_range(0..world.clients.len() + 1));
    match random.random_range(0..if freezes { 1_030 } else { 994 }) {
        0..200 => Action::Edit { client, edit: edit(random) },
        200..270 => Action::Connect { client, node },
        270..430 => Action::Take { line, frames },
        430..570 => Action::Hear { client, frames },
        570..660 => Action::Decide { node, commits: random.random_ratio(5, 6) },
        660..750 => Action::Answer { node, heard: random.random_ratio(5, 6) },
        750..810 => Action::Read { node },
        810..860 => Action::Loaded { node },
        860..900 => Action::Watch { node },
        900..935 => Action::Cut { client, arrive: if random.random() { usize::MAX } else { random.random_range(0..3) } },
        935..950 => Action::Repeat { client },
        950..965 => Action::Orphan { commits: random.random_ratio(2, 3) },
        965..978 => Action::Crash { node },
        978..986 => Action::Reload { client },
        986..990 => Action::Revoke { client, reads: random.random() },
        990..993 => Action::End { client },
        _ => Action::Freeze { frozen: random.random() },
    }
}

/// One history; what happened in it, and what it broke.
fn history(seed: u64, fault: Option<Fault>) -> Option<(Setting, Vec<Action>, String)> {
    let mut random = StdRng::seed_from_u64(seed);
    let setting = setting(&mut random, fault);
    let mut happened = Vec::new();
    let broken = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(&setting);
        let freezes = random.random_ratio(1, 4);
        for _ in 0..random.random_range(20..120) {
            let next = action(&mut random, &world, freezes);
            happened.push(next);
            if !world.act(next) && world.broken.is_none() {
                happened.pop();
            }
        }
        world.rest();
        world.broken
    }));
    let broken = broken.unwrap_or_else(|_| Some("it panicked".to_owned()))?;
    Some((setting, happened, broken))
}

fn again(setting: &Setting, actions: &[Action]) -> Option<String> {
    let done = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(setting);
        for action in actions {
            world.act(*action);
        }
        world.rest();
        world.broken
    }));
    done.unwrap_or_else(|_| Some("it panicked".to_owned()))
}

/// Leaves out whatever need not happen for something to break.
fn shortened(setting: &Setting, mut actions: Vec<Action>) -> (Vec<Action>, Option<String>) {
    loop {
        let before = actions.len();
        for at in (0..before).rev() {
            let left_out = actions.remove(at);
            if again(setting, &actions).is_none() {
                actions.insert(at, left_out);
            }
        }
        if actions.len() == before {
            break;
        }
    }
    let broken = again(setting, &actions);
    (actions, broken)
}

/// The first seed that breaks a promise.
fn first_broken(seeds: std::ops::Range<u64>, fault: Option<Fault>) -> Option<u64> {
    let next = AtomicU64::new(seeds.start);
    let found = AtomicU64::new(u64::MAX);
    let stop = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if history(seed, fault).is_some() {
                        found.fetch_min(seed, Ordering::Relaxed);
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let found = found.into_inner();
    (found < u64::MAX).then_some(found)
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn f3_g1_to_g5_hold_in_every_history() {
    let seeds = match from_environment("SAMSPIL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("SAMSPIL_HISTORIES").unwrap_or(SEEDS),
    };
    let started = std::time::Instant::now();
    if let Some(seed) = first_broken(seeds.clone(), None) {
        let (setting, actions, broken) = history(seed, None).unwrap();
        let (short, still) = shortened(&setting, actions);
        panic!("{broken}\nto see it again: SAMSPIL_SEED={seed} scripts/model\nshortest, {still:?}:\n{setting:?}\n{}", spelled(&short));
    }
    println!("F3: {} histories from seed {}, 0 failures, {:?}", seeds.end - seeds.start, seeds.start, started.elapsed());
}

#[test]
fn f3_every_planted_fault_is_found() {
    for fault in Fault::ALL {
        let found = first_broken(0..SEEDS_TO_FIND_A_FAULT, Some(fault));
        let broken = found.and_then(|seed| history(seed, Some(fault))).map(|(.., broken)| broken);
        println!("{fault:?}: seed {found:?}: {broken:?}");
        assert!(found.is_some(), "{fault:?} was planted and not found in {SEEDS_TO_FIND_A_FAULT} histories");
    }
}
