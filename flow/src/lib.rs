//! Durable workflows on the portable types of isobar.
//!
//! A workflow is an async function of a [`Flow`] and an input. Its [steps](Flow::step) are recorded in a table, and after a
//! crash, a wait or a deployment it goes on where it was. [`Runs`] starts runs, sends them events and reads their state;
//! [`Workflows`] makes a module of an app that runs them. The guide `docs/workflows.md` has an example.
//!
//! Safety rests on compare-and-set of the head of a run, never on time: a worker that has lost its run cannot write, and the
//! writes of an [`apply`](Flow::apply) that it began are made once or never. A message is a hint: each run that must go on
//! without an event has a timer row, which the schedule of runs reads. `tests/flow/model` is the protocol as a model.

mod admin;
mod apply;
mod branches;
mod child;
mod context;
mod difference;
mod draft;
mod ending;
mod flow;
mod history;
mod message;
mod replay;
mod row;
mod running;
mod runs;
mod step;
mod store;
mod turn;
mod worker;
mod workflows;

pub use context::StepContext;
pub use difference::Difference;
pub use flow::{Flow, Wait};
pub use history::History;
pub use row::{CallKind, RunId, RunState};
pub use runs::{RecordedCall, RunStatus, Runs, Started};
pub use step::Step;
pub use workflows::Workflows;
