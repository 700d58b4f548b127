//! The states of the protocol, and its steps.

use super::rules::Without::{self, *};

/// The head of a run. `turn` is the number of its turn minus that of the newest head: 0 or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Head {
    turn: i8,
    state: State,
    /// The entries of the journal: 1 the first step, 2 the sleep, 3 the event, 4 the second step.
    entries: u8,
    has_event: bool,
    /// Had the wake time passed when the turn began?
    awake: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum State {
    Leased(u8),
    Ready,
    Asleep,
    Waiting,
    Done,
}

/// The number of a turn relative to the head: everything before it is `Old`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Turn {
    Old,
    Current,
    Next,
}

impl Turn {
    /// After the head began another turn.
    fn aged(self) -> Self {
        if self == Self::Next { Self::Current } else { Self::Old }
    }

    fn of(number: i8) -> Self {
        match number {
            ..0 => Self::Old,
            0 => Self::Current,
            1.. => Self::Next,
        }
    }

    fn number(self) -> i8 {
        self as i8 - 1
    }
}

/// What a worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum At {
    Idle,
    Read,
    /// The row of the next lease is written: take the lease.
    Take,
    /// The same, for a worker that writes the row after it took the lease.
    Taken,
    /// Write the event without a lease.
    Store,
    Turn,
    /// The first or second step has had its effect, and its entry is not stored.
    Effect,
    /// The timer of the sleep is written.
    Suspend,
    /// A commit failed: read the head again.
    Again,
    /// The turn has ended: delete the row of its lease.
    Clean,
    /// The same, for a worker that writes the timer of a sleep after that.
    Late,
    Acknowledge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Message {
    None,
    Start,
    Event,
    Hint(Turn),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Worker {
    at: At,
    message: Message,
    /// The head that it has read, and whether it is the newest: a compare-and-set succeeds with that only.
    read: Option<Head>,
    is_newest: bool,
    /// The turn that it has leased.
    own: Turn,
}

const IDLE: Worker = Worker { at: At::Idle, message: Message::None, read: None, is_newest: false, own: Turn::Old };

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct World {
    head: Option<Head>,
    /// An earlier head, which a read may return. `Some(None)`: there was none.
    earlier: Option<Option<Head>>,
    /// Is the lease of the head over?
    is_over: bool,
    /// Has the wake time passed?
    is_late: bool,
    /// The timer rows: by turn, of the end of a lease and of a sleep.
    leases: [bool; 3],
    sleeps: [bool; 3],
    start: bool,
    /// The signal: not sent, published, acknowledged.
    event: u8,
    workers: [Worker; 2],
    pub(crate) crashes: u8,
    /// Was an entry written twice?
    pub(crate) twice: bool,
}

impl World {
    pub(crate) fn new(crashes: u8) -> Self {
        Self {
            head: None,
            earlier: None,
            is_over: false,
            is_late: false,
            leases: [false; 3],
            sleeps: [false; 3],
            start: true,
            event: 0,
            workers: [IDLE; 2],
            crashes,
            twice: false,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.head.is_some_and(|head| head.state == State::Done)
    }

    /// A run that must go on without a new message has a timer row of its turn or the next one.
    pub(crate) fn has_timer(&self) -> bool {
        let Some(head) = self.head else { return true };
        let waits = head.state == State::Waiting && !head.has_event;
        let rows = |rows: &[bool; 3]| rows[Turn::Current as usize] || rows[Turn::Next as usize];
        waits || head.state == State::Done || rows(&self.leases) || rows(&self.sleeps)
    }

    /// Writes the head by worker `by`. `takes`: it begins another turn.
    fn write(&mut self, by: usize, head: Head, takes: bool) {
        let head = Head { turn: 0, ..head };
        if takes {
            let age = |rows: [bool; 3]| [false, rows[2], false];
            (self.leases, self.sleeps) = (age(self.leases), age(self.sleeps));
            for worker in &mut self.workers {
                if let Message::Hint(turn) = &mut worker.message {
                    *turn = turn.aged();
                }
                worker.own = worker.own.aged();
                worker.read = worker.read.map(Head::aged);
            }
            self.is_over = false;
        }
        let before = self.head.map(|head| if takes { head.aged() } else { head });
        (self.earlier, self.head) = (Some(before), Some(head));
        self.workers.iter_mut().for_each(|worker| worker.is_newest = false);
        self.workers[by].read = Some(head);
        self.workers[by].is_newest = true;
    }

    /// The same world with less in it: without what nothing reads any more, and with the workers in one order.
    pub(crate) fn reduced(mut self) -> Self {
        for worker in &mut self.workers {
            if matches!(worker.at, At::Idle | At::Read | At::Again | At::Clean | At::Late | At::Acknowledge) {
                (worker.read, worker.is_newest) = (None, false);
            }
            if matches!(worker.at, At::Idle | At::Read | At::Take | At::Store | At::Acknowledge) {
                worker.own = Turn::Old;
            }
            if worker.at != At::Read && matches!(worker.message, Message::Hint(_)) {
                worker.message = Message::None;
            }
        }
        if self.is_done() {
            self.earlier = None;
        }
        if !self.is_leased() {
            self.is_over = false;
        }
        // Nothing depends on the rows of turns that are over.
        (self.leases[0], self.sleeps[0]) = (false, false);
        let other = self.swapped();
        std::cmp::min(self, other)
    }

    fn swapped(self) -> Self {
        let swap = |head: Head| match head.state {
            State::Leased(by) => Head { state: State::Leased(1 - by), ..head },
            _ => head,
        };
        let [first, second] = self.workers.map(|worker| Worker { read: worker.read.map(swap), ..worker });
        let earlier = self.earlier.map(|earlier| earlier.map(swap));
        Self { head: self.head.map(swap), earlier, workers: [second, first], ..self }
    }

    pub(crate) fn next(&self, without: Without) -> Vec<World> {
        let mut out = Vec::new();
        let mut add = |change: &dyn Fn(&mut World)| {
            let mut world = *self;
            change(&mut world);
            out.push(world);
        };
        if self.event == 0 {
            add(&|it| it.event = 1);
        }
        if let Some(Head { state: State::Leased(_), .. }) = self.head
            && !self.is_over
        {
            add(&|it| it.is_over = true);
        }
        if !self.is_late && self.head.is_some_and(|head| head.entries == 1) {
            add(&|it| it.is_late = true);
        }
        for index in 0..2 {
            self.step(index, without, &mut out);
        }
        out
    }

    fn is_leased(&self) -> bool {
        self.head.is_some_and(|head| matches!(head.state, State::Leased(_)))
    }

    fn step(&self, index: usize, without: Without, out: &mut Vec<World>) {
        let me = self.workers[index];
        let mut add = |change: &dyn Fn(&mut World)| {
            let mut world = *self;
            change(&mut world);
            out.push(world);
        };
        let go = |at: At| move |it: &mut World| it.workers[index].at = at;
        let lease = State::Leased(index as u8);
        let fits = me.is_newest || without == Condition;
        if me.at != At::Idle && self.crashes > 0 {
            add(&|it| {
                it.crashes -= 1;
                it.workers[index] = IDLE;
            });
        }
        match me.at {
            At::Idle => {
                let mut take = |message| add(&|it| it.workers[index] = Worker { at: At::Read, message, ..IDLE });
                if self.start {
                    take(Message::Start);
                }
                if self.event == 1 {
                    take(Message::Event);
                }
                // The sweep publishes a hint for a row whose time has passed. The hint is delivered to one worker, once: a
                // worker that crashes has lost it, although a service would deliver it again.
                for turn in [Turn::Current, Turn::Next] {
                    let lease = self.leases[turn as usize] && (self.is_over || !self.is_leased());
                    let sleep = self.sleeps[turn as usize] && self.is_late;
                    if lease || sleep {
                        add(&|it| {
                            it.workers[index] = Worker { at: At::Read, message: Message::Hint(turn), ..IDLE };
                            if without == KeptRows {
                                it.leases[turn as usize] &= !lease;
                                it.sleeps[turn as usize] &= !sleep;
                            }
                        });
                    }
                }
            }
            At::Read => {
                self.decide(index, self.head, true, without, out);
                if let Some(earlier) = self.earlier {
                    self.decide(index, earlier, false, without, out);
                }
            }
            At::Take => {
                let take = |it: &mut World| {
                    let stores = me.message == Message::Event && without != EventWithLease;
                    let head = match me.read {
                        None => Head { turn: 0, state: lease, entries: 0, has_event: false, awake: false },
                        Some(head) => Head {
                            state: lease,
                            has_event: head.has_event || stores,
                            awake: head.awake || it.is_late,
                            ..head
                        },
                    };
                    it.write(index, head, true);
                    it.workers[index].own = Turn::Current;
                    it.leases[Turn::Current as usize] &= without != RowUntilEnd;
                    it.workers[index].at = if without == RowBeforeLease { At::Taken } else { At::Turn };
                };
                if me.is_newest {
                    add(&take);
                } else {
                    // Another worker was first. A message that is not stored is delivered again.
                    add(&go(At::Idle));
                }
            }
            At::Taken => add(&|it| {
                it.leases[me.own as usize] = true;
                it.workers[index].at = At::Turn;
            }),
            At::Store => {
                if let (true, Some(head)) = (me.is_newest, me.read) {
                    add(&|it| {
                        it.write(index, Head { has_event: true, ..head }, false);
                        it.workers[index].at = At::Acknowledge;
                    });
                } else if without == EventWithHead && self.head.is_some() {
                    // A row alone: no version changes, and no other worker sees a conflict.
                    add(&|it| {
                        if let Some(head) = &mut it.head {
                            head.has_event = true;
                        }
                        it.workers[index].at = At::Acknowledge;
                    });
                } else {
                    add(&go(At::Idle));
                }
            }
            At::Turn | At::Effect | At::Suspend => {
                let Some(head) = me.read else { return };
                // The lease is given back when the time of the worker is short.
                if me.at == At::Turn && fits {
                    add(&|it| {
                        it.write(index, Head { state: State::Ready, ..head }, false);
                        it.workers[index].at = At::Acknowledge;
                    });
                }
                let mut commit = |head: Head, at: At| {
                    if fits {
                        add(&|it| {
                            let journaled = it.head.map_or(0, |head| head.entries);
                            it.twice |=
                                head.entries > me.read.map_or(0, |read| read.entries) && journaled >= head.entries;
                            it.write(index, head, false);
                            it.workers[index].at = at;
                        });
                    } else {
                        add(&go(At::Again));
                    }
                };
                match (head.entries, me.at) {
                    (0 | 3, At::Turn) => add(&go(At::Effect)),
                    (0 | 3, _) => commit(Head { entries: head.entries + 1, ..head }, At::Turn),
                    (1, At::Turn) if head.awake => commit(Head { entries: 2, ..head }, At::Turn),
                    (1, At::Turn) => add(&|it| {
                        it.workers[index].at = At::Suspend;
                        it.sleeps[me.own as usize] |= without != TimerBeforeSleep;
                    }),
                    (1, _) => commit(Head { state: State::Asleep, ..head }, At::Clean),
                    (2, _) if head.has_event => commit(Head { entries: 3, ..head }, At::Turn),
                    (2, _) => commit(Head { state: State::Waiting, ..head }, At::Clean),
                    _ => commit(Head { state: State::Done, ..head }, At::Clean),
                }
            }
            At::Again => {
                let mut see = |read: Option<Head>, is_newest| {
                    let own = read.filter(|read| read.state == lease && Turn::of(read.turn) == me.own);
                    let at = if own.is_some() { At::Turn } else { At::Acknowledge };
                    add(&|it| {
                        it.workers[index].at = at;
                        it.workers[index].read = own;
                        it.workers[index].is_newest = is_newest && own.is_some();
                    });
                };
                see(self.head, true);
                if let Some(earlier) = self.earlier {
                    see(earlier, false);
                }
            }
            At::Clean => add(&|it| {
                it.leases[me.own as usize] = false;
                it.workers[index].at = if without == TimerBeforeSleep { At::Late } else { At::Acknowledge };
            }),
            At::Late => add(&|it| {
                it.sleeps[me.own as usize] = true;
                it.workers[index].at = At::Acknowledge;
            }),
            At::Acknowledge => add(&|it| {
                match me.message {
                    Message::Start => it.start = false,
                    Message::Event => it.event = 2,
                    _ => {}
                }
                it.workers[index] = IDLE;
            }),
        }
    }

    /// What a worker does with a message after it has read a head.
    fn decide(&self, index: usize, read: Option<Head>, is_newest: bool, without: Without, out: &mut Vec<World>) {
        let message = self.workers[index].message;
        let mut add = |change: &dyn Fn(&mut World)| {
            let mut world = *self;
            world.workers[index].read = read;
            world.workers[index].is_newest = is_newest;
            change(&mut world);
            out.push(world);
        };
        let mut go = |at: At| add(&|it| it.workers[index].at = at);
        let Some(head) = read else {
            match message {
                // The start creates the head with the first lease.
                Message::Start if without == StartBeforeAcknowledge => go(At::Acknowledge),
                Message::Start => add(&|it| {
                    it.leases[Turn::Next as usize] |= without != RowBeforeLease;
                    it.workers[index].at = At::Take;
                }),
                // An event waits for the head; the row of a hint remains.
                _ => go(At::Idle),
            }
            return;
        };
        // The end of the lease of an earlier head is not known: both are possible.
        let may_be_over = |is_over: bool| !is_newest || self.is_over == is_over;
        let takes = |it: &mut World| {
            it.leases[Turn::of(head.turn + 1) as usize] |= without != RowBeforeLease;
            it.workers[index].at = At::Take;
        };
        let is_leased = matches!(head.state, State::Leased(_));
        match message {
            Message::None => {}
            Message::Start => go(At::Acknowledge),
            _ if head.state == State::Done => match message {
                Message::Hint(turn) => add(&|it| {
                    it.leases[turn as usize] = false;
                    it.sleeps[turn as usize] = false;
                    it.workers[index].at = At::Acknowledge;
                }),
                _ => go(At::Acknowledge),
            },
            Message::Event if head.has_event => go(At::Acknowledge),
            Message::Event if without == EventBeforeAcknowledge && is_leased => go(At::Acknowledge),
            Message::Event if without == EventWithHead => go(At::Store),
            Message::Event => {
                if head.state == State::Asleep || is_leased && may_be_over(false) {
                    go(At::Store);
                }
                if without == EventWithLease && !is_leased {
                    go(At::Store);
                } else if head.state == State::Ready || head.state == State::Waiting || is_leased && may_be_over(true) {
                    add(&takes);
                }
            }
            Message::Hint(turn) if without == TurnOfTimer || head.turn > turn.number() => add(&|it| {
                it.leases[turn as usize] = false;
                it.sleeps[turn as usize] = false;
                it.workers[index].at = At::Acknowledge;
            }),
            Message::Hint(_) => {
                let is_due = match head.state {
                    State::Leased(_) => may_be_over(true),
                    State::Asleep => self.is_late,
                    State::Ready => true,
                    State::Waiting | State::Done => false,
                };
                let may_wait = match head.state {
                    State::Leased(_) => may_be_over(false),
                    State::Asleep => !self.is_late,
                    _ => true,
                };
                if is_due {
                    add(&takes);
                }
                if may_wait && (is_leased || !is_due) {
                    add(&|it| it.workers[index].at = At::Acknowledge);
                }
            }
        }
    }
}

impl Head {
    fn aged(self) -> Self {
        Self { turn: (self.turn - 1).max(-2), ..self }
    }
}
