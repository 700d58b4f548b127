//! A tool works on the queue of a trigger: it moves messages and dead letters as they are, and loses none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar::driver::Provider;
use isobar::driver::pub_sub::{
    Backlog, BacklogMessage, BacklogPart, DeadLetterDetails, LeasedMessage, MessageId, dead_letters, discard, redrive,
};
use isobar::memory::MemoryProvider;
use isobar::prelude::*;
use isobar::{ErrorKind, EventQueue, TraceParent, clock};

use super::{JOBS, Recorded, ack, dead_jobs, deliver_later, jobs, noting, worker};
use crate::{HarnessResult, TrialResult, World};

crate::trials![
    "PS-17" => a_leased_message_is_received_by_no_other,
    "PS-17" => a_message_of_a_tool_is_leased_and_delivered_as_it_was,
    "PS-17" => what_an_app_publishes_is_leased_as_it_was_or_handled,
    "PS-17" => a_tool_keeps_the_order_of_a_key,
    "PS-17" => a_tool_keeps_the_time_of_a_delayed_message,
    "PS-17" => a_dead_letter_is_carried_to_another_provider_and_back,
    "PS-17" => chosen_dead_letters_are_put_back_and_deleted,
    "PS-15" => a_message_of_a_tool_reaches_one_subscription,
];

/// Longer than any trial.
const LEASE: Duration = Duration::from_secs(300);

async fn backlog(world: &dyn World) -> HarnessResult<Arc<dyn Backlog>> {
    world.backlog(&EventQueue::topic(JOBS)).await
}

fn message(world: &dyn World, id: &str, body: &[u8]) -> Message<Bytes> {
    let now = clock::from_millis(clock::to_millis(world.now()));
    Message::new(MessageId::new(id), Bytes::copy_from_slice(body), now)
}

/// A message with all that a message can have, and a body that is no text.
fn full(world: &dyn World, id: &str) -> Message<Bytes> {
    let mut message = message(world, id, b"\0\xff{\"binary\"}\xfe");
    let attributes = [("lang", "de"), ("Title", "k\u{e4}se \"\\\u{20ac}\u{1f600}"), ("date", "today")];
    message.attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    message.trace_parent = Some(TraceParent::random());
    message
}

async fn send(backlog: &dyn Backlog, part: BacklogPart, messages: Vec<BacklogMessage>) -> TrialResult {
    for sent in backlog.send(part, messages).await {
        sent?;
    }
    Ok(())
}

async fn acknowledge(backlog: &dyn Backlog, part: BacklogPart, leased: &[LeasedMessage]) -> TrialResult {
    let receipts = leased.iter().map(|leased| leased.receipt.clone()).collect();
    for acknowledged in backlog.acknowledge(part, receipts).await {
        acknowledged?;
    }
    Ok(())
}

async fn release(backlog: &dyn Backlog, part: BacklogPart, leased: &[LeasedMessage]) -> TrialResult {
    let receipts = leased.iter().map(|leased| leased.receipt.clone()).collect();
    for released in backlog.release(part, receipts).await {
        released?;
    }
    Ok(())
}

/// Leases all that can be leased without an acknowledgement.
async fn lease(backlog: &dyn Backlog, part: BacklogPart) -> TrialResult<Vec<LeasedMessage>> {
    let mut all = Vec::new();
    loop {
        let leased = backlog.lease(part, 10, LEASE).await?;
        if leased.is_empty() {
            return Ok(all);
        }
        all.extend(leased);
    }
}

fn bodies(leased: &[LeasedMessage]) -> Vec<String> {
    let body = |leased: &LeasedMessage| String::from_utf8_lossy(&leased.message.message.body).into_owned();
    let mut bodies: Vec<_> = leased.iter().map(body).collect();
    bodies.sort();
    bodies
}

async fn a_leased_message_is_received_by_no_other(world: Box<dyn World>) -> TrialResult {
    let (one, other) = (backlog(&*world).await?, backlog(&*world).await?);
    let sent = ["a", "b", "c"].map(|it| BacklogMessage::new(message(&*world, it, it.as_bytes())));
    send(&*one, BacklogPart::Waiting, sent.into()).await?;
    let first = one.lease(BacklogPart::Waiting, 1, LEASE).await?;
    assert_eq!(first.len(), 1, "more than the limit, or none");
    let rest = lease(&*other, BacklogPart::Waiting).await?;
    assert_eq!(bodies(&[&first[..], &rest].concat()), ["a", "b", "c"]);
    assert!(lease(&*one, BacklogPart::Waiting).await?.is_empty(), "leased twice");
    let count = one.count().await?;
    let parts = [count.waiting, count.delayed, count.leased];
    assert!([None, Some(3)].contains(&parts.into_iter().flatten().reduce(|sum, part| sum + part)), "{count:?}");
    acknowledge(&*one, BacklogPart::Waiting, &first).await?;
    release(&*other, BacklogPart::Waiting, &rest).await?;
    let again = lease(&*other, BacklogPart::Waiting).await?;
    assert_eq!(bodies(&again), bodies(&rest));
    let recorded = Recorded::default();
    release(&*other, BacklogPart::Waiting, &again).await?;
    let app = worker::<Bytes>(&*world, 9, &recorded, ack).await?;
    app.deliver().await?;
    let mut handled: Vec<_> = recorded.bodies().iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    handled.sort();
    assert_eq!(handled, bodies(&rest));
    assert!(lease(&*one, BacklogPart::Waiting).await?.is_empty());
    Ok(())
}

async fn a_message_of_a_tool_is_leased_and_delivered_as_it_was(world: Box<dyn World>) -> TrialResult {
    let backlog = backlog(&*world).await?;
    let mut sent = full(&*world, "from-elsewhere-1");
    sent.attempt = 3;
    send(&*backlog, BacklogPart::Waiting, vec![BacklogMessage::new(sent.clone())]).await?;
    let leased = lease(&*backlog, BacklogPart::Waiting).await?;
    assert_eq!(leased.len(), 1);
    assert_eq!(leased[0].message, BacklogMessage::new(sent.clone()));
    release(&*backlog, BacklogPart::Waiting, &leased).await?;
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 9, &recorded, ack).await?;
    app.deliver().await?;
    let mut handled = recorded.only();
    assert!((3..=4).contains(&handled.attempt), "attempt {}", handled.attempt);
    handled.attempt = 3;
    assert_eq!(handled, sent);
    Ok(())
}

/// A host on the same queue may be faster.
async fn what_an_app_publishes_is_leased_as_it_was_or_handled(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<Bytes>(&*world, 9, &recorded, ack).await?;
    let backlog = backlog(&*world).await?;
    let published = (0..12_u8).map(|number| {
        let body = Bytes::from(vec![0xff, number]);
        Outgoing::new(body).with_attribute("Number", number.to_string()).with_attribute("note", "k\u{e4}se")
    });
    let published: Vec<_> = published.collect();
    let mut ids = BTreeSet::new();
    for sent in jobs::<Bytes>(&*world).publish_batch(published.clone()).await {
        ids.insert(sent?.to_string());
    }
    let leased = lease(&*backlog, BacklogPart::Waiting).await?;
    acknowledge(&*backlog, BacklogPart::Waiting, &leased).await?;
    app.deliver().await?;
    let leased = leased.into_iter().map(|leased| leased.message.message);
    let received: Vec<_> = leased.chain(recorded.all()).collect();
    assert_eq!(received.iter().map(|it| it.id.to_string()).collect::<BTreeSet<_>>(), ids);
    assert_eq!(received.len(), published.len(), "received twice");
    for message in received {
        let sent = &published[usize::from(message.body[1])];
        assert_eq!(
            (message.body, message.attributes, message.attempt),
            (sent.body.clone(), sent.attributes.clone(), 1)
        );
        assert!(message.trace_parent.is_some());
    }
    Ok(())
}

async fn a_tool_keeps_the_order_of_a_key(world: Box<dyn World>) -> TrialResult {
    let backlog = backlog(&*world).await?;
    let sent = |number: u8| {
        let mut message = message(&*world, &format!("m{number}"), &[number]);
        message.ordering_key = Some(if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned());
        BacklogMessage::new(message)
    };
    let results = backlog.send(BacklogPart::Waiting, (0..8).map(sent).collect()).await;
    if results.iter().all(|sent| sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unsupported)) {
        // As the topic itself.
        return Ok(());
    }
    results.into_iter().collect::<isobar::Result<()>>()?;
    let unreachable = backlog.count().await?.unreachable;
    if unreachable == 0 {
        let mut received = Vec::new();
        loop {
            let leased = backlog.lease(BacklogPart::Waiting, 3, LEASE).await?;
            if leased.is_empty() {
                break;
            }
            acknowledge(&*backlog, BacklogPart::Waiting, &leased).await?;
            received.extend(leased.into_iter().map(|leased| leased.message));
        }
        in_order(&received.iter().map(|it| it.message.clone()).collect::<Vec<_>>());
        send(&*backlog, BacklogPart::Waiting, received).await?;
    } else {
        assert_eq!(unreachable, 8);
        assert!(lease(&*backlog, BacklogPart::Waiting).await?.is_empty());
    }
    let recorded = Recorded::default();
    worker::<Bytes>(&*world, 9, &recorded, ack).await?.deliver().await?;
    in_order(&recorded.all());
    Ok(())
}

fn in_order(messages: &[Message<Bytes>]) {
    for key in ["even", "odd"] {
        let of_key = messages.iter().filter(|message| message.ordering_key.as_deref() == Some(key));
        let numbers: Vec<u8> = of_key.map(|message| message.body[0]).collect();
        assert_eq!(numbers, if key == "even" { [0, 2, 4, 6] } else { [1, 3, 5, 7] });
    }
}

async fn a_tool_keeps_the_time_of_a_delayed_message(world: Box<dyn World>) -> TrialResult {
    let (backlog, wait) = (backlog(&*world).await?, Duration::from_secs(90));
    let sent = message(&*world, "later", b"1");
    let due = sent.published_at + wait;
    send(&*backlog, BacklogPart::Waiting, vec![BacklogMessage::new(sent).with_due(due)]).await?;
    let leased = lease(&*backlog, BacklogPart::Waiting).await?;
    assert!(leased.iter().all(|leased| leased.message.due == Some(due)), "{leased:?}");
    release(&*backlog, BacklogPart::Waiting, &leased).await?;
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 9, &recorded, ack).await?;
    app.deliver().await?;
    assert_eq!(recorded.count(), 0, "before its time");
    world.advance(wait)?;
    app.deliver().await?;
    assert_eq!(recorded.only().body, 1);
    Ok(())
}

async fn a_dead_letter_is_carried_to_another_provider_and_back(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let reject = |message: &Message<Bytes>| match message.attempt {
        1 => Outcome::retry("not yet"),
        _ => Outcome::reject("no \u{20ac}"),
    };
    let app = worker::<Bytes>(&*world, 9, &recorded, reject).await?;
    let sent = full(&*world, "");
    let mut outgoing = Outgoing::new(sent.body);
    outgoing.attributes = sent.attributes;
    let id = jobs::<Bytes>(&*world).publish(outgoing.clone()).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    let (here, elsewhere) = (backlog(&*world).await?, MemoryProvider::default().backlog(&EventQueue::topic(JOBS))?);
    let leased = lease(&*here, BacklogPart::Dead).await?;
    assert_eq!(leased.len(), 1);
    let dead_letter = leased[0].message.clone();
    assert_eq!((&dead_letter.message.id, &dead_letter.message.body), (&id, &outgoing.body));
    assert_eq!(dead_letter.message.attributes, outgoing.attributes);
    assert_eq!(dead_letter.details().reason, "no \u{20ac}");
    assert_eq!(dead_letter.details().attempts, 2);
    send(&*elsewhere, BacklogPart::Dead, vec![dead_letter.clone()]).await?;
    acknowledge(&*here, BacklogPart::Dead, &leased).await?;
    assert!(dead_jobs(&*app).await?.is_empty());
    let carried = lease(&*elsewhere, BacklogPart::Dead).await?;
    assert_eq!(carried[0].message, dead_letter);
    send(&*here, BacklogPart::Dead, vec![carried[0].message.clone()]).await?;
    let back = dead_letters(&*here, 10).await?;
    assert_eq!(back.len(), 1);
    assert_eq!((&back[0].dead, &back[0].message.body), (&dead_letter.dead, &dead_letter.message.body));
    assert_eq!(dead_jobs(&*app).await?[0].reason, "no \u{20ac}");
    assert_eq!(redrive(&*here, None).await?, 1);
    app.deliver().await?;
    let last = recorded.all().pop().ok_or("not delivered again")?;
    assert_eq!((last.id, last.body, last.attempt), (id, outgoing.body, 1));
    Ok(())
}

async fn chosen_dead_letters_are_put_back_and_deleted(world: Box<dyn World>) -> TrialResult {
    let backlog = backlog(&*world).await?;
    let dead_letter = |number: u32| {
        let message = message(&*world, &format!("d{number}"), number.to_string().as_bytes());
        let details = DeadLetterDetails::new(4, "no paper", message.published_at, "jobs");
        BacklogMessage::new(message).with_dead(details)
    };
    send(&*backlog, BacklogPart::Dead, (1..=4).map(dead_letter).collect()).await?;
    assert!([None, Some(4)].contains(&backlog.count().await?.dead));
    let chosen = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<String>>());
    assert_eq!(discard(&*backlog, chosen(&["d1", "no-such"]).as_ref()).await?, 1);
    assert_eq!(redrive(&*backlog, chosen(&["d2", "d3"]).as_ref()).await?, 2);
    let left = dead_letters(&*backlog, 10).await?;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].message.id.as_str(), left[0].details().reason.as_str()), ("d4", "no paper"));
    assert_eq!((left[0].details().attempts, left[0].details().source.as_str()), (4, "jobs"));
    assert_eq!(discard(&*backlog, None).await?, 1);
    assert!(dead_letters(&*backlog, 10).await?.is_empty());
    let recorded = Recorded::default();
    worker::<u32>(&*world, 9, &recorded, ack).await?.deliver().await?;
    let mut handled = recorded.bodies();
    handled.sort_unstable();
    assert_eq!((handled, recorded.attempts()), (vec![2, 3], vec![1, 1]));
    Ok(())
}

async fn a_message_of_a_tool_reaches_one_subscription(world: Box<dyn World>) -> TrialResult {
    let (mails, audits) = (Recorded::default(), Recorded::default());
    let recorded = (mails.clone(), audits.clone());
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS).subscribe_only();
        let app = noting(App::new("worker"), jobs.subscription("default"), &recorded.0, ack);
        noting(app, jobs.subscription("audit"), &recorded.1, ack)
    };
    let app = world.run(app).await?;
    for (name, number) in [("default", 1_u32), ("audit", 2)] {
        let backlog = world.backlog(&EventQueue::topic(JOBS).named(name)).await?;
        let sent = message(&*world, name, number.to_string().as_bytes());
        send(&*backlog, BacklogPart::Waiting, vec![BacklogMessage::new(sent.clone())]).await?;
        let dead = DeadLetterDetails::new(1, "no", sent.published_at, "");
        let dead = BacklogMessage::new(message(&*world, &format!("dead-{name}"), number.to_string().as_bytes()))
            .with_dead(dead);
        send(&*backlog, BacklogPart::Dead, vec![dead]).await?;
        assert_eq!(redrive(&*backlog, None).await?, 1);
    }
    app.deliver().await?;
    assert_eq!((mails.bodies(), audits.bodies()), (vec![1, 1], vec![2, 2]));
    Ok(())
}
