//! What a change does, property by property, as tables (AP-07).

use organization::{Change, Kind};

use crate::view::{Bit, Bits, Block, Column, Grid, Tone};

/// What a change does, property by property (AP-07). Secrets say that they are.
pub(crate) fn blocks(changes: &[Change]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for change in changes {
        let object = change.object();
        let (tone, sign) = match change {
            Change::Create(_) => (Tone::Good, "+ new"),
            Change::Update { .. } => (Tone::Warn, "~ changed"),
            Change::Delete(_) => (Tone::Bad, "− removed"),
        };
        let name = if object.kind() == Kind::TransportConfig { "the organization".to_owned() } else { object.name() };
        let caption = format!("{sign}: {} {name}", words(object.kind()));
        let mut grid =
            Grid::new(caption, vec![Column::new("Property", ""), Column::new("Before", ""), Column::new("After", "")]);
        for property in change.properties().into_iter().filter(|property| property.name != "guid") {
            let new = plain(&property.new, Bit::New);
            let old = if matches!(change, Change::Create(_)) {
                Bit::Quiet("–".into()).into()
            } else {
                plain(&property.old, Bit::Old)
            };
            let label = crate::form::label(&property.name);
            let shown = Bits::of(vec![Bit::text(label), Bit::Quiet(crate::form::documented(&property.name))]);
            grid.row(vec![shown, old, new]);
        }
        grid.empty =
            Bits::of(vec![Bit::Badge(tone, sign.to_owned()), Bit::Strong(format!("{} {name}", words(object.kind())))]);
        blocks.push(Block::Grid(grid));
    }
    blocks
}

/// A value of a plan, without the signs of a file: a list one under the other.
fn plain(text: &str, as_bit: fn(String) -> Bit) -> Bits {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::String(one)) => as_bit(one).into(),
        Ok(serde_json::Value::Array(all)) if all.is_empty() => Bit::Quiet("none".into()).into(),
        Ok(serde_json::Value::Array(all)) => {
            let mut bits = Vec::new();
            for item in all {
                if !bits.is_empty() {
                    bits.push(Bit::Break);
                }
                bits.push(as_bit(item.as_str().map_or_else(|| item.to_string(), str::to_owned)));
            }
            Bits::of(bits)
        }
        _ => as_bit(text.to_owned()).into(),
    }
}

fn words(kind: Kind) -> &'static str {
    match super::AREAS.iter().find(|area| area.kind == kind) {
        Some(area) if kind != Kind::TransportConfig => area.one,
        Some(_) => "settings of",
        None => "server",
    }
}
