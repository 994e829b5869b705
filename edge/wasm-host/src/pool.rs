//! The threads that workers run on.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What a thread needs for itself, beside the stack of an instance.
const OWN_STACK: usize = 1 << 20;
/// At least so many threads: one is always there for those who behave.
const FEWEST: usize = 2;
/// In so many turns, one is first offered to those who do not.
const PATIENCE: u32 = 8;

/// Something that has turns: one at a time, each short.
pub(crate) trait Turns: Send + Sync {
    /// Does one thing. It does not panic.
    fn turn(&self) -> Next;
    /// Whether its turns are believed to be short.
    fn standing(&self) -> Standing;
}

/// What follows a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is more to do: it gets to the end of the line.
    Again,
    /// Nothing, until it is run again.
    Rest,
}

/// What others may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// It has been at fault lately. Those are never on all of the threads, so that the others do not wait for them.
    Suspect,
}

/// Threads, and who waits for one: each has a turn before any has two.
#[derive(Debug)]
pub(crate) struct Pool {
    line: Arc<Line>,
    threads: Vec<JoinHandle<()>>,
}

struct Line {
    waiting: Mutex<Waiting>,
    somebody: Condvar,
    /// How many threads may be with suspects.
    for_suspects: usize,
}

#[derive(Default)]
struct Waiting {
    good: VecDeque<Arc<dyn Turns>>,
    suspects: VecDeque<Arc<dyn Turns>>,
    /// Threads that are with suspects.
    with_suspects: usize,
    turns: u32,
    closed: bool,
}

impl Pool {
    pub(crate) fn start(instance_stack: usize) -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(FEWEST, NonZeroUsize::get).max(FEWEST);
        let line =
            Arc::new(Line { waiting: Mutex::default(), somebody: Condvar::new(), for_suspects: count - 1 });
        let mut pool = Self { line, threads: Vec::with_capacity(count) };
        for nth in 0..count {
            let line = Arc::clone(&pool.line);
            let thread = thread::Builder::new()
                .name(format!("fanfare-room-{nth}"))
                .stack_size(OWN_STACK + instance_stack)
                .spawn(move || line.serve())?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Gives it turns until it rests. It must not be in line already.
    pub(crate) fn run(&self, who: Arc<dyn Turns>) {
        self.line.queue(who);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.line.lock().closed = true;
        self.line.somebody.notify_all();
        for thread in self.threads.drain(..) {
            // The last one to let go may be a thread of the pool's: it ends when it gets back.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, who: Arc<dyn Turns>) {
        let standing = who.standing();
        let mut waiting = self.lock();
        match standing {
            Standing::Good => waiting.good.push_back(who),
            Standing::Suspect => waiting.suspects.push_back(who),
        }
        drop(waiting);
        self.somebody.notify_one();
    }

    fn serve(&self) {
        while let Some((who, standing)) = self.next() {
            let next = who.turn();
            if standing == Standing::Suspect {
                self.lock().with_suspects -= 1;
                self.somebody.notify_one();
            }
            if next == Next::Again {
                self.queue(who);
            }
        }
    }

    /// Waits for the next in line; nobody when the pool is closed.
    fn next(&self) -> Option<(Arc<dyn Turns>, Standing)> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(next) = waiting.take(self.for_suspects) {
                return Some(next);
            }
            waiting = self.somebody.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Waiting {
    fn take(&mut self, for_suspects: usize) -> Option<(Arc<dyn Turns>, Standing)> {
        self.turns = self.turns.wrapping_add(1);
        let suspects_first = self.turns.is_multiple_of(PATIENCE);
        let suspect = if self.with_suspects < for_suspects && (suspects_first || self.good.is_empty()) {
            self.suspects.pop_front()
        } else {
            None
        };
        if let Some(who) = suspect {
            self.with_suspects += 1;
            return Some((who, Standing::Suspect));
        }
        self.good.pop_front().map(|who| (who, Standing::Good))
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("for_suspects", &self.for_suspects).finish_non_exhaustive()
    }
}
