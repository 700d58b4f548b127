//! The decisions alone.

use super::*;

/// What a seed does to the messages of `jobs`, while another queue has as many, or none.
fn plans(seed: u64, neighbours: u64) -> Vec<(Plan, Settlement)> {
    let (chaos, jobs, mails) = (Chaos::new(seed), EventQueue::topic("jobs"), EventQueue::topic("mails"));
    let plan = |number: u64| {
        for other in 0..neighbours {
            chaos.message(&mails, false, 1_000_000 + number * 10 + other);
        }
        let plan = chaos.message(&jobs, false, number);
        (plan, chaos.settle(&jobs, number, (1, 5), Settlement::Done))
    };
    (0..1_000).map(plan).collect()
}

#[test]
fn a_seed_has_the_same_faults_each_time_whatever_other_queues_do_and_another_seed_has_others() {
    assert_eq!(plans(1, 0), plans(1, 3));
    assert_ne!(plans(1, 0), plans(2, 0));
    let of = |count: usize, rate: u64| count.abs_diff(usize::try_from(rate).unwrap()) < 60;
    let plans = plans(1, 0);
    assert!(of(plans.iter().filter(|(plan, _)| plan.late_ms > 0).count(), CHAOS.late));
    assert!(of(plans.iter().filter(|(plan, _)| plan.copy_ms.is_some()).count(), CHAOS.twice));
    assert!(of(plans.iter().filter(|(_, settlement)| *settlement != Settlement::Done).count(), CHAOS.again));
}

#[test]
fn an_ordering_key_has_no_copies_and_the_last_attempt_is_not_used_up() {
    let (chaos, jobs) = (Chaos::new(7), EventQueue::topic("jobs"));
    for place in 0..1_000 {
        assert_eq!(chaos.message(&jobs, true, place).copy_ms, None);
        assert_eq!(chaos.settle(&jobs, place, (5, 5), Settlement::Done), Settlement::Done);
    }
    assert!(chaos.messages.lock().is_empty());
    let rejected = Settlement::DeadLetter("no".to_owned());
    chaos.message(&jobs, false, 1);
    assert_eq!(chaos.settle(&jobs, 1, (1, 5), rejected.clone()), rejected);
}

#[test]
fn ticks_are_late_or_twice_now_and_then_and_loose_delivery_leaves_them_alone() {
    let (chaos, loose) = (Chaos::new(3), Chaos::loose(3));
    let changed = |chaos: &Chaos| {
        let plans = (0..1_000).map(|_| chaos.tick("hourly")).filter(|plan| plan.times > 1 || !plan.late.is_zero());
        plans.count()
    };
    assert!((50..200).contains(&changed(&chaos)));
    assert_eq!(changed(&loose), 0);
    assert!(chaos.totals().unwrap().starts_with("chaos: seed 3: 0 late, "), "{:?}", chaos.totals());
    assert_eq!(loose.totals(), None);
}
