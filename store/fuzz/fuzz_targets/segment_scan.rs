#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| foldhouse_store::fuzzing::segment_scan(data));
