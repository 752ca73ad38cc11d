//! One connection's worth of consuming.

use std::{sync::Arc, time::Duration};

use banyan_events::Envelope;
use futures::StreamExt;
use lapin::{
    Channel,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{task::JoinSet, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Handler, Shared,
    ladder::Ladder,
    work::{self, Job},
};
use crate::{
    Broker, BrokerError,
    backoff::Backoff,
    broker::{lost, queue_depth},
    lanes::Lanes,
    topology,
};

const TAG: &str = "events";

/// Consumes until `shutdown` (`Ok`) or until the connection is lost. Either way no handler runs any more afterwards.
pub(super) async fn run<H: Handler>(
    shared: &Arc<Shared<H>>,
    shutdown: &CancellationToken,
    backoff: &mut Backoff,
) -> Result<(), BrokerError> {
    let broker = Broker::connect(&shared.broker, "consumer").await?;
    let channel = broker.channel().await?;
    let delays = shared.config.retry_delays();
    topology::declare_with(&channel, &shared.service, &shared.kinds, &delays).await?;
    channel
        .basic_qos(shared.config.prefetch, BasicQosOptions::default())
        .await?;
    let deliveries = channel
        .basic_consume(
            shared.queue.as_str().into(),
            TAG.into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    backoff.reset();
    tracing::info!(
        queue = shared.queue,
        prefetch = shared.config.prefetch,
        "consuming"
    );
    let _depths = measure_depths(shared, broker.channel().await?);

    let mut dispatcher = Dispatcher {
        shared,
        ladder: Arc::new(Ladder::new(shared)),
        over: CancellationToken::new(),
        lanes: Lanes::default(),
        running: JoinSet::new(),
    };
    let end = dispatcher.dispatch(deliveries, shutdown).await;
    if end.is_ok() {
        // The deliveries that are not handled any more go back to the queue when the channel closes.
        let _ = channel
            .basic_cancel(TAG.into(), BasicCancelOptions::default())
            .await;
    }
    // A redelivery must not meet its first delivery still at work, so nothing is consumed again before this.
    dispatcher.drain().await;
    if end.is_ok() {
        let _ = channel.close(200, "OK".into()).await;
        broker.close().await;
    }
    end
}

struct Dispatcher<'a, H> {
    shared: &'a Arc<Shared<H>>,
    ladder: Arc<Ladder>,
    /// The session is over: whoever only waits (for a database, for the broker) gives up.
    over: CancellationToken,
    lanes: Lanes<Job>,
    running: JoinSet<Option<String>>,
}

impl<H: Handler> Dispatcher<'_, H> {
    async fn dispatch(
        &mut self,
        mut deliveries: lapin::Consumer,
        shutdown: &CancellationToken,
    ) -> Result<(), BrokerError> {
        loop {
            self.start_ready();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                Some(lane) = self.running.join_next() => self.ended(lane),
                delivery = deliveries.next() => match delivery {
                    Some(Ok(delivery)) => self.arrived(delivery),
                    Some(Err(error)) => return Err(error.into()),
                    // lapin ends the stream without an error where the connection was closed.
                    None => return Err(lost()),
                },
            }
        }
    }

    fn arrived(&mut self, message: lapin::message::Delivery) {
        let decoded = Envelope::decode(&message.data);
        let lane = decoded.as_ref().ok().map(|envelope| envelope.subject.clone());
        self.lanes.push(lane, Job { message, decoded });
    }

    fn start_ready(&mut self) {
        // Where one event waits for the database, the next would only wait beside it.
        while !self.shared.hold.active() {
            let Some((lane, job)) = self.lanes.pop() else {
                return;
            };
            let (shared, ladder) = (Arc::clone(self.shared), Arc::clone(&self.ladder));
            let over = self.over.clone();
            self.running.spawn(async move {
                work::settle(&shared, &ladder, job, &over).await;
                lane
            });
        }
    }

    fn ended(&mut self, lane: Result<Option<String>, tokio::task::JoinError>) {
        match lane {
            Ok(lane) => self.lanes.finished(lane),
            // Handlers' panics are caught before: this is a bug here, or the runtime is going away.
            Err(error) => tracing::error!(%error, "a delivery's task ended early"),
        }
    }

    async fn drain(&mut self) {
        self.over.cancel();
        self.lanes.clear();
        while self.running.join_next().await.is_some() {}
        self.ladder.close().await;
    }
}

/// Measures retry and dead queues now and then. Ends by itself with the channel.
fn measure_depths<H: Handler>(shared: &Arc<Shared<H>>, channel: Channel) -> AbortOnDropHandle<()> {
    let retry: Vec<String> = shared
        .config
        .retry_delays()
        .iter()
        .map(|delay| topology::retry_queue(&shared.service, *delay))
        .collect();
    let dead = topology::dead_queue(&shared.service);
    let mut ticks = tokio::time::interval(Duration::from_millis(shared.config.depth_interval_ms.max(100)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let measure = async move {
        loop {
            ticks.tick().await;
            for queue in &retry {
                let depth = queue_depth(&channel, queue).await?;
                metrics::gauge!("banyan_retry_depth", "queue" => queue.clone()).set(depth);
            }
            let depth = queue_depth(&channel, &dead).await?;
            metrics::gauge!("banyan_dead_depth", "queue" => dead.clone()).set(depth);
        }
    };
    AbortOnDropHandle::new(tokio::spawn(async move {
        let ended: Result<(), lapin::Error> = measure.await;
        if let Err(error) = ended {
            tracing::debug!(%error, "depths of the retry and dead queues are not measured any more");
        }
    }))
}
