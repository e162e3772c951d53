//! `backPressure` of a server's Transport (docs/rules.md, Back pressure): the documented keys in camelCase, the four thresholds of
//! a resource together, because one alone would seldom fit the other three.

use envelope::Span;
use topology::{BackPressureSettings, Thresholds};

use crate::literal::{Fault, Literal, kind_of};
use crate::node::Node;
use crate::property::{self, Detail, Form, Property, property};
use crate::secrets::WithoutSecrets;

/// Most percent.
const PERCENT_MAX: u32 = 100;

/// A percentage cannot be above 100; more would switch a protection off without saying so.
macro_rules! percent {
    ($name:literal, $field:ident) => {
        Property::<Self>::new(
            $name,
            |form| form.$field.write(),
            |form, node, _| {
                form.$field = Option::<Thresholds>::read(node)?;
                match form.$field {
                    Some(given) if given.medium_to_high() > PERCENT_MAX => {
                        Err(vec![Fault::at(node, "thresholds are percentages, from 0 to 100")])
                    }
                    _ => Ok(()),
                }
            },
        )
        .takes(|form| kind_of(&form.$field))
    };
}

impl Form for BackPressureSettings {
    const PROPERTIES: &'static [Property<Self>] = &[
        Property::<Self>::new(
            "resourceMeteringInterval",
            |form| form.resource_metering_interval.write(),
            |form, node, _| {
                form.resource_metering_interval = Span::read(node)?;
                let none = form.resource_metering_interval == Span::seconds(0);
                if none { Err(vec![Fault::at(node, "write a second or more")]) } else { Ok(()) }
            },
        )
        .takes(|form| kind_of(&form.resource_metering_interval))
        .is("Time between two looks; a second or more.", "BP-01"),
        percent!("databaseUsedSpace", database_used_space)
            .is("The disk of the queue, percent used.", "BP-04, BP-05")
            .defaults_to("96, 99, 97, 94; less on a small disk"),
        percent!("privateBytes", private_bytes)
            .is("Memory of the process, percent of the machine's.", "BP-06")
            .defaults_to("72, 75, 73, 71"),
        percent!("systemMemory", system_memory)
            .is("Memory of the machine, percent used.", "BP-06")
            .defaults_to("88, 94, 89, 84"),
        property!("submissionQueue", submission_queue)
            .is("Messages in the Submission queue.", "BP-02")
            .defaults_to("9999, 15000, 10000, 2000"),
        property!("submissionQueueHistoryDepth", submission_queue_history_depth)
            .is("Looks that find the Submission queue above Low until delaying becomes refusing.", "BP-10"),
        property!("smtpStartThrottlingDelayInterval", smtp_start_throttling_delay_interval)
            .is("First delay of MAIL.", "BP-08"),
        property!("smtpStepThrottlingDelayInterval", smtp_step_throttling_delay_interval)
            .is("What is added at each look under pressure, and taken off at each without.", "BP-08, BP-09"),
        property!("smtpMaxThrottlingDelayInterval", smtp_max_throttling_delay_interval).is("Longest delay.", "BP-08"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

/// Thresholds as they are written, before it is known that they fit each other.
struct Written {
    low_to_medium: u32,
    medium_to_high: u32,
    high_to_medium: u32,
    medium_to_low: u32,
}

impl Form for Written {
    const PROPERTIES: &'static [Property<Self>] = &[
        property!("lowToMedium", low_to_medium).is("Above it Low becomes Medium.", "BP-02").required(),
        property!("mediumToHigh", medium_to_high).is("Above it Medium becomes High.", "BP-02").required(),
        property!("highToMedium", high_to_medium).is("Below it High becomes Medium.", "BP-02").required(),
        property!("mediumToLow", medium_to_low).is("Below it Medium becomes Low.", "BP-02").required(),
    ];

    fn blank() -> Self {
        Self { low_to_medium: 0, medium_to_high: 0, high_to_medium: 0, medium_to_low: 0 }
    }
}

impl Literal for Thresholds {
    fn kind() -> String {
        "{lowToMedium: …, mediumToHigh: …, highToMedium: …, mediumToLow: …}".to_owned()
    }
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let Written { low_to_medium, medium_to_high, high_to_medium, medium_to_low } =
            property::read(node, &WithoutSecrets)?;
        Self::new(low_to_medium, medium_to_high, high_to_medium, medium_to_low)
            .map_err(|error| vec![Fault::at(node, error.to_string())])
    }

    fn write(&self) -> Node {
        let written = Written {
            low_to_medium: self.low_to_medium(),
            medium_to_high: self.medium_to_high(),
            high_to_medium: self.high_to_medium(),
            medium_to_low: self.medium_to_low(),
        };
        property::write(&written, Detail::Everything)
    }
}
