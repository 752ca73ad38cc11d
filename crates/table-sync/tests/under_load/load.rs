//! Writers on either side. Each row has one owner, as in a rollout: customers with odd ids are served by the legacy side, those with even
//! ids by the new one, and what belongs to a customer is written where the customer is served.

use std::time::Duration;

use banyan_test_support::is_of_a_kill;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::company::BORN_IN_NEW;

/// Of each side. They commit at the same time, and in another order than they began.
const WRITERS: i64 = 2;

/// Of the customers that are there from the start, those whose half is a multiple of this are left alone by everybody.
pub(crate) const RESTING: i64 = 5;

/// Which database is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Legacy,
    New,
}

/// How hard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two transactions of a writer.
    pub(crate) pause: Duration,
    /// Rows of a large transaction.
    pub(crate) large: i64,
    /// One of so many transactions is large.
    pub(crate) large_each: u64,
    /// There are customers 1 to this.
    pub(crate) customers: i64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) transactions: u64,
    pub(crate) rows: u64,
    pub(crate) large: u64,
    pub(crate) truncates: u64,
    /// Nobody knows whether they were committed, because the server was killed.
    pub(crate) lost: u64,
}

/// Writers at work.
pub(crate) struct Load {
    writers: JoinSet<Written>,
    end: CancellationToken,
}

impl Load {
    /// `committed` counts the transactions of all loads that share it.
    pub(crate) fn start(
        side: Side,
        url: &str,
        pace: Pace,
        seed: u64,
        committed: &watch::Sender<u64>,
    ) -> Self {
        let (mut writers, end) = (JoinSet::new(), CancellationToken::new());
        for number in 0..WRITERS {
            let writer = Writer {
                side,
                number,
                pace,
                url: url.to_owned(),
                rng: StdRng::seed_from_u64(
                    seed ^ (u64::from(side == Side::New) << 32) ^ number.unsigned_abs(),
                ),
                born: 0,
                words: 0,
                written: Written::default(),
            };
            writers.spawn(writer.write(end.clone(), committed.clone()));
        }
        Self { writers, end }
    }

    /// Ends the writers after the transaction that they are at.
    pub(crate) async fn stop(self) -> Written {
        self.end.cancel();
        let mut all = Written::default();
        for one in self.writers.join_all().await {
            all.transactions += one.transactions;
            all.rows += one.rows;
            all.large += one.large;
            all.truncates += one.truncates;
            all.lost += one.lost;
        }
        all
    }
}

struct Writer {
    side: Side,
    number: i64,
    pace: Pace,
    url: String,
    rng: StdRng,
    /// Customers that it founded.
    born: i64,
    /// Makes values that there are not yet.
    words: u64,
    written: Written,
}

impl Writer {
    async fn write(mut self, end: CancellationToken, committed: watch::Sender<u64>) -> Written {
        let mut session = None;
        while !end.is_cancelled() {
            let is_large = self.written.transactions % self.pace.large_each == self.pace.large_each - 1;
            let sql = if is_large {
                self.large()
            } else {
                self.transaction()
            };
            let connected = match session.take() {
                Some(connected) => Ok(connected),
                None => PgConnection::connect(&self.url).await,
            };
            let done = match connected {
                Ok(mut connected) => {
                    let done = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
                        .execute(&mut connected)
                        .await;
                    session = done.is_ok().then_some(connected);
                    done
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(done) => {
                    self.written.transactions += 1;
                    self.written.rows += done.rows_affected();
                    self.written.large += u64::from(is_large);
                    self.written.truncates += u64::from(sql.contains("TRUNCATE"));
                    committed.send_modify(|count| *count += 1);
                }
                Err(error) if is_of_a_kill(&error) => self.written.lost += 1,
                Err(error) => panic!("{error}: {sql}"),
            }
            tokio::time::sleep(self.pace.pause).await;
        }
        self.written
    }

    fn transaction(&mut self) -> String {
        let writes_visits = self.side == Side::Legacy && self.number == 0;
        match self.rng.random_range(0..100) {
            0..25 => self.pay(),
            25..45 => self.settle(),
            45..55 => self.price(),
            55..62 => self.take_back(),
            62..68 => self.found(),
            68..71 => self.leave(),
            71..78 => self.swap_emails(),
            78..82 => self.swap_references(),
            82..87 => self.choose_card(),
            87..92 => self.change_list(),
            92..95 => self.give_new_key(),
            95..97 if writes_visits => {
                "BEGIN; TRUNCATE shop_visit; INSERT INTO shop_visit (page) SELECT '/again' || n FROM generate_series(1, 5) n; COMMIT".to_owned()
            }
            95..98 if writes_visits => {
                "INSERT INTO shop_visit (page) SELECT '/' || n FROM generate_series(1, 20) n".to_owned()
            }
            _ => self.say_nothing_of_ours(),
        }
    }

    fn table(&self, name: &str) -> String {
        match self.side {
            Side::Legacy => format!("shop_{name}"),
            Side::New => name.to_owned(),
        }
    }

    fn amount(&self) -> &'static str {
        match self.side {
            Side::Legacy => "amount",
            Side::New => "amount_minor",
        }
    }

    /// An amount of a row whose currency is this expression.
    fn minor_units(&mut self, currency: &str) -> String {
        let minor = self.rng.random_range(1..1_000_000);
        match self.side {
            Side::Legacy => {
                format!(
                    "(SELECT {minor} / 10::numeric ^ c.decimals FROM shop_currency c WHERE c.code = {currency})"
                )
            }
            Side::New => minor.to_string(),
        }
    }

    /// `state = 'done'`
    fn status(&mut self) -> String {
        let place = self.rng.random_range(0..3_usize);
        match self.side {
            Side::Legacy => format!("state = '{}'", ["open", "done", "failed"][place]),
            Side::New => format!("status = '{}'", ["pending", "completed", "failed"][place]),
        }
    }

    fn code(&mut self) -> &'static str {
        let blank = match self.side {
            Side::Legacy => "''",
            Side::New => "NULL",
        };
        [blank, "'declined'"]
            .choose(&mut self.rng)
            .copied()
            .unwrap_or(blank)
    }

    fn memo(&mut self) -> &'static str {
        let memos = ["NULL", "''", "'ü \"quoted\" ''\\ {x}'"];
        memos.choose(&mut self.rng).copied().unwrap_or("NULL")
    }

    fn word(&mut self) -> String {
        self.words += 1;
        format!("{:?}-{}-{}", self.side, self.number, self.words)
    }

    const fn parity(&self) -> i64 {
        match self.side {
            Side::Legacy => 1,
            Side::New => 0,
        }
    }

    /// One of this writer's.
    fn customer(&mut self) -> i64 {
        if self.born > 0 && self.rng.random_ratio(1, 4) {
            let which = self.rng.random_range(0..self.born);
            return self.born_id(which);
        }
        loop {
            let half = self.rng.random_range(1..self.pace.customers / 2);
            if half % WRITERS == self.number && half % RESTING != 0 {
                return half * 2 + self.parity();
            }
        }
    }

    /// The id of a customer that this writer founds.
    fn born_id(&self, which: i64) -> i64 {
        let first = match self.side {
            Side::Legacy => (self.pace.customers / 2 / WRITERS + 1) * WRITERS,
            Side::New => BORN_IN_NEW / 2,
        };
        (first + which * WRITERS + self.number) * 2 + self.parity()
    }

    fn pay(&mut self) -> String {
        let count = self.rng.random_range(1..4);
        let statements = (0..count).map(|_| {
            let customer = self.customer();
            self.payment(customer)
        });
        let statements: Vec<String> = statements.collect();
        format!("BEGIN; {}; COMMIT", statements.join("; "))
    }

    fn payment(&mut self, customer: i64) -> String {
        let currency = ["'USD'", "'JPY'", "'KWD'"]
            .choose(&mut self.rng)
            .copied()
            .unwrap_or("'USD'");
        let (amount, code, memo, word) = (self.minor_units(currency), self.code(), self.memo(), self.word());
        format!(
            "INSERT INTO {} (customer_id, {}, currency, code, memo, reference, details)
             SELECT id, {amount}, {currency}, {code}, {memo}, '{word}', '{{\"n\": 1.50, \"a\": [\"ü\", null]}}' FROM {} WHERE id = {customer}",
            self.table("payment"),
            self.amount(),
            self.table("customer"),
        )
    }

    /// Some payments of a customer.
    fn some_payments(&mut self, most: i64) -> String {
        let (customer, limit) = (self.customer(), self.rng.random_range(1..=most));
        let order = ["id", "id DESC", "reference"]
            .choose(&mut self.rng)
            .copied()
            .unwrap_or("id");
        format!(
            "id IN (SELECT id FROM {} WHERE customer_id = {customer} ORDER BY {order} LIMIT {limit})",
            self.table("payment")
        )
    }

    fn settle(&mut self) -> String {
        let (status, which, word) = (self.status(), self.some_payments(5), self.word());
        format!(
            "UPDATE {} SET {status}, settled_at = clock_timestamp(), details = details || '{{\"by\": \"{word}\"}}' WHERE {which}",
            self.table("payment")
        )
    }

    fn price(&mut self) -> String {
        let (amount, code, memo) = (self.minor_units("currency"), self.code(), self.memo());
        let which = self.some_payments(3);
        let (table, column) = (self.table("payment"), self.amount());
        format!("UPDATE {table} SET {column} = {amount}, code = {code}, memo = {memo} WHERE {which}")
    }

    fn take_back(&mut self) -> String {
        let which = self.some_payments(1);
        format!("DELETE FROM {} WHERE {which}", self.table("payment"))
    }

    fn found(&mut self) -> String {
        let id = self.born_id(self.born);
        self.born += 1;
        let (word, payments) = (self.word(), [self.payment(id), self.payment(id)].join("; "));
        format!(
            "BEGIN; INSERT INTO {} (id, email, phone) VALUES ({id}, '{word}@example.com', '{word}');
             INSERT INTO {} (customer_id, is_default) VALUES ({id}, true);
             INSERT INTO {} VALUES ({id}, 'news', '2026-04-05'); {payments}; COMMIT",
            self.table("customer"),
            self.table("card"),
            self.table("membership"),
        )
    }

    fn leave(&mut self) -> String {
        let id = self.customer();
        let delete = |table| format!("DELETE FROM {} WHERE customer_id = {id}", self.table(table));
        format!(
            "BEGIN; {}; {}; {}; DELETE FROM {} WHERE id = {id}; COMMIT",
            delete("payment"),
            delete("card"),
            delete("membership"),
            self.table("customer"),
        )
    }

    fn swap_emails(&mut self) -> String {
        let (one, other, word) = (self.customer(), self.customer(), self.word());
        let table = self.table("customer");
        // A value that is free again may be taken by another row, in the same transaction or in the next.
        let next = ["", "COMMIT;"].choose(&mut self.rng).copied().unwrap_or("");
        format!(
            "DO $$ DECLARE mine text; yours text; BEGIN
               SELECT email INTO mine FROM {table} WHERE id = {one}; SELECT email INTO yours FROM {table} WHERE id = {other};
               IF {one} = {other} OR mine IS NULL OR yours IS NULL THEN RETURN; END IF;
               UPDATE {table} SET email = '{word}' WHERE id = {one}; {next}
               UPDATE {table} SET email = mine WHERE id = {other}; {next}
               UPDATE {table} SET email = yours WHERE id = {one}; END $$"
        )
    }

    fn swap_references(&mut self) -> String {
        let (one, other, word) = (self.customer(), self.customer(), self.word());
        let table = self.table("payment");
        format!(
            "DO $$ DECLARE a {table}; b {table}; BEGIN
               SELECT * INTO a FROM {table} WHERE customer_id = {one} ORDER BY id LIMIT 1;
               SELECT * INTO b FROM {table} WHERE customer_id = {other} ORDER BY id DESC LIMIT 1;
               IF a.id = b.id OR a.id IS NULL OR b.id IS NULL THEN RETURN; END IF;
               UPDATE {table} SET reference = '{word}' WHERE id = a.id;
               UPDATE {table} SET reference = a.reference WHERE id = b.id;
               UPDATE {table} SET reference = b.reference WHERE id = a.id; END $$"
        )
    }

    fn choose_card(&mut self) -> String {
        let (id, card) = (self.customer(), self.table("card"));
        let order = ["", "DESC"].choose(&mut self.rng).copied().unwrap_or("");
        format!(
            "BEGIN; INSERT INTO {card} (customer_id) SELECT id FROM {} WHERE id = {id};
             UPDATE {card} SET is_default = false WHERE customer_id = {id} AND is_default;
             UPDATE {card} SET is_default = true WHERE id = (SELECT id FROM {card} WHERE customer_id = {id} ORDER BY id {order} LIMIT 1);
             COMMIT",
            self.table("customer")
        )
    }

    /// Changes keys.
    fn change_list(&mut self) -> String {
        let (id, table) = (self.customer(), self.table("membership"));
        let lists = ["news", "offers", "ünïcode"];
        let place = self.rng.random_range(0..lists.len());
        let (from, to) = (lists[place], lists[(place + 1) % lists.len()]);
        format!(
            "BEGIN; UPDATE {table} SET list = '{to}', since = since + 1 WHERE customer_id = {id} AND list = '{from}'
               AND NOT EXISTS (SELECT FROM {table} WHERE customer_id = {id} AND list = '{to}');
             INSERT INTO {table} SELECT id, 'offers', '2026-03-04' FROM {} WHERE id = {id} ON CONFLICT DO NOTHING; COMMIT",
            self.table("customer")
        )
    }

    fn give_new_key(&mut self) -> String {
        let (which, table) = (self.some_payments(1), self.table("payment"));
        format!("UPDATE {table} SET id = nextval(pg_get_serial_sequence('{table}', 'id')) WHERE {which}")
    }

    /// Into a table without a key that is not carried, and what is taken back.
    fn say_nothing_of_ours(&mut self) -> String {
        let which = self.some_payments(3);
        let log = self.table("log");
        format!(
            "BEGIN; DELETE FROM {} WHERE {which}; ROLLBACK;
             BEGIN; INSERT INTO {log} VALUES ('one'), ('two'); UPDATE {log} SET line = line || '.'; DELETE FROM {log}; COMMIT",
            self.table("payment")
        )
    }

    fn large(&mut self) -> String {
        let (rows, word, table) = (self.pace.large, self.word(), self.table("payment"));
        let (status, parity, number) = (self.status(), self.parity(), self.number);
        let own = format!(
            "customer_id % 2 = {parity} AND customer_id / 2 % {WRITERS} = {number} AND customer_id / 2 % {RESTING} <> 0"
        );
        let (amount, columns) = (self.amount(), "currency, reference, details");
        format!(
            "BEGIN; UPDATE {table} SET memo = '{word}', {status} WHERE id IN (SELECT id FROM {table} WHERE {own} LIMIT {rows});
             INSERT INTO {table} (customer_id, {amount}, {columns})
               SELECT customer_id, {amount}, currency, '{word}-' || row_number() OVER (), details
               FROM {table} WHERE {own} LIMIT {rows} / 10;
             DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {own} ORDER BY id DESC LIMIT {rows} / 10); COMMIT"
        )
    }
}
