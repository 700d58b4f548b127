//! What an event costs on its way through `App`: time and allocations, compared with a call of the handler.
#![allow(unsafe_code)] // an allocator that counts

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use isobar::Event;
use isobar::clock::ManualClock;
use isobar::driver::pub_sub::DEFAULT_SUBSCRIPTION;
use isobar::driver::{Clock, Function};
use isobar::prelude::*;
use isobar::pub_sub::MessageId;
use isobar_benches::{median, row};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CALLS: usize = 200_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(measure());
}

async fn handler(message: Message<bytes::Bytes>, cx: Context) {
    black_box((&message.body, cx.attempt()));
}

async fn measure() {
    let cloud = Cloud::memory();
    let topic = cloud.topic::<bytes::Bytes>("events");
    let mut app = App::new("bench").on_message(&topic, handler);
    app.start(&cloud).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let event = || {
        let message = Message::new(MessageId::new("1"), bytes::Bytes::from_static(b"{}"), clock.now());
        (message, Context::new("bench", Arc::clone(&clock)))
    };
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    let (mut direct_allocations, mut through_allocations) = (0, 0);
    for _ in 0..11 {
        let (started, before) = (Instant::now(), ALLOCATIONS.load(Ordering::Relaxed));
        for _ in 0..CALLS {
            let (message, cx) = event();
            handler(message, cx).await;
        }
        direct.push(started.elapsed().as_nanos() as f64 / CALLS as f64);
        direct_allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        let (started, before) = (Instant::now(), ALLOCATIONS.load(Ordering::Relaxed));
        for _ in 0..CALLS {
            let (message, cx) = event();
            // The event is what a host hands over; making it is not the app's cost.
            let (topic, subscription) = (String::from("events"), String::from(DEFAULT_SUBSCRIPTION));
            let event = Event::Message { topic, subscription, message };
            black_box(app.call(event, cx).await.unwrap());
        }
        through.push(started.elapsed().as_nanos() as f64 / CALLS as f64);
        through_allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    }
    let (direct, through) = (median(direct), median(through));
    let more = (through_allocations as f64 - direct_allocations as f64) / CALLS as f64 - 2.0;
    row(
        "event through `App`",
        &format!("{through:.0} ns"),
        &format!("{direct:.0} ns, the handler called"),
        &format!("{:.0} ns more", through - direct),
        "< 1,000 ns more",
    );
    row("allocations more, without the host's two for the event", &format!("{more:.1}"), "", "", "≤ 5");
}
