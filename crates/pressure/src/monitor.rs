//! [`Monitor`]: the levels of all resources from one look to the next, and the delay of `MAIL FROM`.

use std::fmt;
use std::time::Duration;

use topology::{BackPressureSettings, Thresholds};

use crate::action::{Actions, Patience};
use crate::default::thresholds;
use crate::level::Level;
use crate::measure::{Measure, Measurements, Resource};

/// A level that changed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Of what.
    pub resource: Resource,
    /// The level before.
    pub from: Level,
    /// The level now.
    pub to: Level,
    /// What was measured.
    pub measure: Measure,
    /// What it is above, or below when the level fell.
    pub threshold: u32,
}

impl Transition {
    /// Whether it is worse than before.
    #[must_use]
    pub fn is_rise(&self) -> bool {
        self.to > self.from
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, from, to, measure, threshold } = self;
        let side = if self.is_rise() { "above" } else { "below" };
        write!(f, "{resource} from {from} to {to}: {measure}, {side} {threshold}")
    }
}

/// A resource as it was seen last (BP-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Which.
    pub resource: Resource,
    /// How short it is.
    pub level: Level,
    /// What was measured, and by which thresholds it was judged; `None` as long as it could not be.
    pub measured: Option<(Measure, Thresholds)>,
}

/// Every resource, and what follows.
#[derive(Clone, Debug)]
pub struct Monitor {
    readings: [Reading; Resource::ALL.len()],
    /// Looks in a row that found the Submission queue above Low.
    history: u32,
    tarpit: Duration,
    actions: Actions,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            readings: Resource::ALL.map(|resource| Reading { resource, level: Level::Low, measured: None }),
            history: 0,
            tarpit: Duration::ZERO,
            actions: Actions::default(),
        }
    }
}

impl Monitor {
    /// One look (BP-01): every change of a level, in order. Two steps of one resource are two changes (BP-03).
    pub fn poll(&mut self, found: &Measurements, settings: &BackPressureSettings) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for reading in &mut self.readings {
            let Some(measure) = found.of(reading.resource) else { continue };
            let thresholds = thresholds(reading.resource, settings, measure);
            reading.measured = Some((measure, thresholds));
            while let Some((to, threshold)) = reading.level.step(measure, thresholds) {
                let Reading { resource, level: from, .. } = *reading;
                transitions.push(Transition { resource, from, to, measure, threshold });
                reading.level = to;
            }
        }
        self.decide(settings);
        transitions
    }

    /// What is to be done from the last look on.
    #[must_use]
    pub fn actions(&self) -> &Actions {
        &self.actions
    }

    /// Every resource as it was seen last.
    #[must_use]
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    fn decide(&mut self, settings: &BackPressureSettings) {
        let queue = self.level(Resource::SubmissionQueue);
        self.history = if queue == Level::Low { 0 } else { self.history.saturating_add(1) };
        let over = queue != Level::Low && self.history >= settings.submission_queue_history_depth;
        let patience = if over { Patience::Over } else { Patience::Left };
        self.tarpit = delay(self.tarpit, queue, patience, settings);
        let mut actions = Actions::delayed(self.tarpit);
        for reading in &self.readings {
            actions.add(reading.resource, reading.level, patience);
        }
        self.actions = actions;
    }

    fn level(&self, resource: Resource) -> Level {
        let found = self.readings.iter().find(|reading| reading.resource == resource);
        found.map_or(Level::Low, |reading| reading.level)
    }
}

/// The next delay: up while the Submission queue is pressed, gradually down when it is not (BP-08, BP-09), and none at all
/// once delaying has been given up (BP-10).
fn delay(before: Duration, queue: Level, patience: Patience, settings: &BackPressureSettings) -> Duration {
    let (start, step) =
        (settings.smtp_start_throttling_delay_interval.0, settings.smtp_step_throttling_delay_interval.0);
    match (queue, patience) {
        (_, Patience::Over) => Duration::ZERO,
        (Level::Low, Patience::Left) => before.saturating_sub(step),
        (Level::Medium | Level::High, Patience::Left) => {
            let next = if before.is_zero() { start } else { before.saturating_add(step) };
            next.min(settings.smtp_max_throttling_delay_interval.0)
        }
    }
}
