//! The library: who downloads most, and how long it takes, from gzipped logs.
//!
//! ```text
//! cargo run --release --example aggregate
//! ```

use windrow::prelude::*;

fn main() -> windrow::Result<()> {
    let by_user = busiest("data/logs/*.json.gz")?;
    println!("{}", by_user.explain()); // what will run
    println!("{}", by_user.compute()?);
    Ok(())
}

/// The ten users with the most bytes of good answers, hour by hour of Berlin's clocks.
pub fn busiest(inputs: &str) -> windrow::Result<DataFrame> {
    let at = col("ts").to_timestamp().tz_convert("Europe/Berlin");
    let good = windrow::read_json(inputs)?
        .filter("status < 400")?
        .with_column("hour", at.strftime("%Y-%m-%d %H:00"))?;
    let by_user = good.groupby(["hour", "user"])?.agg([
        count(),
        col("bytes").sum(),
        col("latency_ms").quantile(0.9).alias("p90_ms"),
    ])?;
    by_user.nlargest(10, "bytes")
}
