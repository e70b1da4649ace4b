use super::super::*;
use crate::position::*;
use crate::stream_id::StreamId;
use std::time::Instant;

fn disk(path: &Path) -> u64 {
    let mut n = 0;
    for e in std::fs::read_dir(path).unwrap() {
        let e = e.unwrap();
        let m = e.metadata().unwrap();
        n += if m.is_dir() { disk(&e.path()) } else { m.len() };
    }
    n
}

fn run(name: &str, streams: usize, each: usize, segments: u64, hashed: bool) {
    let dir = tempfile::tempdir_in(std::env::var("MEASURE_DIR").unwrap_or("/tmp".into())).unwrap();
    let cache: u64 = std::env::var("CACHE_MB")
        .ok()
        .map_or(64, |s| s.parse().unwrap())
        << 20;
    let (s, _) = Sidecar::open(dir.path(), [1; 16], cache).unwrap();
    let ids: Vec<StreamId> = (0..streams)
        .map(|n| {
            let n = if hashed {
                (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            } else {
                n as u64
            };
            StreamId::new("acme", "gl-account", &format!("{n:016x}")).unwrap()
        })
        .collect();
    let total = (streams * each) as u64;
    let per = 64u64 * 1024 * 1024 / total;
    for seg in 0..segments {
        let mark = SegmentMark {
            number: seg,
            first_position: Position::new(1 + seg * total),
            last_position: Position::new((seg + 1) * total),
            length_bytes: 64 << 20,
            last_frame_hash: [seg as u8; 32],
        };
        let frames: Vec<FramePlace> = (0..2_000)
            .map(|f| FramePlace {
                first_position: Position::new(1 + seg * total + f * total / 2_000),
                offset: (f * (64 << 20) / 2_000) as u32,
            })
            .collect();
        let places: Vec<Vec<EventPlace>> = (0..streams)
            .map(|s| {
                (0..each)
                    .map(|e| {
                        let p = (e * streams + s) as u64;
                        EventPlace {
                            position_in_segment: p as u32,
                            offset: (p * per) as u32,
                        }
                    })
                    .collect()
            })
            .collect();
        let v = Version::new(seg * each as u64 + 1);
        let t = Instant::now();
        let cpu0 = cpu();
        s.index_segment(
            &mark,
            &frames,
            &mut ids.iter().zip(&places).map(|(i, p)| (i, v, &p[..])),
            &[],
        )
        .unwrap();
        let dt = t.elapsed();
        if seg < 3 || seg + 1 == segments {
            println!(
                "{name} hashed={hashed} seg {seg}: {:.0} ms wall, {:.0} ms cpu, disk {:.1} MB",
                dt.as_secs_f64() * 1e3,
                (cpu() - cpu0) * 1e3,
                disk(&dir.path().join("index")) as f64 / 1e6
            );
        }
    }
    let t = Instant::now();
    assert_eq!(s.damaged_segments().unwrap(), Vec::<u64>::new());
    println!("  verify warm {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
    let t = Instant::now();
    s.close().unwrap();
    println!("  close {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
    let t = Instant::now();
    let (s, o) = Sidecar::open(dir.path(), [1; 16], cache).unwrap();
    println!(
        "  reopen {:.0} ms {o:?}, disk {:.1} MB",
        t.elapsed().as_secs_f64() * 1e3,
        disk(&dir.path().join("index")) as f64 / 1e6
    );
    let t = Instant::now();
    let n = 2_000.min(streams);
    for i in 0..n {
        s.stream_version(&ids[(i * 7919) % streams]).unwrap();
    }
    println!(
        "  stream_version cold {:.1} us",
        t.elapsed().as_secs_f64() * 1e6 / n as f64
    );
    let t = Instant::now();
    for i in 0..n {
        assert_eq!(
            s.places(
                &ids[(i * 7919) % streams],
                Version::new(1),
                Version::new(u64::MAX),
                crate::Direction::Forward,
                27
            )
            .unwrap()
            .len(),
            27.min(each * segments as usize)
        );
    }
    println!(
        "  places(27) {:.1} us",
        t.elapsed().as_secs_f64() * 1e6 / n as f64
    );
    let t = Instant::now();
    assert_eq!(s.damaged_segments().unwrap(), Vec::<u64>::new());
    println!(
        "  verify after open {:.0} ms",
        t.elapsed().as_secs_f64() * 1e3
    );
    let t = Instant::now();
    let mut after = None;
    let mut count = 0;
    loop {
        let page = s
            .streams("acme", "gl-account", after.as_ref(), 1000)
            .unwrap();
        if page.is_empty() {
            break;
        }
        count += page.len();
        after = page.last().cloned();
    }
    println!(
        "  streams() all {count} {:.0} ms",
        t.elapsed().as_secs_f64() * 1e3
    );
    let t = Instant::now();
    drop(s);
    println!("  drop {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
    let t = Instant::now();
    let (_s, _) = Sidecar::open(dir.path(), [1; 16], cache).unwrap();
    println!(
        "  reopen2 {:.0} ms, disk {:.1} MB",
        t.elapsed().as_secs_f64() * 1e3,
        disk(&dir.path().join("index")) as f64 / 1e6
    );
}

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

#[test]
#[ignore]
fn measure() {
    let segs: u64 = std::env::var("SEGS").ok().map_or(3, |s| s.parse().unwrap());
    let which = std::env::var("WHICH").unwrap_or("abc".into());
    if which.contains('a') {
        run("10,000 x 27", 10_000, 27, segs, true);
    }
    if which.contains('b') {
        run("1 x 268,000", 1, 268_000, segs, true);
    }
    if which.contains('c') {
        run("268,000 x 1", 268_000, 1, segs, true);
    }
}

#[test]
#[ignore]
fn measure_rest() {
    use crate::{Change, Checkpoint, Payload, Snapshot};
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let (s, _) = Sidecar::open(dir.path(), [1; 16], 64 << 20).unwrap();
    let ids: Vec<StreamId> = (0..20_000u64)
        .map(|n| {
            StreamId::new(
                "acme",
                "gl-account",
                &format!("{:016x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            )
            .unwrap()
        })
        .collect();
    for size in [200usize, 3_000, 10_000] {
        let t = Instant::now();
        let mut v = 0;
        for id in &ids {
            v += 1;
            s.save_snapshot(&Snapshot {
                stream: id.clone(),
                version: Version::new(size as u64),
                event_id: uuid::Uuid::from_u128(v),
                state_schema: 1,
                payload: Payload::raw(vec![3; size]),
            })
            .unwrap();
        }
        println!(
            "save {size} B: {:.1} us each",
            t.elapsed().as_secs_f64() * 1e6 / ids.len() as f64
        );
        let t = Instant::now();
        for id in &ids {
            s.load_snapshot(id).unwrap().unwrap();
        }
        println!(
            "load {size} B: {:.1} us each; disk {:.1} MB",
            t.elapsed().as_secs_f64() * 1e6 / ids.len() as f64,
            disk(dir.path()) as f64 / 1e6
        );
    }
    let t = Instant::now();
    s.save_snapshot(&Snapshot {
        stream: ids[0].clone(),
        version: Version::new(1 << 40),
        event_id: uuid::Uuid::from_u128(9),
        state_schema: 1,
        payload: Payload::raw(
            (0..64usize << 20)
                .map(|n| (n * 31 / 7) as u8)
                .collect::<Vec<u8>>(),
        ),
    })
    .unwrap();
    println!(
        "save 64 MiB: {:.0} ms; disk {:.1} MB",
        t.elapsed().as_secs_f64() * 1e3,
        disk(dir.path()) as f64 / 1e6
    );
    let t = Instant::now();
    s.load_snapshot(&ids[0]).unwrap().unwrap();
    println!("load 64 MiB: {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
    for round in 0..3u64 {
        let changes: Vec<Change> = (0..100_000u64)
            .map(|n| Change {
                key: (n + round * 50_000).to_be_bytes().to_vec(),
                value: Some(vec![round as u8; 100]),
            })
            .collect();
        let t = Instant::now();
        s.commit(
            "balances",
            Checkpoint {
                position: Position::new(round + 1),
                model_version: 1,
            },
            changes,
        )
        .unwrap();
        println!(
            "commit of 100k: {:.0} ms; disk {:.1} MB",
            t.elapsed().as_secs_f64() * 1e3,
            disk(dir.path()) as f64 / 1e6
        );
        let changes: Vec<Change> = (0..1_000u64)
            .map(|n| Change {
                key: (n * 97).to_be_bytes().to_vec(),
                value: Some(vec![round as u8; 100]),
            })
            .collect();
        let t = Instant::now();
        for _ in 0..20 {
            s.commit(
                "balances",
                Checkpoint {
                    position: Position::new(round + 1),
                    model_version: 1,
                },
                changes.clone(),
            )
            .unwrap();
        }
        println!(
            "commit of 1k: {:.2} ms",
            t.elapsed().as_secs_f64() * 1e3 / 20.0
        );
    }
    let t = Instant::now();
    let n = s.rows("balances", None, usize::MAX).unwrap().len();
    println!("rows {n}: {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
    let t = Instant::now();
    s.reset("balances").unwrap();
    println!(
        "reset {n} rows: {:.0} ms; disk {:.1} MB",
        t.elapsed().as_secs_f64() * 1e3,
        disk(dir.path()) as f64 / 1e6
    );
    println!(
        "blobs {}",
        std::fs::read_dir(dir.path().join("index/blobs"))
            .unwrap()
            .count()
    );
    let t = Instant::now();
    s.close().unwrap();
    let (_s, o) = Sidecar::open(dir.path(), [1; 16], 64 << 20).unwrap();
    println!("close+open {:.0} ms {o:?}", t.elapsed().as_secs_f64() * 1e3);
}
