//! Questions to the directory, asked together: while one is being answered, those of other messages gather, and the next
//! one asks for all of them. So the directory is asked as often as it can answer, not once for each message.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use directory::{Answer, ReadError, Recipients};
use envelope::Address;
use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};

/// Questions asked at once.
const TOGETHER_MAX: usize = 64;

struct Question {
    addresses: Vec<Address>,
    answers: oneshot::Sender<Vec<Answer>>,
}

/// Asks the directory.
#[derive(Clone)]
pub(crate) struct Resolver {
    questions: mpsc::UnboundedSender<Question>,
}

impl Resolver {
    /// One that answers for as long as it is there. The askers bound the number of questions.
    pub(crate) fn new(directory: Arc<dyn Recipients>) -> Self {
        let (questions, asked) = mpsc::unbounded_channel();
        tokio::spawn(answer(directory, asked));
        Self { questions }
    }

    /// The recipients of some addresses, in their order.
    pub(crate) async fn recipients(&self, addresses: Vec<Address>) -> Vec<Answer> {
        let (sender, answers) = oneshot::channel();
        let number = addresses.len();
        // A question that cannot be sent is dropped, and its sender with it.
        let _ = self.questions.send(Question { addresses, answers: sender });
        answers.await.unwrap_or_else(|_| unanswered(number, "the resolver has ended"))
    }
}

async fn answer(directory: Arc<dyn Recipients>, mut asked: mpsc::UnboundedReceiver<Question>) {
    let mut questions = Vec::new();
    while asked.recv_many(&mut questions, TOGETHER_MAX).await > 0 {
        if let [_] = questions.as_slice() {
            if let Some(question) = questions.pop() {
                answer_alone(directory.as_ref(), question).await;
            }
            continue;
        }
        let (addresses, positions) = distinct(&questions);
        match ask(directory.as_ref(), &addresses).await {
            Some(found) => {
                for question in questions.drain(..) {
                    let of = |address: &Address| found[positions[&address.key()]].clone();
                    // Whoever has gone away needs no answer.
                    let _ = question.answers.send(question.addresses.iter().map(of).collect());
                }
            }
            // A question that fails must not be in the way of the others.
            None => {
                join_all(questions.drain(..).map(|question| answer_alone(directory.as_ref(), question))).await;
            }
        }
    }
}

async fn answer_alone(directory: &dyn Recipients, Question { addresses, answers }: Question) {
    let found = ask(directory, &addresses).await;
    let failed = || unanswered(addresses.len(), "asking the directory failed");
    let _ = answers.send(found.unwrap_or_else(failed));
}

/// Asks once. A fault of ours that shows as a panic is no answer; the next question is asked all the same.
async fn ask(directory: &dyn Recipients, addresses: &[Address]) -> Option<Vec<Answer>> {
    let asked = AssertUnwindSafe(directory.recipients(addresses)).catch_unwind().await;
    asked.ok().filter(|found| found.len() == addresses.len())
}

fn unanswered(number: usize, why: &str) -> Vec<Answer> {
    vec![Err(ReadError::Unavailable(why.to_owned())); number]
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
