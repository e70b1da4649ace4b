#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| foldhouse::fuzzing::event_payload(data));
