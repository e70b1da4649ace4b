//! Proof of consistency: what callers were told under concurrency and faults is checked against the sequential rules.
//!
//! A run lets many callers work on a few accounts at once, through the real runtime on several threads, over a store that
//! delays, refuses, fails half way and crashes ([`faulty_store`]). Each call and each answer gets its place in one order
//! of events ([`history`]). What the journal has in the end is the [`journal`]. Nothing else is needed to decide whether
//! anything went wrong ([`check`]):
//!
//! - [`linearizability`]: from the callers' point of view alone, is there an order of one account's operations that
//!   explains every answer, and in which no operation comes before one that was answered before it was called? A search,
//!   as of Wing and Gong, with the memory of Lowe; each account by itself.
//! - [`serializability`]: is the order of the journal's positions such an order for all accounts together, transactions
//!   and conditions included?
//! - [`check`]: is each answer what the rules give on the state that it names, is what was confirmed recorded and what was
//!   refused not, is each transaction there as a whole, and is no money made or lost at any position?
//!
//! [`hand_made`] shows that each of these can fail, [`planted`] that stores which are wrong are caught, [`campaign`] that
//! the real one is not.

mod account;
mod callers;
mod campaign;
mod check;
mod disk;
mod faulty_store;
mod hand_made;
mod history;
mod journal;
mod linearizability;
mod planted;
mod rules;
mod run;
mod serializability;
mod workload;
