//! The threads up from a goal: what it points at, and the way from there up to the vision. The same picture as on the agreement's page.

use std::collections::{BTreeMap, BTreeSet};

use crate::ChainGoal;

/// A knot on a thread: a goal of the chain, and which of the links name it.
pub(crate) struct Knot<'c> {
    pub(crate) goal: &'c ChainGoal,
    /// Places in the list of targets.
    pub(crate) links: Vec<usize>,
}

/// Threads from the top down to what is pointed at, and the targets that nothing is known of. A target that stands above another lies on
/// that one's thread; each other has its own.
pub(crate) fn threads<'c>(targets: &[&str], chain: &'c BTreeMap<String, ChainGoal>) -> (Vec<Vec<Knot<'c>>>, Vec<usize>) {
    let mut direct: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (place, target) in targets.iter().enumerate() {
        if chain.contains_key(*target) {
            direct.entry(target).or_default().push(place);
        } else {
            unknown.push(place);
        }
    }
    let above: BTreeMap<&str, BTreeSet<&str>> = direct.keys().map(|id| (*id, ancestors(id, chain))).collect();
    let lowest =
        direct.keys().filter(|id| !above.iter().any(|(other, up)| other != *id && up.contains(*id) && !above[*id].contains(other)));
    let mut threads: Vec<(u8, &str, Vec<Knot>)> = lowest
        .map(|id| {
            let mut ids: Vec<&str> = above[id].iter().copied().filter(|up| up != id).collect();
            ids.sort_by_key(|up| (chain[*up].level, &chain[*up].code));
            ids.push(id);
            let knots = ids.into_iter().map(|each| Knot { goal: &chain[each], links: direct.get(each).cloned().unwrap_or_default() });
            (chain[*id].level, *id, knots.collect())
        })
        .collect();
    threads.sort_by_key(|(level, id, _)| (*level, *id));
    (threads.into_iter().map(|(_, _, knots)| knots).collect(), unknown)
}

fn ancestors<'c>(id: &str, chain: &'c BTreeMap<String, ChainGoal>) -> BTreeSet<&'c str> {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<&str> = chain.get(id).map(|goal| goal.parents.iter().map(String::as_str).collect()).unwrap_or_default();
    while let Some(next) = waiting.pop() {
        if let Some((known, goal)) = chain.get_key_value(next)
            && seen.insert(known.as_str())
        {
            waiting.extend(goal.parents.iter().map(String::as_str));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> BTreeMap<String, ChainGoal> {
        let goal = |code: &str, level: u8, parents: &[&str]| {
            let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
            (code.to_owned(), ChainGoal { code: code.into(), title: code.into(), document: "D".into(), level, adopted: true, parents })
        };
        BTreeMap::from([
            goal("V1", 0, &[]),
            goal("P1", 1, &["V1"]),
            goal("S1", 2, &["P1"]),
            goal("S2", 2, &["P1", "gone"]),
            goal("X", 3, &["Y"]),
            goal("Y", 3, &["X"]),
        ])
    }

    type Codes = Vec<Vec<(String, Vec<usize>)>>;

    fn codes(targets: &[&str]) -> (Codes, Vec<usize>) {
        let chain = chain();
        let (found, unknown) = threads(targets, &chain);
        let codes = found.into_iter().map(|thread| thread.into_iter().map(|knot| (knot.goal.code.clone(), knot.links)).collect());
        (codes.collect(), unknown)
    }

    fn knot(code: &str, links: &[usize]) -> (String, Vec<usize>) {
        (code.to_owned(), links.to_vec())
    }

    #[test]
    fn each_target_is_on_a_thread_and_those_above_another_on_that_ones() {
        assert_eq!(codes(&["S1"]), (vec![vec![knot("V1", &[]), knot("P1", &[]), knot("S1", &[0])]], vec![]));
        assert_eq!(codes(&["S1", "P1", "S1"]), (vec![vec![knot("V1", &[]), knot("P1", &[1]), knot("S1", &[0, 2])]], vec![]));
        let two = codes(&["S2", "S1", "nowhere"]);
        assert_eq!((two.0.len(), two.1), (2, vec![2]));
    }

    #[test]
    fn goals_that_point_at_one_another_are_both_shown() {
        let (found, _) = codes(&["X", "Y"]);
        assert_eq!(found.len(), 2);
    }
}
