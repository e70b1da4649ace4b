//! Power cuts and disks that fail.
//!
//! The store runs over a file system of our own ([`file_system`]) that knows of every byte whether it is durable or only
//! cached. Everything that is done to it, and every ack that the store gives, goes into one [`log`]. From the log of one
//! run any number of disks can be made as a power cut could leave them ([`image`]), and each is opened and checked
//! against what was acked before the cut ([`campaign`]).
//!
//! - `tree`, `log`, `image`: files, what was done to them, and what a cut leaves of it
//! - `volume`, `faults`, `file_system`, `mount`: the same as a mounted file system
//! - `campaign`: runs, cuts and counts, for whatever is put to the test
//! - `journal`: the real store put to the test; `planted`: stores that are wrong, and must be caught
//! - `cuts`, `controls`, `io_errors`, `full_disk`: the tests

mod campaign;
mod controls;
mod cuts;
mod faults;
mod file_system;
mod full_disk;
mod image;
mod io_errors;
mod journal;
mod log;
mod mount;
mod planted;
mod tree;
mod volume;
