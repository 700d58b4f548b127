//! What a move prints: a line of progress, differences as they are found, and a summary.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isobar::driver::ResourceKind;
use isobar_moving::{Difference, Phase, Place, Planned, QueueReport, Report, Side, Watch};
use serde_json::json;

use super::plural;
use crate::failure::Failure;
use crate::output::Output;

/// How often the line of progress is drawn.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// How often progress is printed where there is no terminal.
const PLAIN: Duration = Duration::from_secs(10);

/// The differences that are printed for people; all are counted, and in JSON.
const LISTED: u64 = 50;

/// The columns of a terminal that has room for a bar.
const WITH_BAR: usize = 100;

/// The columns of a bar.
const BAR: u64 = 24;

/// What a move prints.
pub(super) struct Show<'a> {
    output: &'a Output,
    is_terminal: bool,
    began: Mutex<Instant>,
    work: Mutex<Work>,
    count: AtomicU64,
    bytes: AtomicU64,
    listed: AtomicU64,
    /// The number of items of each resource, where a plan has counted them.
    totals: Mutex<BTreeMap<(ResourceKind, String), u64>>,
}

/// What is done now.
struct Work {
    text: String,
    has_begun: bool,
    total: Option<u64>,
    kind: ResourceKind,
    since: Instant,
    printed: Instant,
}

impl<'a> Show<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        let now = Instant::now();
        let work = Work {
            text: String::new(),
            has_begun: false,
            total: None,
            kind: ResourceKind::Table,
            since: now,
            printed: now,
        };
        Self {
            output,
            is_terminal: std::io::stderr().is_terminal(),
            began: Mutex::new(now),
            work: Mutex::new(work),
            count: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            listed: AtomicU64::new(0),
            totals: Mutex::default(),
        }
    }

    /// The time of the report begins.
    pub(super) fn begin(&self) {
        if let Ok(mut began) = self.began.lock() {
            *began = Instant::now();
        }
    }

    /// Has a phase begun?
    pub(super) fn has_begun(&self) -> bool {
        self.work.lock().is_ok_and(|work| work.has_begun)
    }

    /// Draws the line of progress again.
    pub(super) fn tick(&self) {
        let Ok(mut work) = self.work.lock() else { return };
        if work.text.is_empty() || self.output.json {
            return;
        }
        if self.is_terminal {
            self.draw(&self.progress(&work));
        } else if work.printed.elapsed() >= PLAIN {
            work.printed = Instant::now();
            self.output.note(&self.progress(&work));
        }
    }

    fn progress(&self, work: &Work) -> String {
        let (count, bytes) = (self.count.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        let seconds = work.since.elapsed().as_secs_f64().max(0.001);
        let per_second = count as f64 / seconds;
        let mut text = format!("{:>12} ", work.text);
        if let Some(total) = work.total.filter(|total| *total > 0 && stderr_width() >= WITH_BAR) {
            let filled = (count.min(total) * BAR / total).min(BAR);
            text += &format!("[{}{}] ", "=".repeat(filled as usize), " ".repeat((BAR - filled) as usize));
        }
        text += &format!("{} {}", grouped(count), plural(work.kind));
        if bytes > 0 {
            text += &format!(", {}", size(bytes));
        }
        text += &format!(", {}/s", grouped(per_second as u64));
        if let Some(total) = work.total.filter(|total| *total > count && per_second > 0.0) {
            text += &format!(", {} left", span((total - count) as f64 / per_second));
        }
        text
    }

    fn draw(&self, text: &str) {
        let text: String = text.chars().take(stderr_width().saturating_sub(1)).collect();
        let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
    }

    fn clear(&self) {
        if self.is_terminal && !self.output.json {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }

    /// Prints a line above the line of progress.
    pub(super) fn note(&self, text: &str) {
        self.clear();
        self.output.note(text);
    }

    /// Ends the line of progress.
    pub(super) fn end(&self) {
        self.clear();
        if let Ok(mut work) = self.work.lock() {
            work.text.clear();
        }
        let more = self.listed.load(Ordering::Relaxed).saturating_sub(LISTED);
        if more > 0 && !self.output.json {
            self.output.note(&format!("… and {} more; --json prints all", grouped(more)));
        }
    }

    fn event(&self, event: &serde_json::Value) {
        self.output.line(&event.to_string());
    }

    fn list(&self, text: &str) {
        if self.listed.fetch_add(1, Ordering::Relaxed) < LISTED {
            self.note(text);
        }
    }

    /// Prints what would move.
    pub(super) fn plan(&self, plan: &[Planned], from: &Side, to: &Side, output: &Output) -> Result<(), Failure> {
        if let Ok(mut totals) = self.totals.lock() {
            totals.extend(plan.iter().map(|it| ((it.kind, it.name.clone()), it.count)));
        }
        if output.json {
            self.event(&json!({"event": "plan", "from": from.name(), "to": to.name(), "resources": plan}));
            return Ok(());
        }
        let row = |it: &Planned| {
            let there = if it.has_target_data { "has data" } else { "empty" };
            [
                format!("{} {}", it.kind, it.name),
                grouped(it.count),
                size(it.bytes),
                there.to_owned(),
                grouped(it.reads),
                grouped(it.writes),
                grouped(it.unfit),
            ]
        };
        let rows: Vec<_> = plan.iter().map(row).collect();
        output.table(["RESOURCE", "COUNT", "SIZE", "AT TARGET", "READS", "WRITES", "UNFIT"], &rows);
        if plan.iter().any(|it| it.has_target_data) {
            output.note(&format!(
                "{} has data: what has the same key becomes that of {}; what only it has stays, unless an earlier run wrote it",
                to.name(),
                from.name()
            ));
        }
        Ok(())
    }

    /// Prints what became of messages.
    pub(super) fn queues(&self, queues: &[QueueReport], output: &Output) -> Result<(), Failure> {
        if output.json {
            self.event(&json!({"event": "messages", "queues": queues}));
            return Ok(());
        }
        let row = |it: &QueueReport| [it.queue.clone(), grouped(it.waiting), grouped(it.dead), grouped(it.left)];
        output.table(["QUEUE", "WAITING", "DEAD", "LEFT"], &queues.iter().map(row).collect::<Vec<_>>());
        if queues.iter().any(|it| it.left > 0) {
            output.note(
                "what is left waits for its time, is leased, or is not given to tools by its service; run the command again later",
            );
        }
        Ok(())
    }

    /// Prints what was done.
    pub(super) fn report(&self, reports: &[Report], output: &Output) -> Result<(), Failure> {
        let is_equal = reports.iter().all(Report::is_equal);
        let seconds = self.began.lock().map_or(0.0, |began| began.elapsed().as_secs_f64());
        if output.json {
            self.event(&json!({"event": "report", "equal": is_equal, "seconds": seconds, "resources": reports}));
            return Ok(());
        }
        let row = |it: &Report| {
            let moved = |number: fn(&isobar_moving::Sums) -> u64| {
                it.moved.as_ref().map_or_else(String::new, |moved| grouped(number(moved)))
            };
            let compared = it.compared;
            [
                format!("{} {}", it.kind, it.name),
                moved(|sums| sums.written),
                moved(|sums| sums.unchanged),
                moved(|sums| sums.deleted),
                moved(|sums| sums.unfit),
                grouped(compared.equal),
                grouped(compared.missing),
                grouped(compared.extra),
                grouped(compared.different),
                grouped(compared.repaired),
            ]
        };
        let head = [
            "RESOURCE",
            "WRITTEN",
            "UNCHANGED",
            "DELETED",
            "UNFIT",
            "EQUAL",
            "MISSING",
            "EXTRA",
            "DIFFERENT",
            "REPAIRED",
        ];
        // Columns without a number are left out, but for the main ones.
        let rows: Vec<_> = reports.iter().map(row).collect();
        let columns: Vec<usize> = (0..head.len())
            .filter(|column| {
                [0, 5].contains(column) || rows.iter().any(|row| !["", "0"].contains(&row[*column].as_str()))
            })
            .collect();
        let pick = |row: &[String; 10]| columns.iter().map(|column| row[*column].clone()).collect::<Vec<_>>();
        let heads: Vec<&str> = columns.iter().map(|column| head[*column]).collect();
        output.grid(&heads, &rows.iter().map(pick).collect::<Vec<_>>());
        let text = if is_equal { "both sides are equal" } else { "the sides are not equal" };
        output.step(if is_equal { "Equal" } else { "Different" }, &format!("{text}, after {}", span(seconds)));
        Ok(())
    }
}

impl Watch for Show<'_> {
    fn phase(&self, kind: ResourceKind, name: &str, phase: Phase) {
        let verb = match phase {
            Phase::Planning => "Counting",
            Phase::Copying => "Copying",
            Phase::Deleting => "Deleting",
            _ => "Comparing",
        };
        if self.output.json {
            self.event(&json!({"event": "phase", "kind": kind.name(), "name": name, "phase": phase}));
        }
        let total = self.totals.lock().ok().and_then(|totals| totals.get(&(kind, name.to_owned())).copied());
        self.count.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        if let Ok(mut work) = self.work.lock() {
            let now = Instant::now();
            *work =
                Work { text: format!("{verb} {kind} {name}"), has_begun: true, total, kind, since: now, printed: now };
        }
    }

    fn done(&self, count: u64, bytes: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn difference(&self, at: &Place, difference: Difference) {
        match self.output.json {
            true => self.event(&json!({"event": "difference", "at": at, "difference": difference})),
            false => self.list(&format!("{at}: {difference}")),
        }
    }

    fn unfit(&self, at: &Place, why: &str) {
        match self.output.json {
            true => self.event(&json!({"event": "unfit", "at": at, "why": why})),
            false => self.list(&format!("{at}: {why}")),
        }
    }
}

fn stderr_width() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| usize::from(width.0))
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1_000.0 && unit + 1 < units.len() {
        number /= 1_000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{number:.1} {}", units[unit]) }
}

fn span(seconds: f64) -> String {
    match seconds as u64 {
        0..10 => format!("{seconds:.1} s"),
        whole @ 10..120 => format!("{whole} s"),
        whole @ 120..7_200 => format!("{} min", whole / 60),
        whole => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}
