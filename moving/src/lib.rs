//! Moving data: makes the tables and buckets of one side equal to those of another, on the driver traits of isobar.

pub mod backup;
mod bucket;
mod digest;
mod fit;
mod journal;
mod message;
mod mover;
mod pace;
mod plan;
mod report;
mod run;
mod side;
mod stop;
mod table;
mod upload;
mod verify;

pub use journal::Journal;
pub use message::{QueueReport, move_messages, pause, resume};
pub use mover::{backup, migrate, verify};
pub use pace::Rates;
pub use plan::{Planned, plan};
pub use report::{Counts, Difference, Phase, Place, Report, Sums, Watch};
pub use run::Options;
pub use side::Side;
pub use stop::{Stop, is_stopped};
