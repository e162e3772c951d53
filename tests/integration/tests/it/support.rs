//! What every test of this crate uses.

pub(crate) use integration::{
    Lab, Ledger, ONE_SERVER, Wire, deliver_by_connector, organization_text, peer_address, peers, run, run_postroad,
    stranger, submit_by_connector, submit_content_by_connector, submit_from_outside, test_message,
};
