//! The stack's gateway.

use super::Layout;
use super::record::StackRecord;
use super::unit::Unit;
use crate::error::StackError;
use crate::nginx::{GatewaySettings, Nginx, Split};
use crate::process::Probe;
use crate::rollouts;

/// The gateway as it should be now.
pub(super) struct Gateway {
    nginx: Nginx,
    generation: String,
    /// Whether a running nginx must reload.
    pub(super) changed: bool,
    url: String,
}

impl Gateway {
    /// Renders and tests the configuration for the current rollout rules.
    pub(super) fn prepare(layout: &Layout) -> Result<Self, StackError> {
        let nginx = Nginx::new(&layout.file("nginx"), &layout.root.join("deploy/nginx"))?;
        let address = |process: &str| format!("127.0.0.1:{}", layout.port(process));
        let split = |name: &str, rollout: &str, shared: &[&str]| {
            Ok::<_, StackError>(Split {
                name: name.to_owned(),
                prefix: format!("/api/{name}/"),
                rollout: rollout.to_owned(),
                basis_points: rollouts::basis_points(&layout.file("rollouts.json"), rollout)?,
                upstream: address(name),
                shared: shared.iter().map(|address| (*address).to_owned()).collect(),
            })
        };
        let (listen, legacy) = (address("gateway"), address("monolith"));
        let settings = GatewaySettings {
            listen,
            legacy,
            splits: vec![
                split("notifications", "notifications-v2", &[])?,
                split("payments", "payments", &["/api/payments/webhooks/stripe"])?,
            ],
            syslog: None,
        };
        let (generation, changed) = nginx.configure(&settings)?;
        let url = format!("{}/__gateway/generation", layout.url("gateway"));
        Ok(Self {
            nginx,
            generation,
            changed,
            url,
        })
    }

    /// Its process.
    pub(super) fn unit(&self, layout: &Layout) -> Unit {
        let probe = Probe::Http(self.url.clone());
        let spawn = self.nginx.spawn(&layout.log("gateway"));
        let unit = Unit::new(
            "gateway",
            Some(layout.port("gateway")),
            spawn,
            probe.clone(),
            probe,
        );
        Unit {
            url: Some(layout.url("gateway")),
            ..unit
        }
    }

    /// Has the running gateway take the new configuration.
    pub(super) async fn reload(&self, record: &StackRecord) -> Result<(), StackError> {
        let process = record.process("gateway").map(|process| process.identity.clone());
        let process = process.ok_or_else(|| StackError::Other("the gateway was never started".to_owned()))?;
        self.nginx.reload(&process, &self.url, &self.generation).await
    }
}

/// Sets the share of a rollout, and has the gateway split by it if it runs. Returns whether it does.
pub async fn roll_out(layout: &Layout, rollout: &str, basis_points: u16) -> Result<bool, StackError> {
    layout.create()?;
    rollouts::set(&layout.file("rollouts.json"), rollout, basis_points)?;
    let record = StackRecord::load(layout)?;
    let runs = record
        .process("gateway")
        .is_some_and(|process| process.identity.is_alive());
    if runs {
        Gateway::prepare(layout)?.reload(&record).await?;
    }
    Ok(runs)
}
