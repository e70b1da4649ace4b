use std::sync::atomic::AtomicBool;

use super::*;

/// One that resides, and rests unless it is told otherwise.
struct Guest {
    name: u32,
    last_used: AtomicU64,
    is_busy: AtomicBool,
    seat: Mutex<Option<Seat>>,
}

impl Resident for Guest {
    fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::SeqCst)
    }

    fn retire(self: Arc<Self>) {
        if !self.is_busy.load(Ordering::SeqCst) {
            drop(self.seat.lock().unwrap().take());
        }
    }
}

impl Guest {
    fn is_here(&self) -> bool {
        self.seat.lock().unwrap().is_some()
    }

    fn is_used(&self, house: &House) {
        self.last_used
            .store(house.residency.now(), Ordering::SeqCst);
    }
}

struct House {
    residency: Arc<Residency>,
    guests: Vec<Arc<Guest>>,
}

impl House {
    fn of(aggregates_max: usize, bytes_max: Option<usize>) -> Self {
        Self {
            residency: Arc::new(Residency::new(ResidencyLimits {
                aggregates_max,
                bytes_max,
                idle_max: None,
            })),
            guests: Vec::new(),
        }
    }

    fn arrives(&mut self, name: u32) -> Arc<Guest> {
        let guest = Arc::new(Guest {
            name,
            last_used: AtomicU64::new(0),
            is_busy: AtomicBool::new(false),
            seat: Mutex::new(None),
        });
        let weak: Weak<Guest> = Arc::downgrade(&guest);
        let seat = self.residency.arrive(weak);
        *guest.seat.lock().unwrap() = Some(seat);
        guest.is_used(self);
        self.guests.push(Arc::clone(&guest));
        guest
    }

    fn names(&self) -> Vec<u32> {
        let here = self.guests.iter().filter(|guest| guest.is_here());
        here.map(|guest| guest.name).collect()
    }
}

#[test]
fn the_one_used_longest_ago_goes_first() {
    let mut house = House::of(3, None);
    let [one, two, _three] = [1, 2, 3].map(|name| house.arrives(name));
    house.residency.tick();
    one.is_used(&house);
    house.arrives(4);
    assert_eq!(house.names(), [1, 3, 4]);
    house.arrives(5);
    assert_eq!(house.names(), [1, 4, 5]);
    assert!(!two.is_here());
    assert_eq!(house.residency.len(), 3);
}

#[test]
fn a_scan_does_not_drive_out_what_is_asked_for_often() {
    let mut house = House::of(100, None);
    let mut hot: Vec<_> = (0..50).map(|name| house.arrives(name)).collect();
    let mut missed = 0;
    for name in 1_000..6_000 {
        // Each of the hot ones once in 25 arrivals: by age alone, half of the others would outlive them.
        for guest in hot.iter_mut().skip(name as usize % 25).step_by(25) {
            if guest.is_here() {
                guest.is_used(&house);
            } else {
                missed += usize::from(name > 1_500);
                *guest = house.arrives(guest.name);
            }
        }
        house.arrives(name);
    }
    assert_eq!(house.names().len(), 100);
    assert_eq!(missed, 0, "once it is known which ones they are");
}

#[test]
fn who_is_busy_stays_and_the_limit_is_kept_again_once_it_rests() {
    let mut house = House::of(2, None);
    let busy: Vec<_> = (0..200)
        .map(|name| {
            let guest = house.arrives(name);
            guest.is_busy.store(true, Ordering::SeqCst);
            guest
        })
        .collect();
    // The first ones had not begun their work yet when the next ones came.
    assert!(house.residency.len() >= 150);
    assert!(house.residency.is_over());
    for guest in &busy {
        guest.is_busy.store(false, Ordering::SeqCst);
        if house.residency.is_over() {
            house.residency.relieve();
        }
    }
    assert_eq!(house.residency.len(), 2);
    assert!(!house.residency.is_over());
}

#[test]
fn states_that_grow_drive_out_others_until_the_bytes_fit_but_never_the_last_one() {
    let mib = 1024 * 1024;
    let mut house = House::of(1_000, Some(mib));
    for name in 0..10 {
        house.arrives(name);
    }
    assert_eq!(house.names().len(), 10);
    let large = &house.guests[4];
    large
        .seat
        .lock()
        .unwrap()
        .as_mut()
        .unwrap()
        .resize(mib - 12_000);
    assert!(house.residency.is_over());
    large.is_busy.store(true, Ordering::SeqCst);
    house.residency.relieve();
    assert!(house.residency.bytes.load(Ordering::SeqCst) <= mib);
    assert!(!house.residency.is_over());
    let large = Arc::clone(&house.guests[4]);
    large.seat.lock().unwrap().as_mut().unwrap().resize(2 * mib);
    house.residency.relieve();
    assert_eq!(house.names(), [4]);
    large.is_busy.store(false, Ordering::SeqCst);
    house.residency.relieve();
    assert_eq!(house.names(), [4]);
    drop(large.seat.lock().unwrap().take());
    assert_eq!(house.residency.bytes.load(Ordering::SeqCst), 0);
}

#[test]
fn a_sweep_sees_everyone_once_and_lets_those_go_that_were_not_used_since() {
    let mut house = House::of(10_000, None);
    let all: Vec<_> = (0..1_000).map(|name| house.arrives(name)).collect();
    let since = house.residency.tick();
    for guest in all.iter().skip(1).step_by(2) {
        guest.is_used(&house);
    }
    let mut end = usize::MAX;
    while end > 0 {
        end = house.residency.sweep(end, since);
    }
    let expected: Vec<u32> = (1..1_000).step_by(2).collect();
    assert_eq!(house.names(), expected);
}
