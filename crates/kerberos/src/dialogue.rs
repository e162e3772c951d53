//! Tokens to and fro until both sides are proved (RFC 4752 §3.1).
//!
//! ```text
//!   Proving ──▶ Choosing ──▶ Done
//!     │ our ticket, their proof   │ "no security layer" is offered and chosen, both under the key of the session
//! ```

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};

use crate::error::KerberosError;
use crate::work::Work;

/// RFC 4752 §3.1: the bit of "no security layer".
const NO_LAYER: u8 = 1;
/// RFC 4752 §3.1: the bits of the layers, and three octets of a size.
const OFFER_OCTETS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Proving,
    Choosing,
    Done,
}

/// How a server may end a dialogue with success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `AUTH GSSAPI`: after a layer was chosen (RFC 4752).
    Chosen,
    /// `X-EXPS GSSAPI` (TA-60): as soon as both sides are proved; the last token may come with it.
    Proved,
}

/// Logging on to one server.
#[derive(Debug)]
pub struct Dialogue {
    /// None while a call is under way, and for good if that took too long.
    context: Option<ClientCtx>,
    stage: Stage,
    work: Work,
}

impl Dialogue {
    pub(crate) fn new(context: ClientCtx, work: Work) -> Self {
        Self { context: Some(context), stage: Stage::Proving, work }
    }

    /// What to answer to a challenge. The first one is empty, because the client begins.
    ///
    /// # Errors
    /// [`KerberosError`]: the dialogue is over.
    pub async fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, KerberosError> {
        let (challenge, stage) = (challenge.to_vec(), self.stage);
        self.step(move |context| match stage {
            Stage::Proving => prove(context, &challenge),
            Stage::Choosing => Ok((choose(context, &challenge)?, Stage::Done)),
            Stage::Done => Err(KerberosError::Garbled("it goes on where it should have ended")),
        })
        .await
    }

    /// The server said that we are logged on, perhaps with a last token: whether it has proved who it is.
    ///
    /// # Errors
    /// [`KerberosError::NotMutual`] when it has not.
    pub async fn end(&mut self, last: Option<&[u8]>, end: End) -> Result<(), KerberosError> {
        match (self.stage, end, last) {
            // After that, whatever else it says with its success is no token that anybody waits for.
            (Stage::Done, ..) | (Stage::Choosing, End::Proved, _) => Ok(()),
            (Stage::Proving, End::Proved, Some(token)) => {
                let token = token.to_vec();
                self.step(move |context| prove(context, &token)).await?;
                if self.stage == Stage::Proving { Err(KerberosError::NotMutual) } else { Ok(()) }
            }
            _ => Err(KerberosError::NotMutual),
        }
    }

    async fn step(
        &mut self,
        step: impl FnOnce(&mut ClientCtx) -> Result<(Vec<u8>, Stage), KerberosError> + Send + 'static,
    ) -> Result<Vec<u8>, KerberosError> {
        let mut context = self.context.take().ok_or(KerberosError::Garbled("the dialogue is over"))?;
        let done = self.work.run(move || step(&mut context).map(|done| (context, done))).await;
        let (context, (token, stage)) = done?;
        (self.context, self.stage) = (Some(context), stage);
        Ok(token)
    }
}

fn prove(context: &mut ClientCtx, challenge: &[u8]) -> Result<(Vec<u8>, Stage), KerberosError> {
    let token = context.step((!challenge.is_empty()).then_some(challenge), None)?;
    let token = token.map(|token| token.to_vec()).unwrap_or_default();
    if !context.is_complete() {
        return Ok((token, Stage::Proving));
    }
    if !context.flags()?.contains(CtxFlags::GSS_C_MUTUAL_FLAG) {
        return Err(KerberosError::NotMutual);
    }
    Ok((token, Stage::Choosing))
}

/// No layer, and nobody else to act for.
fn choose(context: &mut ClientCtx, challenge: &[u8]) -> Result<Vec<u8>, KerberosError> {
    let offer = context.unwrap(challenge)?;
    if offer.len() != OFFER_OCTETS {
        return Err(KerberosError::Garbled("its offer of security layers has another length"));
    }
    if offer[0] & NO_LAYER == 0 {
        return Err(KerberosError::LayerRequired);
    }
    Ok(context.wrap(false, &[NO_LAYER, 0, 0, 0])?.to_vec())
}
