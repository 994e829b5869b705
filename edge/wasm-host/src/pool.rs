//! The pool of threads that workers run on.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes of stack that a thread needs for itself, beside an instance's.
const OWN_STACK: usize = 1 << 20;
/// Threads, at least: one always remains for tasks in good standing.
const FEWEST: usize = 2;
/// Turns of which one goes to a suspect task first.
const PATIENCE: u32 = 8;

/// A task that runs in turns: one at a time, each short.
pub(crate) trait Task: Send + Sync {
    /// Runs one turn. Must not panic.
    fn turn(&self) -> Next;
    /// Returns whether the task's turns are expected to be short.
    fn standing(&self) -> Standing;
}

/// Need of a task for a further turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// More work is waiting: queue the task again.
    Again,
    /// No work is waiting: the task rests until it is run again.
    Rest,
}

/// Standing of a task with the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// Faulty lately. Suspects never occupy all threads, so that the others do not wait for them.
    Suspect,
}

/// Threads, and the queue of tasks that wait for one: each has a turn before any has two.
#[derive(Debug)]
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

struct Queue {
    waiting: Mutex<Waiting>,
    ready: Condvar,
    /// Threads that suspects may occupy at once.
    for_suspects: usize,
}

#[derive(Default)]
struct Waiting {
    good: VecDeque<Arc<dyn Task>>,
    suspects: VecDeque<Arc<dyn Task>>,
    /// Threads that suspects occupy now.
    with_suspects: usize,
    turns: u32,
    closed: bool,
}

impl Pool {
    pub(crate) fn start(instance_stack: usize) -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(FEWEST, NonZeroUsize::get).max(FEWEST);
        let queue =
            Arc::new(Queue { waiting: Mutex::default(), ready: Condvar::new(), for_suspects: count - 1 });
        let mut pool = Self { queue, threads: Vec::with_capacity(count) };
        for nth in 0..count {
            let queue = Arc::clone(&pool.queue);
            let thread = thread::Builder::new()
                .name(format!("fanfare-room-{nth}"))
                .stack_size(OWN_STACK + instance_stack)
                .spawn(move || queue.serve())?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Gives the task turns until it rests. It must not be queued already.
    pub(crate) fn run(&self, task: Arc<dyn Task>) {
        self.queue.push(task);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.ready.notify_all();
        for thread in self.threads.drain(..) {
            // A thread of the pool may itself drop the last handle: it ends when it returns from its turn.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, task: Arc<dyn Task>) {
        let standing = task.standing();
        let mut waiting = self.lock();
        match standing {
            Standing::Good => waiting.good.push_back(task),
            Standing::Suspect => waiting.suspects.push_back(task),
        }
        drop(waiting);
        self.ready.notify_one();
    }

    fn serve(&self) {
        while let Some((task, standing)) = self.next() {
            let next = task.turn();
            if standing == Standing::Suspect {
                self.lock().with_suspects -= 1;
                self.ready.notify_one();
            }
            if next == Next::Again {
                self.push(task);
            }
        }
    }

    /// Waits for the next task; returns none when the pool is closed.
    fn next(&self) -> Option<(Arc<dyn Task>, Standing)> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(next) = waiting.take(self.for_suspects) {
                return Some(next);
            }
            waiting = self.ready.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Waiting {
    fn take(&mut self, for_suspects: usize) -> Option<(Arc<dyn Task>, Standing)> {
        self.turns = self.turns.wrapping_add(1);
        let suspects_first = self.turns.is_multiple_of(PATIENCE);
        let suspect = if self.with_suspects < for_suspects && (suspects_first || self.good.is_empty()) {
            self.suspects.pop_front()
        } else {
            None
        };
        if let Some(task) = suspect {
            self.with_suspects += 1;
            return Some((task, Standing::Suspect));
        }
        self.good.pop_front().map(|task| (task, Standing::Good))
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("for_suspects", &self.for_suspects).finish_non_exhaustive()
    }
}
