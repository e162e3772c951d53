//! Exports of all forms, told from each other by what is in them (IM-01).

mod clixml;
mod csv;
mod json;
mod list;

use crate::raw::RawObject;

/// Octets of one file.
pub(crate) const FILE_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// The text of a file, whatever wrote it: UTF-16 or UTF-8 with a mark, or UTF-8 (IM-01).
///
/// # Errors
/// What is no text.
pub(crate) fn text(octets: &[u8]) -> Result<String, String> {
    if octets.len() > FILE_OCTETS_MAX {
        return Err(format!("it has more than {FILE_OCTETS_MAX} octets"));
    }
    let wide = |from: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = octets[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| "it is no UTF-16".to_owned())
    };
    let text = match octets {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes)?,
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes)?,
        _ => {
            let octets = octets.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(octets);
            String::from_utf8(octets.to_vec())
                .map_err(|error| format!("octet {} is not UTF-8", error.utf8_error().valid_up_to()))?
        }
    };
    Ok(text.replace("\r\n", "\n"))
}

/// The objects of a text.
///
/// # Errors
/// What it is not, and where.
pub(crate) fn objects(text: &str) -> Result<Vec<RawObject>, String> {
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\n']);
    if start.starts_with("<Objs") || start.starts_with("<?xml") {
        clixml::read(text)
    } else if start.starts_with(['[', '{']) {
        json::read(text)
    } else if start.starts_with("#TYPE") || start.starts_with('"') {
        csv::read(text)
    } else if list::is_list(text) {
        list::read(text)
    } else if start.lines().next().is_some_and(|line| line.contains([',', ';', '\t'])) {
        csv::read(text)
    } else {
        Err("it is neither Export-Clixml, ConvertTo-Json, Export-Csv nor Format-List output".to_owned())
    }
}
