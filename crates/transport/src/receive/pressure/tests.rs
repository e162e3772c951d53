//! Who waits how long, on a clock that only goes on when everybody waits.

use tokio::time::Instant;

use super::*;

const DEPTH: u32 = 3;

struct Bench {
    pressure: Arc<Pressure>,
    settings: BackPressureSettings,
    drain: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let settings =
            BackPressureSettings { submission_queue_history_depth: DEPTH, ..BackPressureSettings::default() };
        Self::with_disk(settings, || Duration::ZERO)
    }

    fn with_disk(settings: BackPressureSettings, age: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { pressure: Arc::new(Pressure::new(age)), settings, drain: CancellationToken::new() }
    }

    fn look(&self, submission_queue: u64) {
        let found = Measurements { submission_queue, ..Measurements::default() };
        self.pressure.poll(&found, &self.settings, &Metrics::off());
    }

    async fn admit(&self, source: Source) -> (Result<(), Reply>, u64) {
        let begun = Instant::now();
        let admitted = self.pressure.admit(source, &self.drain).await;
        (admitted, begun.elapsed().as_secs())
    }

    /// Somebody who begins now, and has begun when this returns.
    async fn begin(self: &Arc<Self>) -> tokio::task::JoinHandle<(Result<(), Reply>, u64)> {
        let bench = Arc::clone(self);
        let waiting = tokio::spawn(async move { bench.admit(Source::Smtp).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        waiting
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_waits_as_long_as_the_tarpit_says() {
    // BP-08, LM-26
    let bench = Bench::new();
    assert_eq!(bench.admit(Source::Smtp).await, (Ok(()), 0));
    bench.look(10_000);
    for source in [Source::Smtp, Source::Transfer, Source::Submission] {
        assert_eq!(bench.admit(source).await, (Ok(()), 10), "{source:?}");
    }
    bench.look(10_000);
    assert_eq!(bench.admit(Source::Smtp).await, (Ok(()), 15));
    assert_eq!(bench.pressure.admits(Source::Smtp, &bench.drain), Ok(()), "the question is answered at once");
}

#[tokio::test(start_paused = true)]
async fn without_a_tarpit_nobody_waits_for_a_timer() {
    let bench = Bench::new();
    let begun = Instant::now();
    for source in [Source::Smtp, Source::Transfer, Source::Submission] {
        assert_eq!(bench.admit(source).await, (Ok(()), 0), "{source:?}");
    }
    assert_eq!(Instant::now(), begun, "not even for one tick of it");
    bench.drain.cancel();
    assert_eq!(bench.admit(Source::Smtp).await, (Err(going_away()), 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_refused_when_delaying_is_given_up() {
    // BP-10
    let bench = Arc::new(Bench::new());
    bench.look(10_000);
    let waiting = bench.begin().await;
    bench.look(10_000);
    bench.look(10_000);
    assert_eq!(waiting.await.unwrap(), (Err(insufficient()), 0));
    assert_eq!(bench.admit(Source::Transfer).await, (Ok(()), 0), "Medium: R alone");
    bench.look(15_001);
    for source in [Source::Smtp, Source::Transfer, Source::Submission] {
        assert_eq!(bench.admit(source).await, (Err(insufficient()), 0), "{source:?}");
    }
    assert!(bench.pressure.closed().unwrap().ends_with("SubmissionQueue is High, 15001 messages"));
}

#[tokio::test(start_paused = true)]
async fn a_delay_becomes_shorter_with_the_pressure_and_ends_with_the_service() {
    // BP-08
    let bench = Arc::new(Bench::new());
    bench.look(10_000);
    let waiting = bench.begin().await;
    bench.look(0);
    bench.look(0);
    assert_eq!(waiting.await.unwrap(), (Ok(()), 0));
    bench.look(10_000);
    let waiting = bench.begin().await;
    bench.drain.cancel();
    assert_eq!(waiting.await.unwrap(), (Err(going_away()), 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_restart_found_waits_for_room() {
    let bench = Arc::new(Bench::new());
    assert!(bench.pressure.boot_scan_may_go_on(&bench.drain).await);
    bench.look(15_001);
    let other = Arc::clone(&bench);
    let waiting = tokio::spawn(async move { other.pressure.boot_scan_may_go_on(&other.drain).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    bench.look(0);
    assert!(waiting.await.unwrap());
    bench.look(15_001);
    bench.drain.cancel();
    assert!(!bench.pressure.boot_scan_may_go_on(&bench.drain).await);
}

/// Whoever has another server to go to is sent there at once, and the service is not ready, whatever the levels say.
#[tokio::test(start_paused = true)]
async fn a_disk_that_does_not_answer_refuses_mail_until_it_does() {
    let age = Arc::new(Mutex::new(HUNG_AFTER - Duration::from_millis(1)));
    let told = Arc::clone(&age);
    let bench = Bench::with_disk(BackPressureSettings::default(), move || *told.lock());
    assert_eq!((bench.admit(Source::Smtp).await, bench.pressure.closed()), ((Ok(()), 0), None));
    *age.lock() = HUNG_AFTER;
    for source in [Source::Smtp, Source::Transfer, Source::Submission] {
        assert_eq!(
            bench.admit(source).await.0.unwrap_err().to_string().split(':').next().unwrap(),
            "452 4.3.1 Insufficient system resources"
        );
        assert!(bench.pressure.admits(source, &bench.drain).is_err());
    }
    assert_eq!(bench.pressure.closed().as_deref(), Some("the disk of the queue has not answered for 10 s"));
    *age.lock() = Duration::ZERO;
    assert_eq!((bench.admit(Source::Smtp).await, bench.pressure.closed()), ((Ok(()), 0), None));
}
