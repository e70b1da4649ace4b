//! Kills a program on entering its `n`-th system call of a kind, over all of its threads, counted from its first write
//! to stdout on. What `strace -f -e inject=KIND:signal=KILL:when=N` does, but for one thing: strace counts each thread by
//! itself, and so never comes to the later calls of a thread that is not the first to make that many.
//!
//! Usage: syscall-killer KIND N PROGRAM [ARGUMENTS]
//!
//! KIND is the name of a system call or `any`. With N = 0 nothing is killed. The program has this one's stdout. On
//! stderr, at the end: `killed KIND THREAD` if it was, then a line `KIND COUNT` for each kind that was entered.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a tool of the tests"
)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "--traced" {
        traced::become_program(&args[2..]);
    } else {
        let number = args[2].parse().unwrap();
        traced::run(&args[1], number, &args[3..]);
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    eprintln!("unsupported");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod traced {
    use std::collections::{BTreeMap, HashSet};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use nix::sys::ptrace::{self, Options};
    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;

    /// Asks to be traced and becomes the program; it stops there until the tracer lets it go on.
    pub(super) fn become_program(command: &[String]) {
        ptrace::traceme().unwrap();
        let error = Command::new(&command[0]).args(&command[1..]).exec();
        panic!("{} cannot be run: {error}", command[0]);
    }

    pub(super) fn run(kind: &str, number: u64, command: &[String]) {
        let mut program = Command::new(std::env::current_exe().unwrap())
            .arg("--traced")
            .args(command)
            .spawn()
            .unwrap();
        let mut tracer = Tracer::attach(Pid::from_raw(program.id().cast_signed()));
        tracer.follow(kind, number);
        // The tracer has waited for it; there is nothing left of it.
        let _ = program.wait();
        for (kind, count) in &tracer.counts {
            eprintln!("{} {count}", name(*kind));
        }
    }

    struct Tracer {
        program: Pid,
        /// The threads that are within a system call.
        within: HashSet<Pid>,
        has_begun: bool,
        counts: BTreeMap<i64, u64>,
    }

    impl Tracer {
        fn attach(program: Pid) -> Self {
            waitpid(program, None).unwrap();
            let options = Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_EXITKILL;
            ptrace::setoptions(program, options).unwrap();
            ptrace::syscall(program, None).unwrap();
            Self {
                program,
                within: HashSet::new(),
                has_begun: false,
                counts: BTreeMap::new(),
            }
        }

        /// Until the program is gone.
        fn follow(&mut self, kind: &str, number: u64) {
            let mut seen = 0;
            loop {
                // An error says that nobody is left.
                let Ok(stopped) = waitpid(None, Some(WaitPidFlag::__WALL)) else {
                    return;
                };
                let mut pass_on = None;
                match stopped {
                    WaitStatus::PtraceSyscall(thread) => {
                        if let Some(entered) = self.entered(thread)
                            && (kind == "any" || name(entered) == kind)
                        {
                            seen += 1;
                            if seen == number {
                                let path = format!("/proc/{thread}/comm");
                                let comm = std::fs::read_to_string(path).unwrap_or_default();
                                eprintln!("killed {} {}", name(entered), comm.trim());
                                kill(self.program, Signal::SIGKILL).unwrap();
                            }
                        }
                    }
                    // New threads stop once; that is not theirs to see.
                    WaitStatus::Stopped(_, Signal::SIGSTOP) => {}
                    WaitStatus::Stopped(_, signal) => pass_on = Some(signal),
                    WaitStatus::PtraceEvent(..) => {}
                    WaitStatus::Exited(..) | WaitStatus::Signaled(..) => continue,
                    _ => continue,
                }
                // It may be dead by now.
                let _ = ptrace::syscall(stopped.pid().unwrap(), pass_on);
            }
        }

        /// The call that a thread is about to make; `None` if it comes out of one, or nothing counts yet.
        fn entered(&mut self, thread: Pid) -> Option<i64> {
            const STDOUT: u64 = 1;
            if self.within.remove(&thread) {
                return None;
            }
            self.within.insert(thread);
            let registers = ptrace::getregs(thread).ok()?;
            let entered = registers.orig_rax.cast_signed();
            if !self.has_begun {
                self.has_begun = entered == libc::SYS_write && registers.rdi == STDOUT;
                return None;
            }
            *self.counts.entry(entered).or_default() += 1;
            Some(entered)
        }
    }

    /// The name of a system call; its number if it is none that was expected.
    fn name(call: i64) -> String {
        macro_rules! names {
            ($($number:ident)*) => {
                match call {
                    $(libc::$number => stringify!($number)[4..].to_owned(),)*
                    other => format!("syscall_{other}"),
                }
            };
        }
        names! {
            SYS_read SYS_write SYS_openat SYS_close SYS_fstat SYS_newfstatat SYS_statx SYS_lseek SYS_mmap SYS_munmap
            SYS_mprotect SYS_mremap SYS_madvise SYS_brk SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev SYS_readv
            SYS_writev SYS_fsync SYS_fdatasync SYS_sync_file_range SYS_ftruncate SYS_fallocate SYS_rename
            SYS_renameat SYS_renameat2 SYS_mkdir SYS_mkdirat SYS_unlink SYS_unlinkat SYS_link SYS_linkat SYS_flock
            SYS_fcntl SYS_getdents64 SYS_futex SYS_clone SYS_clone3 SYS_set_robust_list SYS_rseq SYS_exit
            SYS_exit_group SYS_rt_sigaction SYS_rt_sigprocmask SYS_sigaltstack SYS_gettid SYS_getpid
            SYS_sched_yield SYS_sched_getaffinity SYS_prctl SYS_getrandom SYS_clock_gettime SYS_clock_nanosleep
            SYS_nanosleep SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_wait SYS_eventfd2 SYS_poll SYS_ioctl
            SYS_copy_file_range SYS_sysinfo SYS_prlimit64 SYS_uname SYS_getcwd SYS_readlink SYS_restart_syscall
        }
    }
}
