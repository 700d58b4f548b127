//! The commit protocol in a model, with every order of its events: two workers, a sweep, a start and a signal, reads that
//! are out of date, hints that are lost, and a crash at any point.
//!
//! The workflow is a step, a sleep, a wait for an event, and a step. The numbers of turns are relative to the head, so that
//! the model has no limit on turns. Each rule of the protocol is left out once: then the model must find a run that
//! nothing wakes any more, or an entry that is written twice.

mod protocol;
mod rules;

use std::collections::{HashMap, VecDeque};

use protocol::World;
use rules::Without::{self, *};

struct Found {
    worlds: usize,
    stuck: usize,
    without_timer: usize,
    twice: usize,
}

/// Visits every world that can be reached, and then goes back from those whose run is done.
fn explore(without: Without, crashes: u8) -> Found {
    let first = World::new(crashes);
    let mut numbers = HashMap::from([(first, 0_u32)]);
    let mut queue = VecDeque::from([first]);
    let (mut edges, mut worlds) = (Vec::new(), vec![first]);
    while let Some(world) = queue.pop_front() {
        let from = numbers[&world];
        for next in world.next(without) {
            let next = next.reduced();
            let number = *numbers.entry(next).or_insert_with(|| {
                queue.push_back(next);
                worlds.push(next);
                worlds.len() as u32 - 1
            });
            // A run must not need a crash to go on.
            if next.crashes == world.crashes {
                edges.push((number, from));
            }
        }
    }
    edges.sort_unstable();
    let mut ends: Vec<bool> = worlds.iter().map(World::is_done).collect();
    let mut queue: VecDeque<_> = (0..worlds.len() as u32).filter(|&number| ends[number as usize]).collect();
    while let Some(number) = queue.pop_front() {
        let start = edges.partition_point(|edge| edge.0 < number);
        for &(_, from) in edges[start..].iter().take_while(|edge| edge.0 == number) {
            if !std::mem::replace(&mut ends[from as usize], true) {
                queue.push_back(from);
            }
        }
    }
    let count = |is: &dyn Fn(&World) -> bool| worlds.iter().filter(|world| is(world)).count();
    Found {
        worlds: worlds.len(),
        stuck: ends.iter().filter(|ends| !**ends).count(),
        without_timer: count(&|world| !world.has_timer()),
        twice: count(&|world| world.twice),
    }
}

#[test]
fn a_run_always_ends_and_always_has_a_timer() {
    for crashes in [0, 1] {
        let found = explore(Nothing, crashes);
        assert_eq!((found.stuck, found.without_timer, found.twice), (0, 0, 0), "{crashes} crashes");
        assert!(found.worlds > 10_000, "{}", found.worlds);
    }
}

#[test]
fn without_any_rule_a_run_can_be_lost() {
    for without in [
        KeptRows,
        RowBeforeLease,
        TimerBeforeSleep,
        RowUntilEnd,
        TurnOfTimer,
        EventWithHead,
        EventWithLease,
        EventBeforeAcknowledge,
        StartBeforeAcknowledge,
        Condition,
    ] {
        let found = explore(without, 0);
        assert!(found.stuck + found.without_timer + found.twice > 0, "{without:?}");
    }
}
