#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
use windrow::prelude::*;
fn main() -> windrow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let settings = Settings::from_env()?;
    let frame = Session::new(settings).read_json(&args[2..], ReadOptions::default())?;
    println!("{}", frame.explain());
    let report = frame.write(&WriteOptions {
        existing: windrow::sink::Existing::Overwrite,
        ..WriteOptions::new(&args[1])
    })?;
    println!("{report}\n{} s peak {}", report.seconds, report.peak_bytes);
    Ok(())
}
