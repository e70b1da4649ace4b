//! Doors to the decoders, for the fuzz targets in `store/fuzz` and for the test that runs what they found.
//!
//! Each takes any bytes, or values to encode and read back, and panics when a decoder breaks its promise. Here only in
//! tests and with `--cfg fuzzing`; no part of the API.

pub use crate::journal::fuzzing::{
    frame, frame_round_trip, record, record_round_trip, segment_scan,
};
pub use crate::sidecar::fuzzing::{index_round_trip, index_value, snapshot};

#[cfg(test)]
mod tests;
