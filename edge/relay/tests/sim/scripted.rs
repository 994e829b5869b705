//! Sessions that do what a test has them do: clients with orders, and servers with answers.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll},
};

use moqt::{App, Cx, Event, RequestCode};

use crate::executor::{NodeId, Signal};

/// The answer of a server to an event.
pub(crate) type Answer = Rc<dyn Fn(&mut Cx<'_>, &Event)>;

type Order = Box<dyn FnOnce(&mut Cx<'_>)>;

/// The orders to a client, and what it has seen.
#[derive(Default)]
pub(crate) struct Hands {
    orders: RefCell<VecDeque<Order>>,
    changed: Signal,
    pub(crate) events: RefCell<Vec<Event>>,
    /// The client, as a node of the simulation.
    pub(crate) node: Cell<Option<NodeId>>,
}

impl Hands {
    /// Has the client do that, once it is connected.
    pub(crate) fn order(&self, order: impl FnOnce(&mut Cx<'_>) + 'static) {
        self.orders.borrow_mut().push_back(Box::new(order));
        self.changed.wake();
    }

    /// The codes and reasons of all refusals, in order.
    pub(crate) fn refusals(&self) -> Vec<(RequestCode, String)> {
        let refusal = |event: &Event| match event {
            Event::RequestError { error, .. } => Some((error.code, error.reason_text().to_owned())),
            _ => None,
        };
        self.events.borrow().iter().filter_map(refusal).collect()
    }

    /// Counts the events that are such.
    pub(crate) fn count(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.events.borrow().iter().filter(|event| is(event)).count()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.count(|event| matches!(event, Event::Closed { .. })) > 0
    }
}

/// A client with orders.
pub(crate) struct Scripted(Rc<Hands>);

impl Scripted {
    pub(crate) fn new(hands: Rc<Hands>) -> Self {
        Self(hands)
    }
}

impl App for Scripted {
    fn event(&mut self, _: &mut Cx<'_>, event: Event) {
        self.0.events.borrow_mut().push(event);
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        self.0.changed.watch(task);
        loop {
            let order = self.0.orders.borrow_mut().pop_front();
            let Some(order) = order else { return Poll::Pending };
            order(cx);
        }
    }
}

/// A server's session, with its answers.
pub(crate) struct Answering(pub(crate) Answer);

impl App for Answering {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        (self.0)(cx, &event);
    }
}
