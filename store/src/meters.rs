//! What the store measures, by the `metrics` facade: all names, units and meanings in one table.
//!
//! The handles are made once, when the store is opened. Without a recorder they lead nowhere.

use metrics::{Counter, Gauge, Histogram, Label, Unit};

/// A handle of the `metrics` facade that can be made from a line of a table.
#[doc(hidden)]
pub trait Meter {
    fn register(name: &'static str, unit: Unit, what: &'static str, labels: Vec<Label>) -> Self;
}

impl Meter for Counter {
    fn register(name: &'static str, unit: Unit, what: &'static str, labels: Vec<Label>) -> Self {
        metrics::describe_counter!(name, unit, what);
        metrics::counter!(name, labels)
    }
}

impl Meter for Gauge {
    fn register(name: &'static str, unit: Unit, what: &'static str, labels: Vec<Label>) -> Self {
        metrics::describe_gauge!(name, unit, what);
        metrics::gauge!(name, labels)
    }
}

impl Meter for Histogram {
    fn register(name: &'static str, unit: Unit, what: &'static str, labels: Vec<Label>) -> Self {
        metrics::describe_histogram!(name, unit, what);
        metrics::histogram!(name, labels)
    }
}

/// Makes a struct of handles, and the table of its documentation, from one table: field, kind, name, unit and meaning.
#[doc(hidden)]
#[macro_export]
macro_rules! meters {
    (
        $(#[$of_struct:meta])*
        struct $Meters:ident;
        $(#[$of_module:meta])*
        pub mod $module:ident;
        $($field:ident: $Kind:ident, $name:literal, $unit:ident, $what:literal;)+
    ) => {
        $(#[$of_struct])*
        #[derive(Clone, Debug)]
        pub(crate) struct $Meters {
            $(pub(crate) $field: ::metrics::$Kind,)+
        }

        impl $Meters {
            /// Makes the handles, each with these labels: of the recorder that is installed now.
            pub(crate) fn register(labels: &[(&'static str, &'static str)]) -> Self {
                let labels: ::std::vec::Vec<_> = labels.iter().map(::metrics::Label::from).collect();
                Self {
                    $($field: $crate::Meter::register(
                        $name,
                        ::metrics::Unit::$unit,
                        $what,
                        ::std::clone::Clone::clone(&labels),
                    ),)+
                }
            }
        }

        $(#[$of_module])*
        #[doc = "\n| name | kind | unit | what |\n|---|---|---|---|"]
        $(#[doc = ::std::concat!(
            "| `", $name, "` | ", ::std::stringify!($Kind), " | ", ::std::stringify!($unit), " | ", $what, " |"
        )])*
        pub mod $module {}
    };
}

meters! {
    /// The handles of one open journal.
    struct Meters;
    /// What the journal measures, through the `metrics` facade. Install a recorder before the store is opened: a handle
    /// that was made without one leads nowhere.
    pub mod journal_metrics;

    frames: Counter, "foldhouse_frames_total", Count,
        "Frames written: each is one durable write for all that waited";
    frame_bytes: Histogram, "foldhouse_frame_bytes", Bytes,
        "How long a frame's body was";
    frame_events: Histogram, "foldhouse_frame_events", Count,
        "How many events one frame made durable";
    frame_write_seconds: Histogram, "foldhouse_frame_write_seconds", Seconds,
        "How long the one durable write of a frame (the fsync) took";
    head_position: Gauge, "foldhouse_head_position", Count,
        "The position of the last durable event";
}
