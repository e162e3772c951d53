//! Questions to the directory, asked together: while one is being answered, those of other messages gather, and the next
//! one asks for all of them. So the directory is asked as often as it can answer, not once for each message.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use directory::{Directory, ReadError};
use envelope::Address;
use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};
use topology::DirectoryRecipient;

/// Questions asked at once.
const TOGETHER_MAX: usize = 64;

/// One recipient for each address, if there is one.
type Answer = Result<Vec<Option<DirectoryRecipient>>, ReadError>;

struct Question {
    addresses: Vec<Address>,
    answer: oneshot::Sender<Answer>,
}

/// Asks the directory.
#[derive(Clone)]
pub(crate) struct Resolver {
    questions: mpsc::UnboundedSender<Question>,
}

impl Resolver {
    /// One that answers for as long as it is there. The askers bound the number of questions.
    pub(crate) fn new(directory: Arc<dyn Directory>) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        tokio::spawn(answer(directory, asked));
        Self { questions }
    }

    /// The recipients of some addresses, in their order.
    pub(crate) async fn recipients(&self, addresses: Vec<Address>) -> Answer {
        let (sender, answer) = oneshot::channel();
        let gone = || ReadError::Unavailable("the resolver has ended".to_owned());
        self.questions.send(Question { addresses, answer: sender }).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn answer(directory: Arc<dyn Directory>, mut asked: mpsc::UnboundedReceiver<Question>) {
    let mut questions = Vec::new();
    while asked.recv_many(&mut questions, TOGETHER_MAX).await > 0 {
        let (addresses, positions) = distinct(&questions);
        match ask(directory.as_ref(), &addresses).await {
            Ok(found) if found.len() == addresses.len() => {
                for question in questions.drain(..) {
                    let of = |address: &Address| found[positions[&address.key()]].clone();
                    let answer = question.addresses.iter().map(of).collect();
                    // Whoever has gone away needs no answer.
                    let _ = question.answer.send(Ok(answer));
                }
            }
            // One recipient that cannot be read must not be in the way of the others.
            _ => {
                let each = questions.drain(..).map(|Question { addresses, answer }| {
                    let directory = &directory;
                    async move {
                        let _ = answer.send(ask(directory.as_ref(), &addresses).await);
                    }
                });
                join_all(each).await;
            }
        }
    }
}

/// Asks once. A fault of ours that shows as a panic is no answer; the next question is asked all the same.
async fn ask(directory: &dyn Directory, addresses: &[Address]) -> Answer {
    let asked = AssertUnwindSafe(directory.recipients(addresses)).catch_unwind().await;
    asked.unwrap_or_else(|_| Err(ReadError::Unavailable("asking the directory failed".to_owned())))
}

/// Every address once, and where it stands.
fn distinct(questions: &[Question]) -> (Vec<Address>, HashMap<String, usize>) {
    let (mut addresses, mut positions) = (Vec::new(), HashMap::new());
    for address in questions.iter().flat_map(|question| &question.addresses) {
        positions.entry(address.key()).or_insert_with(|| {
            addresses.push(address.clone());
            addresses.len() - 1
        });
    }
    (addresses, positions)
}
