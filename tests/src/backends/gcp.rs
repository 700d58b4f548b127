//! Google Cloud's services, as emulators and our doubles have them.

pub mod storage;
