use std::process::{Command, Stdio};

/// Follows the system calls of a child with one caller: before each acknowledgement leaves it, exactly one frame was
/// written to the journal, with one durable write.
#[test]
fn every_frame_is_one_durable_write_and_no_ack_comes_before_it() {
    if Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped: strace is not installed, so the system calls of a child cannot be seen");
        return;
    }
    const POSTINGS: usize = 200;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let trace_path = directory.path().join("trace");
    let status = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-y",
            "-s",
            "64",
            "-e",
            "trace=openat,pwrite64,pwritev,fdatasync,fsync,write",
            "-o",
        ])
        .arg(&trace_path)
        .arg(env!("CARGO_BIN_EXE_crash-child"))
        .arg(directory.path().join("store"))
        .args(["1", "1", &POSTINGS.to_string()])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let trace = std::fs::read_to_string(trace_path).unwrap();
    let (mut frames, mut acks, mut syncs) = (0, 0, 0);
    let mut frames_at_ready = None;
    let mut is_direct = false;
    for line in trace.lines() {
        let is_segment = line.contains(".segment>") || line.contains("/spare>");
        if line.contains("openat(") && line.contains("/journal/") && line.contains("O_DSYNC") {
            is_direct |= line.contains("O_DIRECT");
        } else if line.contains("write64(")
            && is_segment
            && line.contains("FOLDFRM")
            && !line.contains("resumed")
        {
            frames += 1;
        } else if (line.contains("fdatasync(") || line.contains("fsync(")) && is_segment {
            syncs += 1;
        } else if line.contains("\"ready\\n\"") {
            frames_at_ready = Some(frames);
        } else if line.contains("\"ack ") {
            acks += 1;
            let since_ready = frames - frames_at_ready.unwrap();
            assert_eq!(
                since_ready, acks,
                "acknowledgement {acks} left after {since_ready} frames"
            );
        }
    }
    assert_eq!(acks, POSTINGS);
    println!(
        "{frames} frames, {acks} acks, O_DIRECT: {is_direct}, separate syncs of segments: {syncs}"
    );
}
