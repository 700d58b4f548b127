//! Moving data: makes the tables and buckets of one side equal to those of another, on the driver traits of isobar.

pub mod backup;
mod bucket;
mod digest;
mod fit;
mod journal;
mod mover;
mod pace;
mod report;
mod run;
mod side;
mod stop;
mod table;
mod upload;
mod verify;

pub use journal::Journal;
pub use mover::{backup, migrate, verify};
pub use pace::Rates;
pub use report::{Counts, Difference, Phase, Place, Report, Sums, Watch};
pub use run::Options;
pub use side::Side;
pub use stop::Stop;
