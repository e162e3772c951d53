//! Names of the rules that decide. The texts are in the routing reference; nothing here interprets them.

use std::fmt;

/// The rule behind a choice or an elimination, such as `RT-48`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub &'static str);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
